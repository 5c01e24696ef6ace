"""Why a process does not stop, and what to do about it: one sentence. Pure, it looks at nothing.

The rules, of which the first that holds counts:

1. No signal gets to it now: a tracer holds it, it is stopped, or it is in an uninterruptible wait.
2. It does not hear the signal: it ignores it, blocks it, or drops it as PID 1 of a namespace.
   Where it blocks it and yet none is pending, it has got it: mostly its handler runs (sigaction(2):
   a signal is blocked as long as its handler runs), or sigwait(3) has taken it.
3. Its handler runs and has not come back, as its stack shows.
4. It waits for another process: then that one is the cause, or that it did not get the signal.
5. It waits for a thread of its own, then that is the cause; or it runs what comes at its very end.
6. It goes on: its event loop awaits something or is held up, or there is a line that it is at.

Nothing is said that was not seen. Where a handler may have run or not, only that there is one is
said; where one of several may be the cause, all of them are named.
"""

from pyinit import lifecycle
from pyinit.before import names
from pyinit.later import verdicts
from pyinit.signals import JOB_CONTROL, SIGSTOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyinit.later.slow_stop import Subject
    from pyinit.later.stacks.frames import Frame

SHELLS = {"sh", "ash", "bash", "dash", "busybox", "ksh", "mksh", "zsh"}
# They pass on what they get. timeout(1) ignores it from then on.
FORWARDERS = {"catatonit", "docker-init", "dumb-init", "pyinit", "timeout", "tini"}
# Which of them to advise in place of the one that is not heard; a shell ends at SIGHUP.
OTHERS = ("INT", "QUIT", "HUP", "USR1")
OTHERS_FOR_SHELLS = ("HUP", *OTHERS)
HEARD = {verdicts.KILLS, verdicts.DELIVERED, verdicts.TAKEN}
MOST_BELOW = 16  # processes that are looked at below the one that was asked
MOST_LINKS = 8
MOST_THREADS = 3
STOPPING = JOB_CONTROL | {SIGSTOP}
MOST_CHILDREN = 3
TICK = 0.01  # seconds; of the clock that tells when a process began
VFORKS = {"vfork", "clone", "clone3"}
FOR_SIGNALS = {"rt_sigsuspend", "rt_sigtimedwait"}  # calls that wait for one: often for SIGCHLD

# Files and functions of Python's library, by what it means that the first thread is in one of them.
ENDS = {"threading.py _shutdown"}  # the last that it does, but for hooks of atexit
JOINS = {
    "threading.py Thread.join",
    "thread.py ThreadPoolExecutor.shutdown",
    "base_events.py BaseEventLoop.shutdown_default_executor",
}
CALLS_BACK = {"events.py Handle._run"}  # the event loop runs somebody's function
# What waits while the innermost frame is in an event loop of these: no stack shows where.
IDLE = {
    "/gevent/hub.py": "greenlets (gevent)",
    "/eventlet/hubs/": "greenlets (eventlet)",
    "/trio/_core/_io_": "tasks (trio)",
}


def explain(  # noqa: PLR0913 - the facts that count
    subject: "Subject",
    others: "Iterable[Subject]",
    signum: int,
    *,
    asked_at: float = float("inf"),
    came: int = 0,
    whom: int = lifecycle.CHILD,
    is_left: bool = False,
) -> str:
    """Return the sentence.

    Args:
        subject: the process that was asked to stop.
        others: those below it.
        signum: the signal that it was asked with.
        asked_at: when, on the monotonic clock; never where it does not matter what came later.
        came: the signal in whose place that was sent, as -r has it; 0 for itself.
        whom: who else got it: lifecycle's CHILD for nobody, GROUP or EVERYONE.
        is_left: whether the child left it behind, so that no option changes what it is asked with.
    """
    case = _Case({each.pid: each for each in others}, signum, subject)
    case.asked_at, case.whom, case.is_left = asked_at, whom, is_left
    case.came = came or signum
    return case.why(subject, MOST_LINKS)


