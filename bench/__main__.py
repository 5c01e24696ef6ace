"""``python -m bench``: measure pyinit and other inits, and write the figures into the docs."""

import argparse
import json
import os
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
DOCS = Path("docs")


def main() -> None:
    """Measure or load the figures, then write the pages or print."""
    words = _parser().parse_args()
    docs = words.docs or (None if words.quick or words.only else DOCS)
    try:
        if words.load:
            known = json.loads(words.load.read_text())
            figures, facts = Figures.from_json(known["figures"]), known["machine"]
        else:
            if docs and not words.loaded:
                _refuse_if_busy()
            beside = words.beside and interpreters.of_environment(words.beside)
            plan = QUICK if words.quick else FULL
            figures, facts = _measure(words.only or list(MEASUREMENTS), plan, beside)
        if words.save:
            saved = {"machine": facts, "figures": figures.to_json()}
            words.save.write_text(json.dumps(saved, indent=1))
        if docs:
            page.write(docs, figures, facts)
        else:
            print("\n".join(page.report(figures, facts).values()))
    except BenchError as error:
        sys.exit(f"bench: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    quick = "a little of everything, to see that it works; print it, write no page"
    parser.add_argument("--quick", action="store_true", help=quick)
    only = "measure only this; print it, write no page"
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help=only)
    beside = "measure with the interpreter of this environment, too; it needs pyinit"
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help=beside)
    folder = f"the folder of the pages to write into ({DOCS})"
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help=folder)
    loaded = "write the pages on a busy machine, too; they say so"
    parser.add_argument("--loaded", action="store_true", help=loaded)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all samples, as JSON")
    load = "measure nothing, read the samples from here"
    parser.add_argument("--load", type=Path, metavar="FILE", help=load)
    return parser


def _refuse_if_busy() -> None:
    load, limit = os.getloadavg()[0], machine.highest_load()
    if load > limit:
        message = (
            f"measured nothing: the load average is {load:.1f}, more than {limit:.1f}, and other "
            "work makes every time longer. Try again when the machine is idle, or add "
            "ARGS=--loaded to measure all the same and say so on the page"
        )
        raise BenchError(message)


def _measure(names: list[str], plan: Plan, beside: Interpreter | None) -> tuple[Figures, list[str]]:
    facts = machine.describe(beside)
    figures = Figures()
    load = machine.load()
    figures.add("load", "", [os.getloadavg()[0]])
    figures.add("highest load", "", [machine.highest_load()])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tools = Tools(scratch)
        tools.compile()
        bench = Bench(all_inits(scratch, beside), plan, tools, figures, scratch)
        for name in names:
            print(f"bench: {name}, after {time.monotonic() - began:.0f} s", file=sys.stderr)
            MEASUREMENTS[name](bench)
    loads = f"load averages (1, 5 and 15 minutes): {load} before, {machine.load()} after"
    return figures, [*facts, f"{loads}; measured in {time.monotonic() - began:.0f} s"]


main()
