"""The demo line: renderer, truth, RTSP server, training."""
