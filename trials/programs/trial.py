"""One program under pyinit as PID 1: it gets work, then SIGTERM, and is watched to its end."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testkit.namespaces import UNSHARE_TIED
from testkit.processes import only_child

BIN = Path(sys.executable).parent
SOURCES = Path(__file__).parent
PATH = f"{BIN}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
HOST = "127.0.0.1"
PYINIT = (str(BIN / "pyinit"), "-v", "--log-format", "json")
WORK = 2.0  # seconds that the work takes from SIGTERM on
PATIENCE = 10.0  # seconds until SIGKILL, as docker stop has it
ANSWER = 5.0  # seconds for a client to notice that the program has ended
BACKSTOP = 60  # seconds for a case
STILL_THERE = "none: still there"
FINISHED, LOST = "finished", "lost"

Answer = Callable[[], str]


class UnreadyError(Exception):
    """The program ended, or took too long, before its work began."""


def free_port() -> int:
    """Return a port on which no process listens."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(slots=True)
class Trial:
    """What a case has while it runs.

    Attributes:
        folder: a folder for this case, in which every user may write.
        work: the socket to which the work connects when it begins.
        undo: what to undo at the end, such as killing a client.
        port: a free one, on which the program can listen.
        init: the pid of pyinit in this namespace, once it runs.
        notify: where a program reports that it is ready, if it does so as for systemd.
        output: what pyinit and the program have written.
    """

    folder: Path
    work: socket.socket
    undo: contextlib.ExitStack
    port: int = field(default_factory=free_port)
    init: int = 0
    notify: socket.socket | None = None
    output: list[str] = field(default_factory=list)

    @property
    def work_port(self) -> int:
        """Return the address to which the work connects."""
        return int(self.work.getsockname()[1])

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of all programs; they leave their files in the folder."""
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
        }

    def run(self, *command: str) -> None:
        """Run a command to its end; it must succeed."""
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=self.environment
        )
        if done.returncode:
            message = f"{command[0]} failed: {done.stdout}{done.stderr}"
            raise UnreadyError(message)

    def worker(self, *words: str) -> list[str]:
        """Return the command of a job with worker.py."""
        return [sys.executable, "-IS", f"{SOURCES}/worker.py", str(self.work_port), *words]

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def popen(
        self, *command: str, stdin: int = subprocess.DEVNULL, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start a process outside the namespace, which is killed at the end."""
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=cwd,
        )
        self.undo.enter_context(process)  # waits for it
        self.undo.callback(process.kill)
        return process

    def client(self, *command: str) -> Answer:
        """Start a client; what it prints is the answer."""
        process = self.popen(*command)

        def answer() -> str:
            try:
                return process.communicate(timeout=ANSWER)[0].strip()
            except subprocess.TimeoutExpired:
                return "none"

        return answer

    def guest(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a process inside the namespace, as docker exec does."""
        enter = ("nsenter", "--target", str(self.init), "--pid", "--mount")
        return self.popen(*enter, *command, stdin=stdin)

    def get(self, target: str = "/", *options: str) -> Answer:
        """Send a request to the program's port; the answer is the page, or what went wrong."""
        return self.client("curl", "-sS", *options, f"http://{HOST}:{self.port}{target}")


def no_client(_trial: Trial) -> None:
    """Start no client: the program begins its work by itself, and there is no answer."""


@dataclass(frozen=True, slots=True)
class Case:
    """A program that is working, and options of pyinit for it.

    Attributes:
        program: its name in ARGS and in the table.
        prepare: writes what the program needs and returns its command.
        options: options of pyinit.
        ready: texts that the program writes, in any order, before it is ready.
        begin: gives it work from outside; returns the function that waits for the answer.
        answer: the right answer.
        otherwise: what any other answer means.
        gate: what is sent to the work when it may finish.
        setup: what a shell does in the namespaces before it execs pyinit.
        needs: the programs without which it cannot be tried.
    """

    program: str
    prepare: Callable[[Trial], list[str]]
    options: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    begin: Callable[[Trial], Answer | None] = no_client
    answer: str = FINISHED
    otherwise: str = LOST
    gate: bytes = b"go on\n"
    setup: str = ":"
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one case.

    Attributes:
        work: whether it was finished.
        code: the exit code of pyinit.
        seconds: how long it took from SIGTERM on.
        ended: the processes that the drain or -k ended, each with the signal.
        output: everything that pyinit and the program wrote.
    """

    work: str
    code: str
    seconds: float
    ended: str
    output: str


def missing(case: Case) -> list[str]:
    """Return the programs of a case that are missing."""
    return [name for name in case.needs if not shutil.which(name, path=PATH)]


def attempt(case: Case, folder: Path) -> Outcome:
    """Run a case from start to end, and clean up."""
    with contextlib.ExitStack() as undo, backstop():
        work = undo.enter_context(socket.create_server((HOST, 0)))
        trial = Trial(folder, work, undo)
        try:
            return stop(case, trial)
        except UnreadyError as error:
            error.add_note("".join(trial.output))
            raise


def stop(case: Case, trial: Trial) -> Outcome:
    """Give a program work, send SIGTERM to it, and see what happens to both."""
    process = start(case, trial)
    end = pidfd(trial.undo, process.pid)
    answer = case.begin(trial)
    connection = trial.undo.enter_context(begun(trial.work, end, process))
    began = time.monotonic()
    os.kill(trial.init, signal.SIGTERM)
    wait_for(end, WORK)
    told = go_on(connection, case.gate, listen=answer is None)
    in_time = wait_for(end, began + PATIENCE - time.monotonic())
    seconds = time.monotonic() - began
    if not in_time:
        os.kill(trial.init, signal.SIGKILL)
    trial.output.append(process.communicate()[0])
    if answer is not None:
        told = answer()
    fate = told if told == case.answer else case.otherwise
    code = code_of(process.returncode) if in_time else STILL_THERE
    output = "".join(trial.output)
    return Outcome(fate, code, seconds, ended(output), f"{output}\nanswer: {told}")


def start(case: Case, trial: Trial) -> subprocess.Popen[str]:
    """Start a program under pyinit and wait until it is ready."""
    command = case.prepare(trial)
    shell = ("sh", "-c", f'{case.setup} && exec "$@"', str(trial.folder))
    process = trial.popen(
        *UNSHARE_TIED, *shell, *PYINIT, *case.options, "--", *command, cwd=trial.folder
    )
    assert process.stdout is not None
    awaited = ["child_started", *case.ready]
    while awaited:
        line = process.stdout.readline()
        trial.output.append(line)
        if not line:
            message = "it ended"
            raise UnreadyError(message)
        if found := [text for text in awaited if text in line]:
            awaited.remove(found[0])
    trial.init = only_child(process.pid)
    return process


def begun(work: socket.socket, end: int, process: subprocess.Popen[str]) -> socket.socket:
    """Wait until the work connects, and return its connection."""
    readable, _, _ = select.select([work.fileno(), end], [], [])
    if work.fileno() not in readable:
        message = f"it ended without work: {process.communicate()[0]}"
        raise UnreadyError(message)
    return work.accept()[0]


def go_on(connection: socket.socket, word: bytes, *, listen: bool) -> str:
    """Tell the work that it may finish, and return what a job says."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(word)
        if listen:
            return connection.recv(100).decode().strip()
    return LOST


def pidfd(undo: contextlib.ExitStack, pid: int) -> int:
    """Return a descriptor that is readable when a process has ended."""
    descriptor = os.pidfd_open(pid)
    undo.callback(os.close, descriptor)
    return descriptor


def wait_for(descriptor: int, seconds: float) -> bool:
    """Wait until a descriptor is readable; return False if it is not in time."""
    return bool(select.select([descriptor], [], [], max(seconds, 0))[0])


def code_of(status: int) -> str:
    """Return an exit code, 128 + N if signal N killed the process."""
    return str(status if status >= 0 else 128 - status)


def ended(output: str) -> str:
    """Return which processes a signal ended in the drain or by -k, from the events of pyinit."""
    found: dict[str, int] = {}
    for event in events(output):
        signum = event.get("signal") if event["event"] == "orphan_reaped" else None
        if event["event"] in {"drain_survivor", "kill_after_expired"}:
            signum = "SIGKILL"
        elif signum in {None, "SIGKILL"}:
            continue
        what = f"{event['name']} by {signum}"
        found[what] = found.get(what, 0) + 1
    return ", ".join(f"{n} {what}" if n > 1 else what for what, n in found.items())


def events(output: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of pyinit among those of the program."""
    for line in output.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found = json.loads(line)
            if isinstance(found, dict) and found.get("logger") == "pyinit":
                yield found


@contextlib.contextmanager
def backstop() -> Iterator[None]:
    """Interrupt what takes too long."""

    def give_up(*_: object) -> None:
        message = f"not done within {BACKSTOP} s"
        raise UnreadyError(message)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(BACKSTOP)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
