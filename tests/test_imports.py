"""The hot path imports nothing, and what is cold stays out until it is needed."""

import os
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.namespaces import UNSHARE
from testkit.processes import children, until
from testkit.programs import PYINIT, victim
from testkit.running import command_line

from pyinit import quick

BY_IMPORTLIB = {"pyinit", "pyinit.quick"}
HOT = {*BY_IMPORTLIB, *(f"pyinit.{name}" for name in quick.HOT)}
AFTER_FORK = {"pyinit.cgroup"}
TIMED = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}


def imported(text: str) -> set[str]:
    """Return the modules in a report of `python -X importtime`."""
    return set(re.findall(r"^import time:.*\|\s*([\w.]+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def bare():
    """Return what the interpreter imports by itself, `site` and the builtins included."""
    command = [sys.executable, "-c", "pass"]
    text = subprocess.run(command, env=TIMED, capture_output=True, text=True, check=True).stderr
    return imported(text) | {"os"} | set(sys.builtin_module_names)


def test_uneventful_run_imports_pyinits_own_modules_only(start, bare, compiled):
    """As PID 1, with a signal forwarded and orphans reaped: no module but these, to the end."""
    run = start(command=[compiled("orphans"), "200"], env=TIMED)
    assert "gone" == run.line()
    assert until(lambda: 1 == len(children(run.init)))  # the last may still be dying: no drain

    assert BY_IMPORTLIB | AFTER_FORK == imported(run.stop().err) - bare


def test_off_pid1_prctl_is_added_and_no_more(run, bare):
    """Where a prctl call is needed python-prctl is loaded, and what it consists of."""
    result = run(namespace=False, env=TIMED)

    prctl = {"pyinit.kernel", "prctl", "_prctl"}
    walking = {"pyinit.descendants", "pyinit.procfs"}  # loaded after the fork, too

    assert BY_IMPORTLIB | AFTER_FORK | prctl | walking == imported(result.err) - bare


@pytest.fixture
def traced(tmp_path):
    """Run pyinit as PID 1 under strace; return what init and what the child called, in order."""

    def run_traced(options) -> tuple[list[str], list[str]]:
        calls = "trace=openat,rt_sigprocmask,clone,clone3,fork,vfork,execve"
        strace = ["strace", "-ff", "-qq", "-o", str(tmp_path / "calls"), "-e", calls]
        command = [*strace, *command_line(options, ["/bin/true"])]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        logs = [path.read_text().splitlines() for path in tmp_path.glob("calls.*")]
        return from_exec(logs, PYINIT), up_to_exec(logs, "/bin/true")

    return run_traced


def from_exec(logs: list[list[str]], program: str) -> list[str]:
    """Return what the process that became the program called from then on."""
    ((log, begin),) = (
        (log, number)
        for log in logs
        for number, line in enumerate(log)
        if line.startswith(f'execve("{program}"')
    )
    return log[begin:]


def up_to_exec(logs: list[list[str]], program: str) -> list[str]:
    """Return what the process that became the program called until then."""
    (log,) = (log for log in logs if any(line.startswith(f'execve("{program}"') for line in log))
    return log[: next(n for n, line in enumerate(log) if line.startswith("execve("))]


def test_verbose_run_loads_its_log_after_the_child_is_forked(traced):
    """With -vv, too, only the hot modules are opened before the fork, none between it and exec."""
    init, child = traced(["-vv"])
    fork = next(n for n, line in enumerate(init) if re.match(r"clone3?\(|v?fork\(", line))
    before, after = "\n".join(init[:fork]), "\n".join(init[fork:])
    opened = set(re.findall(r"/pyinit/(?:__pycache__/)?(\w+)\.", before))

    assert {name.removeprefix("pyinit.") for name in HOT - {"pyinit"}} == opened - {"__init__"}
    assert "structlog" not in before
    assert "/pyinit/__pycache__/log." in after
    assert [] == [line for line in child if line.startswith("openat(")]


def test_signals_are_blocked_before_anything_is_imported(traced):
    """The first statement that runs blocks every signal: no module is opened before it."""
    init, _ = traced([])
    opened = next(n for n, line in enumerate(init) if re.match(r"openat\(.*/pyinit/__", line))
    blocked = next(
        n for n, line in enumerate(init) if re.match(r"rt_sigprocmask\(SIG_BLOCK, ~", line)
    )

    assert blocked < opened


def test_default_verbosity_loads_no_log_for_forwards(start):
    """A forwarded signal is no event at the default verbosity, so structlog stays out."""
    run = start(command=victim("listener", 3), env=TIMED)
    run.ready()
    result = run.stop()

    assert 3 == result.code
    assert not {
        name for name in imported(result.err) if name.startswith(("structlog", "pyinit.log"))
    }


@pytest.mark.parametrize(
    "how",
    [[PYINIT], [sys.executable, "-m", "pyinit"], [sys.executable, "-P", "-m", "pyinit"]],
    ids=["script", "module", "module-safe-path"],
)
def test_every_way_to_start_does_the_same(how):
    """`python -m pyinit` runs a command as the installed script does."""
    done = subprocess.run([*how, "--", "sh", "-c", "exit 8"], check=False)

    assert 8 == done.returncode


def test_list_of_hot_modules_is_short():
    """What is on it is loaded before the child runs: a module more is a decision."""
    names = "settings signals terminal child reaping everyone ending telling lifecycle report"

    assert (*names.split(), "supervise", "start", "cli") == quick.HOT


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package, and what starts it as the installed command would."""
    copied = tmp_path / "pyinit"
    shutil.copytree(Path(quick.__file__).parent, copied)
    start = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from pyinit import quick, signals;"
        "mask = signals.block_all(); del sys.modules['pyinit.signals']; quick.load_hot();"
        "from pyinit import child, cli; print(getattr(child, '__spec__', None) is None);"
        "print(cli.__file__, flush=True); cli.main(mask)"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYINIT_VERBOSITY": "0"}

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-I", "-c", start, str(tmp_path), *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert "" == done.stderr
        return done.returncode, done.stdout

    return copied, run


def compiled_file(package: Path, name: str) -> Path:
    (path,) = package.glob(f"__pycache__/{name}.{sys.implementation.cache_tag}.pyc")
    return path


def test_hot_modules_are_loaded_without_importlib(package):
    """They have no specification, which importlib makes, and are those of the package."""
    folder, run = package
    code, out = run("--", "sh", "-c", "exit 3")

    assert (3, f"True\n{folder}/cli.py\n") == (code, out)


def change_the_source(folder):
    with (folder / "child.py").open("a") as source:
        source.write("CHANGED = 1\n")


def remove_the_bytecode(folder):
    compiled_file(folder, "child").unlink()


def take_another_magic_number(folder):
    path = compiled_file(folder, "child")
    path.write_bytes(b"1234" + path.read_bytes()[4:])


@pytest.mark.parametrize(
    "spoil",
    [
        change_the_source,
        remove_the_bytecode,
        take_another_magic_number,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_what_does_not_fit_is_left_to_importlib(package, spoil):
    """A module whose bytecode is old, missing or of another Python is compiled from its source."""
    folder, run = package
    spoil(folder)
    code, out = run("--", "sh", "-c", "exit 3")

    assert (3, "False\n") == (code, out[: len("False\n")])


def fail_to_run(folder):
    """Leave bytecode that fits its source and raises, as if memory ran out."""
    source = folder / "child.py"
    source.write_text("raise MemoryError\n")
    py_compile.compile(str(source), str(compiled_file(folder, "child")), doraise=True)


def test_module_that_raises_is_raised_by_importlib(package):
    """Where a module cannot be run nothing is left of it, and importlib says why."""
    folder, run = package
    fail_to_run(folder)
    with pytest.raises(AssertionError, match="MemoryError"):
        run("--", "true")


@pytest.mark.parametrize("proc", [True, False], ids=["proc", "no-proc"])
def test_what_the_launcher_begins_is_called_pyinit(proc):
    """It takes its name from no file, so it is called pyinit where /proc lets it."""
    begin = "import _signal as s; s.pthread_sigmask(s.SIG_BLOCK, s.valid_signals());"
    begin += "from pyinit import quick; quick.begin(set())"
    name = ["sh", "-c", "cat /proc/$PPID/comm || echo"]
    hide = [] if proc else ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "-"]
    command = [*UNSHARE, *hide, sys.executable, "-I", "-c", begin, "--", *name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert ("pyinit\n" if proc else "\n") == done.stdout
