"""What signals are called, as users write them and as they are shown."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

# Where RTMIN+3 is counted from, whatever _signal.SIGRTMIN says. In musl that is 35, but engines,
# systemd and other programs outside the container mean glibc's numbers: SIGRTMIN+3 is 37.
REALTIME = 34

LONGEST = 9  # of a number, and so short that nothing needs long to read it

# Two names for one number: the one on the right is the one that users know.
_PREFERRED = {"CLD": "CHLD", "IOT": "ABRT", "POLL": "IO"}


def numbers() -> dict[str, int]:
    """Return every name without its ``SIG`` and the number it stands for."""
    found = {
        name[3:]: int(value)
        for name, value in vars(_signal).items()
        if name.startswith("SIG") and not name.startswith("SIG_")
    }
    return found | {"RTMIN": REALTIME}


def number(word: str) -> int:
    """Return the number of a signal written ``TERM``, ``SIGTERM``, ``term``, ``15`` or ``RTMIN+3``.

    Raises:
        ValueError: it is not the name or number of a signal.
    """
    known = numbers()
    name = word.upper().removeprefix("SIG") if word.isascii() else ""  # a long s is S in capitals
    base, sign, distance = name.partition("-" if "-" in name else "+")
    if sign and base in {"RTMIN", "RTMAX"} and _is_count(distance):
        found = known[base] + int(sign + distance)
        if REALTIME <= found <= known["RTMAX"]:
            return found
    elif _is_count(name) and name == word and 1 <= int(name) < _signal.NSIG:
        return int(name)
    elif name in known:
        return known[name]
    raise ValueError(word)


def name(signum: int) -> str:
    """Return the name of a signal as users know it, such as ``SIGTERM`` or ``SIGRTMIN+3``."""
    distance = signum - REALTIME
    if distance > 0 and signum != _signal.SIGRTMAX:
        return f"SIGRTMIN+{distance}"
    for known, value in numbers().items():
        if value == signum and known not in _PREFERRED:
            return f"SIG{known}"
    return f"signal {signum}"


def _is_count(word: str) -> bool:
    """Tell whether ``word`` is a number of plain digits, and of few enough for ``int``."""
    return word.isascii() and word.isdigit() and len(word) <= LONGEST
