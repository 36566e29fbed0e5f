"""Rayline: how frames get there and back: processes, network, time."""
