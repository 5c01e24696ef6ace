"""The command line and the environment: return Settings, or say in one sentence what is wrong."""

import posix
import sys

from pyinit.signals import NEVER_RECEIVED, OF_C_LIBRARY, SIGCHLD, SIGKILL, SIGTERM
from pyinit.settings import DEBUG, WARNING, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from pyinit.before.errors import UsageError

# The topic of each option, by every way to write it.
FLAGS = {
    "-s": "subreaper",
    "-v": "verbosity",
    "-w": "warn_on_reap",
    "-g": "group",
    "-a": "forward_all",
    "--all": "forward_all",
    "--no-group": "group",  # for what a variable has turned on
    "--no-all": "forward_all",
    "-l": "licence",
    "-h": "help",
    "--help": "help",
    "-V": "version",
    "--version": "version",
    "--json": "json",
}
VALUES = {
    "-p": "parent_death_signal",
    "-e": "expected_codes",
    "-r": "rewrite",
    "--rewrite": "rewrite",
    "-d": "drain",
    "--drain": "drain",
    "-t": "timeout",
    "--timeout": "timeout",
    "-k": "kill_after",
    "--kill-after": "kill_after",
    "--leftovers": "leftovers",
    "--explain-after": "explain_after",
    "--log-format": "log_format",
    "--termination-log": "termination_log",
}
MAY_HAVE_VALUES = {"--inspect": "inspect"}
SWITCHES = {  # by the variable that turns them on
    "SUBREAPER": "subreaper",
    "KILL_PROCESS_GROUP": "group",
    "FORWARD_ALL": "forward_all",
}
VARIABLES = {  # those of pyinit, and their topics
    "PYINIT_DRAIN": "drain",
    "PYINIT_TIMEOUT": "timeout",
    "PYINIT_KILL_AFTER": "kill_after",
    "PYINIT_LEFTOVERS": "leftovers",
    "PYINIT_EXPLAIN_AFTER": "explain_after",
    "PYINIT_STACKS": "stacks",
    "PYINIT_REWRITE": "rewrite",
    "PYINIT_VERBOSITY": "verbosity",
    "PYINIT_LOG_FORMAT": "log_format",
    "PYINIT_TERMINATION_LOG": "termination_log",
    **{"PYINIT_" + name: topic for name, topic in SWITCHES.items()},
}
OF_TINI = frozenset({"SUBREAPER", "KILL_PROCESS_GROUP"})
PAGES = frozenset({"licence", "help", "version"})
LOG_FORMATS = ("auto", "console", "json")
PREFIXES = (b"PYINIT_", b"TINI_")
MAX_CODE = 255
INIT = "1"
ON = ("1", "true", "yes", "on")
OFF = ("0", "false", "no", "off")


IMPLIED_KILL_AFTER = 10.0  # seconds, if there is a timeout
LONGEST_COUNT = 9  # digits: int() needs long for very many


class Inspection:
    """Which process to inspect, in place of running a command.

    Attributes:
        pid: ``--inspect``: its pid, in the PID namespace of pyinit.
        as_json: ``--json``: print JSON.
    """

    __slots__ = ("as_json", "pid")

    def __init__(self, pid: int, *, as_json: bool) -> None:
        """Keep the values."""
        self.pid = pid
        self.as_json = as_json


def own_variables() -> dict[str, str]:
    """Return the variables that are meant for pyinit, decoded as in os.environ."""
    how = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    return {
        name.decode(*how): value.decode(*how)
        for name, value in posix.environ.items()
        if name.startswith(PREFIXES)
    }


def parse(arguments: list[str], environment: "Mapping[str, str]") -> "Settings | Inspection | str":
    """Return what to do: run a command, inspect a process, or print a page.

    The pages are ``licence``, ``help`` and ``version``.

    Raises:
        UsageError: an option, a value or a variable is wrong, or there is no command.
    """
    found: dict[str, Any] = {"verbosity": 0, "expected_codes": set(), "rewrite": {}}
    rest = list(arguments)
    for option, value in _options(rest):
        topic = FLAGS.get(option) or VALUES.get(option) or MAY_HAVE_VALUES[option]
        if topic in PAGES:
            return topic
        _note(found, topic, option, value)
    if "inspect" in found or "json" in found:
        return _inspection(found, rest)
    if not rest:
        raise _no_command()
    return _with_environment(found, tuple(rest), environment)


def _no_command() -> "UsageError":
    text = "no command to run: write it after the options, as in pyinit -- COMMAND [ARG]..."
    if posix.getpid() == 1 or posix.getppid() == 1:
        text += "; if it is in CMD, Docker ignored it because ENTRYPOINT has no brackets: "
        text += 'write ENTRYPOINT ["pyinit", "--"]'
    return _lacking(expected=text)


def _options(words: list[str]) -> "Iterator[tuple[str, str]]":
    """Remove the options from the front of ``words``; yield each with its value or an empty one."""
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            return
        if word.startswith("--"):
            yield _long(word, words)
        else:
            yield from _grouped(word, words)


