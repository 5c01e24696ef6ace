"""``python -m trials.escapes``: which processes outlive a time limit, under pyinit and others."""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.machine import load
from bench.tables import table
from testkit import pages
from trials.escapes.catalogue import TOOLS, WAYS, Tool, Way
from trials.escapes.trial import FailedError, Seen, Stage

PAGE = Path("docs/escapes.md")
USERS = {"root": False, "nobody": True}
SURVIVES = "**{}**"

Results = dict[tuple[str, str], list[Seen]]  # by way and tool


def main() -> None:
    """Run what the command line asks for."""
    words = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    if os.geteuid():
        sys.exit(
            "make escapes: run it as root; it tries other users, and a helper that becomes root"
        )
    ways = [way for way in WAYS if words.only in way.name]
    tools = [tool for tool in TOOLS if words.under in tool.name]
    users = [user for user in USERS if words.user in user]
    results: dict[str, Results] = {}
    with tempfile.TemporaryDirectory(prefix="escapes-") as name:
        stage = Stage(Path(name))
        for user in users:
            began = time.monotonic()
            results[user] = _try_all(stage, user, ways, tools, words)
            text = _report(results[user], ways, tools, words, time.monotonic() - began)
            if words.only or words.under:
                print(text)
            else:
                pages.put(PAGE, f"escapes as {user}", text)
    ours = [tool.name for tool in tools if tool.is_ours]
    got_away = [
        f"{way} as {user} under {tool}: {seen.names}"
        for user, found in results.items()
        for (way, tool), each in found.items()
        for seen in each
        if tool in ours and seen.survivors and not _is_told(way, seen)
    ]
    if got_away:
        sys.exit("escapes: " + "\n         ".join(got_away))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make escapes ARGS=...", description=__doc__)
    parser.add_argument("--runs", type=int, default=50, metavar="N", help="of pyinit (50)")
    parser.add_argument(
        "--others", type=int, default=3, metavar="N", help="runs of each other tool (3)"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="runs at a time (2)")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="only ways with WORD in the name"
    )
    parser.add_argument(
        "--under", default="", metavar="WORD", help="only tools with WORD in the name"
    )
    parser.add_argument(
        "--user", default="", metavar="WORD", help="only as this user: root or nobody"
    )
    return parser


def _try_all(
    stage: Stage, user: str, ways: list[Way], tools: list[Tool], words: argparse.Namespace
) -> Results:
    as_nobody = USERS[user]
    found: Results = {}
    with ThreadPoolExecutor(words.jobs) as many, ThreadPoolExecutor(1) as one:
        for way in ways:
            pool = one if way.is_storm else many
            if missing := stage.missing(way, as_nobody=as_nobody):
                print(f"{way.name} as {user}: not tried, it needs {missing}", file=sys.stderr)
                continue
            for tool in tools:
                if tool.missing():
                    continue
                runs = words.runs if tool.is_ours else words.others

                def attempt(_run: int, way: Way = way, tool: Tool = tool) -> Seen:
                    return stage.attempt(way, tool, as_nobody=as_nobody)

                try:
                    seen = list(pool.map(attempt, range(runs)))
                except FailedError as error:
                    print(f"as {user}: {error}", file=sys.stderr)
                    continue
                found[way.name, tool.name] = seen
                row = (way.name, user, tool.name, _survivors(seen), _seconds(seen))
                print(*row, sep=" | ", file=sys.stderr)
    return found


def _is_told(way: str, seen: Seen) -> bool:
    """Tell whether no tool could kill these processes, and pyinit says that they are left."""
    return way == "user" and seen.survivors == 1 and '"left": 1' in seen.told


def _survivors(seen: Iterable[Seen]) -> str:
    most = max(each.survivors for each in seen)
    return SURVIVES.format(most) if most else "0"


def _seconds(seen: Iterable[Seen]) -> str:
    times = [each.quiet for each in seen]
    known = [each for each in times if each is not None]
    if len(known) < len(times):
        return "never"
    return f"{statistics.median(known):.2f}, {max(known):.2f}"


def _report(
    found: Results, ways: list[Way], tools: list[Tool], words: argparse.Namespace, seconds: float
) -> str:
    parts = []
    there = [tool for tool in tools if not tool.missing()]
    tried = [way for way in ways if any((way.name, tool.name) in found for tool in there)]
    for heading, show in (("Survivors", _survivors), ("Seconds until quiet", _seconds)):
        rows = [
            [way.label]
            + [
                show(found[way.name, tool.name]) if (way.name, tool.name) in found else "-"
                for tool in there
            ]
            for way in tried
        ]
        parts.append(f"{heading}:\n\n{table(('', *(tool.name for tool in there)), rows)}")
    missing = [f"{tool.name}: {tool.missing()}." for tool in tools if tool.missing()]
    not_tried = f"Not tried: {' '.join(missing)}\n" if missing else ""
    return (
        "\n"
        + "\n".join(parts)
        + f"\n{words.runs} runs of pyinit and {words.others} of each other tool, "
        + f"{words.jobs} at a time, in {seconds:.0f} s; "
        + f"the load averages were {load()} at the end.\n{not_tried}\n"
    )


if __name__ == "__main__":
    main()
