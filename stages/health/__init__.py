"""What a camera can see: its pictures judged by a few numbers."""
