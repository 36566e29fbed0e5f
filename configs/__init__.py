"""Configuration files and JSON Schemas shipped with Rayline."""
