"""Detection on request: images come in, are decoded within limits, and go to the model in few, small calls."""