class _Case:
    """A stop that is slow: who was asked, with what, and who is below."""

    def __init__(self, others: "dict[int, Subject]", signum: int, asked: "Subject") -> None:
        self.others, self.signum, self.asked = others, signum, asked
        self.called = names.name(signum)
        self.came = signum
        self.asked_at, self.whom, self.is_left = float("inf"), lifecycle.CHILD, False

    def option(self, subject: "Subject") -> str:
        """Return the option that has a process get the signal, too."""
        may_reach = self.whom == lifecycle.CHILD and subject.group == self.asked.pid
        return "-g" if may_reach else "-a"

    def why(self, subject: "Subject", links: int) -> str:
        """Return the sentence; it goes along so many processes that wait for one another."""
        if not subject.is_alive:
            return f"{subject} has ended meanwhile"
        return (
            self._beyond_doubt(subject, links)
            or self._of_loop(subject, links)
            or self._of_line(subject, links)
        )

    def _beyond_doubt(self, subject: "Subject", links: int) -> str:
        """Return the sentence where the cause is something else than the line that it is at."""
        return (
            self._of_state(subject, links)
            or self._of_disposition(subject, links)
            or self._of_handler(subject, links)
            or self._of_others(subject, links)
            or self._of_threads(subject, links)
        )

    def _of_state(self, subject: "Subject", links: int) -> str:
        if subject.state == "t":
            threads = subject.process.living if subject.process is not None else ()
            tracers = {thread.tracer for thread in threads} - {0}
            by = f"by pid {min(tracers)}" if tracers else "by a process outside of the container"
            return f"{subject} is traced {by}, which holds it: let the tracer go on, or end it"
        if subject.state == "T" and self.signum in STOPPING and self.came not in STOPPING:
            came = names.name(self.came)
            return (
                f"{subject} is stopped: it got {self.called} in place of {came}, as -r has it, "
                "and that ends nothing: choose a signal that does"
            )
        if subject.state == "T":
            return (
                f"{subject} is stopped, and {self.called} waits until it goes on: "
                f"kill -CONT {subject.pid}"
            )
        if subject.state != "D":
            return ""
        waited = self._children(subject) if subject.wait.call in VFORKS and links else []
        if waited:
            newest = max(waited, key=lambda each: each.pid)
            at = f"{_at_line(subject)}: {newest} is at {newest.wait}"
            return f"{subject} waits until its new child runs a program{at}"
        place = _in_brackets(subject) + _at_line(subject)
        return (
            f"{subject} is in an uninterruptible wait{place}, and {self.called} waits until that "
            "is over: mostly it is for a disk or a file server"
        )

    def _of_disposition(self, subject: "Subject", links: int) -> str:
        word = _word(subject, self.signum)
        if word == verdicts.DROPPED:
            return (
                f"{subject} is PID 1 of a PID namespace of its own and has no handler for "
                f"{self.called}, so the kernel drops it: run it under an init of its own, "
                "or give it a handler"
            )
        if word not in {verdicts.IGNORED, verdicts.HELD} or self._has_taken(subject, word):
            return ""
        does = "ignores" if word == verdicts.IGNORED else "blocks"
        waited = self._waited_for(subject) if links else None
        # It has that from its parent mostly; or there was no time to look at it.
        if waited is not None and _word(waited, self.signum) not in {word, ""}:
            advice = f": use {self.option(waited)} so that it gets that, too"
            rest = self._awaited(subject, waited, links, advice)
            return f"{subject} {does} {self.called} and waits for {rest}"
        instead = _instead(subject, self.signum)
        if subject is not self.asked or self.is_left:
            other = f"SIG{instead}" if instead else "SIGKILL"
            return f"{subject} {does} {self.called}: let it handle that, or send it {other}"
        rest = (
            f"send another (-r {names.name(self.came)[3:]}:{instead})"
            if instead
            else "end it by SIGKILL (-k SECONDS)"
        )
        return f"{subject} {does} {self.called}: let it handle that, or {rest}"

    def _has_taken(self, subject: "Subject", word: str) -> bool:
        """Tell whether a process has got the signal, though it would not hear another one now."""
        if word == verdicts.IGNORED:
            return subject.name == "timeout" and self._was_asked(subject)
        process = subject.process
        if word != verdicts.HELD or process is None or not self._was_asked(subject):
            return False
        pending = process.pending.union(*(thread.pending for thread in process.living))
        return self.signum not in pending

    def _of_handler(self, subject: "Subject", links: int) -> str:
        frames = subject.main_stack
        index = next((index for index, frame in enumerate(frames) if frame.is_handler), None)
        if index is None:
            return self._of_handler_in_c(subject, links)
        handler = frames[: index + 1]
        called = f"a signal handler of {subject} has not come back"
        waited = self._waited_for(subject) if links else None
        if waited is not None:
            rest = self._awaited(subject, waited, links, ": pass that on before waiting")
            return f"{called} and waits for {rest}"
        return (
            f"{called}, it is at {telling(handler)}{_in_brackets(subject)}: "
            "let the handler only set a flag or raise an exception"
        )

    def _of_handler_in_c(self, subject: "Subject", links: int) -> str:
        """Return what to say of a program that is not in Python; Python's return at once."""
        process = subject.process
        is_held = _word(subject, self.signum) == verdicts.HELD and not subject.main_stack
        if process is None or not is_held or self.signum not in process.caught:
            return ""
        called = f"a signal handler of {subject} seems not to have come back"
        waited = self._waited_for(subject) if links else None
        if waited is not None:
            rest = self._awaited(subject, waited, links, ": pass that on before waiting")
            return f"{called} and waits for {rest}"
        return f"{called}{_in_brackets(subject)}: let it only set a flag, or end the program"

    def _of_others(self, subject: "Subject", links: int) -> str:
        waited = self._waited_for(subject) if links else None
        if waited is None:
            return ""
        option = self.option(waited)
        advice = f": let {subject} pass that on, or use {option} so that both get it"
        if subject.name in SHELLS and _word(subject, self.signum) == verdicts.DELIVERED:
            advice = (
                ", and a shell runs no trap before its command has ended: begin the last command "
                f"of the script with `exec`, or use {option} so that both get it"
            )
            if self._is_of_that_tick(waited):
                advice = (
                    f", and which began as {self.called} came: if the trap runs that, end it by "
                    f"exit there; else use {option} so that both get it"
                )
        rest = self._awaited(subject, waited, links, advice)
        if self._is_newer(waited) and _word(subject, self.signum) == verdicts.DELIVERED:
            is_shell = subject.name in SHELLS
            handler, end = ("trap", "exit") if is_shell else ("handler", "an exception")
            rest += f": its {handler} runs that, or came back and it goes on; end it by {end} there"
        return f"{subject} waits for {rest}"

    def _awaited(self, subject: "Subject", waited: "Subject", links: int, advice: str) -> str:
        """Return what is to be said of a process that another one waits for."""
        count = len(self._children(subject)) if not subject.wait.pid else 1
        which = f"one of its {self._told(count)} children, " if count > 1 else ""
        if self._is_newer(waited):
            return f"{which}{waited}, which began after {self.called}{_at_line(waited)}"
        if self._would_have_ended(waited):
            is_any = count > 1 and not waited.main_stack and not self._is_of_that_tick(waited)
            whom = self._any_of(subject, waited) if is_any else str(waited)
            return f"{which}{whom}, which did not get {self.called}{_at_line(waited)}{advice}"
        return f"{which}{waited}: {self.why(waited, links - 1)}"

    def _told(self, count: int) -> str:
        """Return a number of children as it is told: there may be more than were looked at."""
        return f"{count} or more" if len(self.others) >= MOST_BELOW else str(count)

    def _any_of(self, subject: "Subject", waited: "Subject") -> str:
        """Return the children of which each may be the one that is waited for."""
        rest = [
            each
            for each in self._children(subject)
            if each is not waited and each.group == waited.group and self._would_have_ended(each)
        ]
        return " or ".join(map(str, [waited, *rest][:MOST_CHILDREN]))

    def _of_threads(self, subject: "Subject", links: int) -> str:
        frames = subject.main_stack
        if not any(_is_of_library(frame, ENDS | JOINS) for frame in frames):
            return ""
        if all(tid == subject.pid for tid in subject.stacks):
            return ""
        where = _threads(subject)
        if any(_is_of_library(frame, ENDS) for frame in frames):
            awaits = f"has come to its end and waits for a thread that is no daemon{where}"
            advice = ": stop that thread, or make it a daemon"
        else:
            awaits, advice = f"waits for a thread of its own{where}", ": have that one end first"
        return f"{subject} {awaits}{self._child(subject, links) or advice}"

    def _of_loop(self, subject: "Subject", links: int) -> str:
        frames = subject.main_stack
        awaiting = [frame for frame in frames if frame.is_awaiting]
        if awaiting:
            return (
                f"{self._hears(subject)} goes on: its event loop awaits at {telling(awaiting)}"
                f"{self._child(subject, links) or ': cancel that task, or set a time limit there'}"
            )
        if any(_is_of_library(frame, CALLS_BACK) for frame in frames):
            return (
                f"{subject} holds up its event loop at {telling(frames)}{_in_brackets(subject)}: "
                "only after that does the loop run a signal handler of its own"
            )
        kept = next((IDLE[file] for file in IDLE if frames and file in frames[0].file), "")
        if not kept:
            return ""
        return (
            f"{self._hears(subject)} goes on: its {kept} wait{_in_brackets(subject)}, and where "
            f"cannot be seen from outside{self._child(subject, links) or ': have it end them'}"
        )

    def _of_line(self, subject: "Subject", links: int) -> str:
        frames, child = subject.main_stack, self._child(subject, links)
        at = f"{telling(frames)}{_in_brackets(subject)}" if frames else ""
        if frames and frames[0].is_deaf:
            return self._of_call(subject, at)
        if _is_at_end(subject):
            return (
                f"{subject} seems to be at its end, in a hook of atexit or a destructor, "
                f"at {at}{child or ': set a time limit there'}"
            )
        if _word(subject, self.signum) == verdicts.KILLS:
            lives = f"{subject} does not handle {self.called} and yet lives"
            if verdicts.default_action(self.signum) == verdicts.CORE:
                return f"{lives}{child}: it may not have got it, or is writing a core dump"
            return f"{lives}{child}: it may not have got it, or handled the first one only"
        # Nobody knows what its parent sent it.
        if not self._was_asked(subject) and subject.process is not None:
            at = f", at {at}" if frames else _in_brackets(subject)
            return (
                f"{subject} did not get {self.called}, or goes on after its handler{at}"
                f"{child or f': let its parent pass it on, or use {self.option(subject)}'}"
            )
        ends = ": let the handler raise an exception" if frames else self._without_lines(subject)
        child = self._child(subject, links, f"{ends}, or pass" if ends else ": pass")
        if frames and subject.wait.is_running:
            does = f"is busy at {at}"
            advice = ": let the handler raise an exception, or look at its flag there"
        elif frames:
            does = f"goes on at {at}"
            advice = ": let the handler raise an exception, or set a time limit there"
            if _word(subject, self.signum) == verdicts.HELD:  # sigwait(3) took it
                advice = ": end it or set a time limit there"
        elif subject.wait.is_running:
            does, advice = "is busy", self._without_lines(subject)
        else:
            known = str(subject.wait) or subject.unread  # or why nothing is to be seen
            does = f"goes on ({known})" if known else "goes on"
            advice = self._without_lines(subject)
        return f"{self._hears(subject)} {does}{child or advice}"

    def _without_lines(self, subject: "Subject") -> str:
        """Return the advice where no line can be named."""
        if _word(subject, self.signum) not in {verdicts.DELIVERED, verdicts.HELD}:
            return ""
        if subject.name == "java":  # where a handler waits for the hooks, and QUIT is no request
            return f": a shutdown hook may hang; kill -QUIT {subject.pid} has it print its stacks"
        is_shell = subject.name in SHELLS
        return ": end its trap by exit" if is_shell else ": let the handler end the program"

    def _hears(self, subject: "Subject") -> str:
        """Return the beginning of a sentence: that it has been told, where that is known."""
        word = _word(subject, self.signum)
        if word == verdicts.DELIVERED:
            return f"{subject} has a handler for {self.called} and"
        has_taken = word in {verdicts.HELD, verdicts.IGNORED} and self._has_taken(subject, word)
        return f"{subject} has got {self.called} and" if has_taken else str(subject)

    def _of_call(self, subject: "Subject", at: str) -> str:
        """Return what to say where Python was told of a signal and has not run the handler."""
        is_in = f"is in a call into C that has not come back, at {at}"
        if any(tid != subject.pid for tid in subject.stacks):
            is_in = f"{is_in}, or another thread keeps the GIL in one{_threads(subject)}"
        return f"{subject} {is_in}: only after that does Python run the signal handler"

    def _child(self, subject: "Subject", links: int, advice: str = "") -> str:
        """Return what to say of a child beside which a process goes on; empty where there is none.

        The advice is for one that did not get the signal, up to the verb: pass.

        One that is only in Python's own library is left out: it is a helper of multiprocessing.
        """
        if not links:
            return ""
        children = [each for each in self._children(subject) if not _is_helper(each)]
        children.sort(key=lambda each: not each.main_stack)
        if not children:
            return ""
        first, more = children[0], len(children) - 1
        beside = (
            f", beside {self._told(more + 1)} children, one of them"
            if more
            else ", beside its child"
        )
        if self._is_newer(first):
            return f"{beside} {first}, which began after {self.called}{_at_line(first)}"
        if self._would_have_ended(first):
            passes = f"{advice} that on ({self.option(first)})" if advice else ""
            return f"{beside} {first}, which did not get {self.called}{_at_line(first)}{passes}"
        reason = self._beyond_doubt(first, links - 1)
        if reason:
            return f"{beside}: {reason}"
        return f"{beside} {first}" + (_at_line(first, " which is") or f", at {first.wait}")

    def _children(self, subject: "Subject") -> "list[Subject]":
        return [
            each for each in self.others.values() if each.parent == subject.pid and each.is_alive
        ]

    def _waited_for(self, subject: "Subject") -> "Subject | None":
        pid = subject.wait.pid
        if pid is None:
            awaits_signal = subject.wait.call in FOR_SIGNALS or subject.wait.on == "signalfd"
            if not awaits_signal or subject.name not in FORWARDERS:
                return None
            pid = 0
        children = self._children(subject)
        named = [each for each in children if each.pid == pid] if pid else children
        # It waits for what it began last, and not for a daemon, which leaves the process group.
        named.sort(
            key=lambda each: (
                not self._is_newer(each),
                not self._is_of_that_tick(each),
                each.group != subject.group,
            )
        )
        # It may wait for a pid of another namespace: then there is no doubt where it has one child.
        found = named or (children if len(children) == 1 else [])
        return found[0] if found else None

    def _was_asked(self, subject: "Subject") -> bool:
        """Tell whether pyinit sent the signal to a process."""
        is_passed_on = self.asked.name in FORWARDERS and subject.parent == self.asked.pid
        was_sent = self._is_whom(subject) or is_passed_on
        return subject is self.asked or (was_sent and not self._is_newer(subject))

    def _is_whom(self, subject: "Subject") -> bool:
        """Tell whether a process is one of those to whom signals go, as -g and -a have it."""
        return self.whom == lifecycle.EVERYONE or (
            self.whom == lifecycle.GROUP and subject.group == self.asked.pid
        )

    def _is_newer(self, subject: "Subject") -> bool:
        """Tell whether a process surely began after the request to stop.

        Where it did so in the same tick of the clock, it did if that would have ended it else.
        """
        if subject.began is None:
            return False
        is_immune = self._is_whom(subject) and self._would_have_ended(subject)
        return subject.began + (TICK if is_immune else 0.0) >= self.asked_at

    def _is_of_that_tick(self, subject: "Subject") -> bool:
        """Tell whether a process began so near the request that it may have done so after it."""
        return subject.began is not None and 0 < self.asked_at - subject.began <= TICK

    def _would_have_ended(self, subject: "Subject") -> bool:
        """Tell whether the signal would have ended a process, so that it did not get it."""
        return (
            subject.state not in {"T", "t", "D"} and _word(subject, self.signum) == verdicts.KILLS
        )


