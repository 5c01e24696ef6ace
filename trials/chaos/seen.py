"""What a run showed."""

import dataclasses

from trials.chaos.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER = -1
PATIENCE_SECONDS = 0.9


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """What a process wrote, in one write.

    Attributes:
        letter: A: it is up; S: it took signal `a`; K: it sends `a` to pyinit, as the runner does
            too; R: that was refused; G: it exits, asked (`a` 1) or not, by signal `b` or with
            code `c`; L: it is a process without a name, forked by the node, that lives `a` ms;
            P: the node was stopped; F: something failed, at place `a` with errno `b`.
        node: the number of the node, RUNNER for the runner.
        pid: its pid in its own PID namespace.
        when: milliseconds of the monotonic clock, right before the write.
    """

    letter: str
    node: int
    pid: int
    a: int
    b: int
    c: int
    when: int


def parse(text: str) -> Line:
    """Return the line of a text."""
    letter, *numbers = text.split()
    return Line(letter, *map(int, numbers))


@dataclasses.dataclass(slots=True)
class Seen:
    """A run that has ended.

    Attributes:
        plan: what should happen.
        lines: what the processes wrote, in that order.
        stderr: what pyinit wrote.
        code: the exit code; negative if a signal killed pyinit itself.
        hung: what did not come in time; empty if everything did.
        left: the processes that pyinit left behind, with zombies.
        zombies: pids that stayed zombies below a pyinit that had time to reap them.
        ended: when the end was noticed, as `when` of a line.
        holders: whether a process still held the pipe.
    """

    plan: Plan
    lines: list[Line]
    stderr: str = ""
    code: int = 0
    hung: str = ""
    left: list[str] = dataclasses.field(default_factory=list)
    zombies: list[int] = dataclasses.field(default_factory=list)
    ended: int = 0
    holders: bool = False

    def told(self, letters: str) -> "Iterator[Line]":
        """Yield the lines with one of these letters."""
        return (line for line in self.lines if line.letter in letters)

    def position(self, letter: str, node: int) -> int | None:
        """Return the position of a line among the others."""
        for number, line in enumerate(self.lines):
            if line.letter == letter and line.node == node:
                return number
        return None

    @property
    def pids(self) -> dict[int, int]:
        """The pid of each node that came up."""
        return {line.node: line.pid for line in self.told("A")}

    @property
    def end(self) -> Line | None:
        """The last line of the root."""
        return next((line for line in self.told("G") if line.node == 0), None)

    @property
    def is_cut_short(self) -> bool:
        """Whether the log may lack its end, because pyinit has waited for its reader for too long.

        docs/events.md, "What happens if stderr is slow".
        """
        if self.plan.wishes.verbosity == 0 or "drain_finished" in self.stderr:
            return False
        drain = self.plan.drain_limit if self.plan.may_cling else 0.0
        last = max((line.when for line in self.lines), default=0)
        return self.ended - last > 1000 * (drain + PATIENCE_SECONDS)

    @property
    def processes(self) -> int:
        """How many there were, with those between a daemon and its first parent."""
        up = list(self.told("A"))
        everybody = self.plan.everybody
        return len(list(self.told("L"))) + sum(1 + bool(everybody[line.node].daemon) for line in up)

    @property
    def signals(self) -> int:
        """How many signals were sent to pyinit."""
        return len(list(self.told("K"))) - len(list(self.told("R")))
