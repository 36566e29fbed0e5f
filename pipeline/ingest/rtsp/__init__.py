"""RTSP without FFmpeg's demuxer: each picture is there when its last packet is, not when the next one begins."""
