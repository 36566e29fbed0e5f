"""Lines: how they do at a glance, and one of them in figures and charts."""
