"""The error that ends the benchmark with one line on stderr."""


class BenchError(Exception):
    """Something cannot be measured. The text says what, and why."""
