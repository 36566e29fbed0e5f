"""Tests against real Redis and RTSP servers."""
