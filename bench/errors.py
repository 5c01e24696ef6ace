"""What ends a benchmark with one line."""


class BenchError(Exception):
    """Something cannot be measured; the text says what and why."""
