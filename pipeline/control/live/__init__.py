"""What goes on as long as somebody looks: live pictures and streams of messages."""
