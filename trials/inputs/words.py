"""Words and variables: sensible ones, mistakes, and nonsense."""

import dataclasses

from hypothesis import strategies as st

from pyinit.before import cli
from pyinit.before import names

MARKER = b"./marker"  # the command, which reports that it was started

ODD_TEXT = st.sampled_from(
    ["", " ", "\n", "a\nb", "\x1b[31m", "\x1b]0;x\x07", "\r", "\t", "\u202e", "\u200b", "\ufeff",
     "\u2028", "\x85", "\x9b31m", "\u0301", "\U0001f4a9", "\u017ftop", "\u0131nt", "'", '"', "\\",
     "{}", "%s", "$HOME", "--=", "-", "--", "---", "-=", "=", ":", ",", "*", "~", "None"]
)  # fmt: skip
BYTES = st.binary(max_size=12).map(lambda found: found.replace(b"\0", b""))
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
LONG = st.builds(
    lambda some, count: some * count,
    st.sampled_from([b"x", b"9", b"-", b"v", b"\n", b"\xff", b"\xc3\xa9", b"TERM:QUIT,"]),
    st.sampled_from([200, 4000, 10_000]),
)
ANY = st.one_of(TEXT.map(str.encode), ODD_TEXT.map(str.encode), BYTES, LONG)

NUMBERS = st.sampled_from(
    ["0", "1", "5", "0.5", ".5", "5.", "007", "255", "256", "-1", "+1", "1e3", "inf", "-inf", "nan",
     "NaN", "0x10", "1_0", " 5", "5 ", "5\n", "5s", ".", "..", "1.2.3", "\u0663", "\uff15",
     "\u00b2", "64", "65", "32", "999999999", "9999999999", "00000000001", "2147483648", str(2**64)]
)  # fmt: skip
NAMES = st.sampled_from(sorted(names.numbers()))
SIGNALS = st.one_of(
    NAMES,
    NAMES.map(lambda name: f"SIG{name}"),
    NAMES.map(str.lower),
    st.integers(-1, 66).map(str),
    st.integers(-2, 32).map(lambda distance: f"RTMIN{distance:+d}"),
    st.integers(-32, 2).map(lambda distance: f"SIGRTMAX{distance:+d}"),
    ODD_TEXT,
)
RULES = st.lists(
    st.one_of(st.builds("{}:{}".format, SIGNALS, SIGNALS | st.just("0")), SIGNALS, ODD_TEXT, TEXT),
    max_size=4,
).map(",".join)
STEPS = st.one_of(
    NUMBERS,
    st.builds(
        lambda steps, last: ",".join([*steps, last]),
        st.lists(st.builds("{}:{}".format, SIGNALS, NUMBERS) | NUMBERS | TEXT, max_size=4),
        st.sampled_from(["KILL", "KILL", "9", "TERM", "TERM:5", ""]),
    ),
)
FORMATS = st.sampled_from(["auto", "console", "json", "JSON", "jsno", ""])
SWITCHES = st.sampled_from(["1", "0", "yes", "No", "TRUE", "off", "2", "yse", "", "\u0131"])
VALUES = st.one_of(NUMBERS, SIGNALS, RULES, FORMATS).map(str.encode) | ANY

# Values for each option, and values for any.
FITTING = {
    "parent_death_signal": SIGNALS,
    "expected_codes": NUMBERS,
    "rewrite": RULES,
    "drain": NUMBERS,
    "timeout": NUMBERS,
    "kill_after": STEPS,
    "leftovers": NUMBERS,
    "log_format": FORMATS,
}


def joined(option: str, value: bytes) -> list[bytes]:
    """Return an option and its value as one word."""
    joint = b"=" if option.startswith("--") else b""
    return [option.encode() + joint + value]


def apart(option: str, value: bytes) -> list[bytes]:
    """Return an option and its value as two words."""
    return [option.encode(), value]


def with_value(option: str) -> st.SearchStrategy[list[bytes]]:
    """Return the words of an option that has a value."""
    topic = cli.VALUES.get(option, "")
    value = FITTING.get(topic, NUMBERS).map(str.encode) | VALUES
    return st.builds(joined, st.just(option), value) | st.builds(apart, st.just(option), value)


LETTERS = "".join(option[1] for option in (*cli.FLAGS, *cli.VALUES) if len(option) == len("-v"))
GROUP = st.text(st.sampled_from(LETTERS), min_size=1, max_size=6)
OPTION = st.one_of(
    st.sampled_from([*cli.FLAGS]).map(lambda flag: [flag.encode()]),
    st.sampled_from(["-s", "-v", "-w", "-g", "-a", "--all"]).map(lambda flag: [flag.encode()]),
    st.sampled_from([*cli.VALUES]).flatmap(with_value),
    st.sampled_from([*cli.VALUES]).flatmap(with_value),
    st.builds(
        lambda letters, value: [f"-{letters}".encode() + value], GROUP, VALUES | st.just(b"")
    ),
    with_value("--inspect"),
    ANY.map(lambda word: [b"-" + word]),
    ANY.map(lambda word: [b"--" + word]),
    ANY.map(lambda word: [word]),
)
COMMAND = st.lists(ANY, max_size=4).map(lambda words: [MARKER, *words])
END = st.sampled_from([[b"--"], []])