def _long(word: str, words: list[str]) -> tuple[str, str]:
    option, joined, value = word.partition("=")
    if option in VALUES:
        return option, value if joined else _following(option, words)
    if option in MAY_HAVE_VALUES and joined:
        return option, value
    if option in MAY_HAVE_VALUES:
        return option, INIT
    if option not in FLAGS:
        raise _unknown(option)
    if joined:
        raise _wrong(value, "no value", place=option)
    return option, ""


def _grouped(word: str, words: list[str]) -> "Iterator[tuple[str, str]]":
    for at, letter in enumerate(word[1:], 1):
        option = "-" + letter
        if option in VALUES:
            yield option, word[at + 1 :] or _following(option, words)
            return
        if option not in FLAGS:
            raise _unknown(option) if at == 1 else _out_of_place(word, at)
        yield option, ""


def _following(option: str, words: list[str]) -> str:
    if not words:
        raise _lacking(expected="a value", place=option)
    return words.pop(0)


def _wrong(
    word: str, expected: str, *, place: str = "", within: str = "", known: "Iterable[str]" = ()
) -> "UsageError":
    from pyinit.before.errors import UsageError

    return UsageError(word, expected, place=place, within=within, known=known)


def _lacking(*, expected: str, place: str = "") -> "UsageError":
    return _wrong("", expected, place=place)


def _unknown(option: str, within: str = "") -> "UsageError":
    known = (*FLAGS, *VALUES, *MAY_HAVE_VALUES)
    return _wrong(option, "an option of pyinit", within=within, known=known)


def _out_of_place(word: str, at: int) -> "UsageError":
    if word[at].isalpha():
        return _unknown("-" + word[at], within=word)
    return _wrong(word, f"an option of pyinit: -{word[at - 1]} takes no value")


def _note(found: "dict[str, Any]", topic: str, option: str, value: str) -> None:
    if topic in READERS:
        found[topic] = READERS[topic](option, value)
    elif topic == "expected_codes":
        found[topic].add(_code(option, value))
    elif topic == "rewrite":
        found[topic] |= _rewrite(option, value)
    elif topic == "verbosity":
        found[topic] += 1
    else:
        found[topic] = not option.startswith("--no-")


def _inspection(found: "dict[str, Any]", rest: list[str]) -> Inspection:
    if "inspect" not in found:
        raise _lacking(expected="--json is only valid with --inspect")
    if rest:
        expected = "no command; to inspect a process other than PID 1, write --inspect=PID"
        raise _wrong(rest[0], expected, place="--inspect")
    return Inspection(found["inspect"], as_json="json" in found)


def _with_environment(
    found: "dict[str, Any]", command: tuple[str, ...], environment: "Mapping[str, str]"
) -> Settings:
    verbosity = _verbosity(environment) + found.pop("verbosity")
    for name, topic in SWITCHES.items():
        found.setdefault(topic, _switch(environment, name))
    for variable, topic in VARIABLES.items():
        if topic in READERS and environment.get(variable):  # even if an option overrides it
            found.setdefault(topic, READERS[topic](variable, environment[variable]))
    if environment.get("PYINIT_STACKS"):
        found["stacks"] = _switch(environment, "STACKS")
    variable = "PYINIT_REWRITE"
    if environment.get(variable):
        found["rewrite"] = _rewrite(variable, environment[variable]) | found["rewrite"]
    steps = found.pop("kill_after", None)
    if found.get("timeout"):
        steps = ((0, IMPLIED_KILL_AFTER),) if steps is None else steps
        if not found["rewrite"].get(SIGTERM, SIGTERM) and not (steps and steps[0][0]):
            text = "-t sends SIGTERM, but -r drops it: name another signal, such as -k INT:10,KILL"
            raise _lacking(expected=text)
    if steps:
        found["kill_after"] = round(sum(seconds for _, seconds in steps), 6)
        found["ladder"] = steps if steps[1:] or steps[0][0] else ()
    return Settings(
        command,
        verbosity=min(verbosity, DEBUG),
        expected_codes=frozenset(found.pop("expected_codes")),
        unknown=tuple(name for name in environment if _is_unknown(name)),
        **found,
    )


def _is_unknown(name: str) -> bool:
    return name.startswith("PYINIT_") and name not in VARIABLES


def _verbosity(environment: "Mapping[str, str]") -> int:
    if environment.get("PYINIT_VERBOSITY"):
        return _integer("PYINIT_VERBOSITY", environment["PYINIT_VERBOSITY"], DEBUG)
    if environment.get("TINI_VERBOSITY"):  # tini has a fourth level and accepts any number
        return _integer("TINI_VERBOSITY", environment["TINI_VERBOSITY"], None)
    return WARNING


def _switch(environment: "Mapping[str, str]", name: str) -> bool:
    value = environment.get("PYINIT_" + name)
    if not value:
        # tini only checks whether it is set, not its value.
        return name in OF_TINI and "TINI_" + name in environment
    if value.lower() in ON or value.lower() in OFF:
        return value.lower() in ON
    expected = "1 or 0, true or false, yes or no, on or off"
    raise _wrong(value, expected, place="PYINIT_" + name, known=(*ON, *OFF))


