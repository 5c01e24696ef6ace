"""Change the code that decides what to kill, a little each time, and see if a test fails.

cosmic-ray makes the changes, one at a time, in a copy of the virtual environment, whose installed
command the tests then run. The tests run in a PID namespace of their own, because a changed
kill(-1) would kill every process that it reaches.
"""

import argparse
import ast
import difflib
import shutil
import signal
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from testkit.namespaces import UNSHARE_TIED

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 30  # at least, for a test run; a change may make it hang
TIMES = 5  # the time of the tests without any change
FAST = "not 2000 and not twenty_thousand"  # tests with many processes find no more mutants
LONGEST = 4  # lines of a change to show
DRAIN = ("test_kill_after", "test_drain", "test_rewrite")
KILLS = (
    "is_over forward _send reap _is_quiet _take _take_child _note_dead _note_child _reap_unseen "
    "_note_no_children settle take_step _note_step leave "
    "_final_code _tell_leftovers"
)
WAITS = "_live _wait _forward _reap _code_of_child"

# For each module, the tests that matter, the fastest first, and the functions; "" for all.
SUBJECTS = {
    "lifecycle": (("test_lifecycle", *DRAIN, "test_timeout"), ""),
    "processes": (
        ("test_reaping", "test_loop", "test_descendants", *DRAIN, "test_exit_codes", "test_traps"),
        "",
    ),
    "later/descendants": (("test_descendants", "test_rewrite", "test_drain", "test_subreaper"), ""),
    "supervisor": (
        ("test_loop", "test_exit_codes", *DRAIN, "test_traps", "test_leftovers", "test_timeout"),
        KILLS,
    ),
    "init": (("test_loop", "test_exit_codes", "test_forwarding", "test_reaping"), WAITS),
    "later/survivors": (("test_loop", "test_leftovers", "test_drain"), "after note"),
    "later/leftovers": (("test_leftovers",), ""),
    "before/names": (
        ("test_command_line", "test_rewrite", "test_lifecycle"),
        "number name _is_count",
    ),
}
# The operators `is` and `==` are the same for small integers, of which CPython has one each.
SAME: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Is: ast.Eq, ast.IsNot: ast.NotEq}


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    module: str
    operator: str
    line: int
    diff: str
    source: str


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if a test notices each change."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", default=list(SUBJECTS), metavar="MODULE")
    parser.add_argument("--jobs", type=int, default=2, help="at once")
    parser.add_argument("--first-only", action="store_true", help="only the fastest tests")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    wanted = parser.parse_args(arguments)
    survivors = 0
    for module in wanted.modules:
        made = list(mutants(module))
        tests = SUBJECTS[module][0][: 1 if wanted.first_only else None]
        lived = [] if wanted.list else survivors_of(module, made, tests, wanted.jobs)
        print(f"{module}: {len(made)} mutants, {len(made) - len(lived)} killed", flush=True)
        survivors += len(lived)
    return min(survivors, 1)


def mutants(module: str) -> "Iterator[Mutant]":
    """Yield every change of a module that changes its bytecode."""
    source = (package() / f"{module}.py").read_text()
    lines = lines_of(source, SUBJECTS[module][1].split())
    seen = {meaning(source), ""}
    for operator in sorted(operator_names()):
        for changed in changes(source, operator):
            line, diff = difference(source, changed)
            means = meaning(changed)
            if line in lines and means not in seen:
                seen.add(means)
                yield Mutant(module, operator.partition("/")[2], line, diff, changed)


def changes(source: str, operator: str) -> "Iterator[str]":
    """Yield the changes that one operator of cosmic-ray makes to a source."""
    kind = get_operator(operator)
    if kind.arguments():  # needs the names of variables
        return
    occurrence = 0
    while (changed := mutate_code(source, kind(), occurrence)) is not None:
        yield changed
        occurrence += 1


def lines_of(source: str, functions: list[str]) -> set[int]:
    """Return the lines of these functions; all lines if none is named."""
    if not functions:
        return set(range(1, source.count("\n") + 2))
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def difference(source: str, changed: str) -> tuple[int, str]:
    """Return the first lines that differ, and how."""
    pair = source.splitlines(), changed.splitlines()
    line = next(n for n, (a, b) in enumerate(zip(*pair, strict=False), 1) if a != b)
    compared = list(difflib.unified_diff(*pair, n=0, lineterm=""))[2:]  # without the two file names
    diff = [text for text in compared if not text.startswith("@@")]
    return line, "\n".join(diff[:LONGEST])


def meaning(source: str) -> str:
    """Return the code of a source, without what only type checkers read; "" if it has an error."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # cosmic-ray takes the star of `def f(*, a)` for an operator
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.test, node.body = ast.Constant(None), [ast.Pass()]
        elif isinstance(node, ast.Assign) and "TYPE_CHECKING" in ast.unparse(node.targets[0]):
            node.value = ast.Constant(None)
        elif isinstance(node, ast.Compare) and not _is_with_none(node):
            node.ops = [SAME.get(type(op), type(op))() for op in node.ops]
    return ast.unparse(tree)


def _is_with_none(node: ast.Compare) -> bool:
    return any(isinstance(each, ast.Constant) and each.value is None for each in node.comparators)


def survivors_of(
    module: str, made: list[Mutant], tests: tuple[str, ...], jobs: int
) -> list[Mutant]:
    """Return the mutants that no test notices."""
    free: SimpleQueue[Path] = SimpleQueue()
    source = (package() / f"{module}.py").read_text()
    begin = monotonic()
    if fails(copied(0), Mutant(module, "none", 0, "", source), tests, 600):
        msg = f"{module}: the tests fail without any change"
        raise SystemExit(msg)
    seconds = max(SECONDS, TIMES * (monotonic() - begin))
    for number in range(jobs):
        free.put(copied(number))

    def is_noticed(mutant: Mutant) -> bool:
        place = free.get()
        noticed = fails(place, mutant, tests, seconds)
        free.put(place)
        if not noticed:
            print(f"{module}:{mutant.line}: {mutant.operator}\n{mutant.diff}", flush=True)
        return noticed

    with ThreadPoolExecutor(jobs) as pool:
        noticed = list(pool.map(is_noticed, made))
    return [mutant for mutant, seen in zip(made, noticed, strict=True) if not seen]


def package() -> Path:
    """Return where pyinit is installed."""
    return Path(sysconfig.get_path("purelib"), "pyinit")


def copied(number: int) -> Path:
    """Return a copy of the virtual environment, with commands that run the copy."""
    place = Path(f"{sys.prefix}-{number}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sys.prefix, place, symlinks=True)
    for name in ("pyinit", "pytest", "pyinit-launcher"):
        path = place / "bin" / name
        path.write_text(path.read_text().replace(f"#!{sys.prefix}/", f"#!{place}/"))
    return place


def fails(place: Path, mutant: Mutant, tests: tuple[str, ...], seconds: float) -> bool:
    """Tell whether a test fails, or does not finish, if a module is changed."""
    path = place / package().relative_to(sys.prefix) / f"{mutant.module}.py"
    original = path.read_text()
    path.write_text(mutant.source)
    files = [f"tests/{name}.py" for name in tests]
    # Without exec: kill(-1) would not reach pytest if that were PID 1.
    script = f'{place}/bin/pytest -x -q -p no:randomly -k "{FAST}" "$@"; exit $?'
    process = subprocess.Popen(
        [*UNSHARE_TIED, "sh", "-c", script, "sh", *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # kill(0) reaches a process group beyond the namespace
    )
    try:
        return process.wait(seconds) != 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    finally:
        path.write_text(original)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
