"""A container init: forwards signals, reaps zombies, tells why."""

__version__ = "0.1.0"
