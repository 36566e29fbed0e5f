"""What happens to a frame: plain classes, no I/O, no Ray."""
