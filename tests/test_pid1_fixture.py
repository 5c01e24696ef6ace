"""The fixture `pid1`: what a user's tests get from it, run by a pytest of their own."""

import os
import signal
import subprocess
import sys

import pytest

from testkit.programs import INSTALLED

from pyinit.rehearse.container import Container
from pyinit.rehearse.rehearsed import Program

pytest_plugins = "pytester"

# It runs until it is asked to stop, and holds the pipe that is in the environment.
APP = "exec 9> ${HELD:-/dev/null}; trap 'exit 0' TERM; sh -c 'echo ready; exec sleep 99' & wait"
STUBBORN = "exec 9> ${HELD:-/dev/null}; trap '' TERM; echo ready; while :; do sleep 9; done"
BEGIN = f"""
import os
APP = ["sh", "-c", {APP!r}]
STUBBORN = ["sh", "-c", {STUBBORN!r}]
SHORT = {{"ready_when": "ready", "grace": 0.3}}
"""
AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Return the end of a pipe that ends when all processes of a test have ended."""
    path = tmp_path / "held"
    os.mkfifo(path)
    monkeypatch.setenv("HELD", str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield reader
    os.close(reader)


@pytest.fixture
def tried(pytester):
    """Run tests with a pytest of their own; return its result."""

    def try_them(lines: str, *options: str, wrap=()):
        pytester.makepyfile(BEGIN + lines)
        plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        return pytester.run(*wrap, sys.executable, "-m", "pytest", *plain, *options)

    return try_them


GRACEFUL = """
def test_stop(pid1):
    program = pid1(APP, ready_when="ready", grace=20)
    assert program.output == ["ready"]
    stop = program.stop()
    assert stop.graceful, stop.report
    assert (stop.verdict, stop.code) == ("graceful", 0)
    assert stop.seconds < 20
    assert stop.output == ["ready"]
    assert "code 0" in stop.cause
    assert "SIGTERM" in stop.report
    assert [process.pid for process in stop.run.processes][:2] == [1, 2]
"""


@pytest.mark.parametrize(
    ("wrap", "options"), [((), ("-n", "2")), (AS_USER, ())], ids=["xdist", "user"]
)
def test_graceful_stop(tried, wrap, options):
    """It passes, also under xdist and without root."""
    lines = GRACEFUL + GRACEFUL.replace("test_stop", "test_another")

    tried(lines, *options, wrap=wrap).assert_outcomes(passed=2)


def test_text_of_a_failure_is_the_report(tried, held):
    """The report says everything; without it there are the verdict and the cause."""
    result = tried("""
def test_report(pid1):
    stop = pid1(STUBBORN, **SHORT).stop()
    assert stop.graceful, stop.report
def test_stop(pid1):
    stop = pid1(STUBBORN, **SHORT).stop()
    assert stop.graceful
def test_load(pid1):
    pid1(APP, ready_when="ready", load="exit 7", after=90).stop()
""")
    text = result.stdout.str()

    result.assert_outcomes(failed=3)
    told = ["E*AssertionError:*", "*killed: sh (pid 2) ignores SIGTERM*", "*SIGKILL by engine"]
    result.stdout.fnmatch_lines(told)
    result.stdout.fnmatch_lines(["*<killed: *SIGTERM*>.graceful*"])
    result.stdout.fnmatch_lines(["*the load failed with code 7 before the stop*"])
    assert "pyinit/rehearse" not in text, text
    assert b"" == os.read(held, 1)


WAYS = {
    "string": """pid1("sh -c 'echo ready; exec sleep 99'", ready_when="ready")""",
    "init": """pid1(["pyinit", "-g", "--", "sleep", "99"], after=0.1)""",
    "asleep": """pid1(["sleep", "99"])""",
    "environment": """pid1(["sh", "-c", "echo $A; exec sleep 99"], ready_when="b",
        environment={**os.environ, "A": "b"})""",
    "directory": """pid1(["sh", "-c", "pwd; exec sleep 99"], ready_when="/usr",
        directory="/usr")""",
    "signal": """pid1(["sh", "-c", "trap 'exit 0' INT; sh -c 'echo ready; exec sleep 99' & wait"],
        ready_when="ready", signal="INT", expected_code=0)""",
    "number": """pid1(["sh", "-c", "trap 'exit 0' INT; sh -c 'echo ready; exec sleep 99' & wait"],
        ready_when="ready", signal=2, expected_code=0)""",
}


def test_ways_to_call_it(tried):
    """A list or a string, with or without an init, and every argument of a plan."""
    lines = "".join(
        f"\ndef test_{name}(pid1):\n    assert {call}.stop().graceful\n"
        for name, call in WAYS.items()
    )

    tried(lines).assert_outcomes(passed=len(WAYS))


WRONG = {
    "empty": ("pid1([])", "expected a command to rehearse"),
    "program": ("pid1(['/nowhere/app'])", "/nowhere/app cannot be run: it is not in PATH*"),
    "never": (
        "pid1(APP, ready_when='never', ready_within=0.2)",
        "the command was not ready within 0.2 s (expected: 'never' in its output)*",
    ),
    "ended": (
        "pid1(['sh', '-c', 'echo a last word; exit 3'])",
        "the command exited with code 3 before it was asked to stop*",
    ),
    "output": ("pid1(['sh', '-c', 'echo; echo a last word; exit 4'])", "a last word"),
    "argument": ("pid1(APP, redy_when='x')", "E*TypeError:*redy_when*"),
    "signal": ("pid1(APP, signal='NOPE')", "E*ValueError: NOPE"),
}


def test_what_cannot_be_rehearsed(tried, held):
    """The test fails, with what is wrong, and no process is left."""
    result = tried("".join(f"def test_{name}(pid1):\n    {WRONG[name][0]}\n" for name in WRONG))

    result.assert_outcomes(failed=len(WRONG))
    result.stdout.fnmatch_lines([expected for _, expected in WRONG.values()])
    assert "During handling" not in result.stdout.str()
    assert b"" == os.read(held, 1)


def test_several_programs_in_one_test(tried, held):
    """Each is in a container of its own; those that are not stopped are killed at the end."""
    result = tried("""
