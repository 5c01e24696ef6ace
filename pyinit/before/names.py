"""The names of signals, as users write them and as pyinit shows them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

# RTMIN+3 is counted from here, not from _signal.SIGRTMIN. That is 35 in musl, but engines, systemd
# and other programs outside the container use the numbers of glibc: SIGRTMIN+3 is 37.
REALTIME = 34

LONGEST = 9  # digits: int() needs long for very many

# Two names for one number: users know the one on the right.
_PREFERRED = {"CLD": "CHLD", "IOT": "ABRT", "POLL": "IO"}


def numbers() -> dict[str, int]:
    """Return the number of every signal, by its name without ``SIG``."""
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
    name = word.upper().removeprefix("SIG") if word.isascii() else ""  # upper() of a long s is S
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
    """Tell whether ``word`` consists of ASCII digits, and not of too many for ``int``."""
    return word.isascii() and word.isdigit() and len(word) <= LONGEST
