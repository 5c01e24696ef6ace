"""``python -m bench``: measure, then write it down."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    forward,
    idle,
    instructions,
    interpreters,
    log,
    machine,
    memory,
    page,
    start,
    stop,
    storm,
)
from bench.bench import Bench
from bench.errors import BenchError
from bench.figures import Figures
from bench.inits import all_inits
from bench.interpreters import Interpreter
from bench.plan import FULL, QUICK, Plan
from bench.tools import Tools

MEASUREMENTS: dict[str, Callable[[Bench], None]] = {
    "start": start.measure_start,
    "blind": start.measure_blind,
    "forward": forward.measure,
    "storm": storm.measure,
    "stop": stop.measure,
    "idle": idle.measure,
    "memory": memory.measure,
    "log": log.measure,
    "instructions": instructions.measure,
}
PAGE = Path("docs/performance.md")


def main() -> None:
    """Do what the command line says."""
    words = _parser().parse_args()
    try:
        if words.load:
            known = json.loads(words.load.read_text())
            figures, facts = Figures.from_json(known["figures"]), known["machine"]
        else:
            beside = words.beside and interpreters.of_environment(words.beside)
            plan = QUICK if words.quick else FULL
            figures, facts = _measure(words.only or list(MEASUREMENTS), plan, beside)
        if words.save:
            saved = {"machine": facts, "figures": figures.to_json()}
            words.save.write_text(json.dumps(saved, indent=1))
        _publish(words, figures, facts)
    except BenchError as error:
        sys.exit(f"bench: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    quick = "little of everything, to see that it works; printed, not written into the page"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="measure only this")
    beside = "with the interpreter of this environment, too, which has pyinit"
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help=beside)
    parser.add_argument("--page", type=Path, help=f"the page to write into ({PAGE})")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep all samples, as JSON")
    parser.add_argument("--load", type=Path, metavar="FILE", help="measure nothing, take these")
    return parser


def _measure(names: list[str], plan: Plan, beside: Interpreter | None) -> tuple[Figures, list[str]]:
    facts = machine.describe(beside)
    figures = Figures()
    load = machine.load()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tools = Tools(scratch)
        tools.compile()
        bench = Bench(all_inits(scratch, beside), plan, tools, figures, scratch)
        for name in names:
            print(f"bench: {name}, after {time.monotonic() - began:.0f} s", file=sys.stderr)
            MEASUREMENTS[name](bench)
    seconds = f"{time.monotonic() - began:.0f} s"
    loads = f"in {seconds}; load averages before: {load}, after: {machine.load()}"
    return figures, [*facts, loads]


def _publish(words: argparse.Namespace, figures: Figures, facts: list[str]) -> None:
    target = words.page or (None if words.quick or words.only else PAGE)
    if target:
        page.write(target, figures, facts)
    else:
        print(page.report(figures, facts, "performance.svg"))


main()
