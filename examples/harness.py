"""Run a command with a time limit and tell what became of it, as an evaluation harness has to.

Usage: harness.py SECONDS COMMAND [ARGUMENT]...
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence

LEFTOVERS = 99
# The command's stderr goes to its stdout, so that on stderr there are pyinit's JSON lines alone.
MERGED = ("sh", "-c", 'exec "$@" 2>&1', "sh")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    verdict: str  # exited, timed out, left processes behind, out of memory or killed
    code: int
    output: bytes
    messages: list[str]  # what pyinit says of it


def run(command: Sequence[str], seconds: float) -> Outcome:
    """Run a command for so many seconds at most; when this returns, nothing of it is left."""
    done = subprocess.run(
        [
            "pyinit",
            *("--timeout", str(seconds)),
            *("--kill-after", "2"),
            *("--drain", "2"),
            *("--leftovers", str(LEFTOVERS)),
            *("--log-format", "json"),
            *("-p", "TERM"),  # where the harness is killed, the command has to stop, too
            *("--", *MERGED, *command),
        ],
        check=False,
        stdin=subprocess.DEVNULL,  # or it reads what is meant for the harness
        capture_output=True,
    )
    events = [json.loads(line) for line in done.stderr.splitlines()]
    messages = [event["message"] for event in events]
    return Outcome(verdict(events), done.returncode, done.stdout, messages)


def verdict(events: list[dict[str, object]]) -> str:
    """Tell from pyinit's events, since a command may exit with 124, 137 or 99 by itself."""
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
