"""What is wrong with the outcome of a run."""

import dataclasses
import json
from collections.abc import Iterator

from trials.faults.kinds import MEMORY, ON, Fault

CODE = 7  # of the workload
ALL_MARKS = {"child", "helper", "asked", "forwarded"}


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        code: the exit code of pyinit; None if it did not exit.
        marks: the files that the workload wrote.
        err: its stderr.
        calls: how many of the calls in question were made, by process or thread.
    """

    code: int | None
    marks: frozenset[str]
    err: str
    calls: dict[str, int]


def _crashed_at_boot(fault: Fault, outcome: Outcome) -> bool:
    """Tell whether the dynamic linker or the interpreter crashed again and again without memory.

    A SIGSEGV that strace passes on to PID 1 does not end PID 1, unlike one from the kernel itself.
    """
    return fault.kind.calls == "mmap" and fault.as_pid1 and not outcome.marks and not outcome.err


def _is_empty(fault: Fault, outcome: Outcome) -> bool:
    """Tell whether CPython took the command for an empty script, because it could not read it.

    CPython does so with any script, without a message: `python3 FILE` exits with 0 as well.
    """
    return fault.kind.calls == "read" and fault.last == ON and not outcome.err


def result(outcome: Outcome) -> str:
    """Return in a few words how pyinit ended."""
    if outcome.err.startswith("unshare:"):
        return "hit unshare(1)"
    return "exited with the child's code" if "child" in outcome.marks else "did not start"


def judge(fault: Fault, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with an outcome."""
    if result(outcome) == "hit unshare(1)" or _ended_unshare(fault, outcome):
        return
    if outcome.code is None:
        if not _crashed_at_boot(fault, outcome):
            yield "it did not exit"
        return
    if fault.kind.calls == MEMORY and fault.number == 1:
        return  # fork() itself crashed, before it had a pid to return
    if "child" in outcome.marks and outcome.code != CODE:
        yield f"the child's code was lost: {outcome.code}"
    if "child" not in outcome.marks and outcome.code == 0 and not _is_empty(fault, outcome):
        yield "nothing was started, but the code is 0"
    if max(outcome.calls.values(), default=0) > fault.kind.most:
        yield f"it spun: {outcome.calls}"
    # As PID 1, the fault also hits the calls of the workload.
    is_spared = fault.kind.spared and not fault.as_pid1 and not fault.kind.everybody
    if is_spared and "child" in outcome.marks and outcome.marks != ALL_MARKS:
        yield f"a signal was lost: only {', '.join(sorted(outcome.marks))}"
    if "child" in outcome.marks:
        yield from _judge_lines(fault, outcome.err)


def _ended_unshare(fault: Fault, outcome: Outcome) -> bool:
    """Tell whether unshare(1) changed the code, although pyinit inside exited with the right one.

    unshare closes stdout at the very end, and exits with 1, without a message, if that fails.
    """
    if not fault.as_pid1 or fault.kind.calls != "close" or outcome.code != 1:
        return False
    outermost = min(filter(None, outcome.calls), key=int, default="")
    told = f'"event": "child_exited", "pid": 2, "code": {CODE},'
    return outcome.calls.get(outermost) == fault.number and told in outcome.err


def _judge_lines(fault: Fault, err: str) -> Iterator[str]:
    if "write" in fault.kind.calls and fault.last == ON:
        return
    errors: list[str] = []
    lines = err[err.find("{") :].splitlines()  # Python may have written something before
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            yield f"not an event: {line}"
            continue
        if event["event"] == "internal_error":
            errors.append(event["error"])
    if len(errors) != len(set(errors)):
        yield "the end of the child was logged more than once"
    if fault.kind.calls == MEMORY and not lines:
        yield "it went silent"
