"""Models in 8 bits: calibrated with pictures of one's own, and held against what they were made of."""
