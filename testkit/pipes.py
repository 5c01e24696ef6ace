"""Full pipes."""

import contextlib
import os


def full_pipe() -> tuple[int, int]:
    """Return a full pipe that no process reads."""
    reader, writer = os.pipe()
    fill(writer)
    return reader, writer


def fill(writer: int) -> None:
    """Write to a pipe until it does not take one byte more."""
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b" " * size)
    os.set_blocking(writer, True)
