"""Judge the log of pyinit."""

import json
import re
import signal
from collections.abc import Iterator

from trials.chaos import leavings
from trials.chaos.events import (
    DOCUMENTED, LOUD, TROUBLE, Event, fate_code, form, named, number,
)  # fmt: skip
from trials.chaos.expected import KILLED, TOO_LATE, may_be_late, possible_codes
from trials.chaos.plan import INFO, REQUESTS, WARNING
from trials.chaos.seen import RUNNER, Seen

CONSOLE = re.compile(r"\d\d:\d\d:\d\d \[(?P<level>error|warning|info|debug) *\] (?P<name>\w*)")
# Parts of the sentences of TROUBLE.
TROUBLED = re.compile("pyinit could not|cannot be loaded|(is|are) missing here:|memory ran out")
STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}  # these stop nothing during a drain


def failures(seen: Seen) -> Iterator[str]:
    """Yield what is wrong with the log."""
    wishes = seen.plan.wishes
    if wishes.style == "console":
        yield from console(seen)
        return
    try:
        events = [json.loads(line) for line in seen.stderr.splitlines()]
    except ValueError as error:
        yield f"not JSON: {error}: {seen.stderr!r}"
        return
    wrong = [failure for event in events for failure in form(event, wishes.verbosity)]
    if wrong:
        yield from wrong
        return
    if seen.is_cut_short:
        return
    for judge in (beginning, ending, limits, forwards, *leavings.CHECKS):
        yield from judge(seen, events)


def console(seen: Seen) -> Iterator[str]:
    """Each line is an event, or is indented: a stack below one."""
    for line in seen.stderr.splitlines():
        if not line.startswith("  ") and not is_awaited(line):
            yield f"not an expected event: {line!r}"


def is_awaited(line: str) -> bool:
    """Tell whether a line of the console is an event, or a sentence that is no trouble."""
    found = CONSOLE.match(line)
    if found is None:
        return False
    if found["level"] in LOUD:
        return found["level"] == "warning" and not TROUBLED.search(line)
    return found["name"] in set(DOCUMENTED) - TROUBLE


def beginning(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The first event after those of the set-up is the start of the child."""
    if seen.plan.wishes.verbosity < INFO:
        return
    if seen.plan.namespace == bool(named(events, "not_pid1")):
        yield f"logged not_pid1: {named(events, 'not_pid1')}"
    later = [each for each in events if each["event"] not in {"not_pid1", "subreaper_needless"}]
    first = [event["pid"] for event in later[:1] if event["event"] == "child_started"]
    if first != [seen.pids.get(0)] or len(named(later, "child_started")) != 1:
        yield f"expected the start of {seen.pids.get(0)} once and first, seen {later}"


def ending(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The end of the child is logged once, with how it ended."""
    ended = named(events, "child_exited")
    codes = {fate_code(event) for event in ended}
    if len(ended) != 1 and (ended or seen.plan.wishes.verbosity >= INFO):
        yield f"expected one child_exited, seen {ended}"
    if not codes <= set(possible_codes(seen)):
        yield f"expected a child that ended with {set(possible_codes(seen))}, seen {ended}"
    if any(event["pid"] != seen.pids.get(0) for event in ended):
        yield f"expected the end of {seen.pids.get(0)}, seen {ended}"
    expired = named(events, "kill_after_expired")
    killed = (not seen.end or seen.end.b == signal.SIGKILL) and codes == {KILLED}
    if killed and not seen.end and not expired and seen.plan.wishes.verbosity >= WARNING:
        yield "killed without kill_after_expired"
    if expired and (len(expired) > 1 or not seen.plan.wishes.kill_after):
        yield f"logged a time of -k that was not over: {expired}"


def limits(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The end of the time of -t, the steps of -k and the leftovers are logged if there are any."""
    wishes, late, left = seen.plan.wishes, named(events, "timed_out"), named(events, "leftovers")
    steps = [number(str(event["signal"])) for event in named(events, "stop_escalated")]
    if steps != [signum for signum, _ in wishes.ladder[1:]][: len(steps)]:
        yield f"expected the steps of {wishes.ladder}, seen {steps}"
    if len(late) > 1 or (late and not may_be_late(seen)):
        yield f"logged a time of -t that was not over: {late}"
    if wishes.verbosity < WARNING:
        return
    if left and (not wishes.leftovers or left[0]["code"] != seen.code):
        yield f"logged leftovers, but exited with {seen.code}: {left}"
    if late and not left and seen.code not in {TOO_LATE, KILLED, 0}:
        yield f"late, but exited with {seen.code}"
    usual = set(possible_codes(seen))
    if not late and not left and seen.code not in {0, *usual}:
        yield f"nothing is logged about why the code is {seen.code}"


def forwards(seen: Seen, events: list[Event]) -> Iterator[str]:
    """A signal that is logged was sent, no more often than that, and went where it should."""
    told = named(events, "signal_forwarded", "signal_dropped")
    sent = [line.a for line in seen.told("K")]
    got = [number(str(event["signal"])) for event in told]
    for signum in set(got):
        if got.count(signum) > sent.count(signum):
            yield f"signal {signum} was sent {sent.count(signum)} times, logged {got.count(signum)}"
    if seen.plan.one_by_one and seen.plan.wishes.verbosity >= INFO:
        yield from (f"nothing is logged about signal {lost}" for lost in unseen(seen) - set(got))
    after = False
    for event in events:
        after |= event["event"] == "child_exited"
        if event in told:
            yield from forward(seen, event, after=after)


def unseen(seen: Seen) -> set[int]:
    """Return the signals that pyinit must have logged: those that the root had to see."""
    wishes, rewrite = seen.plan.wishes, seen.plan.wishes.rewrite
    # A signal that pyinit sends by itself does not prove that one came in.
    own = {signum for signum, _ in wishes.ladder}
    own |= {seen.plan.quit, int(signal.SIGCONT)} if wishes.ladder or wishes.timeout else set()
    took = {line.a for line in seen.told("S") if line.node == 0} - own
    return {
        line.a
        for line in seen.told("K")
        if line.node == RUNNER
        and line.a in seen.plan.signals
        and rewrite.get(line.a, line.a) == line.a in took
    }


def forward(seen: Seen, event: Event, *, after: bool) -> Iterator[str]:
    """One signal went where it should."""
    wishes, signum = seen.plan.wishes, number(str(event["signal"]))
    sends = wishes.rewrite.get(signum, signum)
    everyone = "every process" if seen.plan.namespace else "every descendant"
    aim = f"process group {seen.pids.get(0)}" if wishes.group else f"process {seen.pids.get(0)}"
    is_dropped = event["event"] == "signal_dropped"
    if is_dropped != (not sends or (after and sends in STOPPING)):
        yield f"{'' if is_dropped else 'not '}dropped: {event}"
    if is_dropped:
        return
    if event["target"] != (everyone if after or wishes.everyone else aim):
        yield f"expected the target {everyone if after or wishes.everyone else aim}: {event}"
    steps = {wishes.first_step} if wishes.first_step and signum in REQUESTS else set()
    if (number(str(event["sent"])) if "sent" in event else signum) not in {sends, *steps}:
        yield f"expected to be forwarded as {sends}: {event}"
    pids = {line.pid for line in seen.told("K") if line.a == signum and line.node != RUNNER}
    runners = any(line.a == signum and line.node == RUNNER for line in seen.told("K"))
    if event["sender_pid"] not in pids and not runners:
        yield f"expected to be sent by one of {pids}: {event}"
