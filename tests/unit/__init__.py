"""Unit tests: no Ray, no network, seconds."""
