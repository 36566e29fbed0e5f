"""From camera pixels to the model's tensor."""