def test_stop(pid1):
    one, two, three = (pid1(APP, ready_when="ready", grace=20) for _ in range(3))
    assert two.stop().graceful
    assert one.stop().graceful
    assert one.stop() is not None
""")

    result.assert_outcomes(passed=1)
    assert b"" == os.read(held, 1)


def test_nothing_is_left_of_a_test_that_fails(tried, held):
    """It is killed before the next test runs."""
    result = tried(
        """
def test_fails(pid1):
    pid1(STUBBORN, ready_when="ready")
    assert False
"""
    )

    result.assert_outcomes(failed=1)
    assert b"" == os.read(held, 1)


def test_nothing_is_left_of_a_run_that_is_killed(pytester, held):
    """Not even if pytest has no time to clean up."""
    pytester.makepyfile(
        BEGIN
        + """
def test_hangs(pid1):
    pid1(STUBBORN, ready_when="ready")
    print("waits", flush=True)
    os.read(os.pipe()[0], 1)
"""
    )
    line = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider"]
    with pytester.popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as one:
        while b"waits" not in one.stdout.readline():
            pass
        one.send_signal(signal.SIGKILL)

    assert b"" == os.read(held, 1)


def test_little_is_loaded_where_no_test_asks_for_it(tried):
    """Every pytest in an environment with pyinit loads the plugin."""
    result = tried("""
import sys
def test_modules():
    assert "pyinit.rehearse.plugin" in sys.modules
    loaded = {name for name in sys.modules if name.partition(".")[0] == "pyinit"}
    assert loaded == {"pyinit", "pyinit.rehearse", "pyinit.rehearse.plugin"}
    assert "structlog" not in sys.modules
def test_fixture(pid1):
    assert "pyinit.rehearse.container" in sys.modules
""")

    result.assert_outcomes(passed=2)


def test_fixture_is_listed_with_its_words(pytester):
    """`pytest --fixtures` says what it is for."""
    result = pytester.run(sys.executable, "-m", "pytest", "--fixtures", "-p", "no:cacheprovider")

    result.stdout.fnmatch_lines(["pid1*", "*Run a command as a container would*"])


def test_plugin_alone_is_light():
    """It imports pytest, and nothing else of pyinit."""
    lines = "import sys, pytest; before = set(sys.modules); import pyinit.rehearse.plugin;"
    lines += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([*INSTALLED, lines], check=True, capture_output=True, text=True)

    assert ["pyinit", "pyinit.rehearse", "pyinit.rehearse.plugin"] == done.stdout.split()


def test_interrupted_while_it_waits_to_be_ready(monkeypatch):
    """^C in a test leaves no process behind."""
    closed = []
    close = Container.close

    def interrupt(_container):
        raise KeyboardInterrupt

    monkeypatch.setattr(Container, "wait_until_ready", interrupt)
    monkeypatch.setattr(Container, "close", lambda one: (closed.append(one), close(one)))
    with pytest.raises(KeyboardInterrupt):
        Program(["sleep", "99"])

    assert 1 == len(closed)
