"""Rayline's tests."""
