"""From detections to tracks, zones and line crossings."""
