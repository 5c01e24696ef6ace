"""The plan of a run, made from nothing but its seed."""

import dataclasses
import random
import shlex
import signal

from trials.chaos import tree
from trials.chaos.tree import DIES, EXECS_SLEEP, LEAVES, NEVER, Node, maybe

WARNING, INFO, DEBUG = 1, 2, 3
TERM = int(signal.SIGTERM)
CALM, CLINGING, HASTY, AT_ONCE = "calm", "clinging", "hasty", "at once"
DRAINS = {CALM: (5.0, 10.0, 30.0), CLINGING: (0.5, 0.8), HASTY: (0.05, 0.1), AT_ONCE: (0.0,)}
# What asks to stop instead of SIGTERM, if -r says so.
INSTEAD = tuple(map(int, (signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, 35)))
# Each of these removes the others from the queue (signal(7)).
FICKLE = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT}
SWITCHED_ON = "yes"
IMPLIED = 10.0  # seconds of -k that -t implies
NO_TIME = 1000.0  # longer than any run
REQUESTS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """The options of pyinit.

    Attributes:
        ladder: the steps of -k: their signals, the first 0 if the request itself is sent, and
            their seconds.
        leftovers: the code of --leftovers; 0 for none.
    """

    verbosity: int
    style: str
    group: bool
    everyone: bool
    warns: bool
    kill_after: float
    drain: float
    rewrite: dict[int, int]
    expected: tuple[int, ...]
    timeout: float = 0.0
    ladder: tuple[tuple[int, float], ...] = ()
    leftovers: int = 0

    @property
    def first_step(self) -> int:
        """The signal that -k sends in place of the first request to stop; 0 for none."""
        return self.ladder[0][0] if self.ladder else 0


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is drawn for a run.

    Attributes:
        kind: how much time there is.
        namespace: whether pyinit is PID 1.
        words: its options.
        environment: its environment variables.
        nodes: the tree, the root first.
        guests: processes that enter from outside.
        signals: what the runner sends first.
        one_by_one: whether it waits after each until the root has seen it.
        early: whether root and runner begin before the tree is complete; a process that begins
            after the drain's SIGTERM does not exit.
        stop: whether it sends SIGTERM then.
        later: the signals that it sends after that.
    """

    seed: int
    kind: str
    namespace: bool
    wishes: Wishes
    words: tuple[str, ...]
    environment: dict[str, str]
    nodes: tuple[Node, ...]
    guests: tuple[Node, ...]
    signals: tuple[int, ...]
    one_by_one: bool
    early: bool
    stop: bool
    later: tuple[int, ...]

    @property
    def root(self) -> Node:
        """The child of pyinit."""
        return self.nodes[0]

    @property
    def everybody(self) -> dict[int, Node]:
        """Each process that has a name, by its number."""
        return {node.id: node for node in (*self.nodes, *self.guests)}

    @property
    def quit(self) -> int:
        """What the root gets in place of SIGTERM."""
        return self.wishes.first_step or self.wishes.rewrite.get(TERM, TERM) or TERM

    @property
    def may_cling(self) -> bool:
        """Whether a process may stay until SIGKILL."""
        endless = any(node.late_life == NEVER for node in self.everybody.values())
        return (
            self.early
            or endless
            or any(node.clings or node.hop for node in self.everybody.values())
        )

    @property
    def drain_limit(self) -> float:
        """Within how many seconds after the root's end the run must be over."""
        if self.may_cling:
            return self.wishes.drain + 1
        return min(max(node.lasts for node in self.everybody.values()) / 1000, self.wishes.drain)

    @property
    def limit(self) -> float:
        """Within how many seconds after the last signal the run must be over."""
        limit = self.wishes.timeout if self.wishes.timeout < NO_TIME else 0.0
        return limit + self.root.lasts / 1000 + self.wishes.kill_after + self.drain_limit

    def describe(self) -> str:
        """Return it as text."""
        variables = " ".join(f"{name}={value}" for name, value in self.environment.items())
        where = "PID 1" if self.namespace else "subreaper"
        when = "early" if self.early else "when all are up"
        how = ", each awaited" if self.one_by_one else ""
        stop = "SIGTERM" if self.stop else "nothing"
        lines = [
            f"{self.kind}, as {where}: {variables} pyinit {shlex.join(self.words)}",
            *(f"  {node.describe()}" for node in self.nodes),
            *(f"  guest {node.describe()}" for node in self.guests),
            f"  sent {when}{how}: {list(self.signals)}, {stop}, {list(self.later)}",
        ]
        return "\n".join(lines)


