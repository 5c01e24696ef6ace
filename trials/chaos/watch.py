"""Read what a tree and pyinit write, until pyinit has ended."""

import os
import selectors
import time
from collections.abc import Callable

from trials.chaos.seen import Line, parse

SIZE = 65536
LOOK_AGAIN_SECONDS = 0.01  # to check what no pipe reports


class Watch:
    """The reading ends of two pipes, and the end of a process.

    Attributes:
        lines: what the tree has written.
        stderr: what pyinit has written.
        is_over: whether the process has ended.
        is_held: whether a process still holds the pipe of the lines.
    """

    def __init__(self, told: int, stderr: int, pid: int) -> None:
        """Begin; all descriptors are closed by `close`."""
        self.lines: list[Line] = []
        self.stderr = b""
        self.is_over = False
        self.is_held = True
        self._process = os.pidfd_open(pid)
        self._told, self._stderr = told, stderr
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        for end in (told, stderr):
            os.set_blocking(end, False)
            self._selector.register(end, selectors.EVENT_READ)
        self._selector.register(self._process, selectors.EVENT_READ)

    def until(self, is_so: Callable[[], bool], seconds: float, *, looks: bool = False) -> bool:
        """Read until a condition is met or the process has ended; tell whether that came in time.

        Args:
            is_so: the condition, checked after each read.
            seconds: how long.
            looks: whether to check it in between, too.
        """
        end = time.monotonic() + seconds
        while not self.is_over and not is_so():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._read(min(left, LOOK_AGAIN_SECONDS) if looks else left)
        return True

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fd == self._process:
                self.is_over = True
                self._selector.unregister(key.fd)
            else:
                self._take(key.fd, os.read(key.fd, SIZE))

    def _take(self, end: int, data: bytes) -> None:
        if not data:
            self._selector.unregister(end)
            self.is_held &= end != self._told
        if end == self._stderr:
            self.stderr += data
            return
        *texts, self._rest = (self._rest + data).split(b"\n")
        self.lines += map(parse, map(bytes.decode, texts))

    def close(self) -> None:
        """Read what is left, and close all."""
        while self._selector.get_map() and self._selector.select(0):
            self._read(0)
        self._selector.close()
        for descriptor in (self._told, self._stderr, self._process):
            os.close(descriptor)