def _word(subject: "Subject", signum: int) -> str:
    """Return what the signal does to a process (``verdicts``); empty where that is not known."""
    if subject.process is None:
        return ""
    verdict = verdicts.judge(subject.process, signum, inside=True)
    return verdict.word if verdict is not None else ""


def _instead(subject: "Subject", signum: int) -> str:
    """Return the name of a signal that the process hears; empty where there is none."""
    for name in OTHERS_FOR_SHELLS if subject.name in SHELLS else OTHERS:
        number = names.number(name)
        if number != signum and _word(subject, number) in HEARD:
            return name
    return ""


def _threads(subject: "Subject") -> str:
    """Return ", which is at ..." of a thread that the first one may wait for; empty for none."""
    stacks = [stack for tid, stack in subject.stacks.items() if tid != subject.pid and stack]
    joins = [stack for stack in stacks if any(_is_of_library(frame, JOINS) for frame in stack)]
    stacks = [stack for stack in stacks if stack not in joins] or stacks
    if len(stacks) == 1:
        return f", which is at {telling(stacks[0])}"
    seen = dict.fromkeys(telling(stack) for stack in stacks if not all(map(_is_library, stack)))
    own = list(seen)  # each place once: of many threads most do the same
    if not own:
        return ""
    more = f" and {len(own) - MOST_THREADS} more" if len(own) > MOST_THREADS else ""
    return f", one of {len(stacks)}: at {', '.join(own[:MOST_THREADS])}{more}"


