"""Each folder's code runs when the folder says so, and the usual start loads next to nothing."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.namespaces import UNSHARE
from testkit.processes import children, until
from testkit.programs import PYINIT, victim
from testkit.refusals import OPEN
from testkit.running import command_line

import pyinit

PACKAGE = Path(pyinit.__file__).parent
CORE, BEFORE, LATER, INSPECT, REHEARSE = range(5)  # in the order in which code runs
FOLDERS = {
    "pyinit": CORE,
    "before": BEFORE,
    "later": LATER,
    "inspect": INSPECT,
    "rehearse": REHEARSE,  # another command, that PID 1 has nothing of
}
USUAL = {"child", "init", "processes", "signals"}  # what is loaded before the fork
REST = {"lifecycle", "report", "settings", "supervisor"}  # what is loaded right after it
BESIDE = {*REST, "later", "later.outcome"}  # with what counts how often memory ran out
OPTIONS = {*REST, "before/__init__", "before/cli"}  # what options add before it
SIGNALLING = {"kill", "killpg", "pidfd_send_signal", "wait", "waitpid", "waitid", "wait3", "wait4"}
KERNEL = {"os", "posix", "signal", "_signal"}  # the modules that have these
TIMED = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
UNCOMPILED = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def imported(text: str) -> set[str]:
    """Return the modules in a report of `python -X importtime`."""
    return set(re.findall(r"^import time:.*\|\s*([\w.]+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def bare():
    """Return what the interpreter imports by itself, `site` and the builtins included."""
    command = [sys.executable, "-c", "pass"]
    text = subprocess.run(command, env=TIMED, capture_output=True, text=True, check=True).stderr
    return imported(text) | {"os"} | set(sys.builtin_module_names)


def of_pyinit(*names: str) -> set[str]:
    return {"pyinit", *(f"pyinit.{name}" for name in names)}


def test_uneventful_run_imports_pyinits_own_modules_only(start, bare, compiled):
    """As PID 1, with a signal forwarded and orphans reaped: no module but these, to the end."""
    run = start(command=[compiled("orphans"), "200"], env=TIMED)
    assert "gone" == run.line()
    assert until(lambda: 1 == len(children(run.init)))  # the last may still be dying: no drain

    assert of_pyinit(*USUAL, *BESIDE) == imported(run.stop().err) - bare


def test_off_pid1_prctl_is_added_and_no_more(run, bare):
    """Where a prctl call is needed python-prctl is loaded, and what it consists of."""
    result = run(namespace=False, env=TIMED)
    prctl = {"before", "before.prctls", "before.errors"}
    walking = {"later.descendants", "later.proc"}  # loaded after the fork, too
    expected = of_pyinit(*USUAL, *BESIDE, *prctl, *walking) | {"prctl", "_prctl"}

    assert expected == imported(result.err) - bare


@pytest.fixture
def traced(tmp_path):
    """Run pyinit as PID 1 under strace; return what init and what the child called, in order."""

    def run_traced(options) -> tuple[list[str], list[str]]:
        calls = f"trace={OPEN},rt_sigprocmask,clone,clone3,fork,vfork,execve"
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


def opened(calls: list[str]) -> set[str]:
    """Return the modules of pyinit's whose files were opened."""
    found = re.findall(
        r"/site-packages/pyinit/((?:[a-z]+/)?)(?:__pycache__/)?(\w+)\.", "\n".join(calls)
    )
    return {f"{folder}{name}" for folder, name in found} - {"__init__"}


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ([], set()),
        (["-vv"], OPTIONS),
        (["-d", "10", "-g", "-k", "9"], OPTIONS),
        (["-r", "USR1:USR2"], {*OPTIONS, "before/names"}),
    ],
    ids=["none", "-vv", "-d-g-k", "-r"],
)
def test_files_that_are_opened_before_the_fork(traced, options, added):
    """What the usual start needs, and what an option asks for; none between fork and exec."""
    init, child = traced(options)
    fork = next(n for n, line in enumerate(init) if re.match(r"clone3?\(|v?fork\(", line))

    assert USUAL | added == opened(init[:fork])
    assert "structlog" not in "\n".join(init[:fork])
    assert ("-vv" in options) == ("later/writer" in opened(init[fork:]))
    assert [] == [line for line in child if line.startswith("open")]


def test_lazy_imports_are_for_the_workload(traced, monkeypatch):
    """Where the environment asks Python 3.15 for them, as much is loaded as early as ever."""
    monkeypatch.setenv("PYTHON_LAZY_IMPORTS", "all")
    init, _ = traced([])
    fork = next(n for n, line in enumerate(init) if re.match(r"clone3?\(|v?fork\(", line))

    assert USUAL == opened(init[:fork])


def test_signals_are_blocked_before_anything_is_imported(traced):
    """The first statement that runs blocks every signal: no module is opened before it."""
    init, _ = traced([])
    opened = next(n for n, line in enumerate(init) if re.match(r"open(at)?\(.*/pyinit/__", line))
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
        name
        for name in imported(result.err)
        if name.startswith(("structlog", "pyinit.later.writer", "pyinit.later.lines"))
    }


UNUSED = ("asyncio", "better_exceptions", "colorama", "greenlet", "rich", "twisted", "zope")


def test_log_leaves_out_what_structlog_would_load(tmp_path):
    """What structlog loads if it is there, and pyinit does not use, stays out of PID 1."""
    for name in {*UNUSED} - {"asyncio", "colorama"}:  # structlog needs that to be whole
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    lines = "import sys\n{}\nprint(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def loaded(import_it):
        code = lines.format(import_it)
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
        return {name.partition(".")[0] for name in done.stdout.split()}

    assert {"asyncio", "rich"} <= loaded("import structlog")
    assert not {*UNUSED} & loaded("import pyinit.later.lines")


