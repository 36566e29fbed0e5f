"""The demo's line, renderer and training pictures."""
