"""Inspection: what a part is, and what its verdict may be."""
