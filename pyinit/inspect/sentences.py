"""What an inspected process makes of SIGTERM, in plain words, and what to do about it."""

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

SIGKILL_FOLLOWS = "`docker stop` will wait its full grace and then send SIGKILL."
ENTRYPOINT = 'ENTRYPOINT ["pyinit", "--"]'
ENDINGS = ("INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")  # with which programs are ended as well

MEANINGS = {
    DELIVERED: "its handler runs; what that does cannot be seen here",
    TAKEN: "it waits for this signal (sigwait), and takes it",
    HELD: "pending until it is unblocked, asked for, or the process continued",
    IGNORED: "thrown away, as the program or the default has it",
    DROPPED: "thrown away, because PID 1 has no handler for it",
    KILLS: "ends the process",
    STOPS: "stops the process until SIGCONT comes",
    CONTINUES: "the process goes on",
}


def sentence(process: Process) -> str:
    """Say what becomes of SIGTERM, and why."""
    verdict = of_sigterm(process)
    said = (_of_init if process.is_init else _of_other)(process, verdict.word)
    return said if verdict.is_sure else f"As far as can be seen from here: {said}"


def advice(process: Process, children: "list[int]") -> str:
    """Say what to do about it; nothing where there is nothing to do.

    Args:
        process: the process.
        children: the pids of its children.
    """
    word = of_sigterm(process).word
    if word == TAKEN and children:
        return f"What becomes of it then, its child tells: --inspect={children[0]}."
    if word == HELD and process.is_stopped and process.is_traced:
        return "Who traces it lets it go on."
    if word == HELD and process.is_stopped:
        return f"Let it go on: kill -CONT {process.pid}."
    if word == HELD:
        return "If it never asks, nothing but SIGKILL ends it: let the program handle SIGTERM."
    if process.is_machines_init or process.is_of_kernel:
        return ""
    return _advice_for_init(process, word) if process.is_init else _advice_for_other(word)


def notes(process: Process) -> list[str]:
    """Say what else there is to know: what could not be seen, and who else has a say."""
    said = []
    if process.is_traced:
        tracers = {thread.tracer for thread in process.living} - {0}
        who = f"Process {min(tracers)}" if tracers else "A process that is not to be seen from here"
        said.append(
            f"{who} traces it, as strace does: it sees each signal first, "
            "and may change what becomes of it."
        )
    if any(thread.waits and thread.awaited is None for thread in process.threads):
        said.append(
            "It waits for signals (sigwait); for which, only who may trace it can see: "
            "ask as root, in Docker with --cap-add SYS_PTRACE."
        )
    elif any(thread.waits is None for thread in process.threads):
        said.append(
            "Whether it waits for signals (sigwait), and so takes them, cannot be seen from here: "
            "ask as root or as its user, and again where it is busy."
        )
    return said


def of_sigterm(process: Process) -> Verdict:
    """Return what becomes of a SIGTERM from inside, which is what becomes of one from outside."""
    verdict = judge(process, signals.SIGTERM, inside=True)
    assert verdict is not None  # noqa: S101 - somebody is always inside
    return verdict


def _of_init(process: Process, word: str) -> str:
    end = "" if process.is_machines_init else f" {SIGKILL_FOLLOWS}"
    if word == DROPPED:
        return (
            f"SIGTERM is dropped, from inside and from outside: PID 1 has no handler for it.{end}"
        )
    if word == IGNORED:
        return f"SIGTERM is ignored: the program said so.{end}"
    if word == DELIVERED:
        return (
            "SIGTERM is delivered: its handler runs. When PID 1 ends, the kernel sends SIGKILL to "
            "all that is left beside it."
        )
    return _of_any(process, word)


def _of_other(process: Process, word: str) -> str:
    if word == KILLS:
        return "SIGTERM kills it: it has no handler, so it ends without a last word."
    if word == DELIVERED:
        return "SIGTERM is delivered: its handler runs."
    if process.is_of_kernel:
        return "SIGTERM is ignored, and so is SIGKILL: it is a thread of the kernel."
    if word == IGNORED:
        return "SIGTERM is ignored: nothing but SIGKILL or another signal will end it."
    return _of_any(process, word)


def _of_any(process: Process, word: str) -> str:
    if word == TAKEN:
        return "SIGTERM is taken: it waits for it (sigwait), as an init does that forwards it."
    why = "it is stopped" if process.is_stopped else "it is blocked"
    until = "it is continued" if process.is_stopped else "the program unblocks it or asks for it"
    return f"SIGTERM is held: {why}, and the signal stays pending until {until}."


def _advice_for_init(process: Process, word: str) -> str:
    if word == DELIVERED:
        return (
            "If it goes on all the same, its handler restored the default and raised the signal "
            "again, as Node.js's does: then PID 1 has no handler. "
            f"Below an init that works, and others may finish: {ENTRYPOINT}."
        )
    if word == IGNORED:
        remedy = "Let it handle SIGTERM, or put an end to it with pyinit -k SECONDS."
        return remedy + _other_endings(process)
    if word == DROPPED:
        remedy = f"Run it below an init, {ENTRYPOINT}, or let it handle SIGTERM."
        return remedy + _other_endings(process)
    return ""


def _advice_for_other(word: str) -> str:
    if word in {KILLS, IGNORED}:
        return "If it has work to finish, let it handle SIGTERM."
    return ""


def _other_endings(process: Process) -> str:
    caught = [name for name in ENDINGS if names.number(name) in process.caught]
    if not caught:
        return ""
    return f" It handles {', '.join(caught)}: if {caught[0]} ends it, pyinit -r TERM:{caught[0]}."
