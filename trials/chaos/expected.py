"""What must have happened, according to the plan and the lines of the processes."""

import signal
from collections.abc import Iterator

from trials.chaos.plan import REQUESTS
from trials.chaos.seen import Line, Seen
from trials.chaos.tree import DIES

TOO_LATE = 124
STARTING = 1000  # milliseconds that the root may have needed until its first line
KILLED = 128 + int(signal.SIGKILL)


def possible_codes(seen: Seen) -> Iterator[int]:
    """Yield the possible codes of the child: one, unless two things may kill it."""
    wishes, end = seen.plan.wishes, seen.end
    if end is not None:
        yield 128 + end.b if end.b else end.c
    elif seen.plan.root.asked == DIES:
        yield 128 + seen.plan.quit
    asked = [line.when for line in requests(seen)]
    if may_be_late(seen):
        asked.append(began(seen) + int(wishes.timeout * 1000))
    first = min(asked, default=None)
    if wishes.kill_after and first is not None and seen.ended - first >= wishes.kill_after * 1000:
        yield KILLED


def began(seen: Seen) -> int:
    """Return the earliest time at which the child may have begun."""
    up = seen.position("A", 0)
    return 0 if up is None else seen.lines[up].when - STARTING


def may_be_late(seen: Seen) -> bool:
    """Tell whether the time of -t may have been over."""
    limit = seen.plan.wishes.timeout
    return bool(limit) and seen.ended - began(seen) >= limit * 1000


def final_codes(seen: Seen) -> set[int]:
    """Return the codes with which pyinit may exit."""
    wishes = seen.plan.wishes
    codes = set(possible_codes(seen)) | ({TOO_LATE} if may_be_late(seen) else set())
    codes = {0 if each in wishes.expected else each for each in codes}
    if 0 in codes and wishes.leftovers:
        codes.add(wishes.leftovers)
        if {node for node in stayed(seen) if node < len(seen.plan.nodes)}:  # guests come last
            codes.remove(0)
    return codes


def requests(seen: Seen) -> Iterator[Line]:
    """Yield the requests to stop that were sent to pyinit and that -r does not drop."""
    for line in seen.told("K"):
        if line.a in REQUESTS and seen.plan.wishes.rewrite.get(line.a) != 0:
            yield line


def swept(seen: Seen) -> bool:
    """Tell whether -k may have killed other processes than the child, with -a or -g."""
    aims_wide = seen.plan.wishes.everyone or seen.plan.wishes.group
    return aims_wide and KILLED in possible_codes(seen)


def remaining(seen: Seen) -> dict[int, Line]:
    """Return the nodes that were up when the child ended."""
    end = seen.lines.index(seen.end) if seen.end else before_stop(seen)
    earlier = seen.lines[:end]
    stopped = {line.node for line in earlier if line.letter == "P"}
    up = {line.node: line for line in earlier if line.letter == "A" and line.node}
    for node in up.keys() - stopped:
        if seen.plan.everybody[node].stopped:  # it may be stopped after the drain's SIGCONT
            del up[node]
    for line in earlier:
        if line.letter == "G":
            up.pop(line.node, None)
    return up


def before_stop(seen: Seen) -> int:
    """Return how many lines came while the child certainly ran, if it has no last line."""
    deadly = {seen.plan.quit} if seen.plan.root.asked == DIES else set()
    for number, line in enumerate(seen.lines):
        comes = seen.plan.wishes.rewrite.get(line.a, line.a)
        if line.letter == "K" and (comes in deadly or line.a in REQUESTS):
            return number
    return 0


def stayed(seen: Seen) -> set[int]:
    """Return the nodes that certainly were there when pyinit counted what was left.

    Those stay until SIGKILL, or were asked to stop by the drain alone.
    """
    wishes = seen.plan.wishes
    if wishes.everyone or wishes.group:
        return set()
    ends = {line.node: line for line in seen.told("G")}
    asked = {node for node, line in ends.items() if line.a == 1}
    return {
        node
        for node in remaining(seen)
        if node in asked or (seen.plan.everybody[node].clings and node not in ends)
    }