@pytest.mark.parametrize(
    "how",
    [[PYINIT], [sys.executable, "-m", "pyinit"], [sys.executable, "-P", "-m", "pyinit"]],
    ids=["script", "module", "module-safe-path"],
)
def test_every_way_to_start_does_the_same(how):
    """`python -m pyinit` runs a command as the installed script does."""
    done = subprocess.run([*how, "--", "sh", "-c", "exit 8"], check=False)

    assert 8 == done.returncode


def change_the_source(folder):
    with (folder / "child.py").open("a") as source:
        source.write("CHANGED = 1\n")


def remove_the_bytecode(folder):
    compiled_file(folder).unlink()


def take_another_magic_number(folder):
    path = compiled_file(folder)
    path.write_bytes(b"1234" + path.read_bytes()[4:])


def compiled_file(folder: Path) -> Path:
    return folder / "__pycache__" / f"child.{sys.implementation.cache_tag}.pyc"


@pytest.mark.parametrize(
    "spoil",
    [change_the_source, remove_the_bytecode, take_another_magic_number],
    ids=lambda spoil: spoil.__name__,
)
def test_bytecode_that_does_not_fit_is_not_needed(tmp_path, spoil):
    """A module whose bytecode is old, missing or of another Python runs from its source."""
    shutil.copytree(PACKAGE, tmp_path / "pyinit")
    spoil(tmp_path / "pyinit")
    begin = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pyinit import signals;"
    begin += "mask = signals.block_all(); from pyinit import child, init;"
    begin += "print(child.__file__, flush=True); init.main(mask)"
    command = [sys.executable, "-I", "-c", begin, str(tmp_path), "--", "sh", "-c", "exit 3"]
    done = subprocess.run(
        [*UNSHARE, *command], env=UNCOMPILED, check=False, capture_output=True, text=True
    )

    assert (3, f"{tmp_path}/pyinit/child.py\n", "") == (done.returncode, done.stdout, done.stderr)


def sources() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules, by their full names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = ast.parse(path.read_text())
    return found


SOURCES = sources()


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(tree: ast.AST, *, lazy: bool) -> set[str]:
    """Return the modules that a tree imports, in functions as well or at its top alone."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else node.module for name in names}
        elif is_for_types(node):
            for other in node.orelse:
                found |= imports(ast.Module([other], []), lazy=lazy)
        elif lazy or not isinstance(node, ast.FunctionDef):
            found |= imports(node, lazy=lazy)
    return found


def phase(module: str) -> int:
    """Return when a module of pyinit's may run at the earliest."""
    parts = module.split(".")
    return FOLDERS[parts[1] if len(parts) > 1 and parts[1] in FOLDERS else parts[0]]


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_is_imported_that_runs_later(module):
    """At the top of a file stands only what runs no later than itself."""
    own = {name for name in imports(SOURCES[module], lazy=False) if name in SOURCES}

    assert [] == [name for name in sorted(own) if phase(name) > phase(module)]


@pytest.mark.parametrize("module", [name for name in SOURCES if phase(name) == CORE])
def test_what_runs_first_imports_builtins_only(module):
    """Nothing that would have to be searched for is imported before the child runs."""
    foreign = imports(SOURCES[module], lazy=False) - set(SOURCES)

    assert set() == foreign - set(sys.builtin_module_names)


def test_pid1_has_nothing_of_another_command():
    """What is not of the rehearsal imports nothing of it, in functions included."""
    users = {
        name
        for name, tree in SOURCES.items()
        for other in imports(tree, lazy=True)
        if other in SOURCES and phase(other) == REHEARSE
    }

    assert len(users) > 1
    assert {REHEARSE} == {phase(name) for name in users}


def test_no_circle_of_imports():
    """Imports in functions included, each module can be taken away with those that import it."""
    left = {
        name: {other for other in imports(tree, lazy=True) if other in SOURCES} - {"pyinit", name}
        for name, tree in SOURCES.items()
    }
    while leaves := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in leaves}

    assert {} == left


def signals_or_reaps(tree: ast.AST) -> bool:
    """Tell whether a tree takes such a function from a module that has it, by whatever name."""
    nodes = list(ast.walk(tree))
    known = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in KERNEL
    }
    taken = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module in KERNEL
        for alias in node.names
    }
    named = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in known
    }
    return bool((taken | named) & SIGNALLING)


def test_one_file_signals_and_reaps():
    """No other file than `processes` has what does either, called there or only named.

    Another command may: it is PID 1 of nothing.
    """
    assert ["pyinit.processes"] == [
        name for name, tree in SOURCES.items() if phase(name) != REHEARSE and signals_or_reaps(tree)
    ]


def test_what_runs_before_the_child_is_nine_files_at_most():
    """A file more is a decision."""
    core = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}

    assert len(core) <= 9


@pytest.mark.parametrize("proc", [True, False], ids=["proc", "no-proc"])
def test_what_the_launcher_begins_is_called_pyinit(proc):
    """It takes its name from no file, so it is called pyinit where /proc lets it."""
    begin = "import _signal as s; s.pthread_sigmask(s.SIG_BLOCK, s.valid_signals());"
    begin += "from pyinit import init; init.begin(set())"
    name = ["sh", "-c", "cat /proc/$PPID/comm || echo"]
    hide = [] if proc else ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "-"]
    command = [*UNSHARE, *hide, sys.executable, "-I", "-c", begin, "--", *name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert ("pyinit\n" if proc else "\n") == done.stdout
