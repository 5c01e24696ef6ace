"""pyinit where this machine is not: with Alpine's C library, and on arm64."""