def _is_at_end(subject: "Subject") -> bool:
    """Tell whether the first thread's stack grows from a function and not from the script.

    So it does in other programs that run Python, too, and where greenlets are switched.
    """
    frames = subject.main_stack
    grows_from_function = bool(frames) and not frames[-1].is_begin
    return grows_from_function and not _is_package(frames[-1]) and subject.name.startswith("python")


def _is_helper(subject: "Subject") -> bool:
    return bool(subject.main_stack) and all(map(_is_library, subject.main_stack))


def _is_library(frame: "Frame") -> bool:
    """Tell whether a frame is of Python's own library, and not of a package that was installed."""
    is_inside = "/lib/python3" in frame.file or frame.file.startswith("<frozen")
    return is_inside and not _is_package(frame)


def _is_package(frame: "Frame") -> bool:
    return "-packages/" in frame.file


def _is_of_library(frame: "Frame", functions: "set[str]") -> bool:
    name = f"{frame.file.rpartition('/')[2]} {frame.function}"
    return name in functions and _is_library(frame)


def _in_brackets(subject: "Subject") -> str:
    return f" ({subject.wait})" if str(subject.wait) and not subject.wait.is_running else ""


def _at_line(subject: "Subject", which: str = "") -> str:
    return f",{which} at {telling(subject.main_stack)}" if subject.main_stack else ""


def telling(frames: "list[Frame]") -> str:
    """Return the place that says most: the innermost one that is not of Python's own library.

    Where that is in a package that was installed, the place that the package was called from too.
    """
    index = next((index for index, frame in enumerate(frames) if not _is_library(frame)), 0)
    outside = [
        frame for frame in frames[index:] if not _is_library(frame) and not _is_package(frame)
    ]
    if _is_package(frames[index]) and outside and outside[0].function != "<module>":
        return f"{frames[index]}, from {outside[0]}"
    return str(frames[index])
