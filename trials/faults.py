"""``python -m trials.faults``: refuse system calls to pyinit, each in turn, once and from then on.

A run without a fault tells how often pyinit makes a call. Then, for each of these times, strace has
it fail: this time only, or from this time on. Whatever happens, pyinit must leave in time, with the
code of its child; or, where the child was not started, with another code than 0.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from testkit.namespaces import UNSHARE
from testkit.programs import PYINIT, compile_c

SOURCES = Path(__file__).parent
CODE = 7  # of the workload
PID1_SHARE = 0.5
PATIENCE = 40  # seconds, for what takes one or two mostly
ALL_MARKS = {"child", "helper", "asked", "forwarded"}
ONCE, ON = "once", "from then on"
MEMORY = "malloc"  # no system call: nomemory.c refuses it, and for a while instead of for ever
A_WHILE = 20  # allocations: who never gets memory again cannot even be told of a dead child


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """Calls that fail, and how.

    Attributes:
        calls: their names, for strace.
        errors: what they fail with, in turn.
        everybody: whether they fail for all threads and processes, not just for pyinit's loop.
        lasting: whether they may fail for ever; CPython itself repeats what is interrupted.
        most: how many there may be in a run, by process or thread: more is turning at full speed.
        spared: whether the workload is still to get its signals, and its helper to be asked.
    """

    calls: str
    errors: tuple[str, ...]
    everybody: bool = False
    lasting: bool = True
    most: int = 1000
    spared: bool = False


KINDS = (
    Kind("clone,clone3,fork,vfork", ("EAGAIN", "ENOMEM")),
    Kind("clone,clone3,fork,vfork", ("EAGAIN", "ENOMEM"), everybody=True),
    Kind("kill", ("EPERM", "ESRCH")),
    Kind("waitid", ("EAGAIN", "EINVAL", "EPERM", "ENOSYS"), spared=True),
    Kind("wait4", ("ECHILD", "EINVAL", "ENOSYS")),
    Kind("wait4,waitid,rt_sigtimedwait", ("EINTR",), lasting=False),
    Kind("rt_sigtimedwait", ("EAGAIN", "EINVAL", "EPERM", "ENOSYS"), spared=True),
    Kind("rt_sigtimedwait,rt_sigpending", ("EPERM",)),
    Kind("rt_sigtimedwait,waitid", ("EPERM",)),
    Kind("write", ("EAGAIN", "EPIPE", "ENOSPC", "EIO"), everybody=True),
    Kind("write,read", ("EINTR",), everybody=True, lasting=False),
    Kind("openat,open", ("EMFILE", "ENFILE", "EACCES"), everybody=True),
    Kind("read", ("EIO",), everybody=True),
    Kind("getdents64", ("EIO",), everybody=True),
    Kind("readlink,readlinkat", ("EACCES",), everybody=True),
    Kind(
        "mmap", ("ENOMEM",), everybody=True, most=100_000
    ),  # malloc(3) of a thread tries each time
    Kind(MEMORY, ("ENOMEM",), most=100_000),
    Kind("prctl", ("EPERM", "EINVAL", "ENOSYS")),
    Kind("pidfd_open", ("ENOSYS", "EPERM", "EMFILE"), spared=True),
    Kind("pidfd_send_signal", ("ENOSYS", "EPERM"), spared=True),
    Kind("ioctl", ("ENOTTY", "ENXIO", "EPERM", "EBADF", "ESRCH"), everybody=True),
    Kind("pipe2", ("EMFILE", "ENFILE")),
    Kind("setpgid", ("EPERM", "ESRCH"), spared=True),
    Kind("sched_yield", ("ENOSYS",), spared=True),
    Kind("close", ("EIO",), everybody=True),
    Kind("poll", ("EINVAL",), everybody=True),
    Kind("rt_sigaction", ("EINVAL",)),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """Calls that fail in one way at one time.

    Attributes:
        kind: which calls.
        error: the errno they fail with.
        number: which of the calls is the first to fail, from 1.
        last: ONCE or ON.
        as_pid1: whether pyinit is PID 1 of a namespace.
    """

    kind: Kind
    error: str
    number: int
    last: str
    as_pid1: bool

    def __str__(self) -> str:
        """Return how it is written on the command line, to have it again."""
        where = "pid1" if self.as_pid1 else "not-pid1"
        who = "everybody" if self.kind.everybody or self.as_pid1 else "init"
        end = "+" if self.last == ON else ""
        return f"{self.kind.calls}:{self.error}:{self.number}{end}:{who}:{where}"

    def options(self) -> list[str]:
        """Return what strace is told."""
        when = f"{self.number}{'+' if self.last == ON else ''}"
        inject = f"inject={self.kind.calls}:error={self.error}:when={when}"
        return ["-e", f"trace={self.kind.calls}", "-e", inject]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What is left of a run.

    Attributes:
        code: what pyinit left with; None where it did not leave.
        marks: what the workload left.
        err: what came out of stderr.
        calls: how many of the calls that were to fail were made, by process or thread.
    """

    code: int | None
    marks: frozenset[str]
    err: str
    calls: dict[str, int]