def make(seed: int) -> Plan:
    """Draw the plan of a seed."""
    chance = random.Random(seed)
    kind = chance.choices((CALM, CLINGING, HASTY, AT_ONCE), (50, 25, 10, 15))[0]
    namespace = maybe(chance, 0.6)
    wishes = _with_limits(random.Random(-1 - seed), _wishes(chance, kind))
    stop = maybe(chance, 0.85) and wishes.rewrite.get(TERM) != 0
    may_cling = kind != CALM
    below = tree.grow(chance, may_cling=may_cling)
    root = _root(chance, wishes, stop=stop)
    words, environment = _spell(chance, wishes)
    guests = chance.randint(1, 3) if namespace and maybe(chance, 0.3) else 0
    numbers = range(len(below) + 1, len(below) + 1 + guests)
    sees = root.exec != EXECS_SLEEP
    return Plan(
        seed=seed,
        kind=kind,
        namespace=namespace,
        wishes=wishes,
        words=words,
        environment=environment,
        nodes=(root, *below),
        guests=tuple(tree.guest(chance, number, may_cling=may_cling) for number in numbers),
        signals=tuple(chance.choices(tree.SIGNALS, k=chance.randint(0, 12))),
        one_by_one=maybe(chance, 0.5) and sees and wishes.timeout in {0.0, NO_TIME},
        early=maybe(chance, 0.4) and kind != CALM,
        stop=stop,
        later=tuple(chance.choices((*tree.SIGNALS, TERM, TERM, TERM), k=chance.randint(0, 4))),
    )


def _wishes(chance: random.Random, kind: str) -> Wishes:
    origins = chance.sample(tree.SIGNALS, 3)
    targets = chance.choices((*tree.SIGNALS, 0, 0, 0, TERM), k=3)
    rewrite = dict(zip(origins, targets, strict=True)) if maybe(chance, 0.3) else {}
    if maybe(chance, 0.15):
        rewrite[TERM] = chance.choice((0, *INSTEAD))
    return Wishes(
        verbosity=chance.choices(range(4), (5, 25, 35, 35))[0],
        style=chance.choices(("json", "console", "auto"), (70, 15, 15))[0],
        group=maybe(chance, 0.2),
        everyone=maybe(chance, 0.2),
        warns=maybe(chance, 0.3),
        kill_after=chance.choice((0.2, 0.4, 5.0)) if maybe(chance, 0.35) else 0.0,
        drain=chance.choice(DRAINS[kind]),
        rewrite=rewrite,
        expected=tuple(chance.sample((*range(256), 143, 137, 7), 4)) if maybe(chance, 0.3) else (),
    )


def _with_limits(chance: random.Random, wishes: Wishes) -> Wishes:
    """Add -t, steps of -k, --leftovers, or some of these, from a random source of their own."""
    ladder, kill_after = wishes.ladder, wishes.kill_after
    if maybe(chance, 0.2):
        first = chance.choice((0, TERM, *INSTEAD))
        others = chance.choices((TERM, *tree.SIGNALS), k=chance.randint(0, 3))
        ladder = tuple((signum, 0.1) for signum in (first, *others))
        kill_after = round(0.1 * len(ladder), 1)
    has_limit = maybe(chance, 0.25) and wishes.rewrite.get(TERM) != 0
    timeout = chance.choice((2.0, 2.5, NO_TIME)) if has_limit else 0.0
    return dataclasses.replace(
        wishes,
        ladder=ladder,
        kill_after=kill_after or (IMPLIED if has_limit else 0.0),
        timeout=timeout,
        leftovers=chance.randint(1, 255) if maybe(chance, 0.25) else 0,
    )


