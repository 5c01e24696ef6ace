"""Containers that are not of the plain kind: little is allowed, or pyinit is not PID 1."""

import subprocess

import pytest
from containers import WITH_PROGRAMS, WITH_VICTIMS, WORK, listener
from engines import APP_USER

HARDENED = [
    "--read-only", "--user=65534", "--cap-drop=ALL", "--security-opt=no-new-privileges",
]  # fmt: skip
GLUTTON = "food = []\nwhile True: food.append(bytearray(1 << 20))"
ZOMBIES = """
import glob
stats = [open(path).read() for path in glob.glob("/proc/[0-9]*/stat")]
print(sum(stat.rpartition(")")[2].split()[0] == "Z" for stat in stats))
"""


@pytest.fixture
def sentinel():
    """A process beside the container that must never be hit, although pyinit's user may do so."""
    process = subprocess.Popen(["sleep", "infinity"], user=APP_USER)
    yield process
    process.kill()
    process.wait()


def test_next_to_nothing_is_allowed(start):
    """A read-only file system, no capability, a user that has no name: it works, in silence."""
    container = start(*listener(42), options=[*HARDENED, *WITH_VICTIMS])
    container.line("ready")
    container.kill("HUP")
    container.line("got 1$")
    code = container.stop()
    result = container.finish()

    assert (42, "") == (code, result.err)


def test_next_to_nothing_is_allowed_and_much_told(start):
    """structlog loads there, too, and helpers may finish."""
    options = [*HARDENED, *WITH_PROGRAMS, "--interactive"]
    container = start("/programs/helpers", 20, "finish", options=options, verbosity=2)
    container.line("ready")
    code = container.stop()
    result = container.finish()
    (finished,) = result.named("drain_finished")

    assert (143, 20) == (code, result.out.count("done\n"))
    assert (20, 0, 0) == tuple(finished[key] for key in ("finished", "killed", "left"))
    assert not result.named("structlog_unavailable")


def test_below_another_init(start):
    """With --init around it pyinit is no PID 1: it is quiet, adopts orphans, and reaps them."""
    container = start("/programs/orphans", 300, options=["--init", *WITH_PROGRAMS])
    container.line("gone")
    first = container.inside("cat", "/proc/1/cmdline")
    zombies = container.inside("python3", "-c", ZOMBIES)
    code = container.stop()

    assert "pyinit" not in first.split("\0")[0]
    assert ("0", 0, "") == (zombies, code, container.finish().err)


def test_pid_namespace_of_the_engine(start, sentinel):
    """With --pid host it drains its own processes, and no other gets a signal."""
    options = ["--pid=host", "--interactive", *WITH_PROGRAMS]
    container = start("/programs/helpers", 20, "finish", options=options, drain=20)
    container.line("ready")
    code = container.stop()

    assert (143, 20) == (code, container.finish().out.count("done\n"))
    assert sentinel.poll() is None


def test_pid_namespace_of_another_container(start):
    """With --pid container:ID it drains its own; the other container gets no signal."""
    other = start(*listener(42), options=WITH_VICTIMS)
    other.line("ready")
    options = [f"--pid=container:{other.identity}", "--interactive", *WITH_PROGRAMS]
    container = start("/programs/helpers", 20, "finish", options=options, drain=20)
    container.line("ready")
    code = container.stop()
    other.kill("HUP")
    other.line("got 1$")

    assert (143, 20) == (code, container.finish().out.count("done\n"))
    assert "got 15" not in other.so_far()


def test_guest_in_its_namespace(start):
    """A container that joins the namespace, to debug it, is drained as well: it may finish, too."""
    container = start(*listener(0), options=WITH_VICTIMS, drain=20)
    container.line("ready")
    options = [f"--pid=container:{container.identity}", "--entrypoint=python3"]
    guest = start("-c", WORK, options=options)
    guest.line("ready")

    assert (0, 0) == (container.stop(), guest.wait())
    assert "finished" in guest.finish().out


def test_kill_after_off_pid1(start, sentinel):
    """With --pid host and -a -k the SIGKILL that pyinit sends itself hits its own alone."""
    command = ["sh", "-c", "trap '' TERM; echo ready; exec sleep infinity"]
    container = start(*command, options=["--pid=host"], forward_all=1, kill_after=0.2)
    container.line("ready")

    assert 137 == container.stop()
    assert sentinel.poll() is None


def test_out_of_memory(start):
    """The report says it of a child that the kernel killed for want of memory."""
    options = ["--memory=96m", "--memory-swap=96m"]
    container = start("python3", "-c", GLUTTON, options=options)
    result = container.finish()
    (event,) = result.named("child_exited")

    assert (137, "SIGKILL", "warning") == (result.code, event["signal"], event["level"])
    assert event["oom_kills"] >= 1
    assert "memory" in event["reason"]


def test_out_of_memory_below_a_shell(start):
    """A shell makes a plain 137 of it; the report knows better."""
    options = ["--memory=96m", "--memory-swap=96m"]
    script = f"exec 2>/dev/null; python3 -c '{GLUTTON}'; exit $?"  # it would say: Killed
    container = start("sh", "-c", script, options=options)
    result = container.finish()
    (event,) = result.named("child_exited")

    assert (137, 137) == (result.code, event["code"])
    assert event["oom_kills"] >= 1


def test_other_users(start):
    """A pyinit that runs as root drains the processes of other users, too."""
    helpers = "setpriv --reuid=65534 --clear-groups /programs/helpers 5 finish"
    options = ["--user=0", "--interactive", *WITH_PROGRAMS]
    container = start("sh", "-c", f"exec 3<&0; {helpers} <&3 & wait", options=options)
    container.line("ready")
    container.stop()

    assert 5 == container.finish().out.count("done\n")
