"""The HTTP API: what an integrator automates, and what a stranger is refused."""