def _root(chance: random.Random, wishes: Wishes, *, stop: bool) -> Node:
    asked = chance.choices(range(5), (20, 55, 5, 10, 10))[0]
    is_asked = stop or 0 < wishes.timeout < NO_TIME
    ends = is_asked and (asked in {DIES, LEAVES} or 0 < wishes.kill_after < 1)
    execs = chance.choices(range(3), (80, 12, 8))[0]
    if execs == EXECS_SLEEP and not (stop and asked == DIES):
        execs = 0
    life = NEVER if execs == EXECS_SLEEP else chance.randint(0, 300)
    code = chance.choice((0, 7, chance.randint(0, 255), *wishes.expected))
    return Node(
        id=0,
        parent=NEVER,
        uid=chance.choice(tree.USERS) if maybe(chance, 0.1) else 0,
        asked=asked,
        work=chance.choice((0, chance.randint(0, 100))),
        late=chance.randint(0, 3) if maybe(chance, 0.2) else 0,
        late_life=chance.randint(0, 80),
        life=NEVER if ends and maybe(chance, 0.8) else life,
        code=code,
        killer=chance.choice(tree.DEADLY) if maybe(chance, 0.2) else 0,
        reaping=chance.choices(range(3), (45, 45, 10))[0],
        exec=execs,
    )


def _spell(chance: random.Random, wishes: Wishes) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the options as words and variables, as the random source decides."""
    words: list[str] = []
    variables: dict[str, str] = {}
    steps = [f"{signum}:{seconds}" for signum, seconds in wishes.ladder]
    after = ",".join([*steps, "KILL"]).removeprefix("0:") if steps else str(wishes.kill_after)
    is_implied = wishes.timeout and wishes.kill_after == IMPLIED
    pairs = ",".join(f"{origin}:{target}" for origin, target in wishes.rewrite.items())
    for wish, option, variable, value in (
        (wishes.group, "-g", "KILL_PROCESS_GROUP", SWITCHED_ON),
        (wishes.everyone, "-a", "FORWARD_ALL", SWITCHED_ON),
        (wishes.warns, "-w", "", SWITCHED_ON),
        (maybe(chance, 0.2), "-s", "SUBREAPER", SWITCHED_ON),
        (wishes.verbosity != 1, "", "VERBOSITY", str(wishes.verbosity)),
        (wishes.kill_after and not is_implied, "-k", "KILL_AFTER", after),
        (wishes.timeout, "-t", "TIMEOUT", str(wishes.timeout)),
        (wishes.leftovers, "--leftovers", "LEFTOVERS", str(wishes.leftovers)),
        (wishes.drain not in DRAINS[CALM][:1], "--drain", "DRAIN", str(wishes.drain)),
        (wishes.style != "auto", "--log-format", "LOG_FORMAT", wishes.style),
        (pairs, "-r", "REWRITE", pairs),
    ):
        if not wish:
            continue
        if variable and (not option or maybe(chance, 0.4)):
            variables[f"PYINIT_{variable}"] = value
        else:
            words += [option] if value == SWITCHED_ON else [option, value]
    for code in wishes.expected:
        words += ["-e", str(code)]
    if maybe(chance, 0.15):
        words += ["-p", str(chance.choice(tree.SIGNALS))]
    if wishes.verbosity > 1 and maybe(chance, 0.5):
        del variables["PYINIT_VERBOSITY"]
        words.append("-" + "v" * (wishes.verbosity - 1))
    return tuple(words), variables
