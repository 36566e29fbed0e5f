"""Tests of what the Serve wrappers hold, without Serve."""
