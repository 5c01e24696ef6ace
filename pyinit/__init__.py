"""A container init: forwards signals, reaps zombies, and logs what went wrong."""

__version__ = "0.1.0"
