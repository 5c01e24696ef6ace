"""A random tree of processes, with the properties that actor.c knows."""

import dataclasses
import random
import signal

DIES, LEAVES, STAYS, IGNORES, BLOCKS = range(5)
NEGLECTS, REAPS, DISOWNS = range(3)
IS_ITSELF, EXECS_ITSELF, EXECS_SLEEP = range(3)
ASKED = ("dies of SIGTERM", "leaves at SIGTERM", "stays", "ignores SIGTERM", "blocks SIGTERM")
REAPING = ("", "reaps", "ignores SIGCHLD")
BECOMES = ("", "execs itself", "execs sleep")

NEVER = -1
# All signals that can be blocked and forwarded, except SIGTERM, which asks all to stop.
SIGNALS = tuple(
    sorted(
        set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTERM, 32, 33}
    )
)
DEADLY = tuple(
    map(int, (signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM, 36))
)
USERS = (65534, 12345)
SIZES = ((1, 4), (4, 12), (12, 40))


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A process, with the fields of actor.c in its order; times are milliseconds.

    Attributes:
        daemon: forked twice, by a parent that has exited.
        asked: what it does at SIGTERM, or, for the root, at the signal that asks it.
        work: how long it needs then, before it exits.
        late: how many processes it forks then, each of which lives for `late_life`.
        life: after what time it exits by itself.
        killer: the signal with which it kills itself, in place of `code`.
        every, most: how often and how many times it forks a process that lives for `late_life`.
        signum, at: which signal it sends to pyinit, and when.
        hop: the lifetime of each of `most` processes that it is, one after the other.
    """

    id: int
    parent: int
    daemon: int = 0
    session: int = 0
    group: int = 0
    uid: int = 0
    stopped: int = 0
    asked: int = LEAVES
    work: int = 0
    late: int = 0
    late_life: int = 0
    life: int = NEVER
    code: int = 0
    killer: int = 0
    every: int = 0
    most: int = 0
    reaping: int = REAPS
    signum: int = 0
    at: int = 0
    exec: int = IS_ITSELF
    hop: int = 0

    @property
    def clings(self) -> bool:
        """Whether only SIGKILL ends it, once it was asked."""
        return (self.asked in {STAYS, IGNORES, BLOCKS} and self.life == NEVER) and not self.hop

    @property
    def tells_of_asking(self) -> bool:
        """Whether it writes a line when SIGTERM comes."""
        return self.asked in {LEAVES, STAYS} and not self.hop and self.exec != EXECS_SLEEP

    @property
    def lasts(self) -> int:
        """How long it, and the processes that it forks, may live after they were asked."""
        forked = self.late_life if self.late or self.every else 0
        return max(self.work, self.life, forked, self.hop * self.most, self.every * self.most)

    def describe(self) -> str:
        """Return it as text."""
        ends = f"signal {self.killer}" if self.killer else f"code {self.code}"
        facts = {
            "daemon": self.daemon,
            "own session": self.session,
            "own group": self.group,
            f"user {self.uid}": self.uid,
            "stopped": self.stopped,
            ASKED[self.asked]: True,
            f"works {self.work} ms": self.work,
            f"then forks {self.late} for {self.late_life} ms": self.late,
            f"lives {self.life} ms": self.life != NEVER,
            f"forks {self.most} times, every {self.every} ms": self.every,
            f"hops {self.most} times, every {self.hop} ms": self.hop,
            REAPING[self.reaping]: True,
            f"sends {self.signum} after {self.at} ms": self.signum,
            BECOMES[self.exec]: True,
            ends: self.asked == LEAVES or self.life != NEVER,
        }
        return f"{self.id} of {self.parent}: {', '.join(k for k, v in facts.items() if v and k)}"


def spec(nodes: tuple[Node, ...], *, users: bool) -> str:
    """Return the text that actor.c reads, with or without other users."""
    lines = (node if users else dataclasses.replace(node, uid=0) for node in nodes)
    fields = (map(int, dataclasses.astuple(node)) for node in lines)
    return "".join(",".join(map(str, each)) + ";" for each in fields)


def grow(chance: random.Random, *, may_cling: bool) -> tuple[Node, ...]:
    """Return the root's descendants, each after its parent."""
    count = chance.randint(*chance.choice(SIZES))
    nodes = [
        _node(chance, number, 0 if maybe(chance, 0.4) else chance.randrange(number), may_cling)
        for number in range(1, count + 1)
    ]
    if may_cling and maybe(chance, 0.15):
        nodes.append(_hopper(chance, count + 1))
    return tuple(nodes)


def guest(chance: random.Random, number: int, *, may_cling: bool) -> Node:
    """Return a process that enters from outside."""
    drawn = _node(chance, number, NEVER, may_cling)
    return dataclasses.replace(drawn, daemon=0, stopped=0)


def maybe(chance: random.Random, probability: float) -> bool:
    """Draw once."""
    return chance.random() < probability


def _node(chance: random.Random, number: int, parent: int, may_cling: bool) -> Node:  # noqa: FBT001
    asked = chance.choices(range(5), (25, 50, 8, 8, 8))[0]
    life = chance.choice((0, 0, chance.randint(0, 250))) if maybe(chance, 0.2) else NEVER
    if asked in {STAYS, IGNORES, BLOCKS} and life == NEVER and not may_cling:
        life = chance.randint(0, 250)
    drawn = Node(
        id=number,
        parent=parent,
        daemon=maybe(chance, 0.35),
        session=maybe(chance, 0.2),
        group=maybe(chance, 0.2),
        uid=chance.choice(USERS) if maybe(chance, 0.1) else 0,
        stopped=maybe(chance, 0.12),
        asked=asked,
        work=chance.choice((0, chance.randint(0, 80))),
        life=life,
        code=chance.choice((0, chance.randint(0, 255))),
        killer=chance.choice(DEADLY) if maybe(chance, 0.15) else 0,
        reaping=chance.choices(range(3), (45, 45, 10))[0],
    )
    return _busy(chance, drawn, may_cling=may_cling)


def _busy(chance: random.Random, node: Node, *, may_cling: bool) -> Node:
    """Make some of them exec, fork or send signals."""
    if maybe(chance, 0.08) and node.life == NEVER and node.asked in {DIES, IGNORES}:
        return dataclasses.replace(node, exec=EXECS_SLEEP)
    for_ever = may_cling and maybe(chance, 0.2)
    changes = {"late_life": NEVER if for_ever else chance.choice((0, chance.randint(0, 100)))}
    if maybe(chance, 0.12):
        changes["late"] = chance.randint(1, 4)
    if maybe(chance, 0.06):
        changes |= {"every": chance.randint(2, 20), "most": chance.randint(5, 40)}
    if maybe(chance, 0.12):
        signum = int(signal.SIGTERM) if maybe(chance, 0.08) else chance.choice(SIGNALS)
        changes |= {"signum": signum, "at": chance.randint(0, 150)}
    if maybe(chance, 0.08):
        changes["exec"] = EXECS_ITSELF
    return dataclasses.replace(node, **changes)


def _hopper(chance: random.Random, number: int) -> Node:
    hop, most = chance.randint(2, 8), chance.randint(50, 200)
    session = maybe(chance, 0.5)
    return Node(number, 0, daemon=1, session=session, asked=IGNORES, hop=hop, most=most)
