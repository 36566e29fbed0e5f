"""Where results go: Redis streams and snapshots."""
