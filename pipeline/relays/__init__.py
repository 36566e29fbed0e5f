"""Out of Redis, to Kafka or into files: what was published is handed on, at least once and in order."""
