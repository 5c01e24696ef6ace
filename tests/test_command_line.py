"""The command line and the environment: what pyinit accepts, and what it says otherwise."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.programs import PYINIT, ROOT_DIRECTORY
from testkit.signalsets import OF_C_LIBRARY

import pyinit
from pyinit.before import cli
from pyinit.before import names, usage
from pyinit.before.errors import UsageError
from pyinit.settings import Settings

DEFAULTS = {
    "command": ("app",),
    "subreaper": False,
    "parent_death_signal": 0,
    "verbosity": 1,
    "warn_on_reap": False,
    "group": False,
    "forward_all": False,
    "rewrite": {},
    "drain": 5.0,
    "timeout": 0.0,
    "kill_after": 0.0,
    "ladder": (),
    "expected_codes": frozenset(),
    "leftovers": 0,
    "log_format": "auto",
    "termination_log": "",
    "unknown": (),
}


WARN = {"warn_on_reap": True}
STEPS = ((2, 5.0), (15, 4.5), (6, 2.0))
DROPPED = {"timeout": 7.0, "kill_after": 1.0, "rewrite": {15: 0}}
ALL_FLAGS = {"group": True, "verbosity": 2, "subreaper": True} | WARN


def parsed(words: list[str], environment: dict[str, str] | None = None) -> dict:
    """Parse, and return the settings that are not the defaults."""
    settings = cli.parse(words, environment or {})
    assert isinstance(settings, Settings)
    values = {name: getattr(settings, name) for name in DEFAULTS}
    return {name: value for name, value in values.items() if value != DEFAULTS[name]}


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["app"], {}),
        (["--", "app"], {}),
        (["app", "-v"], {"command": ("app", "-v")}),
        (["app", "--", "-g"], {"command": ("app", "--", "-g")}),
        (["--", "--", "x"], {"command": ("--", "x")}),
        (["--", "-g"], {"command": ("-g",)}),
        (["-"], {"command": ("-",)}),
        (["-g", "-", "-v"], {"group": True, "command": ("-", "-v")}),
        (["-g", "app"], {"group": True}),
        (["-s", "app"], {"subreaper": True}),
        (["-w", "app"], {"warn_on_reap": True}),
        (["-v", "app"], {"verbosity": 2}),
        (["-vv", "app"], {"verbosity": 3}),
        (["-v", "-v", "-v", "app"], {"verbosity": 3}),
        (["-gvsw", "--", "app"], ALL_FLAGS),
        (["-pKILL", "app"], {"parent_death_signal": 9}),
        (["-p", "KILL", "app"], {"parent_death_signal": 9}),
        (["-gpTERM", "app"], {"group": True, "parent_death_signal": 15}),
        (["-gp", "TERM", "app"], {"group": True, "parent_death_signal": 15}),
        (["-p", "HUP", "-p", "INT", "app"], {"parent_death_signal": 2}),
        (["-e", "3", "app"], {"expected_codes": frozenset({3})}),
        (["-e3", "-e", "04", "-we5", "app"], {"expected_codes": frozenset({3, 4, 5})} | WARN),
        (["-a", "app"], {"forward_all": True}),
        (["-gav", "app"], {"forward_all": True, "group": True, "verbosity": 2}),
        (["--all", "--", "app"], {"forward_all": True}),
        (["-r", "TERM:QUIT", "app"], {"rewrite": {15: 3}}),
        (["-rTERM:0", "app"], {"rewrite": {15: 0}}),
        (["--rewrite=15:3", "--rewrite", "sighup:0", "app"], {"rewrite": {15: 3, 1: 0}}),
        (["-r", "RTMIN+3:64,USR1:KILL", "app"], {"rewrite": {37: 64, 10: 9}}),
        (["-r", "INT:TERM", "-r", "INT:QUIT", "app"], {"rewrite": {2: 3}}),
        (["-d", "0", "app"], {"drain": 0.0}),
        (["-gd2.5", "app"], {"drain": 2.5, "group": True}),
        (["--drain=.5", "--drain", "007", "app"], {"drain": 7.0}),
        (["-k", "10", "app"], {"kill_after": 10.0}),
        (["--kill-after=8.", "-k9", "app"], {"kill_after": 9.0}),
        (["--kill-after", "0", "app"], {}),
        (["-k", "1,KILL", "app"], {"kill_after": 1.0}),
        (["-kINT:5,term:4.5,6:2,9", "app"], {"kill_after": 11.5, "ladder": STEPS}),
        (["-k", "5,ABRT:.5,SIGKILL", "app"], {"kill_after": 5.5, "ladder": ((0, 5.0), (6, 0.5))}),
        (["-k", "INT:5,KILL", "-k3", "app"], {"kill_after": 3.0}),
        (["-k", "INT:5,KILL", "-k0", "app"], {}),
        (["-t", "7.5", "app"], {"timeout": 7.5, "kill_after": 10.0}),
        (["--timeout=7", "-k", "3", "app"], {"timeout": 7.0, "kill_after": 3.0}),
        (["-t7", "-k0", "app"], {"timeout": 7.0}),
        (["-t7", "-t", "0", "app"], {}),
        (["-t7", "-rTERM:0", "-kINT:1,KILL", "app"], DROPPED | {"ladder": ((2, 1.0),)}),
        (["--leftovers", "99", "app"], {"leftovers": 99}),
        (["--leftovers=99", "--leftovers=0", "app"], {}),
        (["--log-format", "json", "app"], {"log_format": "json"}),
        (["--log-format=console", "app"], {"log_format": "console"}),
        (["--log-format=auto", "app"], {}),
        (["--termination-log", "/a", "app"], {"termination_log": "/a"}),
        (["--termination-log=/a=b", "app"], {"termination_log": "/a=b"}),
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_are_understood(words, settings):
    """Short options group, values join or follow, and the first operand begins the command."""
    assert settings == parsed(words)


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({"PYINIT_SUBREAPER": "1"}, {"subreaper": True}),
        ({"PYINIT_SUBREAPER": "Yes"}, {"subreaper": True}),
        ({"PYINIT_SUBREAPER": "0"}, {}),
        ({"PYINIT_SUBREAPER": ""}, {}),
        ({"TINI_SUBREAPER": ""}, {"subreaper": True}),
        ({"TINI_SUBREAPER": "0"}, {"subreaper": True}),
        ({"TINI_SUBREAPER": "1", "PYINIT_SUBREAPER": "off"}, {}),
        ({"PYINIT_KILL_PROCESS_GROUP": "on"}, {"group": True}),
        ({"TINI_KILL_PROCESS_GROUP": "1"}, {"group": True}),
        ({"TINI_KILL_PROCESS_GROUP": "1", "PYINIT_KILL_PROCESS_GROUP": "false"}, {}),
        ({"PYINIT_VERBOSITY": "0"}, {"verbosity": 0}),
        ({"PYINIT_VERBOSITY": "3"}, {"verbosity": 3}),
        ({"TINI_VERBOSITY": "2"}, {"verbosity": 2}),
        ({"TINI_VERBOSITY": "4"}, {"verbosity": 3}),
        ({"TINI_VERBOSITY": "3", "PYINIT_VERBOSITY": "1"}, {}),
        ({"PYINIT_FORWARD_ALL": "1"}, {"forward_all": True}),
        ({"TINI_FORWARD_ALL": "1"}, {}),
        ({"PYINIT_REWRITE": "TERM:QUIT,HUP:0"}, {"rewrite": {15: 3, 1: 0}}),
        ({"PYINIT_REWRITE": ""}, {}),
        ({"PYINIT_DRAIN": "0"}, {"drain": 0.0}),
        ({"PYINIT_DRAIN": "8.5"}, {"drain": 8.5}),
        ({"PYINIT_DRAIN": ""}, {}),
        ({"PYINIT_KILL_AFTER": "9"}, {"kill_after": 9.0}),
        ({"PYINIT_KILL_AFTER": "INT:9,KILL"}, {"kill_after": 9.0, "ladder": ((2, 9.0),)}),
        ({"PYINIT_KILL_AFTER": "0", "PYINIT_TIMEOUT": "3"}, {"timeout": 3.0}),
        ({"PYINIT_TIMEOUT": "3"}, {"timeout": 3.0, "kill_after": 10.0}),
        ({"PYINIT_TIMEOUT": ""}, {}),
        ({"PYINIT_LEFTOVERS": "9"}, {"leftovers": 9}),
        ({"PYINIT_LEFTOVERS": "0"}, {}),
        ({"PYINIT_LOG_FORMAT": "json"}, {"log_format": "json"}),
        ({"PYINIT_LOG_FORMAT": ""}, {}),
        ({"PYINIT_TERMINATION_LOG": "/a"}, {"termination_log": "/a"}),
        ({"PYINIT_TERMINATION_LOG": ""}, {}),
        ({"PYINIT_KILLAFTER": "5"}, {"unknown": ("PYINIT_KILLAFTER",)}),
        ({"TINI_KILLAFTER": "5"}, {}),
    ],
    ids=str,
)
def test_environment_is_understood(environment, settings):
    """PYINIT_ variables override those of tini, which count if set; an empty one is ignored."""
    assert settings == parsed(["app"], environment)


@pytest.mark.parametrize(
    ("words", "environment", "settings"),
    [
        (["-g"], {"PYINIT_KILL_PROCESS_GROUP": "0"}, {"group": True}),
        (["--no-group"], {"PYINIT_KILL_PROCESS_GROUP": "1"}, {}),
        (["--no-group"], {"TINI_KILL_PROCESS_GROUP": ""}, {}),
        (["--no-all"], {"PYINIT_FORWARD_ALL": "1"}, {}),
        (["--no-all", "-g"], {"PYINIT_FORWARD_ALL": "1"}, {"group": True}),
        (["-g", "--no-group"], {}, {}),
        (["--no-all", "--all"], {}, {"forward_all": True}),
        (["-s"], {"PYINIT_SUBREAPER": "0"}, {"subreaper": True}),
        (["-v"], {"PYINIT_VERBOSITY": "0"}, {}),
        (["-d5"], {"PYINIT_DRAIN": "0"}, {}),
        (["-k0"], {"PYINIT_KILL_AFTER": "9"}, {}),
        (["-k5"], {"PYINIT_KILL_AFTER": "INT:9,KILL"}, {"kill_after": 5.0}),
        (["-t0"], {"PYINIT_TIMEOUT": "9"}, {}),
        (["--leftovers=0"], {"PYINIT_LEFTOVERS": "9"}, {}),
        (["-a"], {"PYINIT_FORWARD_ALL": "0"}, {"forward_all": True}),
        (["-r", "TERM:INT"], {"PYINIT_REWRITE": "TERM:QUIT,HUP:0"}, {"rewrite": {15: 2, 1: 0}}),
        (["--log-format=json"], {"PYINIT_LOG_FORMAT": "console"}, {"log_format": "json"}),
    ],
    ids=str,
)
def test_command_line_wins_over_the_environment(words, environment, settings):
    """The last use of an option counts; -v adds to PYINIT_VERBOSITY."""
    assert settings == parsed([*words, "app"], environment)


SIGNAL_WORDS = {"TERM": 15, "SIGTERM": 15, "term": 15, "SigTerm": 15, "15": 15, "1": 1, "64": 64}
SIGNAL_WORDS |= {"RTMIN": 34, "SIGRTMIN+3": 37, "rtmin+30": 64, "RTMAX": 64, "SIGRTMAX-1": 63}
SIGNAL_WORDS |= {"RTMIN+0": 34, "RTMAX-0": 64, "RTMAX-30": 34, "000000015": 15}
SIGNAL_WORDS |= {"CLD": 17} if hasattr(signal, "SIGCLD") else {}  # not in musl
SIGNAL_WORDS |= {"POLL": 29, "IO": 29, "IOT": 6, "STKFLT": 16, "PWR": 30}


@pytest.mark.parametrize(("word", "number"), SIGNAL_WORDS.items())
def test_signals_have_many_spellings(word, number):
    """A signal is known by name, with or without SIG, in either case, or by number."""
    assert number == names.number(word)


@pytest.mark.parametrize(
    ("number", "name"), [(34, "MIN"), (35, "MIN+1"), (63, "MIN+29"), (64, "MAX")]
)
def test_real_time_signals_are_counted_from_the_first(number, name):
    """The first and the last real-time signal have a name, the others are RTMIN+N."""
    assert f"SIGRT{name}" == names.name(number)


@pytest.mark.parametrize("number", range(1, 65))
def test_signal_names_read_back(number):
    """Every number has a name, and the name stands for that number."""
    if number in {32, 33}:
        assert f"signal {number}" == names.name(number)
    else:
        assert number == names.number(names.name(number))


@pytest.mark.parametrize(
    "word",
    ["", "0", "65", "-1", "+15", "SIG", "SIG15", "TREM", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+",
     "RTMAX--1", "TERM+1", "15.0", " 15", "\uff11\uff15", "\u017ftop", "\u0131nt",
     "0000000015", "9" * 5000, "RTMIN+" + "9" * 5000],
)  # fmt: skip
def test_what_is_no_signal_is_refused(word):
    """0, a number above the last signal and a misspelt name are not signals."""
    with pytest.raises(ValueError, match=f"^{re.escape(word)}$"):
        names.number(word)


KEPT = f"the C library keeps 32 to {max(OF_C_LIBRARY)} for its threads"
ERRORS = [
    (["--log-fromat", "json", "x"], {}, ["'--log-fromat'", "--log-format"]),
    (["--versoin"], {}, ["'--versoin'", "--version"]),
    (["--verbose", "x"], {}, ["'--verbose'", "did you mean -v?"]),
    (["--verbos", "x"], {}, ["'--verbos'", "did you mean -v?"]),
    (["--gruop", "x"], {}, ["'--gruop'", "did you mean -g?"]),
    (["--sub-reaper", "x"], {}, ["'--sub-reaper'", "did you mean -s?"]),
    (["--lisence"], {}, ["'--lisence'", "did you mean -l?"]),
    (["--kil", "5", "x"], {}, ["'--kil'", "did you mean --kill-after?"]),
    (["-e", "--group", "x"], {}, ["-e '--group'", "from 0 to 255\n"]),
    (["-x", "x"], {}, ["'-x'", "pyinit --help"]),
    (["-G", "x"], {}, ["'-G'", "did you mean -g?"]),
    (["-q", "x"], {}, ["'-q'", "did you mean PYINIT_VERBOSITY=0?"]),
    (["--quiet", "x"], {}, ["'--quiet'", "did you mean PYINIT_VERBOSITY=0?"]),
    (["--drain 5", "x"], {}, ["'--drain 5'", "write the words separately: '--drain', '5'\n"]),
    (["-- x"], {}, ["'-- x'", "write the words separately: '--', 'x'\n"]),
    (["-k" + " x" * 100], {}, ["-k ' x x"]),
    (["-z" + " x" * 80], {}, ["pyinit --help"]),
    (["-gx", "x"], {}, ["'-x' in '-gx'", "pyinit --help"]),
    (["-vgA", "x"], {}, ["'-A' in '-vgA'", "did you mean -a?"]),
    (["-g=1", "x"], {}, ["'-g=1' is not an option of pyinit: -g takes no value\n"]),
    (["-vg-", "x"], {}, ["'-vg-' is not an option of pyinit: -g takes no value\n"]),
    (["-v2", "x"], {}, ["'-v2' is not an option of pyinit: -v takes no value\n"]),
    (["--help=1"], {}, ["--help '1'", "no value"]),
    (["-p", "TREM", "x"], {}, ["-p 'TREM'", "a signal", "did you mean TERM?"]),
    (["-pSIGTREM", "x"], {}, ["-p 'SIGTREM'", "did you mean TERM?"]),
    (["-p", "99", "x"], {}, ["-p '99'", "a signal"]),
    (["-p"], {}, ["-p", "a value"]),
    (["-p", "CHLD", "x"], {}, ["-p 'CHLD'", "pyinit forwards; SIGCHLD", "has exited\n"]),
    (["-pSTOP", "x"], {}, ["-p 'STOP'", "can handle; SIGSTOP cannot be"]),
    (["-p32", "x"], {}, ["-p '32'", "can handle; signal 32 cannot be"]),
    (["-p", "33", "x"], {}, ["-p '33'", "can handle; signal 33 cannot be"]),
    (["-e", "256", "x"], {}, ["-e '256'", "0 to 255"]),
    (["-e", "-1", "x"], {}, ["-e '-1'", "0 to 255"]),
    (["-e", "one", "x"], {}, ["-e 'one'", "0 to 255"]),
    (["-e"], {}, ["-e", "a value"]),
    (["--al", "x"], {}, ["'--al'", "did you mean --all?"]),
    (["-r", "TERM", "x"], {}, ["-r 'TERM'", "FROM:TO", "TERM:QUIT"]),
    (["-r", "", "x"], {}, ["-r", "FROM:TO"]),
    (["-r", "TERM:", "x"], {}, ["-r", "a signal"]),
    (["-r", "TERM:QIUT", "x"], {}, ["-r 'QIUT'", "did you mean QUIT?"]),
    (["-r", "0:TERM", "x"], {}, ["-r '0'", "a signal"]),
    (["-r", "TERM:QUIT,", "x"], {}, ["-r", "FROM:TO"]),
    (["-r", "CHLD:TERM", "x"], {}, ["-r 'CHLD'", "pyinit forwards; SIGCHLD", "has exited\n"]),
    (["-r", "CHLD:0", "x"], {}, ["-r 'CHLD'", "pyinit forwards; SIGCHLD"]),
    (["-r", "KILL:TERM", "x"], {}, ["-r 'KILL'", "a program can handle"]),
    (["-r", "19:TERM", "x"], {}, ["-r '19'", "a program can handle"]),
    (["-r", "32:TERM", "x"], {}, ["-r '32'", "a program can handle"]),
    (["-r", "1:32", "x"], {}, ["-r '32'", KEPT]),
    (["-r", "1:33", "x"], {}, ["-r '33'", KEPT]),
    (["-r", "1:KILL,2:32", "x"], {}, ["-r '32'", KEPT]),
    (["--no-group=1", "x"], {}, ["--no-group '1'", "no value"]),
    (["--no-gruop", "x"], {}, ["'--no-gruop'", "did you mean --no-group?"]),
    (["-d", "-1", "x"], {}, ["-d '-1'", "seconds", "0.5"]),
    (["-d", "5s", "x"], {}, ["-d '5s'", "seconds"]),
    (["-d", "inf", "x"], {}, ["-d 'inf'", "seconds"]),
    (["-d", "1e3", "x"], {}, ["-d '1e3'", "seconds"]),
    (["-d", ".", "x"], {}, ["-d '.'", "seconds"]),
    (["-d", "1.2.3", "x"], {}, ["-d '1.2.3'", "seconds"]),
    (["-d", "\u0665", "x"], {}, ["seconds"]),
    (["-k", "9" * 100, "x"], {}, ["-k", "seconds"]),
    (["-k"], {}, ["-k", "a value"]),
    (["-k", "5s", "x"], {}, ["-k '5s'", "such as 5 or 0.5, or steps, such as INT:5,TERM:5,KILL\n"]),
    (["-k", "KILL", "x"], {}, ["-k 'KILL'", "or steps"]),
    (["-k", "INT:5", "x"], {}, ["-k 'INT:5'", "KILL, without a time, as the last step"]),
    (["-k", "INT:5,TERM:5", "x"], {}, ["-k 'TERM:5'", "KILL, without a time, as the last step"]),
    (["-k", "INT:5,TERM", "x"], {}, ["-k 'TERM'", "KILL, without a time, as the last step"]),
    (["-k", "INT:5,KIL", "x"], {}, ["-k 'KIL'", "did you mean KILL?"]),
    (["-k", "INT:5,", "x"], {}, ["-k: expected a signal"]),
    (["-k", "5,5,KILL", "x"], {}, ["-k '5'", "SIGNAL:SECONDS, such as TERM:5"]),
    (["-k", "INT,KILL", "x"], {}, ["-k 'INT'", "seconds"]),
    (["-k", "TREM:5,KILL", "x"], {}, ["-k 'TREM'", "did you mean TERM?"]),
    (["-k", ":5,KILL", "x"], {}, ["-k: expected a signal"]),
    (["-k", "INT:,KILL", "x"], {}, ["-k: expected a number of seconds without a unit"]),
    (["-k", "INT:0,KILL", "x"], {}, ["-k 'INT:0'", "more than 0 seconds for a step"]),
    (["-k", "0,KILL", "x"], {}, ["-k '0'", "more than 0 seconds for a step"]),
    (["-k", "33:5,KILL", "x"], {}, ["-k '33'", KEPT]),
    (["-k", "INT:5,KILL:5,KILL", "x"], {}, ["-k 'KILL:5'", "KILL only as the last step"]),
    (["-k", "INT:1:2,KILL", "x"], {}, ["-k 'INT:1'", "a signal"]),
    (["x"], {"PYINIT_KILL_AFTER": "INT:5"}, ["PYINIT_KILL_AFTER='INT:5'", "the last step"]),
    (["-t", "5m", "x"], {}, ["-t '5m'", "seconds"]),
    (["-t"], {}, ["-t", "a value"]),
    (["-t5", "-rTERM:0", "x"], {}, ["-t sends SIGTERM, but -r drops it"]),
    (["-t5", "-k0", "-rTERM:0", "x"], {}, ["-t sends", "such as -k INT:10,KILL\n"]),
    (["x"], {"PYINIT_TIMEOUT": "5", "PYINIT_REWRITE": "TERM:0"}, ["-t sends", "INT:10"]),
    (["--time-limit", "5", "x"], {}, ["'--time-limit'", "did you mean --timeout?"]),
    (["--timeuot", "5", "x"], {}, ["'--timeuot'", "did you mean --timeout?"]),
    (["--leftover", "5", "x"], {}, ["'--leftover'", "did you mean --leftovers?"]),
    (["--leftovers", "256", "x"], {}, ["--leftovers '256'", "0 to 255"]),
    (["x"], {"PYINIT_LEFTOVERS": "-1"}, ["PYINIT_LEFTOVERS='-1'", "0 to 255"]),
    (["x"], {"PYINIT_TIMEOUT": "soon"}, ["PYINIT_TIMEOUT='soon'", "seconds"]),
    (["--grace=5", "x"], {}, ["'--grace'", "did you mean --drain?"]),
    (["x"], {"PYINIT_DRAIN": "soon"}, ["PYINIT_DRAIN='soon'", "seconds"]),
    (["x"], {"PYINIT_KILL_AFTER": "-"}, ["PYINIT_KILL_AFTER='-'", "seconds"]),
    (["x"], {"PYINIT_REWRITE": "TERM:QUIT;HUP:0"}, ["PYINIT_REWRITE='QUIT;HUP:0'", "a signal"]),
    (["x"], {"PYINIT_FORWARD_ALL": "maybe"}, ["PYINIT_FORWARD_ALL='maybe'", "1 or 0"]),
    (["-d3", "x"], {"PYINIT_DRAIN": "abc"}, ["PYINIT_DRAIN='abc'", "seconds"]),
    (["-k3", "x"], {"PYINIT_KILL_AFTER": "abc"}, ["PYINIT_KILL_AFTER='abc'", "seconds"]),
    (["-rHUP:0", "x"], {"PYINIT_REWRITE": "HUP"}, ["PYINIT_REWRITE='HUP'", "FROM:TO"]),
    (["-v", "x"], {"PYINIT_VERBOSITY": "9"}, ["PYINIT_VERBOSITY='9'", "0 to 3"]),
    (["-s", "x"], {"PYINIT_SUBREAPER": "maybe"}, ["PYINIT_SUBREAPER='maybe'", "1 or 0"]),
    (["-g", "x"], {"PYINIT_KILL_PROCESS_GROUP": "2"}, ["PYINIT_KILL_PROCESS_GROUP='2'", "1 or 0"]),
    (["-a", "x"], {"PYINIT_FORWARD_ALL": "x"}, ["PYINIT_FORWARD_ALL='x'", "1 or 0"]),
    (["--log-format=json", "x"], {"PYINIT_LOG_FORMAT": "xml"}, ["PYINIT_LOG_FORMAT='xml'", "auto"]),
    (["--log-format"], {}, ["--log-format", "a value"]),
    (["--log-format", "jsno", "x"], {}, ["--log-format 'jsno'", "did you mean json?"]),
    (["--termination-log", "a", "x"], {}, ["--termination-log 'a'", "an absolute path, such as /"]),
    (["x"], {"PYINIT_TERMINATION_LOG": "a"}, ["PYINIT_TERMINATION_LOG='a'", "an absolute path"]),
    (["--log-format=", "x"], {}, ["--log-format", "auto, console or json"]),
    ([], {}, ["pyinit: no command to run: ", "as in pyinit -- COMMAND"]),
    (["--"], {}, ["no command"]),
    (["-v"], {}, ["no command"]),
    (["x"], {"PYINIT_VERBOSITY": "4"}, ["PYINIT_VERBOSITY='4'", "0 to 3"]),
    (["x"], {"PYINIT_VERBOSITY": "high"}, ["PYINIT_VERBOSITY='high'", "0 to 3"]),
    (["x"], {"TINI_VERBOSITY": "-1"}, ["TINI_VERBOSITY='-1'", "a whole number, 0 or more\n"]),
    (
        ["x"],
        {"PYINIT_SUBREAPER": "yse"},
        ["PYINIT_SUBREAPER='yse'", "1 or 0", "yes or no", "did you mean yes?"],
    ),
    (["x"], {"PYINIT_KILL_PROCESS_GROUP": "2"}, ["PYINIT_KILL_PROCESS_GROUP='2'", "1 or 0"]),
    (["x"], {"PYINIT_LOG_FORMAT": "jsn"}, ["PYINIT_LOG_FORMAT='jsn'", "did you mean json?"]),
    (["-p", "a\nb\x1b[31m", "x"], {}, ["'a\\nb\\x1b[31m'"]),
    (["--\udcff", "x"], {}, ["\\udcff"]),
    (["-e", "9" * 100_000, "x"], {}, ["0 to 255"]),
]


@pytest.mark.parametrize(("words", "environment", "parts"), ERRORS)
def test_mistake_costs_one_line_and_starts_nothing(
    words, environment, parts, monkeypatch, tmp_path
):
    """One line names the word, what was expected and the nearest right word; the code is 1."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    program = tmp_path / "x"
    program.write_text("#!/bin/sh\necho started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    done = subprocess.run([PYINIT, *words], check=False, capture_output=True)
    error = done.stderr.decode()

    assert (1, b"") == (done.returncode, done.stdout)
    assert error.startswith("pyinit: ")
    assert (1, True) == (error.count("\n"), error.endswith("\n"))
    assert [] == [part for part in parts if part not in error]
    assert len(error) < 400


# Options of other programs, and words that only look similar.
OTHER_WORDS = [
    "--init", "--user", "--debug", "--config", "--daemon", "--foreground", "--signal", "--name",
    "--env", "--workdir", "--restart", "--watch", "--log-file", "--color", "--wait", "--time",
    "--limit", "--reap", "--fork", "--exec", "--output", "--pid", "--login", "--trace", "--port",
    "--ex", "--exit", "--term", "--sub", "--no", "-c", "-i", "-j",
]  # fmt: skip


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_nothing_is_proposed_rather_than_nonsense(word):
    """For a word that is no typing error, pyinit suggests no option."""
    done = subprocess.run([PYINIT, word, "x"], check=False, capture_output=True, text=True)
    line = f"pyinit: '{word}' is not an option of pyinit; pyinit --help lists all options\n"

    assert (1, line) == (done.returncode, done.stderr)


MEANT = {
    "PYINIT_KILLAFTER": "PYINIT_KILL_AFTER",
    "PYINIT_TIMOUT": "PYINIT_TIMEOUT",
    "PYINIT_LEFTOVER": "PYINIT_LEFTOVERS",
    "PYINIT_KILL_AFTER_SECONDS": "PYINIT_KILL_AFTER",
    "PYINIT_GRACE_PERIOD": "PYINIT_DRAIN",
    "PYINIT_DRIAN": "PYINIT_DRAIN",
    "PYINIT_GROUP": "PYINIT_KILL_PROCESS_GROUP",
    "PYINIT_ALL": "PYINIT_FORWARD_ALL",
    "PYINIT_LOG_LEVEL": "PYINIT_VERBOSITY",
    "PYINIT_VERBOSE": "PYINIT_VERBOSITY",
    "PYINIT_QUIET": "PYINIT_VERBOSITY=0",
    "PYINIT_EXPECT": "-e",
    "PYINIT_VERSION": "",
    "PYINIT_LICENSE": "",
    "PYINIT_JSON": "",
    "PYINIT_PORT": "",
    "PYINIT_SERVICE_HOST": "",
    "PYINIT_PORT_80_TCP": "",
    "PYINIT_HOME": "",
    "PYINIT_": "",
}


@pytest.mark.parametrize("name", MEANT)
def test_variable_that_is_nearly_one_is_told(run, name):
    """A warning suggests the right variable; a name that may have another purpose gets none."""
    result = run(["--log-format=json"], ["sh", "-c", "exit 3"], wrap=["env", f"{name}=7"])
    reasons = [(event["event"], event["name"], event["reason"]) for event in result.events]
    reason = f"pyinit has no such variable; did you mean {MEANT[name]}?"

    assert 3 == result.code
    assert ([("variable_unknown", name, reason)] if MEANT[name] else []) == reasons


def test_variables_of_the_page_are_those_of_the_code():
    """The table of variables has every variable that pyinit reads."""
    page = (ROOT_DIRECTORY / "docs/usage.md").read_text()

    assert set(re.findall(r"^\| `(PYINIT_\w+)` \|", page, re.MULTILINE)) == set(cli.VARIABLES)


PAGES = {
    "-h": usage.HELP,
    "--help": usage.HELP,
    "-V": f"pyinit {pyinit.__version__}\n",
    "--version": f"pyinit {pyinit.__version__}\n",
    "-l": usage.LICENCE + usage.OTHERS,
    "-gh": usage.HELP,
}


@pytest.mark.parametrize("word", PAGES)
def test_pages_go_to_stdout(word):
    """Help, version and licence are the whole output, with code 0, whatever else is given."""
    environment = {"PYINIT_VERBOSITY": "nonsense"}
    done = subprocess.run(
        [PYINIT, word, "--nonsense"], check=False, capture_output=True, text=True, env=environment
    )

    assert (0, PAGES[word], "") == (done.returncode, done.stdout, done.stderr)


def test_page_that_cannot_be_written_is_an_error():
    """If stdout is on a full disk, one line says so, with code 1 and without a traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PYINIT, "--help"], check=False, stdout=full, stderr=subprocess.PIPE)

    assert 1 == done.returncode
    assert b"pyinit: cannot write to stdout: No space left on device\n" == done.stderr


def test_help_fits_a_terminal():
    """No line of the help page is wider than 80 columns."""
    assert [] == [line for line in usage.HELP.splitlines() if len(line) > 80]


def test_help_names_every_option():
    """The help page has every option."""
    assert [] == [option for option in (*cli.FLAGS, *cli.VALUES) if option not in usage.HELP]


ANY_WORD = st.text(st.characters(exclude_characters="\0", codec=None))
OPTION = st.sampled_from([*cli.FLAGS, *cli.VALUES, "--"])
VARIABLE = st.sampled_from(
    [
        "PYINIT_VERBOSITY",
        "PYINIT_SUBREAPER",
        "PYINIT_LOG_FORMAT",
        "PYINIT_DRAIN",
        "PYINIT_REWRITE",
        "PYINIT_KILL_AFTER",
        "PYINIT_TIMEOUT",
        "TINI_VERBOSITY",
    ]
)


@given(st.lists(ANY_WORD | OPTION), st.dictionaries(VARIABLE, st.text()))
def test_any_words_are_settings_a_page_or_one_sentence(words, environment):
    """Any command line gives settings with a command, a page, or one printable line."""
    try:
        wish = cli.parse(words, environment)
    except UsageError as error:
        sentence = usage.sentence(error)
        assert sentence.isprintable()
        assert len(sentence) < 400
    else:
        assert wish in cli.PAGES or words[-len(wish.command) :] == list(wish.command)


def test_settings_cannot_be_changed():
    """Settings cannot be changed."""
    with pytest.raises(AttributeError, match="verbosity"):
        Settings(("app",)).verbosity = 3


def test_settings_are_decided_once():
    """Settings do not change while the child runs."""
    with pytest.raises(AttributeError, match="tried to set drain"):
        Settings(("app",)).drain = 0.0


def test_error_before_the_child_runs_starts_nothing(run, sabotage):
    """An internal error before the child runs is one line and code 1."""
    wrap = sabotage("import sys; sys.modules['pyinit.before.prctls'] = None\n")
    result = run(command=["echo", "started"], wrap=wrap, namespace=False)

    assert (1, "", 1) == (result.code, result.out, result.err.count("\n"))
    assert result.err.startswith("pyinit: internal error, nothing was started: ")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_complaint_that_nobody_hears_has_its_code(run, sabotage, redirection):
    """If the line cannot be written, the code remains, and no exit handler changes it."""
    wrap = sabotage("import atexit, os; atexit.register(os._exit, 66)\n")
    wrap += ["sh", "-c", f'exec "$@" {redirection}', "-"]

    assert 1 == run(["--no-such-option"], wrap=wrap, namespace=False).code
