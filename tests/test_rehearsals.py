"""What a rehearsal reports about stops: some of the cases of `make rehearsals`."""

import json
import re
from dataclasses import replace

import pytest

from pyinit.rehearse import servers
from pyinit.rehearse.model import FAILED, GRACEFUL, SLOW, UNTIDY, VERDICTS
from testkit.namespaces import ROOT
from trials.hung.program import SOURCES as HUNG
from trials.rehearsals import trial
from trials.rehearsals.case import SOURCES
from trials.rehearsals.catalogue import CASES, FAULTS, HEALTHY

NAMES = {case.name: case for case in CASES}
CHOSEN = [
    NAMES[name]
    for name in (
        "SIGTERM is lost while it boots",
        "a second SIGTERM is fatal",
        "a handler with a bug",
        "a shell: its trap runs only after its command",
        "a daemon left behind, which ignores SIGTERM",
        "a helper under tini, which exits with its child",
        "a server that drops a request in progress",
        "a slow `atexit` hook",
        "System V shared memory",
        "POSIX shared memory",
        "a PID file",
        "the file of a unix socket",
        "gunicorn, with a request",
        "redis",
        "nginx, STOPSIGNAL SIGQUIT, with a request",
        "a job with helpers that end when asked",
        "`sleep infinity`, ready when all are asleep",
        "shared memory that a tracker removes",
        "pyinit under tini",
    )
]
AS_NOBODY = [
    NAMES["a PID file"],
    NAMES["POSIX shared memory"],
    NAMES["a server that drops a request in progress"],
    NAMES["a job with helpers that end when asked"],
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def check(case, **how):
    run = trial.rehearse(case, **how)

    assert [] == trial.complaints(case, run), json.dumps(run, indent=1)


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_what_is_wrong_is_found_and_no_more(case):
    check(case)


if ROOT:

    @pytest.mark.parametrize("case", AS_NOBODY, ids=lambda case: case.name)
    def test_another_user_finds_it_as_well(case):
        check(case, as_nobody=True)


def test_wrong_words_are_noticed():
    """A wrong verdict, cause, advice, leak or code is noticed."""
    case = replace(NAMES["a PID file"], advice="remove", left="sleep")
    run = {
        "verdict": UNTIDY,
        "cause": "the program left a PID file behind: /tmp/server.pid",
        "advice": ["remove the file before the program exits"],
        "leaks": [{"kind": "PID file", "name": "/tmp/server.pid", "counts": True}],
        "processes": [{"name": "sleep", "is_left": True}, {"name": "sh", "is_left": False}],
        "exit_code": 1,
    }
    wrong = {
        "verdict": {"verdict": FAILED},
        "untidy has exit code 0": {"exit_code": 0},
        "cause": {"cause": "the program left a PID file behind: /tmp/other.pid"},
        "advice": {"advice": []},
        "leak": {"leaks": [{"kind": "socket", "name": "/tmp/server.pid", "counts": True}]},
        "left": {"processes": [{"name": "sh", "is_left": True}]},
    }

    assert [] == trial.complaints(case, run)
    for complaint, change in wrong.items():
        (found,) = trial.complaints(case, run | change)
        assert found.startswith(complaint)


def test_a_false_alarm_is_noticed():
    """A healthy program must be graceful, and leave nothing behind that counts."""
    graceful = {
        "verdict": GRACEFUL,
        "cause": "it ended",
        "advice": [],
        "leaks": [{"kind": "file", "name": "/tmp/data", "counts": False}],
        "processes": [],
        "exit_code": 0,
    }
    leaks = [{"kind": "socket", "name": "/tmp/server", "counts": True}]

    assert [] == trial.complaints(NAMES["redis"], graceful)
    assert trial.complaints(NAMES["redis"], graceful | {"leaks": leaks})
    assert trial.complaints(NAMES["redis"], graceful | {"verdict": SLOW, "exit_code": 1})


def test_there_are_enough_of_each():
    assert len(FAULTS) >= 30
    assert len(HEALTHY) >= 15
    assert len(CASES) == len(NAMES)
    assert set(VERDICTS) == {case.verdict for case in FAULTS}
    assert not any(case.is_healthy for case in FAULTS)
    assert all(case.is_healthy for case in HEALTHY)


@by_name
def test_case_is_well_formed(case):
    """The files exist, verdict and patterns are valid, and each fault has a pattern."""
    words = " ".join((*case.command, *case.options))

    assert case.verdict in VERDICTS
    assert all(re.compile(getattr(case, what)) for what in trial.PATTERNS)
    assert case.is_healthy or case.cause or case.left
    assert bool(case.leak) == (case.verdict == UNTIDY)
    assert case.grace > 0
    for folder, path in {"SOURCES": SOURCES, "HUNG": HUNG}.items():
        for name in re.findall(rf"{folder}/([\w.]+)", words):
            assert (path / name).exists(), name
    assert not case.configuration or (SOURCES / case.configuration).exists()


def test_every_program_is_used():
    words = " ".join(word for case in CASES for word in (*case.command, *case.options))
    modules = " ".join(re.findall(r"(\w+):application", words))

    for path in SOURCES.iterdir():
        used = path.name in words or path.stem in modules or path.name.startswith("__")
        assert used or path.name in {case.configuration for case in CASES}, path


@pytest.mark.parametrize(
    ("name", "signal", "advice"),
    [
        ("nginx", "SIGTERM", "set STOPSIGNAL SIGQUIT in the Dockerfile"),
        ("nginx", "SIGQUIT", ""),
        (
            "php-fpm8.2",
            "SIGTERM",
            "set STOPSIGNAL SIGQUIT in the Dockerfile, and process_control_timeout in php-fpm.conf",
        ),
        ("gunicorn", "SIGQUIT", "set STOPSIGNAL SIGTERM in the Dockerfile"),
        ("gunicorn", "SIGTERM", ""),
        ("uwsgi-core", "SIGTERM", "gracefully_kill_them_all"),
        ("mysqld_safe", "SIGTERM", '"-g"'),
        ("my-nginx", "SIGTERM", ""),
    ],
)
def test_better_signal_is_known(name, signal, advice):
    found = servers.advice(name, signal)

    assert advice in found
    assert bool(advice) == bool(found)