def main() -> None:
    """Do what the command line says."""
    words = _parser().parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name))
        if words.fault:
            faults = [parse(word) for word in words.fault]
        elif words.sample:
            print(f"faults: --sample {words.sample} --seed {words.seed}", flush=True)
            faults = list(trial.sample(words.only, words.sample, random.Random(words.seed)))
        else:
            faults = list(trial.all(words.only))
        failed = trial.run_all(faults)
    print(f"faults: {len(faults)} runs in {time.monotonic() - began:.0f} s: ", end="")
    print(", ".join(f"{count} {what}" for what, count in sorted(trial.counts.items())))
    print(f"faults: {failed} failures")
    sys.exit(failed > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make faults ARGS=...", description=__doc__)
    parser.add_argument("--only", metavar="CALL", help="only kinds with this call")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of them, by chance")
    seed = random.SystemRandom().randrange(10**6)
    parser.add_argument("--seed", type=int, default=seed, help="which ones")
    help_text = "only this one, as it was printed"
    parser.add_argument("--fault", action="append", default=[], help=help_text)
    return parser


def parse(word: str) -> Fault:
    """Return the fault that is written so."""
    calls, error, when, who, where = word.split(":")
    number, plus, _ = when.partition("+")
    everybody = who == "everybody"
    alike = [kind for kind in KINDS if kind.calls == calls] or [Kind(calls, (error,))]
    kind = dataclasses.replace(alike[0], errors=(error,), everybody=everybody)
    return Fault(kind, error, int(number), ON if plus else ONCE, as_pid1=where == "pid1")


def _chosen(only: str | None) -> Iterator[Kind]:
    return (kind for kind in KINDS if not only or only in kind.calls.split(","))


class Trial:
    """All runs.

    Attributes:
        counts: how many ended in which way.
    """

    def __init__(self, folder: Path) -> None:
        """Compile the workload.

        Args:
            folder: where everything is kept.
        """
        self._folder = folder
        self._workload = str(compile_c(SOURCES / "faulted.c", folder, "-static"))
        self._no_memory = str(compile_c(SOURCES / "nomemory.c", folder, "-shared", "-fPIC"))
        self._known: dict[tuple[Kind, bool], int] = {}
        self.counts: collections.Counter[str] = collections.Counter()

    def sample(self, only: str | None, number: int, chance: random.Random) -> Iterator[Fault]:
        """Yield so many, each kind being as likely as any other."""
        kinds = list(_chosen(only))
        while number:
            kind, as_pid1 = chance.choice(kinds), chance.random() < PID1_SHARE
            last = chance.choice((ONCE, ON)) if kind.lasting else ONCE
            error, place = chance.choice(kind.errors), chance.random()
            calls = self._count(kind, as_pid1=as_pid1)
            if calls:
                number -= 1
                yield Fault(kind, error, 1 + int(place * calls), last, as_pid1)

    def all(self, only: str | None) -> Iterator[Fault]:
        """Yield all that there are, by how often each call is made where nothing fails."""
        for kind in _chosen(only):
            for as_pid1 in (False, True):
                number = self._count(kind, as_pid1=as_pid1)
                for error in kind.errors:
                    for last in (ONCE, ON) if kind.lasting else (ONCE,):
                        for n in range(1, number + 1):
                            yield Fault(kind, error, n, last, as_pid1)

    def _count(self, kind: Kind, *, as_pid1: bool) -> int:
        """Return how often the calls are made, by the process or thread that makes most of them."""
        if (kind, as_pid1) not in self._known:
            never = Fault(kind, kind.errors[0], 60000, ONCE, as_pid1)
            outcome = self.run(never)
            if outcome.code != CODE or outcome.marks != ALL_MARKS:
                sys.exit(f"faults: a run without a fault failed: {outcome}")
            self._known[kind, as_pid1] = max(outcome.calls.values(), default=0)
        return self._known[kind, as_pid1]

    def run_all(self, faults: list[Fault]) -> int:
        """Run all, two at a time; print what went wrong, and return how many did."""
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for fault, outcome in zip(faults, pool.map(self.run, faults), strict=True):
                wrong = list(judge(fault, outcome))
                self.counts[_result(outcome)] += 1
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
        # The processes of the machine, of which off PID 1 it reads each, are kept out.
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


def _result(outcome: Outcome) -> str:
    if outcome.err.startswith("unshare:"):
        return "hit unshare(1)"
    return "left with the child's code" if "child" in outcome.marks else "did not start"


def _count_calls(fault: Fault, log: Path) -> dict[str, int]:
    """Count by who made it, which stands first where strace follows more than one."""
    text = log.read_text(errors="replace") if log.exists() else ""
    if fault.kind.calls == MEMORY:
        return {"": int(text or 0)}
    found = re.findall(r"^(\d+ +|)(?!\d|[-+]{3}|<)", text, re.MULTILINE)
    return dict(collections.Counter(who.strip() for who in found))


def judge(fault: Fault, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with the outcome of a fault."""
    if _result(outcome) == "hit unshare(1)":
        return
    if outcome.code is None:
        yield "it did not end"
        return
    if fault.kind.calls == MEMORY and fault.number == 1:
        return  # fork() itself, which by then has no number to return
    if "child" in outcome.marks and outcome.code != CODE:
        yield f"the child's code was lost: {outcome.code}"
    if "child" not in outcome.marks and outcome.code == 0:
        yield "nothing was started, and yet the code is 0"
    if max(outcome.calls.values(), default=0) > fault.kind.most:
        yield f"it turned at full speed: {outcome.calls}"
    # As PID 1 the workload's own calls are hit as well.
    is_spared = fault.kind.spared and not fault.as_pid1 and not fault.kind.everybody
    if is_spared and "child" in outcome.marks and outcome.marks != ALL_MARKS:
        yield f"a signal was lost: only {', '.join(sorted(outcome.marks))}"
    if "child" in outcome.marks:
        yield from _judge_lines(fault, outcome.err)


def _judge_lines(fault: Fault, err: str) -> Iterator[str]:
    if "write" in fault.kind.calls and fault.last == ON:
        return
    errors: list[str] = []
    lines = err[err.find("{") :].splitlines()  # Python may have had something to say before
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            yield f"not an event: {line}"
            continue
        if event["event"] == "internal_error":
            errors.append(event["error"])
    if len(errors) != len(set(errors)):
        yield "it was told more than once"
    if fault.kind.calls == MEMORY and not lines:
        yield "it went silent"


if __name__ == "__main__":
    main()
