"""The runtimes below the engines, with a bundle made by hand: runc and crun."""

import json
import signal
import subprocess
import uuid
from collections.abc import Iterator

import pexpect
import pytest
from engines import FILES

from testkit.programs import VICTIMS
from testkit.running import Result

OWNS_TERMINAL = "import os; print(os.isatty(0), os.tcgetpgrp(0) == os.getpgrp())"


class Bundle:
    """A container of a runtime, without an engine above."""

    def __init__(self, runtime: str, folder, command, *, terminal=False) -> None:
        self.runtime, self.folder, self.name = runtime, folder, f"e2e-{uuid.uuid4().hex}"
        subprocess.run(["runc", "spec"], check=True, cwd=folder)
        path = folder / "config.json"
        spec = json.loads(path.read_text())
        spec["root"] = {"path": str(FILES / "root"), "readonly": True}
        spec["process"] |= {"args": ["/venv/bin/pyinit", "--", *command], "terminal": terminal}
        bound = {"type": "bind", "options": ["bind", "ro"]}
        spec["mounts"].append(bound | {"source": str(VICTIMS), "destination": "/victims"})
        path.write_text(json.dumps(spec))

    @property
    def command(self) -> list[str]:
        return [self.runtime, "run", "--bundle", str(self.folder), self.name]

    def start(self) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command, stdin=subprocess.DEVNULL, **pipes)

    def kill(self, signum: str) -> None:
        subprocess.run([self.runtime, "kill", self.name, signum], check=True)


@pytest.fixture(params=["runc", "crun"])
def bundle(request, tmp_path):
    """Make a bundle for runc, and for crun."""
    made = []

    def make(*command, **how) -> Bundle:
        made.append(Bundle(request.param, tmp_path, command, **how))
        return made[-1]

    yield make
    for each in made:
        subprocess.run(
            [each.runtime, "delete", "--force", each.name], check=False, capture_output=True
        )


def end_of(process: subprocess.Popen) -> Result:
    out, err = process.communicate()
    return Result(process.returncode, out, err)


def sent_by_us(process: subprocess.Popen) -> Iterator[str]:
    """The listener's lines, without those of SIGURG.

    Go's runtime interrupts its own threads with it, and an older runc that runs in the foreground
    forwards whatever it gets: https://github.com/opencontainers/runc/pull/3368
    """
    return (line for line in process.stdout if line != f"got {int(signal.SIGURG)}\n")


def test_code_is_the_childs(bundle):
    """The runtime leaves with the child's code; nothing is said."""
    result = end_of(bundle("sh", "-c", "exit 7").start())

    assert (7, "", "") == (result.code, result.out, result.err)


def test_signals_are_forwarded(bundle):
    """`kill` of the runtime reaches the child, which may end by itself."""
    container = bundle("python3", "/victims/listener.py", "42")
    process = container.start()
    assert process.stdout.readline().startswith("ready")
    for signum in ("HUP", "USR1", "WINCH"):
        container.kill(signum)
        assert f"got {signal.Signals[f'SIG{signum}'].value}\n" == next(sent_by_us(process))
    container.kill("TERM")
    heard = list(sent_by_us(process))
    result = end_of(process)

    assert (42, ["got 15\n"], "") == (result.code, heard, result.err)


def test_kill_is_the_end(bundle):
    """SIGKILL cannot be forwarded: all is over at once."""
    container = bundle("python3", "/victims/listener.py", "42")
    process = container.start()
    assert process.stdout.readline().startswith("ready")
    container.kill("KILL")

    assert 137 == end_of(process).code


def test_terminal(bundle):
    """With `terminal: true` the terminal is the child's, and ^C reaches it."""
    script = f'python3 -c "{OWNS_TERMINAL}"; exec sleep infinity'
    container = bundle("sh", "-c", script, terminal=True)
    talk = pexpect.spawn(container.command[0], container.command[1:], encoding="utf-8")
    talk.expect("True True")
    talk.sendcontrol("c")
    talk.expect(pexpect.EOF)
    talk.wait()

    assert 130 == talk.exitstatus
