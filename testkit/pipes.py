"""Pipes that take nothing more."""

import contextlib
import os


def full_pipe() -> tuple[int, int]:
    """Return a pipe that nobody reads and that takes nothing more."""
    reader, writer = os.pipe()
    fill(writer)
    return reader, writer


def fill(writer: int) -> None:
    """Write to a pipe until it takes nothing more, not one byte."""
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b" " * size)
    os.set_blocking(writer, True)
