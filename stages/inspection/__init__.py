"""From tracks to one verdict per part."""