def _integer(place: str, value: str, most: int | None) -> int:
    if _is_count(value) and (most is None or int(value) <= most):
        return int(value)
    expected = "a whole number, 0 or more" if most is None else f"a whole number from 0 to {most}"
    raise _wrong(value, expected, place=place)


def _code(place: str, value: str) -> int:
    return _integer(place, value, MAX_CODE)


def _pid(place: str, value: str) -> int:
    if _is_count(value) and int(value) > 0:
        return int(value)
    raise _wrong(value, "a pid, as in --inspect=7", place=place)


def _signal(place: str, value: str) -> int:
    from pyinit.before import names

    try:
        return names.number(value)
    except ValueError:
        expected = "a signal, such as TERM, SIGTERM, 15 or RTMIN+3"
        raise _wrong(value, expected, place=place, known=names.numbers()) from None


def _at_parent_death(place: str, value: str) -> int:
    # SIGKILL cannot be handled, but here it does what the user wants: it kills pyinit.
    signum = _signal(place, value)
    return signum if signum == SIGKILL else _received(place, value)


def _rewrite(place: str, value: str) -> dict[int, int]:
    rules = {}
    for rule in value.split(","):
        word, colon, sent = rule.partition(":")
        if not colon:
            raise _wrong(rule, "FROM:TO, such as TERM:QUIT, or FROM:0 to drop FROM", place=place)
        rules[_received(place, word)] = 0 if sent == "0" else _sent(place, sent)
    return rules


def _sent(place: str, word: str) -> int:
    signum = _signal(place, word)
    if signum in OF_C_LIBRARY:
        kept = f"32 to {max(OF_C_LIBRARY)}"
        expected = f"a signal that programs can use: the C library keeps {kept} for its threads"
        raise _wrong(word, expected, place=place)
    return signum


def _received(place: str, word: str) -> int:
    signum = _signal(place, word)
    if signum == SIGCHLD:
        expected = "a signal that pyinit forwards; SIGCHLD only tells it that a child has exited"
        raise _wrong(word, expected, place=place)
    if signum in NEVER_RECEIVED:
        from pyinit.before import names

        expected = f"a signal that a program can handle; {names.name(signum)} cannot be handled"
        raise _wrong(word, expected, place=place)
    return signum


def _seconds(place: str, value: str, alternative: str = "") -> float:
    whole, _, part = value.partition(".")
    if all(map(_is_count, filter(None, (whole, part)))) and whole + part:
        return float(value)
    expected = f"a number of seconds without a unit, such as 5 or 0.5{alternative}"
    raise _wrong(value, expected, place=place)


def _steps(place: str, value: str) -> "tuple[tuple[int, float], ...]":
    """Return the signals of ``-k``, and the seconds of each; empty if it is 0.

    KILL must be the last step, or a stop might never end; it is left out of the result.
    """
    *timed, last = value.split(",")
    if not timed and ":" not in last:
        seconds = _seconds(place, last, ", or steps, such as INT:5,TERM:5,KILL")
        return ((0, seconds),) if seconds else ()
    if ":" in last or _signal(place, last) != SIGKILL:
        expected = "KILL, without a time, as the last step: or else the child may never exit"
        raise _wrong(last, expected, place=place)
    return tuple(_step(place, word, is_first=not at) for at, word in enumerate(timed))


def _step(place: str, word: str, *, is_first: bool) -> tuple[int, float]:
    name, colon, time = word.rpartition(":")
    if not colon and not is_first:
        raise _wrong(word, "SIGNAL:SECONDS, such as TERM:5", place=place)
    signum = _sent(place, name) if colon else 0
    seconds = _seconds(place, time)
    if not seconds:
        raise _wrong(word, "more than 0 seconds for a step", place=place)
    if signum == SIGKILL:
        raise _wrong(word, "KILL only as the last step, without a time", place=place)
    return signum, seconds


def _log_format(place: str, value: str) -> str:
    if value in LOG_FORMATS:
        return value
    raise _wrong(value, "auto, console or json", place=place, known=LOG_FORMATS)


def _path(place: str, value: str) -> str:
    # pyinit itself leaves the working directory.
    if value.startswith("/"):
        return value
    raise _wrong(value, "an absolute path, such as /tmp/last-words", place=place)


def _is_count(word: str) -> bool:
    """Tell whether ``word`` consists of ASCII digits, and not of too many for ``int``."""
    return word.isascii() and word.isdigit() and len(word) <= LONGEST_COUNT


READERS: "dict[str, Callable[[str, str], Any]]" = {  # for options with one value, by topic
    "parent_death_signal": _at_parent_death,
    "drain": _seconds,
    "timeout": _seconds,
    "kill_after": _steps,
    "explain_after": _seconds,
    "leftovers": _code,
    "log_format": _log_format,
    "termination_log": _path,
    "inspect": _pid,
}
