"""Parts of a running line die at random; what that cost: `python -m bench.chaos`."""
