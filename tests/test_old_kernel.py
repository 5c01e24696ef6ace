"""Where the kernel knows no system call that came after Linux 5.0: a seccomp filter plays it."""

import errno
import re
import signal
import subprocess

import pytest

from testkit.marks import BOTH
from testkit.processes import children, until
from testkit.programs import PYINIT, PYTHON, ROOT_DIRECTORY, compile_c, victim
from testkit.signalsets import FORWARDED

FIRST_NEW = 424  # pidfd_send_signal, Linux 5.1; from here on each number is newer than the last
NUMBERS = r"^#define __NR_(\w+) (\d+)$"
LEAVES_ONE = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if not os.fork():
    signal.sigwait([signal.SIGTERM])
    print("asked", flush=True)
    os._exit(0)
os._exit(7)
"""


@pytest.fixture(scope="session")
def old(tmp_path_factory):
    """Return the command that gives another one an old kernel."""
    source = ROOT_DIRECTORY / "trials/survive/confine.c"
    return [str(compile_c(source, tmp_path_factory.mktemp("old"))), "old-enosys"]


def test_that_kernel_is_old(old):
    """It has no pidfds, which Linux 5.3 has brought."""
    lines = "import os\ntry: os.pidfd_open(1)\nexcept OSError as error: print(error.errno)"
    done = subprocess.run([*old, *PYTHON, "-c", lines], check=True, capture_output=True, text=True)

    assert f"{errno.ENOSYS}\n" == done.stdout


@BOTH
def test_every_signal_is_forwarded(start, old, namespace):
    """And the child's code comes back."""
    run = start(command=victim("listener", 3), wrap=old, namespace=namespace)
    run.ready()
    for signum in [*FORWARDED, signal.SIGTERM]:
        run.send(signum)
        assert f"got {signum}" == run.line()
        if signum == signal.SIGTERM:
            break

    assert 3 == run.finish().code


@BOTH
def test_orphans_are_reaped(start, old, namespace):
    """Adopted, whether as PID 1 or as subreaper, and no zombie is left."""
    script = "for n in 1 2 3 4 5; do (sleep 0.01 &) ; done; echo done; read line"
    run = start(["-vv"], ["sh", "-c", script], wrap=old, namespace=namespace, stdin=subprocess.PIPE)
    assert "done" == run.line()
    orphans = [run.event("orphan_reaped")["name"] for _ in range(5)]

    assert 5 * ["sleep"] == orphans
    assert until(lambda: len(children(run.init)) == 1)
    assert 0 == run.finish(b"\n").code


@BOTH
def test_what_the_child_left_may_finish(start, old, namespace):
    """When not PID 1, it is found below pyinit and signalled by its pid, without pidfds."""
    run = start(["-v"], [*PYTHON, "-c", LEAVES_ONE], wrap=old, namespace=namespace)
    result = run.finish()

    assert (7, "asked\n") == (result.code, result.out)
    assert [0] == [event["killed"] for event in result.named("drain_finished")]


def test_it_has_no_use_for_other_newer_calls(tmp_path):
    """Of what Linux 5.1 and later have brought it calls the two of pidfds alone.

    clone3 is the C library's, which begins a thread with it and otherwise with clone.
    """
    trace = tmp_path / "trace"
    command = ["strace", "-ff", "-qq", "-o", str(trace), PYINIT, "-vv", "-s", "-k", "9", "--"]
    done = subprocess.run([*command, *PYTHON, "-c", LEAVES_ONE], check=False, capture_output=True)
    own = min(tmp_path.iterdir(), key=lambda path: int(path.suffix[1:])).read_text()
    called = set(re.findall(r"^(\w+)\(", own, re.MULTILINE))

    assert 7 == done.returncode
    assert {"pidfd_open", "pidfd_send_signal"} == called & newer_calls() - {"clone3"}


def newer_calls():
    """Return the names of those that an old kernel does not know."""
    header = "#include <asm/unistd.h>\n"
    gcc = ["gcc", "-E", "-dM", "-"]
    done = subprocess.run(gcc, input=header, check=True, capture_output=True, text=True)
    found = re.findall(NUMBERS, done.stdout, re.MULTILINE)
    return {name for name, number in found if int(number) >= FIRST_NEW}
