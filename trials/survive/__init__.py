"""Hostile surroundings, and which inits survive them."""
