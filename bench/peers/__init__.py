"""Rayline beside other tools: one adapter file each, run by `python -m bench.peers`."""
