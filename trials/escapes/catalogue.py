"""The ways to outlive a time limit, and the tools that set the limit."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from testkit.programs import PYINIT

LIMITS = Path(__file__).parent / "limits"
GRACE = "0.2"  # seconds between the request to stop and SIGKILL
LIMIT = 2.0  # seconds in which a way must be in place, for tools that only go by the clock
CGROUP, HELPER = "a cgroup (v2) to write to, as root", "a helper that becomes root"


@dataclass(frozen=True)
class Way:
    """A way to outlive a time limit.

    Attributes:
        name: the word for ways.c.
        label: its name in the table.
        needs: CGROUP or HELPER; empty if it needs nothing.
        is_storm: whether it loads the machine so much that it is tried alone.
    """

    name: str
    label: str
    needs: str = ""
    is_storm: bool = False


WAYS = (
    Way("job", "a background job"),
    Way("session", "setsid"),
    Way("daemon", "setsid and a double fork"),
    Way("nohup", "`setsid nohup`"),
    Way("block", "blocks all signals"),
    Way("stopped", "is stopped"),
    Way("relay", "forks and exits at full speed"),
    Way("relay-in-group", "forks and exits at full speed, in the command's process group"),
    Way("relay-of-sessions", "forks and exits at full speed, each time in a new session"),
    Way("relays", "30 that fork and exit at full speed", is_storm=True),
    Way("drifters", "10 that become daemons again every 2 ms"),
    Way("answer", "forks when SIGTERM comes"),
    Way("threads", "threads that fork again when a child exits"),
    Way("vfork", "a child by vfork(2) that calls no exec"),
    Way("subreaper", "a subreaper that replaces what it has adopted"),
    Way("user", "becomes root by a set-user-ID helper", needs=HELPER),
    Way("user-namespace", "a user namespace of its own"),
    Way("pid-namespace", "a PID namespace of its own, with a forker in it"),
    Way("stopped-parent", "its parent is stopped"),
    Way("frozen", "its parent is in a frozen cgroup (v2)", needs=CGROUP),
    Way("traced", "traced, and held at its exit"),
    Way("hidden", "no command line, and a name to confuse readers of `/proc`"),
    Way("guards", "pairs that watch and replace each other"),
    Way("wakers", "such pairs, and processes that continue all others"),
    Way("tree", "121 processes, each of which replaces its children", is_storm=True),
    Way("bomb", "300 processes that all fork when one of them exits", is_storm=True),
    Way("chain", "a chain of children that grows every millisecond", is_storm=True),
    Way("thousand", "1,000 sessions", is_storm=True),
)


def _here() -> str:
    return ""


def _has_systemd() -> str:
    return "" if Path("/run/systemd/system").exists() else "systemd does not run here"


def _has_bubblewrap() -> str:
    return "" if shutil.which("bwrap") else "there is no bwrap"


@dataclass(frozen=True)
class Tool:
    """A tool that sets the limit.

    Attributes:
        name: its name in the table.
        words: its command, before the command of the way.
        limit: when it acts by its own clock, in seconds; 0 if it acts on SIGTERM.
        is_pid1: whether it is started as PID 1 of a PID namespace.
        is_ours: whether it is pyinit.
        missing: returns why it cannot be tried; empty if it can.
    """

    name: str
    words: tuple[str, ...]
    limit: float = 0
    is_pid1: bool = False
    is_ours: bool = False
    missing: Callable[[], str] = field(default=_here)

    @property
    def is_python(self) -> bool:
        """Whether an interpreter runs it, which may be in the home of root."""
        return bool({PYINIT, sys.executable} & {*self.words})


# timeout(1) does on SIGTERM what it does when its time is over, so that no time has to pass.
_TIMEOUT = ("timeout", "-k", GRACE, "1000")
_OWN = (PYINIT, "-k", GRACE, "-d", GRACE, "--")
_DIES = 'setpriv --pdeathsig KILL -- "$@"; exit $?'  # and the parent is sh, which SIGTERM kills


def _script(name: str) -> tuple[str, ...]:
    return (sys.executable, "-P", str(LIMITS / f"{name}.py"), str(LIMIT), GRACE)


TOOLS = (
    Tool("pyinit", _OWN, is_ours=True),
    Tool("pyinit as PID 1", _OWN, is_pid1=True, is_ours=True),
    Tool("`timeout -k`", _TIMEOUT),
    Tool("`tini -s -g`", (*_TIMEOUT, "tini", "-s", "-g", "--")),
    Tool("`dumb-init`", (*_TIMEOUT, "dumb-init", "--")),
    Tool("`catatonit`", (*_TIMEOUT, "catatonit", "--")),
    Tool("`subprocess.run`", _script("run_with_timeout"), limit=LIMIT),
    Tool("psutil", _script("kill_tree"), limit=LIMIT),
    Tool(
        "`bwrap --unshare-pid`",
        (
            *_TIMEOUT,
            *("bwrap", "--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/"),
            *("--proc", "/proc", "--"),
        ),
        missing=_has_bubblewrap,
    ),
    Tool("`setpriv --pdeathsig`", ("sh", "-c", _DIES, "-")),
    Tool(
        "`systemd-run --scope`",
        (*_TIMEOUT, "systemd-run", "--quiet", "--scope", "--collect", "--"),
        missing=_has_systemd,
    ),
)
