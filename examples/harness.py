"""Run a command with a time limit and report how it ended, as an evaluation harness does.

Usage: harness.py SECONDS COMMAND [ARGUMENT]...
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence

LEFTOVERS = 99
# The command's stderr goes to its stdout, so that stderr has only the JSON lines of pyinit.
MERGED = ("sh", "-c", 'exec "$@" 2>&1', "sh")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    verdict: str  # exited, timed out, left processes behind, out of memory or killed
    code: int
    output: bytes
    messages: list[str]  # what pyinit says about it


def run(command: Sequence[str], seconds: float) -> Outcome:
    """Run a command for at most so many seconds; when this returns, no process of it is left."""
    done = subprocess.run(
        [
            "pyinit",
            *("--timeout", str(seconds)),
            *("--kill-after", "2"),
            *("--drain", "2"),
            *("--leftovers", str(LEFTOVERS)),
            *("--log-format", "json"),
            *("-p", "TERM"),  # if the harness is killed, stop the command as well
            *("--", *MERGED, *command),
        ],
        check=False,
        stdin=subprocess.DEVNULL,  # otherwise it would read the harness's input
        capture_output=True,
    )
    events = [json.loads(line) for line in done.stderr.splitlines()]
    messages = [event["message"] for event in events]
    return Outcome(verdict(events), done.returncode, done.stdout, messages)


def verdict(events: list[dict[str, object]]) -> str:
    """Return how it ended, from pyinit's events: a command may exit with 124 or 137 by itself."""
    by_name = {event["event"]: event for event in events}
    ended = by_name.get("child_exited", {})
    if "timed_out" in by_name:
        return "timed out"
    if "leftovers" in by_name:
        return "left processes behind"
    if "oom_kills" in ended:
        return "out of memory"
    return "killed" if "signal" in ended else "exited"


if __name__ == "__main__":
    outcome = run(sys.argv[2:], float(sys.argv[1]))
    print(f"{outcome.verdict}, code {outcome.code}, {len(outcome.output)} bytes")
    for message in outcome.messages:
        print(f"  {message}")
