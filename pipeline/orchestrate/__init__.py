"""Desired state, shards, and the supervisor that reconciles them."""
