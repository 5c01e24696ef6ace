"""Run the tests, and report which lines and branches of pyinit none of them runs.

This includes the forked children, up to their exec, and the thread that writes the log.
Only Pythons of the virtual environment that runs this are traced.
"""

import shutil
import subprocess
import sys
import sysconfig
from marshal import loads
from pathlib import Path

from coverage import Coverage, CoverageData

from trials.coverage import tracer

SITE = Path(sysconfig.get_path("purelib"))
NOTES = SITE / Path(tracer.NOTES).name
PACKAGE = Path(__file__).parents[2] / "pyinit"


LEFT_OUT = (
    "--ignore=tests/test_bench.py",  # what pyinit costs
    "--ignore=tests/test_docs.py",  # what the pages show: as above, in parts
    "--ignore=tests/test_frameworks.py",  # what other programs do
    "--ignore=tests/test_labs.py",  # what the kernel does
    "--ignore=tests/test_peers.py",  # what other inits do
    "--ignore=tests/test_shutdown_races.py",  # the same lines, 2000 times
    "--ignore=tests/test_verdicts.py",  # what the kernel does
    # The short forms of the other trials: random input, limits, and the calls of pyinit.
    "--ignore=tests/test_chaos.py",
    "--ignore=tests/test_inputs.py",
    "--ignore=tests/test_security.py",
    "--ignore=tests/test_soak.py",
    "--ignore=tests/test_surroundings.py",
    "--deselect=tests/test_faults.py::test_faults_by_chance",
    # Tracing is so slow that a look would not be over in time; ways to escape are about the kernel.
    "--ignore=tests/test_hostile.py",
    "--ignore=tests/test_escapes.py",
    # Nothing is opened between fork and exec, except by the tracer.
    "--deselect=tests/test_imports.py::test_files_that_are_opened_before_the_fork",
    # What may be written at the end depends on time, and tracing takes time.
    "--deselect=tests/test_logs.py::test_what_was_dropped_is_counted_and_told",
    # A traced thread cannot write as fast as these come.
    "--deselect=tests/test_reaping.py::test_twenty_thousand_orphans_leave_no_zombie",
    # Tracing needs memory at every line, also where this test leaves none.
    "--deselect=tests/test_faults.py::test_want_of_memory_right_after_the_fork_silences_nobody",
    "--deselect=tests/test_reaping.py::test_status_is_not_lost_for_want_of_memory",
    # No file may grow, not even the file of the tracer.
    "--deselect=tests/test_traps.py::test_own_sigxfsz_is_not_forwarded",
    "--deselect=tests/test_termination_log.py::test_full_disk_costs_a_warning",
)
WHOLE = 100.0  # percent


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if the tests pass and run every line and branch."""
    install()
    pytest = [f"{sysconfig.get_path('scripts')}/pytest", "-n", "3", *LEFT_OUT, *arguments]
    tested = subprocess.run(pytest, check=False).returncode
    return max(tested, int(report() < WHOLE))


def install() -> None:
    """Make every Python of this environment trace what it does in pyinit."""
    shutil.copy(tracer.__file__, SITE / "pyinit_tracer.py")
    (SITE / "pyinit_tracer.pth").write_text("import pyinit_tracer; pyinit_tracer.begin()\n")
    shutil.rmtree(NOTES, ignore_errors=True)
    NOTES.mkdir()
    NOTES.chmod(0o1777)  # some tests run pyinit as another user


def collect() -> dict[str, set[tuple[int, int]]]:
    """Return the arcs of all runs, by source file of this tree."""
    arcs: dict[str, set[tuple[int, int]]] = {}
    for path in NOTES.iterdir():
        try:
            noted = loads(path.read_bytes())  # noqa: S302 - the tracer wrote it
        except EOFError:  # the process that wrote it was killed
            continue
        for name, found in noted.items():
            arcs.setdefault(str(PACKAGE / name), set()).update(found)
    return arcs


def report() -> float:
    """Print the report; return the percentage of lines and branches that were run."""
    data = CoverageData(basename=str(SITE / "pyinit_arcs.coverage"))
    data.erase()
    data.add_arcs(collect())
    data.write()
    coverage = Coverage(data_file=data.data_filename(), branch=True, source=[str(PACKAGE)])
    coverage.load()
    percent: float = coverage.report(show_missing=True, precision=2)
    return percent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
