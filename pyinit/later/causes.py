"""Why a process does not stop, and what to do about it, in one sentence. Makes no system call.

The first of these rules that applies gives the sentence:

1. No signal reaches the process: a tracer has stopped it, it is stopped, or it is in an
   uninterruptible wait.
2. The signal has no effect: the process ignores or blocks it, or the kernel drops it because the
   process is PID 1 of a namespace. If the process blocks the signal and it is not pending, the
   process has got it. Mostly its handler runs, since the kernel blocks a signal while its handler
   runs (sigaction(2)), or sigwait(3) has taken it.
3. The handler has not returned, as the stack shows.
4. The process waits for another process. That one is the cause, or did not get the signal.
5. The process waits for one of its own threads, or runs an exit hook.
6. The process continues: its event loop awaits something or is blocked, or it is at some line.

A sentence claims only what was seen: for example, only that there is a handler, if it is unknown
whether it ran. If one of several processes may be the cause, the sentence names all of them.
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
# They forward the signals that they get. timeout(1) ignores a signal after it has forwarded it.
FORWARDERS = {"catatonit", "docker-init", "dumb-init", "pyinit", "timeout", "tini"}
# The signals to advise instead, in this order. SIGHUP ends an interactive shell.
OTHERS = ("INT", "QUIT", "HUP", "USR1")
OTHERS_FOR_SHELLS = ("HUP", *OTHERS)
HEARD = {verdicts.KILLS, verdicts.DELIVERED, verdicts.TAKEN}
MOST_BELOW = 16  # descendants of the asked process that are looked at
MOST_LINKS = 8
MOST_THREADS = 3
STOPPING = JOB_CONTROL | {SIGSTOP}
MOST_CHILDREN = 3
TICK = 0.01  # seconds; the resolution of the start time of a process
VFORKS = {"vfork", "clone", "clone3"}
FOR_SIGNALS = {"rt_sigsuspend", "rt_sigtimedwait"}  # calls that wait for signals, often SIGCHLD

# Functions of Python's library, grouped by what it means if the first thread is in one of them.
ENDS = {"threading.py _shutdown"}  # the last thing before the atexit hooks
JOINS = {
    "threading.py Thread.join",
    "thread.py ThreadPoolExecutor.shutdown",
    "base_events.py BaseEventLoop.shutdown_default_executor",
}
CALLS_BACK = {"events.py Handle._run"}  # the event loop runs a callback of the program
# If the innermost frame is in one of these event loops, these wait, and no stack shows where.
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
    target: int = lifecycle.CHILD,
    is_left: bool = False,
) -> str:
    """Return the sentence.

    Args:
        subject: the process that was asked to stop.
        others: its descendants.
        signum: the signal that it was asked with.
        asked_at: when, on the monotonic clock; infinity if it does not matter what started later.
        came: the signal that pyinit got, if -r replaced it; 0 if it is the same.
        target: where pyinit sent the signal: CHILD, GROUP or EVERYONE of ``lifecycle``.
        is_left: whether the child left it behind; then no option changes the signal that it gets.
    """
    case = _Case({each.pid: each for each in others}, signum, subject)
    case.asked_at, case.target, case.is_left = asked_at, target, is_left
    case.came = came or signum
    return case.why(subject, MOST_LINKS)


class _Case:
    """A slow stop: the process that was asked, the signal, and the descendants."""

    def __init__(self, others: "dict[int, Subject]", signum: int, asked: "Subject") -> None:
        self.others, self.signum, self.asked = others, signum, asked
        self.called = names.name(signum)
        self.came = signum
        self.asked_at, self.target, self.is_left = float("inf"), lifecycle.CHILD, False

    def option(self, subject: "Subject") -> str:
        """Return the option of pyinit that sends the signal to this process, too."""
        may_reach = self.target == lifecycle.CHILD and subject.group == self.asked.pid
        return "-g" if may_reach else "-a"

    def why(self, subject: "Subject", links: int) -> str:
        """Return the sentence; follow at most ``links`` processes that wait for each other."""
        if not subject.is_alive:
            return f"{subject} has exited in the meantime"
        return (
            self._beyond_doubt(subject, links)
            or self._of_loop(subject, links)
            or self._of_line(subject, links)
        )

    def _beyond_doubt(self, subject: "Subject", links: int) -> str:
        """Return the sentence if the cause is certain without the current line."""
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
            by = f"by pid {min(tracers)}" if tracers else "by a process outside the container"
            held = f"{subject} is traced {by}, which has stopped it"
            return f"{held}; continue it there, or end the tracer"
        if subject.state == "T" and self.signum in STOPPING and self.came not in STOPPING:
            came = names.name(self.came)
            return (
                f"{subject} is stopped: it got {self.called} in place of {came} (-r), and "
                f"{self.called} does not end a process; use another signal with -r"
            )
        if subject.state == "T":
            return (
                f"{subject} is stopped, so {self.called} has no effect until it is continued; "
                f"run kill -CONT {subject.pid}"
            )
        if subject.state != "D":
            return ""
        waited = self._children(subject) if subject.wait.call in VFORKS and links else []
        if waited:
            newest = max(waited, key=lambda each: each.pid)
            at = f"{_at_line(subject)}: {newest} {_activity(newest)}"
            return f"{subject} waits until its new child runs a program (exec){at}"
        place = _in_brackets(subject) + _at_line(subject)
        return (
            f"{subject} is in an uninterruptible wait{place}, so {self.called} has no effect until "
            "that is over; check whether a disk or a file server does not respond"
        )

    def _of_disposition(self, subject: "Subject", links: int) -> str:
        word = _word(subject, self.signum)
        if word == verdicts.DROPPED:
            return (
                f"{subject} is PID 1 of its own PID namespace and has no handler for "
                f"{self.called}, so the kernel drops that signal; run it under its own init, "
                "or give it a handler"
            )
        if word not in {verdicts.IGNORED, verdicts.HELD} or self._has_taken(subject, word):
            return ""
        does = "ignores" if word == verdicts.IGNORED else "blocks"
        handle = "add a handler for it" if does == "ignores" else "unblock it in the program"
        waited = self._waited_for(subject) if links else None
        # A child mostly inherits this from its parent; or there was no time to look at the child.
        if waited is not None and _word(waited, self.signum) not in {word, ""}:
            advice = f"; use {self.option(waited)} so that it gets {self.called}, too"
            rest = self._awaited(subject, waited, links, advice)
            return f"{subject} {does} {self.called} and waits for {rest}"
        instead = _instead(subject, self.signum)
        if subject is not self.asked or self.is_left:
            other = f"SIG{instead}" if instead else "SIGKILL"
            return f"{subject} {does} {self.called}; {handle}, or send it {other} instead"
        rest = (
            f"send SIG{instead} instead (-r {names.name(self.came)[3:]}:{instead})"
            if instead
            else "have pyinit kill it after a time limit (-k SECONDS)"
        )
        return f"{subject} {does} {self.called}; {handle}, or {rest}"

    def _has_taken(self, subject: "Subject", word: str) -> bool:
        """Tell whether a process has got the signal, although another would not reach it now."""
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
        called = f"a signal handler of {subject} has not returned"
        waited = self._waited_for(subject) if links else None
        if waited is not None:
            rest = self._awaited(subject, waited, links, f"; forward {self.called} before waiting")
            return f"{called} and waits for {rest}"
        return (
            f"{called} and is at {telling(handler)}{_in_brackets(subject)}; "
            "in the handler, only set a flag or raise an exception"
        )

    def _of_handler_in_c(self, subject: "Subject", links: int) -> str:
        """Return the sentence for a program that is not Python, whose handler returns at once."""
        process = subject.process
        is_held = _word(subject, self.signum) == verdicts.HELD and not subject.main_stack
        if process is None or not is_held or self.signum not in process.caught:
            return ""
        called = f"a signal handler of {subject} seems not to have returned"
        waited = self._waited_for(subject) if links else None
        if waited is not None:
            rest = self._awaited(subject, waited, links, f"; forward {self.called} before waiting")
            return f"{called} and waits for {rest}"
        return f"{called}{_in_brackets(subject)}; in the handler, only set a flag or exit"

    def _of_others(self, subject: "Subject", links: int) -> str:
        waited = self._waited_for(subject) if links else None
        if waited is None:
            return ""
        option = self.option(waited)
        advice = f"; make {subject} forward it, or use {option} so that both get {self.called}"
        if subject.name in SHELLS and _word(subject, self.signum) == verdicts.DELIVERED:
            advice = (
                ", and a shell runs a trap only after its command has exited; begin the last "
                f"command of the script with `exec`, or use {option} so that both get {self.called}"
            )
            if self._is_of_that_tick(waited):
                advice = (
                    f", and which started when {self.called} came; if the trap started it, end the "
                    f"trap with exit; otherwise use {option} so that both get {self.called}"
                )
        rest = self._awaited(subject, waited, links, advice)
        if self._is_newer(waited) and _word(subject, self.signum) == verdicts.DELIVERED:
            is_shell = subject.name in SHELLS
            handler, end = ("trap", "exit") if is_shell else ("handler", "an exception")
            why = f"the {handler} started it, or the program continued after the {handler}"
            advice = f"end the {handler} with {end}"
            if not self._was_asked(subject):
                why = f"{subject} did not get {self.called}, or continued after its {handler}"
                advice = f"make its parent forward it, or use {self.option(subject)}"
            rest += f": {why}; {advice}"
        return f"{subject} waits for {rest}"

    def _awaited(self, subject: "Subject", waited: "Subject", links: int, advice: str) -> str:
        """Return what to say of a process that another one waits for."""
        count = len(self._children(subject)) if not subject.wait.pid else 1
        which = f"one of its {self._told(count)} children, " if count > 1 else ""
        if self._is_newer(waited):
            return f"{which}{waited}, which started after {self.called}{_at_line(waited)}"
        if self._would_have_ended(waited):
            is_any = count > 1 and not waited.main_stack and not self._is_of_that_tick(waited)
            named = self._any_of(subject, waited) if is_any else str(waited)
            return f"{which}{named}, which did not get {self.called}{_at_line(waited)}{advice}"
        return f"{which}{_which(waited, self.why(waited, links - 1))}"

    def _told(self, count: int) -> str:
        """Return a number of children in words: there may be more than were looked at."""
        return f"{count} or more" if len(self.others) >= MOST_BELOW else str(count)

    def _any_of(self, subject: "Subject", waited: "Subject") -> str:
        """Return the names of all children that it may wait for."""
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
            awaits = f"has finished its main thread and waits for a non-daemon thread{where}"
            advice = "; stop that thread, or make it a daemon thread"
        else:
            awaits, advice = f"waits for one of its own threads{where}", "; end that thread first"
        return f"{subject} {awaits}{self._child(subject, links) or advice}"

    def _of_loop(self, subject: "Subject", links: int) -> str:
        frames = subject.main_stack
        awaiting = [frame for frame in frames if frame.is_awaiting]
        if awaiting:
            return (
                f"{self._hears(subject)} continues, because its event loop awaits at "
                f"{telling(awaiting)}"
                f"{self._child(subject, links) or '; cancel that task, or set a time limit there'}"
            )
        if any(_is_of_library(frame, CALLS_BACK) for frame in frames):
            return (
                f"{subject} blocks its event loop at {telling(frames)}{_in_brackets(subject)}, "
                "and the loop runs its signal handlers only after that; use await or a thread there"
            )
        kept = next((IDLE[file] for file in IDLE if frames and file in frames[0].file), "")
        if not kept:
            return ""
        return (
            f"{self._hears(subject)} continues, because its {kept} wait{_in_brackets(subject)}, "
            "at lines that pyinit cannot see"
            f"{self._child(subject, links) or '; end them in the signal handler'}"
        )

    def _of_line(self, subject: "Subject", links: int) -> str:
        frames, child = subject.main_stack, self._child(subject, links)
        at = f"{telling(frames)}{_in_brackets(subject)}" if frames else ""
        if frames and frames[0].is_deaf:
            return self._of_call(subject, at)
        if _is_at_end(subject):
            return (
                f"{subject} seems to be exiting, in an atexit hook or a destructor, "
                f"at {at}{child or '; set a time limit there'}"
            )
        if _word(subject, self.signum) == verdicts.KILLS:
            it = str(subject) if child else "it"
            runs = f"{subject} has no handler for {self.called} but still runs{child}; perhaps {it}"
            if verdicts.default_action(self.signum) == verdicts.CORE:
                return f"{runs} is writing a core dump, or did not get {self.called}"
            return f"{runs} handled only the first {self.called}, or did not get it"
        # pyinit cannot see which signals its parent sent to it.
        if not self._was_asked(subject) and subject.process is not None:
            at = f", at {at}" if frames else _in_brackets(subject)
            return (
                f"{subject} did not get {self.called}, or continues after its handler{at}"
                f"{child or f'; make its parent forward it, or use {self.option(subject)}'}"
            )
        ends = "; raise an exception in the handler" if frames else self._without_lines(subject)
        child = self._child(subject, links, f"{ends}, or forward" if ends else "; forward")
        if frames and subject.wait.is_running:
            does = f"is busy at {at}"
            advice = "; raise an exception in the handler, or check its flag there"
        elif frames:
            does = f"continues at {at}"
            advice = "; raise an exception in the handler, or set a time limit there"
            if _word(subject, self.signum) == verdicts.HELD:  # sigwait(3) took it
                advice = "; stop that, or set a time limit there"
        elif subject.wait.is_running:
            does, advice = "is busy", self._without_lines(subject)
        else:
            known = str(subject.wait) or subject.unread  # or the reason why nothing was seen
            does = f"continues ({known})" if known else "continues"
            advice = self._without_lines(subject)
        return f"{self._hears(subject)} {does}{child or advice}"

    def _without_lines(self, subject: "Subject") -> str:
        """Return the advice if no line is known."""
        if _word(subject, self.signum) not in {verdicts.DELIVERED, verdicts.HELD}:
            return ""
        if subject.name == "java":  # its handler waits for the hooks; SIGQUIT does not stop a JVM
            dump = f"run kill -QUIT {subject.pid} to print its stacks"
            return f"; a shutdown hook may hang, so {dump}"
        is_shell = subject.name in SHELLS
        return "; end the trap with exit" if is_shell else "; exit in the handler"

    def _hears(self, subject: "Subject") -> str:
        """Return the beginning of a sentence: whether the process has got the signal, if known."""
        word = _word(subject, self.signum)
        if word == verdicts.DELIVERED:
            return f"{subject} has a handler for {self.called} but"
        has_taken = word in {verdicts.HELD, verdicts.IGNORED} and self._has_taken(subject, word)
        return f"{subject} got {self.called} but" if has_taken else str(subject)

    def _of_call(self, subject: "Subject", at: str) -> str:
        """Return the sentence if Python has not run the handler of a pending signal yet."""
        is_in = f"{subject} is in a call into C that has not returned, at {at}"
        if any(tid != subject.pid for tid in subject.stacks):
            is_in = f"{is_in}, or another thread holds the GIL in such a call{_threads(subject)}"
        return f"{is_in}, and Python runs its signal handler only after that; make it shorter"

    def _child(self, subject: "Subject", links: int, advice: str = "") -> str:
        """Return what to say of a child of a process that continues; empty if there is none.

        The advice is for a child that did not get the signal; it ends in the verb "forward".

        A child whose stack has only Python's own library is a helper of multiprocessing: left out.
        """
        if not links:
            return ""
        children = [each for each in self._children(subject) if not _is_helper(each)]
        children.sort(key=lambda each: not each.main_stack)
        if not children:
            return ""
        first, more = children[0], len(children) - 1
        child = f"one of its {self._told(more + 1)} children" if more else "its child"
        named = f", and {child}, {first}," if more else f", and {child} {first}"
        if self._is_newer(first):
            return f"{named} started after {self.called}{_at_line(first)}"
        if self._would_have_ended(first):
            to = f" {self.called} to the child ({self.option(first)})" if advice else ""
            return f"{named} did not get {self.called}{_at_line(first)}{advice}{to}"
        reason = self._beyond_doubt(first, links - 1)
        if reason:
            return f", and {child} does not exit: {reason}"
        is_at = f"is at {telling(first.main_stack)}" if first.main_stack else _activity(first)
        return f"{named} {is_at}"

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
        # It waits for the child that it started last, not for a daemon, which leaves the group.
        # In a shell that is the command in the foreground: a signal with a trap ends its `wait`.
        is_shell = subject.name in SHELLS
        named.sort(
            key=lambda each: (
                not self._is_newer(each),
                not self._is_of_that_tick(each),
                each.group != subject.group,
                -(each.began or 0.0) if is_shell else 0.0,
            )
        )
        # The pid may be of another namespace: then only a single child is certain.
        found = named or (children if len(children) == 1 else [])
        return found[0] if found else None

    def _was_asked(self, subject: "Subject") -> bool:
        """Tell whether pyinit sent the signal to a process."""
        is_passed_on = self.asked.name in FORWARDERS and subject.parent == self.asked.pid
        was_sent = self._is_target(subject) or is_passed_on
        return subject is self.asked or (was_sent and not self._is_newer(subject))

    def _is_target(self, subject: "Subject") -> bool:
        """Tell whether pyinit sends signals to this process because of -g or -a."""
        return self.target == lifecycle.EVERYONE or (
            self.target == lifecycle.GROUP and subject.group == self.asked.pid
        )

    def _is_newer(self, subject: "Subject") -> bool:
        """Tell whether a process certainly started after the request to stop.

        In the same tick of the clock this is certain only if the signal would have ended it.
        """
        if subject.began is None:
            return False
        is_immune = self._is_target(subject) and self._would_have_ended(subject)
        return subject.began + (TICK if is_immune else 0.0) >= self.asked_at

    def _is_of_that_tick(self, subject: "Subject") -> bool:
        """Tell whether a process started in the tick of the request, perhaps after it."""
        return subject.began is not None and 0 < self.asked_at - subject.began <= TICK

    def _would_have_ended(self, subject: "Subject") -> bool:
        """Tell whether the signal would have ended a process, so that it did not get it."""
        return (
            subject.state not in {"T", "t", "D"} and _word(subject, self.signum) == verdicts.KILLS
        )


def _which(subject: "Subject", reason: str) -> str:
    """Return a process with what a sentence says about it, as a relative clause if that is so."""
    rest = reason.removeprefix(f"{subject} ")
    return f"{subject}: {reason}" if rest == reason else f"{subject}, which {rest}"


def _word(subject: "Subject", signum: int) -> str:
    """Return what the signal does to a process (``verdicts``); empty if that is unknown."""
    if subject.process is None:
        return ""
    verdict = verdicts.judge(subject.process, signum, inside=True)
    return verdict.word if verdict is not None else ""


def _instead(subject: "Subject", signum: int) -> str:
    """Return the name of a signal that has an effect on the process; empty if there is none."""
    for name in OTHERS_FOR_SHELLS if subject.name in SHELLS else OTHERS:
        number = names.number(name)
        if number != signum and _word(subject, number) in HEARD:
            return name
    return ""


def _threads(subject: "Subject") -> str:
    """Return ", which is at ..." for the threads that the first one may wait for, if any."""
    stacks = [stack for tid, stack in subject.stacks.items() if tid != subject.pid and stack]
    joins = [stack for stack in stacks if any(_is_of_library(frame, JOINS) for frame in stack)]
    stacks = [stack for stack in stacks if stack not in joins] or stacks
    if len(stacks) == 1:
        return f", which is at {telling(stacks[0])}"
    seen = dict.fromkeys(telling(stack) for stack in stacks if not all(map(_is_library, stack)))
    own = list(seen)  # each place once: many threads mostly do the same
    if not own:
        return ""
    more = f" and {len(own) - MOST_THREADS} more" if len(own) > MOST_THREADS else ""
    return f", one of {len(stacks)}, at {', '.join(own[:MOST_THREADS])}{more}"


def _is_at_end(subject: "Subject") -> bool:
    """Tell whether the outermost frame of the first thread is a function, not the script.

    That is also so in other programs that embed Python, and with greenlets.
    """
    frames = subject.main_stack
    grows_from_function = bool(frames) and not frames[-1].is_begin
    return grows_from_function and not _is_package(frames[-1]) and subject.name.startswith("python")


def _is_helper(subject: "Subject") -> bool:
    return bool(subject.main_stack) and all(map(_is_library, subject.main_stack))


def _is_library(frame: "Frame") -> bool:
    """Tell whether a frame is in Python's own library, not in an installed package."""
    is_inside = "/lib/python3" in frame.file or frame.file.startswith("<frozen")
    return is_inside and not _is_package(frame)


