"""What an inspected process does with SIGTERM, in plain words, and what to do about it."""

from pyinit import signals
from pyinit.before import names
from pyinit.later.verdicts import (
    CONTINUES,
    DELIVERED,
    DROPPED,
    HELD,
    IGNORED,
    KILLS,
    STOPS,
    TAKEN,
    Process,
    Verdict,
    judge,
)

SIGKILL_FOLLOWS = "`docker stop` waits for the full grace period, then sends SIGKILL."
ENTRYPOINT = 'ENTRYPOINT ["pyinit", "--"]'
ENDINGS = ("INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")  # other signals that stop programs

MEANINGS = {
    DELIVERED: "its handler runs; what the handler does cannot be seen here",
    TAKEN: "a thread waits for this signal (sigwait), and gets it",
    HELD: "pending until it is unblocked or taken, or the process is continued",
    IGNORED: "thrown away: the program ignores it, or this is the default",
    DROPPED: "thrown away: PID 1 has no handler for it",
    KILLS: "ends the process",
    STOPS: "stops the process until SIGCONT comes",
    CONTINUES: "continues the process",
}


def sentence(process: Process) -> str:
    """Say what happens to SIGTERM, and why."""
    verdict = of_sigterm(process)
    said = (_of_init if process.is_init else _of_other)(process, verdict.word)
    return said if verdict.is_sure else f"As far as pyinit can see from here: {said}"


def advice(process: Process, children: "list[int]") -> str:
    """Say what to do about it; nothing if there is nothing to do.

    Args:
        process: the process.
        children: the pids of its children.
    """
    word = of_sigterm(process).word
    if word == TAKEN and children:
        return f"To see what its child does with it: pyinit --inspect={children[0]}."
    if word == HELD and process.is_stopped and process.is_traced:
        return "The process that traces it must continue it."
    if word == HELD and process.is_stopped:
        return f"To continue it: kill -CONT {process.pid}."
    if word == HELD:
        return "If it never does, only SIGKILL ends it: make the program handle SIGTERM."
    if process.is_machines_init or process.is_of_kernel:
        return ""
    return _advice_for_init(process, word) if process.is_init else _advice_for_other(word)


def notes(process: Process) -> list[str]:
    """Say what else there is to know: what could not be seen, and whether a tracer interferes."""
    said = []
    if process.is_traced:
        tracers = {thread.tracer for thread in process.living} - {0}
        who = f"Process {min(tracers)}" if tracers else "A process that cannot be seen from here"
        said.append(
            f"{who} traces it, as strace does: the tracer sees each signal first, "
            "and may change what happens to it."
        )
    if any(thread.waits and thread.awaited is None for thread in process.threads):
        said.append(
            "It waits for signals (sigwait), but only a process that may trace it can see for "
            "which: run this as root, in Docker with --cap-add SYS_PTRACE."
        )
    elif any(thread.waits is None for thread in process.threads):
        said.append(
            "pyinit cannot see from here whether it waits for signals (sigwait), and so takes "
            "them: run this as root or as its user, and again if it is busy."
        )
    return said


def of_sigterm(process: Process) -> Verdict:
    """Return the verdict on SIGTERM, which is the same from inside and from outside."""
    verdict = judge(process, signals.SIGTERM, inside=True)
    assert verdict is not None  # noqa: S101 - there is always an inside
    return verdict


def _of_init(process: Process, word: str) -> str:
    end = "" if process.is_machines_init else f" {SIGKILL_FOLLOWS}"
    if word == DROPPED:
        return (
            f"SIGTERM is dropped, from inside and from outside: PID 1 has no handler for it.{end}"
        )
    if word == IGNORED:
        return f"SIGTERM is ignored: the program has set this.{end}"
    if word == DELIVERED:
        return (
            "SIGTERM is delivered: its handler runs. When PID 1 exits, the kernel sends SIGKILL to "
            "every other process in the namespace."
        )
    return _of_any(process, word)


def _of_other(process: Process, word: str) -> str:
    if word == KILLS:
        return "SIGTERM kills it: it has no handler, so it cannot finish its work."
    if word == DELIVERED:
        return "SIGTERM is delivered: its handler runs."
    if process.is_of_kernel:
        return "SIGTERM is ignored, and so is SIGKILL: it is a kernel thread."
    if word == IGNORED:
        return "SIGTERM is ignored: only SIGKILL or another signal can end it."
    return _of_any(process, word)


def _of_any(process: Process, word: str) -> str:
    if word == TAKEN:
        return "SIGTERM is taken: a thread waits for it (sigwait), for example to forward it."
    why = "it is stopped" if process.is_stopped else "it is blocked"
    until = "the process is continued" if process.is_stopped else "the program unblocks or takes it"
    return f"SIGTERM is held: {why}, and the signal stays pending until {until}."


def _advice_for_init(process: Process, word: str) -> str:
    if word == DELIVERED:
        return (
            "If it does not exit, its handler restored the default action and raised the signal "
            "again, as in Node.js: PID 1 then has no handler, so the kernel drops the signal. "
            f"Below an init, that works, and other processes can finish: {ENTRYPOINT}."
        )
    if word == IGNORED:
        remedy = "Make it handle SIGTERM, or kill it after a time, with pyinit -k SECONDS."
        return remedy + _other_endings(process)
    if word == DROPPED:
        remedy = f"Run it below an init, {ENTRYPOINT}, or make it handle SIGTERM."
        return remedy + _other_endings(process)
    return ""


def _advice_for_other(word: str) -> str:
    if word in {KILLS, IGNORED}:
        return "If it has work to finish, make it handle SIGTERM."
    return ""


def _other_endings(process: Process) -> str:
    caught = [name for name in ENDINGS if names.number(name) in process.caught]
    if not caught:
        return ""
    first = caught[0]
    return f" It handles {', '.join(caught)}: if {first} stops it, use pyinit -r TERM:{first}."
