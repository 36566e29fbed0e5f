"""Tests on a real local Ray."""
