"""System calls that fail, each in turn."""
