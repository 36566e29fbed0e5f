"""Ray Serve wrappers around the plain stages: batching, threads, health."""
