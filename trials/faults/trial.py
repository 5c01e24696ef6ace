"""Run pyinit with one fault, or with many."""

import collections
import concurrent.futures
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testkit.namespaces import UNSHARE
from testkit.programs import PYINIT, compile_c
from trials.faults.judging import ALL_MARKS, CODE, Outcome, judge, result
from trials.faults.kinds import MEMORY, ON, ONCE, Fault, Kind, chosen

SOURCES = Path(__file__).parent
PID1_SHARE = 0.5
PATIENCE = 40  # seconds, for what mostly takes one or two
A_WHILE = (
    20  # allocations; without memory for ever, pyinit cannot even learn that a child has exited
)


class Trial:
    """All runs.

    Attributes:
        counts: how many runs ended in which way.
    """

    def __init__(self, folder: Path) -> None:
        """Compile the workload.

        Args:
            folder: for all files.
        """
        self._folder = folder
        self._workload = str(compile_c(SOURCES / "workload.c", folder, "-static"))
        self._no_memory = str(compile_c(SOURCES / "nomemory.c", folder, "-shared", "-fPIC"))
        self._known: dict[tuple[Kind, bool], int] = {}
        self.counts: collections.Counter[str] = collections.Counter()

    def sample(self, only: str | None, number: int, chance: random.Random) -> Iterator[Fault]:
        """Yield so many faults, each kind with the same chance."""
        kinds = list(chosen(only))
        while number:
            kind, as_pid1 = chance.choice(kinds), chance.random() < PID1_SHARE
            last = chance.choice((ONCE, ON)) if kind.lasting else ONCE
            error, place = chance.choice(kind.errors), chance.random()
            calls = self._count(kind, as_pid1=as_pid1)
            if calls:
                number -= 1
                yield Fault(kind, error, 1 + int(place * calls), last, as_pid1)

    def all(self, only: str | None) -> Iterator[Fault]:
        """Yield all faults, by how often each call is made in a run without one."""
        for kind in chosen(only):
            for as_pid1 in (False, True):
                number = self._count(kind, as_pid1=as_pid1)
                for error in kind.errors:
                    for last in (ONCE, ON) if kind.lasting else (ONCE,):
                        for n in range(1, number + 1):
                            yield Fault(kind, error, n, last, as_pid1)

    def _count(self, kind: Kind, *, as_pid1: bool) -> int:
        """Return how often the calls are made, by the process or thread that makes most."""
        if (kind, as_pid1) not in self._known:
            never = Fault(kind, kind.errors[0], 60000, ONCE, as_pid1)
            outcome = self.run(never)
            if outcome.code != CODE or outcome.marks != ALL_MARKS:
                sys.exit(f"faults: a run without a fault failed: {outcome}")
            self._known[kind, as_pid1] = max(outcome.calls.values(), default=0)
        return self._known[kind, as_pid1]

    def run_all(self, faults: list[Fault]) -> int:
        """Run all, two at a time; print what went wrong, and return how many runs failed."""
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for fault, outcome in zip(faults, pool.map(self.run, faults), strict=True):
                wrong = list(judge(fault, outcome))
                self.counts[result(outcome)] += 1
                if wrong:
                    failed += 1
                    print(f"failed: --fault {fault}: {'; '.join(wrong)}\n{outcome}", flush=True)
        return failed

    def run(self, fault: Fault) -> Outcome:
        """Run pyinit with one fault."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            (folder / "marks").mkdir()
            with open(folder / "err", "wb") as err:
                command = self._command(fault, folder)
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=err,
                    start_new_session=True,
                )
                code = _wait(process, folder)
            return Outcome(
                code,
                frozenset(path.name for path in (folder / "marks").iterdir()),
                (folder / "err").read_text(errors="replace"),
                _count_calls(fault, folder / "calls"),
            )

    def _command(self, fault: Fault, folder: Path) -> list[str]:
        # When it is not PID 1, pyinit reads all processes in /proc: leave out those of the machine.
        around, inside = ((), UNSHARE) if fault.as_pid1 else (UNSHARE, ())
        if fault.kind.calls == MEMORY:
            refusing = self._refusing_memory(fault, folder)
            return [*UNSHARE, *refusing, *self._init(fault, folder)]
        follow = ["-f"] if fault.kind.everybody or fault.as_pid1 else []
        strace = ["strace", "-qq", *follow, "-o", f"{folder}/calls", *fault.options()]
        return [*around, *strace, *inside, *self._init(fault, folder)]

    def _init(self, fault: Fault, folder: Path) -> list[str]:
        init = [PYINIT, "-v", "-d", "1", "--log-format=json", "--"]
        milliseconds = "200" if fault.last == ON else "0"
        return [*init, self._workload, f"{folder}/marks", milliseconds]

    def _refusing_memory(self, fault: Fault, folder: Path) -> list[str]:
        last = fault.number + A_WHILE - 1 if fault.last == ON else fault.number
        variables = {
            "LD_PRELOAD": self._no_memory,
            "PYTHONMALLOC": "malloc",  # each object is an allocation
            "NOMEMORY_FIRST": fault.number,
            "NOMEMORY_LAST": last,
            "NOMEMORY_COUNT": folder / "calls",
        }
        off_pid1 = () if fault.as_pid1 else ("sh", "-c", '"$@"; exit $?', "sh")
        return [*off_pid1, "env", *(f"{name}={value}" for name, value in variables.items())]


def _wait(process: subprocess.Popen[bytes], folder: Path) -> int | None:
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        subprocess.run(["pkill", "-KILL", "-f", str(folder)], check=False)  # all have it as a word
        process.wait()
        return None


def _count_calls(fault: Fault, log: Path) -> dict[str, int]:
    """Count by process, whose name is first in a line if strace follows more than one."""
    text = log.read_text(errors="replace") if log.exists() else ""
    if fault.kind.calls == MEMORY:
        return {"": int(text or 0)}
    found = re.findall(r"^(\d+ +|)(?!\d|[-+]{3}|<)", text, re.MULTILINE)
    return dict(collections.Counter(who.strip() for who in found))
