"""Hostile surroundings, and who survives them."""
