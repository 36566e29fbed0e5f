"""Wire schema v1: results as messages."""
