"""Judge what pyinit tells of those that the child left behind."""

import signal
from collections.abc import Iterator

from trials.chaos.events import Event, fate_code, named
from trials.chaos.expected import KILLED, stayed, swept
from trials.chaos.plan import AT_ONCE, CALM, CLINGING, DEBUG, HASTY, INFO, WARNING
from trials.chaos.seen import RUNNER, Seen
from trials.chaos.tree import DIES


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
        end = gone.get(int(str(event["pid"])))
        # Who killed itself and is reaped now only cannot be told from who is killed now.
        if end and end.b != signal.SIGKILL and seen.plan.kind == CLINGING:
            yield f"killed, and had gone by itself: {event}"
        if float(str(event["seconds"])) < seen.plan.wishes.drain:
            yield f"killed before it was time: {event}"
    if seen.plan.wishes.verbosity >= WARNING:
        clinging = {node for node in stayed(seen) if seen.plan.everybody[node].clings}
        if any(event["state"] == "dead" for event in told):
            # There was no time to name all; then guests are missing, who are not pyinit's to reap.
            clinging -= {node.id for node in seen.plan.guests}
        missing = [node for node in clinging if seen.pids[node] not in pids]
        if missing:
            yield f"killed and not named: nodes {missing}"
    asked = [event for event in told if event["pid"] not in _late(seen)]
    if asked and seen.plan.kind == CALM:
        yield f"nobody clings, and yet: {asked}"


def _late(seen: Seen) -> set[int]:
    """Return the guests that came when the child had gone: maybe after all were asked to go."""
    guests = {node.id for node in seen.plan.guests}
    gone = [line.when for line in seen.told("G") if not line.node]
    return {
        line.pid for line in seen.told("A") if line.node in guests and gone and line.when >= gone[0]
    }


def orphans(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Each orphan is told once, with how it ended."""
    told = named(events, "orphan_reaped")
    pids = [event["pid"] for event in told]
    if len(pids) != len(set(pids)) or seen.pids.get(0) in pids:
        yield f"told twice: {sorted(map(str, pids))}"
    gone = {line.pid: line for line in seen.told("G")}
    nodes = {pid: node for node, pid in seen.pids.items()}
    for event in told:
        pid = int(str(event["pid"]))
        line, node = gone.get(pid), seen.plan.everybody.get(nodes.get(pid, RUNNER))
        hurried = {KILLED} if seen.plan.kind == HASTY or swept(seen) else set()
        if line and fate_code(event) not in {128 + line.b if line.b else line.c, *hurried}:
            yield f"expected to end as {line}: {event}"
        if not line and node and not node.hop and fate_code(event) not in silent_ends(node.asked):
            yield f"node {node.id} told of no end and cannot have ended so: {event}"


def silent_ends(asked: int) -> set[int]:
    """Return the codes of who could not tell of its end."""
    return {KILLED} | ({128 + signal.SIGTERM} if asked == DIES else set())


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


CHECKS = (drain, survivors, orphans, nobody_lost)
