"""One call of the real command, and whether its outcome is a permitted one."""

import ctypes
import json
import os
import re
import select
import signal
import subprocess
from pathlib import Path
from typing import NoReturn

from hypothesis import reject

from testkit.namespaces import UNSHARE
from testkit.programs import PYINIT, compile_c
from trials.inputs.words import MARKER, Case

MARKERS_CODE, TOO_LATE = 7, 124
LONGEST_LINE = 1000
PATIENCE_MS = 60_000
TOO_LONG = 121  # the exit code of our fork if the kernel refuses such a list (E2BIG)
SHOWN = 2000
NOT_RUN = {126, 127}
# In JSON, and as a sentence on a console: the whole reason, or a sentence that begins with it.
NOT_RUN_TOLD = r"exec_failed|\[error  \]"
CONSOLE = re.compile(r"\d\d:\d\d:\d\d \[(error  |warning|info   |debug  )\] ")


class OutcomeError(Exception):
    """The outcome is not permitted; the text says what was seen."""


def must(condition: object, complaint: str) -> None:
    """Raise an error if a condition is not met.

    Raises:
        OutcomeError: it is not.
    """
    if not condition:
        raise OutcomeError(complaint)


class Trial:
    """A folder with the marker in it, in which pyinit is called."""

    def __init__(self, folder: Path) -> None:
        """Compile the marker, and write a launcher."""
        self._folder = folder
        self._launcher = str(folder / "pyinit")
        compile_c(Path(__file__).with_name("marker.c"), folder, "-static")
        writer = [f"{PYINIT}-launcher", self._launcher]
        subprocess.run(writer, check=True, stdout=subprocess.DEVNULL)

    def run(self, case: Case) -> str:
        """Call pyinit; return the outcome in a word.

        Raises:
            OutcomeError: the outcome is not permitted.
        """
        command = self._launcher if case.launcher else PYINIT
        wrap = UNSHARE if case.as_init else ()
        words = [*(os.fsencode(word) for word in (*wrap, command)), *case.words]
        # An empty PATH: a made-up word must not be a program.
        environment = [b"PATH=.", *case.environment]
        code, out, err = self._call(words, environment)
        if code == TOO_LONG and not out + err:
            reject()
        try:
            must(code != -signal.SIGKILL, f"it did not end within {PATIENCE_MS} ms")
            return outcome(case, environment, code, out, err)
        except OutcomeError as error:
            message = f"{error}: code {code}, {out[:SHOWN]!r} {err[:SHOWN]!r}"
            raise OutcomeError(message) from None

    def _call(self, words: list[bytes], environment: list[bytes]) -> tuple[int, bytes, bytes]:
        """Run a command with exactly these words and variables; return code, stdout, stderr."""
        outs, errs = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            become(words, environment, self._folder, outs[1], errs[1])
        os.close(outs[1])
        os.close(errs[1])
        told = read_all(pid, {outs[0], errs[0]})
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), told[outs[0]], told[errs[0]]


def become(words: list[bytes], environment: list[bytes], folder: Path, *outputs: int) -> NoReturn:
    """Exec with the lists as they are: os.execve takes a dictionary, and refuses some."""
    try:
        os.chdir(folder)
        null = os.open("/dev/null", os.O_RDONLY)
        for number, descriptor in enumerate((null, *outputs)):
            os.dup2(descriptor, number)
        argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
        envp = (ctypes.c_char_p * (len(environment) + 1))(*environment, None)
        path = words[0] if b"/" in words[0] else b"/usr/bin/" + words[0]
        ctypes.CDLL(None).execve(path, argv, envp)
    finally:
        os._exit(TOO_LONG)


def read_all(pid: int, descriptors: set[int]) -> dict[int, bytes]:
    """Read until the other ends are closed; kill the processes that keep them open too long."""
    told = dict.fromkeys(descriptors, b"")
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left = set(descriptors)
    while left:
        ready = poll.poll(PATIENCE_MS)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            break
        for descriptor, _ in ready:
            some = os.read(descriptor, 1 << 16)
            told[descriptor] += some
            if not some:
                poll.unregister(descriptor)
                left.discard(descriptor)
    for descriptor in descriptors:
        os.close(descriptor)
    return told


def outcome(case: Case, environment: list[bytes], code: int, out: bytes, err: bytes) -> str:
    """Return the outcome in a word.

    Raises:
        OutcomeError: the outcome is not permitted.
    """
    if out.startswith(b"started "):
        return check_started(case, environment, code, out, err)
    if code == 1:
        check_line(out, err)
        return "one line"
    if code in NOT_RUN:
        check_events(err, NOT_RUN_TOLD)
        must(not out, "there is something on stdout")
        return "cannot be run"
    must(code == 0 and out and not err, "this is not a permitted outcome")
    out.decode()
    return "a page"


def check_started(case: Case, environment: list[bytes], code: int, out: bytes, err: bytes) -> str:
    """Check that words and environment arrived byte for byte.

    Raises:
        OutcomeError: they did not, or stderr is not a list of events.
    """
    head, *rest = out.split(b"\0")[:-1]
    count = int(head.split()[1])
    begin = len(case.words) - count
    must(rest[:count] == case.words[begin:] and rest[0] == MARKER, "other words arrived")
    must(rest[count:] == environment, "another environment arrived")
    codes = {0, MARKERS_CODE, *([TOO_LATE] if b"(-t)" in err else [])}  # on a slow machine
    must(code in codes, "another code came back")
    check_events(err)
    return "started"


def check_line(out: bytes, err: bytes) -> None:
    """Check that stderr is one printable line, and stdout is empty.

    Raises:
        OutcomeError: it is not.
    """
    line = err.decode()
    must(not out and line.count("\n") == 1 and line.endswith("\n"), "this is not one line")
    must(line.startswith("pyinit: ") and line[:-1].isprintable(), "this line is not printable")
    must(len(line) <= LONGEST_LINE, "this line is too long")


def check_events(err: bytes, wanted: str = "") -> None:
    """Check that each line of stderr is an event, in either format, and that one is as wanted.

    Args:
        err: the stderr.
        wanted: a regular expression.

    Raises:
        OutcomeError: it is not.
    """
    text = err.decode()
    must(not text or text.endswith("\n"), "the last line has no end")
    for line in text.split("\n")[:-1]:
        must(line.isprintable(), "this event is not printable")
        must(is_json(line) or CONSOLE.match(line), "this is not an event")
    must(re.search(wanted, text), f"no event fits {wanted}")


def is_json(line: str) -> bool:
    """Tell whether a line is an event in JSON."""
    try:
        return "event" in json.loads(line)
    except ValueError:
        return False
