"""Judge what pyinit tells of a run."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from trials.chaos import check
from trials.chaos.plan import AT_ONCE, DEBUG, INFO, WARNING, CLINGING
from trials.chaos.seen import RUNNER, Seen
from trials.chaos.tree import DIES, EXECS_SLEEP, IGNORES

Event = dict[str, object]
PAGE = Path(__file__).parents[2] / "docs" / "events.md"
COMMON = {"timestamp", "level", "logger", "event"}
# By how a process ended, what was rewritten, what memory there was.
OPTIONAL = {"code", "signal", "core_dumped", "oom_kills", "reason", "sent"}
TROUBLE = {
    "exec_failed",
    "forward_refused",
    "kill_refused",
    "nothing_to_drain",
    "subreaper_refused",
    "events_dropped",
    "structlog_unavailable",
    "internal_error",
}
LEVELS = ("error", "warning", "info", "debug")


def documented() -> dict[str, set[str]]:
    """Return the keys of each event, as docs/events.md has them."""
    sections = re.split(r"^###? ", PAGE.read_text(), flags=re.MULTILINE)
    keys = {
        section.split("\n")[0]: set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
        for section in sections
    }
    keys["forward_refused"] |= keys["signal_forwarded"]
    keys["signal_dropped"] = keys["signal_forwarded"] - {"sent", "target"}
    return keys


DOCUMENTED = documented()


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
    yield from (failure for event in events for failure in form(event, wishes.verbosity))
    if any(event.get("event") in TROUBLE for event in events):
        return
    for judge in (beginning, ending, forwards, drain, survivors, orphans, nobody_lost):
        yield from judge(seen, events)


def console(seen: Seen) -> Iterator[str]:
    """Each line tells of an event."""
    for line in seen.stderr.splitlines():
        words = set(re.findall(r"\w+", line))
        if not words & set(DOCUMENTED) or words & TROUBLE:
            yield f"not an event that was to come: {line!r}"


def form(event: Event, verbosity: int) -> Iterator[str]:
    """The keys are those of the page, the level is wanted, and nothing went wrong."""
    name = str(event.get("event"))
    wanted = DOCUMENTED.get(name, set()) | COMMON
    if not wanted - OPTIONAL <= set(event) <= wanted:
        yield f"keys of {event}, expected {sorted(wanted)}"
    elif LEVELS.index(str(event["level"])) > verbosity:
        yield f"told at verbosity {verbosity}: {event}"
    if name in TROUBLE:
        yield f"trouble: {event}"


def named(events: list[Event], *names: str) -> list[Event]:
    """Return the events of these names."""
    return [event for event in events if event["event"] in names]


def beginning(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The first event but those of the set-up is the child's start."""
    if seen.plan.wishes.verbosity < INFO:
        return
    if seen.plan.namespace == bool(named(events, "not_pid1")):
        yield f"told of not_pid1: {named(events, 'not_pid1')}"
    later = [each for each in events if each["event"] not in {"not_pid1", "subreaper_needless"}]
    pids = [event["pid"] for event in named(later, "child_started")]
    if pids != [seen.pids.get(0)] or later[0]["event"] != "child_started":
        yield f"expected the start of {seen.pids.get(0)} once and first, seen {pids} and {later[:1]}"