def _is_package(frame: "Frame") -> bool:
    return "-packages/" in frame.file


def _is_of_library(frame: "Frame", functions: "set[str]") -> bool:
    name = f"{frame.file.rpartition('/')[2]} {frame.function}"
    return name in functions and _is_library(frame)


def _in_brackets(subject: "Subject") -> str:
    return f" ({subject.wait})" if str(subject.wait) and not subject.wait.is_running else ""


def _at_line(subject: "Subject") -> str:
    return f", at {telling(subject.main_stack)}" if subject.main_stack else ""


def _activity(subject: "Subject") -> str:
    """Return what the first thread of a process does, as a verb and its object."""
    call = str(subject.wait) or "a system call"
    return "is running" if subject.wait.is_running else f"is in {call}"


def telling(frames: "list[Frame]") -> str:
    """Return the most useful place: the innermost one that is not in Python's own library.

    If that is in an installed package, add the place from which the program called the package.
    """
    index = next((index for index, frame in enumerate(frames) if not _is_library(frame)), 0)
    outside = [
        frame for frame in frames[index:] if not _is_library(frame) and not _is_package(frame)
    ]
    if _is_package(frames[index]) and outside and outside[0].function != "<module>":
        return f"{frames[index]}, from {outside[0]}"
    return str(frames[index])
