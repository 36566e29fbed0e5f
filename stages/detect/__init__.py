"""From tensors to detections."""
