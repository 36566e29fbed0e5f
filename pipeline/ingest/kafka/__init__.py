"""Kafka in: a topic's partitions read as shards, each message's picture published once."""