def ending(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The end of the child is told once, with how it ended."""
    ended = named(events, "child_exited")
    codes = {fate_code(event) for event in ended}
    if len(ended) != 1 and (ended or seen.plan.wishes.verbosity >= INFO):
        yield f"expected one child_exited, seen {ended}"
    if not codes <= set(check.possible_codes(seen)):
        yield f"expected a child that ended with {set(check.possible_codes(seen))}, seen {ended}"
    if any(event["pid"] != seen.pids.get(0) for event in ended):
        yield f"expected the end of {seen.pids.get(0)}, seen {ended}"
    expired = named(events, "kill_after_expired")
    killed = (not seen.end or seen.end.b == signal.SIGKILL) and codes == {check.KILLED}
    if killed and not seen.end and not expired and seen.plan.wishes.verbosity >= WARNING:
        yield "killed without kill_after_expired"
    if expired and (len(expired) > 1 or not seen.plan.wishes.kill_after):
        yield f"told of patience that nobody lost: {expired}"


def fate_code(event: Event) -> int:
    """Return the code of how a process ended."""
    if "signal" in event:
        return 128 + number(str(event["signal"]))
    return int(str(event["code"]))


def number(name: str) -> int:
    """Return the number of a signal's name."""
    base, _, distance = name.partition("+")
    if name.startswith("signal "):
        return int(name[7:])
    return int(getattr(signal, base)) + int(distance or 0)


def forwards(seen: Seen, events: list[Event]) -> Iterator[str]:
    """What is told was sent, no more often than that, and went where the options have it."""
    told = named(events, "signal_forwarded", "signal_dropped")
    sent = [line.a for line in seen.told("K")]
    got = [number(str(event["signal"])) for event in told]
    for signum in set(got):
        if got.count(signum) > sent.count(signum):
            yield f"signal {signum} was sent {sent.count(signum)} times, told {got.count(signum)}"
    if seen.plan.one_by_one and seen.plan.wishes.verbosity >= INFO:
        yield from (f"nothing is told of signal {lost}" for lost in unseen(seen) - set(got))
    after = False
    for event in events:
        after |= event["event"] == "child_exited"
        if event in told:
            yield from forward(seen, event, after=after)


def unseen(seen: Seen) -> set[int]:
    """Return the signals that pyinit must have told of: those that the root had to see."""
    rewrite = seen.plan.wishes.rewrite
    took = {line.a for line in seen.told("S") if line.node == 0}
    return {
        line.a
        for line in seen.told("K")
        if line.node == RUNNER
        and line.a in seen.plan.signals
        and rewrite.get(line.a, line.a) == line.a in took
    }


def forward(seen: Seen, event: Event, *, after: bool) -> Iterator[str]:
    """One signal went where it was to go."""
    wishes, signum = seen.plan.wishes, number(str(event["signal"]))
    sends = wishes.rewrite.get(signum, signum)
    everyone = "every process" if seen.plan.namespace else "every descendant"
    aim = f"process group {seen.pids.get(0)}" if wishes.group else f"process {seen.pids.get(0)}"
    if event["event"] == "signal_dropped":
        if sends:
            yield f"dropped: {event}"
        return
    if event["target"] != (everyone if after or wishes.everyone else aim):
        yield f"expected to go to {everyone if after or wishes.everyone else aim}: {event}"
    if (number(str(event["sent"])) if "sent" in event else signum) != sends:
        yield f"expected to be forwarded as {sends}: {event}"
    pids = {line.pid for line in seen.told("K") if line.a == signum and line.node != RUNNER}
    runners = any(line.a == signum and line.node == RUNNER for line in seen.told("K"))
    if event["sender_pid"] not in pids and not runners:
        yield f"expected to be sent by one of {pids}: {event}"


def drain(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The figures of the drain are those of the tree."""
    if seen.plan.wishes.verbosity < INFO:
        return
    started, finished = named(events, "drain_started"), named(events, "drain_finished")
    there = stayed(seen)
    if seen.plan.kind == AT_ONCE:
        if started or finished or named(events, "drain_survivor"):
            yield f"a drain in spite of -d 0: {started}"
        return
    if len(started) != len(finished) or len(started) > 1 or (there and not started):
        yield f"expected {len(there)} to be drained, seen {started} and {finished}"
    if not started or not finished:
        return
    begin, end = started[0], finished[0]
    counts = [int(str(count)) for count in (begin["remaining"], end["finished"], end["killed"])]
    if not len(there) <= counts[0] <= seen.processes:
        yield f"expected {len(there)} to {seen.processes} to remain, seen {begin}"
    if end["left"] or counts[1] + counts[2] < counts[0]:
        yield f"the figures do not add up: {begin}, {end}"
    pids = {event["pid"] for event in named(events, "drain_survivor")}
    if counts[2] != len(pids):
        yield f"{len(pids)} survivors were named: {end}"
    if counts[2] and float(str(end["seconds"])) < seen.plan.wishes.drain:
        yield f"killed before it was time: {end}"


def stayed(seen: Seen) -> set[int]:
    """Return the nodes that were there for sure when the drain began."""
    wishes = seen.plan.wishes
    gone = {line.node for line in seen.told("G")}
    return {
        node
        for node in check.remaining(seen)
        if seen.plan.everybody[node].clings and node not in gone
        # Not all that a forward reached, too, have gone by then, but they may have.
        and not (wishes.everyone or wishes.group)
    }


def survivors(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Those are killed that would not go, all of them, and nobody else."""
    told = named(events, "drain_survivor")
    pids = [event["pid"] for event in told]
    gone = {line.pid: line for line in seen.told("G")}
    if len(pids) != len(set(pids)):
        yield f"named twice: {told}"
    if seen.plan.kind == AT_ONCE:
        return
    for event in told:
        if event["pid"] in gone and seen.plan.kind == CLINGING:
            yield f"killed, and had gone by itself: {event}"
        if float(str(event["seconds"])) < seen.plan.wishes.drain:
            yield f"killed before it was time: {event}"
    if seen.plan.wishes.verbosity >= WARNING:
        missing = [node for node in stayed(seen) if seen.pids[node] not in pids]
        if missing:
            yield f"killed and not named: nodes {missing}"
    if told and not seen.plan.may_cling and seen.plan.wishes.drain > check.SLACK:
        yield f"nobody clings, and yet: {told}"


def orphans(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Each orphan is told once, with how it ended."""
    told = named(events, "orphan_reaped")
    pids = [event["pid"] for event in told]
    if len(pids) != len(set(pids)) or seen.pids.get(0) in pids:
        yield f"told twice: {sorted(map(str, pids))}"
    gone = {line.pid: line for line in seen.told("G")}
    nodes = {pid: node for node, pid in seen.pids.items()}
    for event in told:
        line = gone.get(int(str(event["pid"])))
        node = seen.plan.everybody.get(nodes.get(int(str(event["pid"])), RUNNER))
        if line and fate_code(event) not in {128 + line.b if line.b else line.c, check.KILLED}:
            yield f"expected to end as {line}: {event}"
        if not line and node and not node.hop and fate_code(event) not in silent_ends(seen, node.asked):
            yield f"node {node.id} told of no end and cannot have ended so: {event}"


def silent_ends(seen: Seen, asked: int) -> set[int]:
    """Return the codes of who could not tell of its end."""
    return {check.KILLED} | ({128 + signal.SIGTERM} if asked == DIES else set())


def nobody_lost(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Each orphan that was there is told, where all are."""
    wishes = seen.plan.wishes
    tells = wishes.verbosity >= DEBUG or (wishes.warns and wishes.verbosity >= WARNING)
    if not tells or seen.plan.kind == AT_ONCE:
        return
    pids = {event["pid"] for event in named(events, "orphan_reaped")}
    for node in seen.plan.nodes:
        pid = seen.pids.get(node.id)
        if node.daemon and pid is not None and pid not in pids:
            yield f"nothing is told of the orphan {pid}, node {node.id}"
