"""One run of a command under one init, in namespaces of its own: started, watched and stopped.

All of this happens in a thread, because a test may use the program in the meantime, while its
output must be read all the time. It waits for output, events of pyinit, and ended processes.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Self

from pyinit.before import names
from pyinit.child import exit_code
from pyinit.later import proc
from pyinit.rehearse import fates, leaks, verdict
from pyinit.rehearse.census import SHIM, Census, Seen, child_of
from pyinit.rehearse.client import LIMIT, Client
from pyinit.rehearse.errors import NotRehearsedError
from pyinit.rehearse.inits import Init, found
from pyinit.rehearse.model import Plan, Run
from pyinit.rehearse.readiness import Readiness, listens
from pyinit.rehearse.streams import Events, Output

LOOK_SECONDS = 0.02  # between two looks for new processes
AGAIN_SECONDS = 0.5  # from the first stop signal to the second one
LATE_SECONDS = 1.0  # between two waits: more means that the rehearsal was stopped, or starved
AFTERWARDS_SECONDS = 2.0  # at the end, for what is still in the pipes
CANNOT_RUN = "unshare: failed to execute "
UNKNOWN_OPTION = ": unrecognized option"
CANNOT_EXEC = {126, 127}  # the exit codes of a shell whose exec failed
SHELL = "sh: 1: exec: "  # how its message begins then

# This shell is in the same IPC and mount namespaces but outside the PID namespace, so that it can
# print at the end what is left in them. setpriv: everything is killed when the rehearsal ends.
STAGE = f"""
{LIMIT}
mount -t tmpfs shm /dev/shm 2>/dev/null && is_own=1
setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc "$@"
code=$?
printf '\\n{leaks.MARK}\\n' >&2
cat /proc/sysvipc/shm >&2
for file in /dev/shm/*; do [ -z "$is_own" ] || [ ! -f "$file" ] || stat -c '%s %n' "$file" >&2; done
exit $code
"""


class Container:
    """A command under an init; see :meth:`start`, :meth:`wait_until_ready` and :meth:`stop`."""

    def __init__(
        self,
        plan: Plan,
        init: Init,
        command: tuple[str, ...],
        *,
        tell: Callable[[str], None] = lambda _: None,
        show: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare a run; start nothing.

        Args:
            plan: how to run the command; the command in it is not used.
            init: what is PID 1.
            command: what it runs.
            tell: is called with each line about the progress, in the thread of the run.
            show: is called with each line of the command's output, in the same thread.
        """
        self._plan = plan
        self._init = init
        self._command = command
        self._tell = tell
        self._show = show
        self._error: NotRehearsedError | None = None
        self._has_news = threading.Event()  # the command is ready, or never will be
        # Before Python 3.13, a Thread.join after one that ^C interrupted returns at once.
        self._has_ended = threading.Event()
        self._how = ""  # what showed that it was ready
        self._stop_from: float | None = None
        self._stopped: float | None = None
        self._again: float | None = None
        self._killed: float | None = None
        self._child_ended: float | None = None
        self._waits = deque([0.0], maxlen=3)  # when the last ones were over
        self._unwatched = 0.0
        self._is_asked = self._is_given_up = self._is_over = False
        self._waker = -1
        self._client: Client | None = None
        self._held: leaks.Held = {}
        self._run: Run | None = None
        self._at_end = contextlib.ExitStack()  # of the thread

    def __enter__(self) -> Self:
        """Start the command."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every process that is left."""
        self.close()

    def start(self) -> None:
        """Start the command.

        Raises:
            NotRehearsedError: the command or a program that this needs is missing, the port of
                --ready-port is in use, or /proc is that of another PID namespace.
        """
        if not proc.is_ours():
            msg = "/proc is missing, or shows another PID namespace: run mount -t proc proc /proc"
            raise NotRehearsedError(msg)
        if self._plan.ready_port and listens(self._plan.ready_port):
            msg = (
                f"port {self._plan.ready_port} is already in use, so it cannot tell when the "
                "command is ready: stop the program that listens there, or choose another port"
            )
            raise NotRehearsedError(msg)
        words = self._words()
        self._wakes, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._output = Output(self._plan.ready_when, self._show)
        self._events = Events()
        self._selector = selectors.DefaultSelector()
        ends = self._output.close, self._events.close, self._selector.close
        for act in (self._has_ended.set, self._has_news.set, *ends):  # in reverse order
            self._at_end.callback(act)
        self._at_end.callback(os.close, self._wakes)
        self._thread = threading.Thread(
            target=self._live, args=(words,), name="rehearsal", daemon=True
        )
        self._thread.start()

    def _words(self) -> list[str]:
        if self._plan.directory is None and self._plan.environment is None:
            found(self._command[0])
        user, back = [], []
        if os.geteuid():  # root in the namespace, for the mounts; the command keeps its user
            user = ["--user", "--map-root-user"]
            ids = f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"
            back = ["unshare", "--user", *ids, "--"]
        words = [found("unshare"), *user, "--ipc", "--mount", "--"]
        words += [found("setpriv"), "--pdeathsig", "KILL", "sh", "-c", STAGE, "sh", *back]
        if self._init.tells:
            return [*words, *self._init.words, *SHIM, *self._command]
        return [*words, *SHIM, *self._init.words, *self._command]

    def wait_until_ready(self) -> None:
        """Wait until the command is ready (or just runs, with ``during_boot``).

        Raises:
            NotRehearsedError: it did not become ready.
        """
        self._has_news.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> Run:
        """Stop the command as an engine would, and return what was seen.

        Raises:
            NotRehearsedError: the command had ended before the stop, or the load had failed.
        """
        __tracebackhide__ = True
        self._is_asked = True
        self._poke()
        self._has_ended.wait()
        if self._error is not None or self._stopped is None:
            raise self._error or NotRehearsedError(
                "the command was killed before it was asked to stop"
            )
        if self._run is None:
            self._run = self._result(self._stopped)
        return self._run

    def close(self) -> None:
        """Kill every process that is left, and wait until all are gone."""
        if self._waker < 0:
            return
        self._is_given_up = True
        self._poke()
        self._has_ended.wait()
        self._thread.join()
        os.close(self._waker)  # not before: the number could be reused for another file
        self._waker = -1

    def output(self) -> list[str]:
        """Return the last lines that the command wrote."""
        return self._output.lines()

    def _poke(self) -> None:
        with contextlib.suppress(OSError):  # the thread has ended
            os.write(self._waker, b".")

    # The methods below run in the thread.

    def _live(self, words: list[str]) -> None:
        try:
            self._begin(words)
            while not self._is_over:
                self._wait(LOOK_SECONDS)
                for seen in self._census.look():
                    self._selector.register(seen.pidfd, selectors.EVENT_READ, seen)
                self._census.note_statuses()
                if self._is_given_up:
                    self._kill()
                elif self._stopped is None:
                    self._approach(monotonic())
                else:
                    self._await_end(self._stopped, monotonic())
            self._read_the_rest()
        except NotRehearsedError as error:
            self._error = error
        except BaseException as error:
            self._fail(f"this is a bug in pyinit-rehearse: {error!r}")
            raise
        finally:
            self._at_end.close()

    def _begin(self, words: list[str]) -> None:
        """Start it, in this thread: PDEATHSIG is sent when the parent thread ends."""
        self._began_wall, self._began = time(), monotonic()
        try:
            self._stage = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._output.writer,
                stderr=self._events.writer,
                env=self._plan.environment,
                cwd=self._plan.directory,
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the command cannot be started: {error.strerror}: {error.filename}"
            raise NotRehearsedError(msg) from error
        finally:
            self._output.close_writer()
            self._events.close_writer()
        self._at_end.callback(self._stage.wait)
        self._at_end.callback(self._stage.kill)  # and thereby all in it
        self._over = os.pidfd_open(self._stage.pid)
        self._at_end.callback(os.close, self._over)
        self._census = Census(self._stage.pid)
        self._at_end.callback(self._census.close)
        self._readiness = Readiness(self._plan, self._init.name, self._census, self._output)
        for descriptor, act in (
            (self._wakes, lambda: os.read(self._wakes, 4096)),
            (self._over, self._note_over),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, act)
        for stream in (self._output, self._events):
            self._selector.register(stream.reader, selectors.EVENT_READ, stream)

    def _wait(self, seconds: float) -> None:
        """Wait for output, events and ended processes, and note them."""
        child = self._child()
        has_child_ended = False
        ready = self._selector.select(seconds)
        self._waits.append(monotonic())
        for key, _ in ready:
            if isinstance(key.data, Seen):
                self._selector.unregister(key.fd)
                self._census.note_end(key.data)
                self._note_gap()
                has_child_ended |= key.data is child
            elif isinstance(key.data, Output | Events):
                if not key.data.read():
                    self._selector.unregister(key.fd)
            else:
                key.data()
        if child is not None and has_child_ended:
            self._note_child_ended(child)

    def _note_gap(self) -> None:
        """Note for how long an end may have gone unseen, for example because ^Z stopped this.

        A wait that is stopped and goes on returns nothing, so the end is seen by the next one.
        """
        if self._stopped is not None:
            gap = self._waits[-1] - max(self._waits[0], self._stopped)
            self._unwatched = gap if gap > LATE_SECONDS else 0.0

    def _note_over(self) -> None:
        self._is_over = True
        self._selector.unregister(self._over)

    def _note_child_ended(self, child: Seen) -> None:
        self._child_ended = child.process.ended
        if self._killed is not None:  # every process ends now
            return
        left = [seen for seen in self._census.living.values() if seen is not self._census.init]
        for seen in left:
            seen.process.is_left = True
        if self._stopped is not None and self._child_ended is not None:
            rest = f"; processes that it left behind: {len(left)}" if left else ""
            self._tell(f"the child exited after {self._child_ended - self._stopped:.2f} s{rest}")

    def _child(self) -> Seen | None:
        return child_of(self._init.name, self._census.seen)

    def _approach(self, now: float) -> None:
        """Check whether the command is ready, and then whether it is time to stop it."""
        if self._is_over:
            return
        if self._stop_from is None:
            self._await_readiness(now)
            return
        if self._client is not None:
            self._client.note()
            if self._client.load.code:
                self._fail(
                    f"the load failed with code {self._client.load.code} before the stop: use a "
                    "load that succeeds while the program runs"
                )
                self._is_given_up = True
                return
        if now >= self._stop_from:
            self._has_news.set()
            if self._is_asked:
                self._send_stop()

    def _await_readiness(self, now: float) -> None:
        plan = self._plan
        seen = self._readiness.look(self._began, now)
        if seen is not None:
            self._how, self._stop_from = seen
            self._tell(f"ready ({self._how}) after {now - self._began:.2f} s")
            if plan.load:
                self._client = Client(plan)
                self._at_end.callback(self._client.close)
        elif now > self._began + plan.ready_within:
            self._fail(
                f"the command was not ready within {plan.ready_within:g} s (expected: "
                f"{self._readiness.expected()}): tell when it is ready with --ready-when, "
                "--ready-port or --after, or wait longer with --ready-within"
            )
            self._is_given_up = True

    def _send_stop(self) -> None:
        for seen in self._census.living.values():
            seen.look_closely()
        self._held = leaks.hold(self._census.living.values())
        self._stopped = monotonic()
        self._signal(self._plan.signal)
        self._tell(names.name(self._plan.signal))

    def _await_end(self, stopped: float, now: float) -> None:
        if self._client is not None:
            self._client.note()
        if self._plan.twice and self._again is None and now >= stopped + AGAIN_SECONDS:
            self._again = now
            self._signal(self._plan.signal)
            self._tell(f"{names.name(self._plan.signal)} again")
        if self._killed is None and self._census.living and now >= stopped + self._plan.grace:
            for seen in self._census.living.values():
                seen.look_closely()
            self._killed = now
            self._tell(f"SIGKILL: the grace period of {self._plan.grace:g} s is over")
            self._kill()

    def _kill(self) -> None:
        if self._census.init is None:
            self._stage.kill()
        self._signal(signal.SIGKILL)

    def _signal(self, signum: int) -> None:
        init = self._census.init
        if init is not None and init.is_alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(init.pidfd, signum)

    def _read_the_rest(self) -> None:
        end = monotonic() + AFTERWARDS_SECONDS
        while monotonic() < end and not (self._output.has_ended and self._events.has_ended):
            self._wait(LOOK_SECONDS)
        self._wait(0)
        self._census.note_statuses()
        if self._stopped is None:
            code = self._stage.wait()
            self._fail(
                _early_end(code, self._events.complaint(), self._output.lines())
                or f"the command exited with code {code} before it was asked to stop"
                f"{self._left()}: see its output; only a command that runs until it is stopped can "
                "be rehearsed"
            )
        elif self._client is not None and not self._is_given_up:
            self._client.finish()

    def _left(self) -> str:
        for event in self._events.placed(0.0):
            if event["event"] == "drain_started":
                return f" and left {event.get('remaining')} behind, as daemons do"
        return ""

    def _fail(self, text: str) -> None:
        if self._error is None:
            self._error = NotRehearsedError(text, self._output.lines())

    # The methods below run in the caller's thread again, after the other one has ended.

    def _code(self) -> int:
        """Return the exit code of PID 1, 128 + N if signal N killed it."""
        init = self._census.init
        if init is None or init.status is None:  # an older kernel: unshare exits with it
            return self._stage.returncode
        return exit_code(init.status)

    def _result(self, stopped: float) -> Run:
        run = Run(
            init=self._init.name,
            words=list(self._init.shown),
            command=list(self._command),
            signal=names.name(self._plan.signal),
            grace=self._plan.grace,
            expected_code=self._plan.expected_code,
            ready=self._how,
            booted=stopped - self._began,
            again=_from(stopped, self._again),
            child_ended=_from(stopped, self._child_ended),
            unwatched=self._unwatched,
            code=self._code(),
            events=self._events.placed(time() - monotonic() + stopped),
            output=self._output.lines(),
        )
        everybody = self._census.seen
        fates.settle(run, everybody, stopped, _from(stopped, self._killed))
        facts = self._events.facts
        run.leaks = leaks.found(facts, self._held, everybody, self._plan, self._began_wall)
        if self._client is not None:
            run.load = self._client.load
            run.load.began -= stopped
            run.load.ended = _from(stopped, run.load.ended)
        verdict.judge(run, self._plan, everybody)
        return run


def _from(zero: float, at: float | None) -> float | None:
    return None if at is None else at - zero


def _early_end(code: int, complaint: str, output: list[str]) -> str:
    if complaint.startswith(CANNOT_RUN):
        return (
            f"the init cannot be run ({complaint.removeprefix(CANNOT_RUN)}): check that it and its "
            "interpreter exist and are executable"
        )
    if UNKNOWN_OPTION in complaint:  # those of BusyBox, for example
        return "unshare or setpriv lacks an option: install util-linux 2.36 or newer"
    if complaint.startswith(("unshare:", "setpriv:")):
        return (
            f"no namespaces can be created here ({complaint}): run pyinit-rehearse as root, or "
            "allow users to create them (sysctl user.max_user_namespaces, "
            "kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns); "
            "in a container, start the container with --privileged"
        )
    if code in CANNOT_EXEC and output:
        return f"the command cannot be run: {output[-1].removeprefix(SHELL)!r}"
    return complaint
