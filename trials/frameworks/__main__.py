"""``python -m trials.frameworks``: stop the programs of docs/frameworks, and write its table."""

import argparse
import importlib.metadata
import importlib.util
import platform
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.tables import table
from testkit import pages
from trials.frameworks import trial
from trials.frameworks.catalogue import INITS, PAGES, TOO_LARGE, Stop
from trials.rehearsals.trial import FailedError

PAGE = Path("docs/frameworks/README.md")
JOBS = 2
HEADINGS = ("page", "program", "version", "signal", "pyinit", "tini", "no init")

Seen = tuple[trial.Runs, list[str]]  # the runs of a stop, and complaints about them


def main() -> None:
    """Stop the programs that the command line chooses."""
    parser = argparse.ArgumentParser(prog="make frameworks ARGS=...", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help="those with WORDS in the name")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the broker is stopped as well
    chosen = [
        (page, stop)
        for page, stops in PAGES.items()
        for stop in stops
        if words.only in f"{page}: {stop.case.name}"
    ]
    needed = {stop.package for _, stop in chosen}.intersection(TOO_LARGE)
    missing = [name for name in sorted(needed) if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"make frameworks: {', '.join(missing)} is not installed, since it is large; run "
            f"{sys.executable} -m pip install {' '.join(missing)}, or choose others with --only"
        )
    with trial.broker(), ThreadPoolExecutor(JOBS) as pool:
        seen = list(pool.map(_try, [stop for _, stop in chosen]))
    rows = [_row(page, stop, runs) for (page, stop), (runs, _) in zip(chosen, seen, strict=True)]
    text = table(HEADINGS, rows)
    if words.only:
        print(text)
    else:
        pages.put(PAGE, "frameworks", f"\n{text}\nPython {platform.python_version()}.\n\n")
    wrong = [
        f"{page}: {stop.case.name}: {complaint}"
        for (page, stop), (_, complaints) in zip(chosen, seen, strict=True)
        for complaint in complaints
    ]
    if wrong:
        sys.exit("frameworks: " + "\n            ".join(wrong))


def _try(stop: Stop) -> Seen:
    try:
        runs = trial.stop(stop)
    except FailedError as error:
        return [], [str(error)]
    return runs, trial.complaints(stop, runs)


def _row(page: str, stop: Stop, runs: trial.Runs) -> list[str]:
    version = importlib.metadata.version(stop.package) if stop.package else ""
    cells = [_cell(stop, run) for run in runs] + [""] * (len(INITS) - len(runs))
    signals = {run["signal"] for run in runs}
    return [f"[{page}]({page}.md)", stop.case.name, version, *signals, *cells]


def _cell(stop: Stop, run: dict[str, object]) -> str:
    lost = stop.work and not trial.is_done(stop, run)
    code = f"code {run['code']}"
    return f"{run['verdict']}, **work lost**, {code}" if lost else f"{run['verdict']}, {code}"


if __name__ == "__main__":
    main()