OF_PYINIT = {
    "PYINIT_SUBREAPER": SWITCHES,
    "PYINIT_KILL_PROCESS_GROUP": SWITCHES,
    "PYINIT_FORWARD_ALL": SWITCHES,
    "PYINIT_VERBOSITY": NUMBERS,
    "PYINIT_DRAIN": NUMBERS,
    "PYINIT_TIMEOUT": NUMBERS,
    "PYINIT_KILL_AFTER": STEPS,
    "PYINIT_LEFTOVERS": NUMBERS,
    "PYINIT_REWRITE": RULES,
    "PYINIT_LOG_FORMAT": FORMATS,
    "TINI_SUBREAPER": SWITCHES,
    "TINI_KILL_PROCESS_GROUP": SWITCHES,
    "TINI_VERBOSITY": NUMBERS,
    "PYINIT_": NUMBERS,
    "PYINIT_NONSENSE": NUMBERS,
}
OF_LOCALE = st.sampled_from(["LC_ALL", "LC_CTYPE", "LANG", "LANGUAGE", "NO_COLOR", "TERM"])
LOCALES = st.sampled_from(
    ["C", "POSIX", "C.UTF-8", "C.utf8", "UTF-8", "xx", "", "de_DE.ISO-8859-1"]
)
# FATAL: variables whose wrong values the interpreter itself refuses, before the command that pip
# installs runs at all; the launcher makes the interpreter ignore them.
HARMLESS = st.sampled_from(
    ["PYTHONPATH", "PYTHONINSPECT", "PYTHONDEVMODE", "PYTHONUNBUFFERED",
     "PYTHONOPTIMIZE", "PYTHONSTARTUP", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE",
     "PYTHONSAFEPATH", "PYTHONBREAKPOINT", "PYTHONFAULTHANDLER"]
)  # fmt: skip
FATAL = st.sampled_from(
    ["PYTHONHOME", "PYTHONWARNINGS", "PYTHONIOENCODING", "PYTHONHASHSEED", "PYTHONMALLOC",
     "PYTHONUTF8", "PYTHONTRACEMALLOC", "PYTHONINTMAXSTRDIGITS", "PYTHONVERBOSE",
     "PYTHONPROFILEIMPORTTIME", "PYTHON_GIL", "PYTHONPLATLIBDIR", "PYTHONCOERCECLOCALE",
     "PYTHONPYCACHEPREFIX", "PYTHON_CPU_COUNT"]
)  # fmt: skip


def set_to(name: str, value: bytes) -> bytes:
    """Return a variable of an environment."""
    return name.encode() + b"=" + value


def of_pyinit(name: str) -> st.SearchStrategy[bytes]:
    """Return a variable that is meant for pyinit."""
    return st.builds(set_to, st.just(name), OF_PYINIT[name].map(str.encode) | VALUES)


ENTRY = st.one_of(
    st.sampled_from([*OF_PYINIT]).flatmap(of_pyinit),
    st.sampled_from([*OF_PYINIT]).map(lambda name: set_to(name, b"1")),
    st.builds(set_to, OF_LOCALE, LOCALES.map(str.encode) | ANY),
    st.builds(set_to, HARMLESS, NUMBERS.map(str.encode) | ANY),
    st.sampled_from(
        [b"PYTHONWARNINGS=error", b"PYTHONWARNINGS=default", b"PYTHONIOENCODING=ascii"]
    ),
    ANY,
)
FATAL_ENTRY = st.builds(set_to, FATAL, NUMBERS.map(str.encode) | ANY)


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of pyinit.

    Attributes:
        words: its command line.
        environment: the variables, some of them twice or without a `=`.
        as_init: whether it is PID 1 of a namespace.
        launcher: whether it is the command that pyinit-launcher writes.
    """

    words: list[bytes]
    environment: list[bytes]
    as_init: bool
    launcher: bool


def case(*, launcher: bool) -> st.SearchStrategy[Case]:
    """Return calls of one of the two commands."""
    options = st.lists(OPTION, max_size=4).map(
        lambda found: [word for some in found for word in some]
    )
    words = st.builds(
        lambda *parts: [word for part in parts for word in part], options, END, COMMAND
    )
    entries = st.lists(ENTRY | FATAL_ENTRY if launcher else ENTRY, max_size=4)
    few = st.sampled_from([False, False, False, True])
    return st.builds(Case, st.one_of(words, words, words, options), entries, few, st.just(launcher))


CASES = st.one_of(case(launcher=False), case(launcher=True))
