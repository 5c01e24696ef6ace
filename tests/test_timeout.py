"""A time limit, point by point beside timeout(1); and what pyinit tells of it."""

import os
import signal
import subprocess

import pytest

from testkit.marks import BOTH
from testkit.namespaces import UNSHARE
from testkit.processes import state, until
from testkit.programs import PYINIT, PYTHON, victim
from testkit.refusals import refusing

LONG = ("sleep", "1000")
PLACES = ("timeout", "pyinit", "pyinit as PID 1")
everywhere = pytest.mark.parametrize("tool", PLACES)
TOO_LATE = 124


def limited(tool, seconds, command=LONG, *, kill_after=None, options=()) -> list[str]:
    """Return the command line of a tool that limits the time of a command."""
    after = [] if kill_after is None else ["-k", str(kill_after)]
    if tool == "timeout":
        return ["timeout", *after, *options, str(seconds), *command]
    prefix = UNSHARE if tool == "pyinit as PID 1" else ()
    return [*prefix, PYINIT, "-t", str(seconds), *after, *options, "--", *command]


def code_of(result) -> int:
    """Return the exit code that a shell would tell: timeout(1) dies as its command did."""
    return 128 - result.code if result.code < 0 else result.code


def blocking(signum) -> list[str]:
    """Return what has a command inherit a blocked signal, which is pending if it comes early."""
    return ["env", f"--block-signal={signum}"]


def asked(act: str, signum: int = signal.SIGTERM) -> list[str]:
    """Return a command that waits for a blocked signal, however late it begins, and then acts."""
    lines = f"import os, signal; signal.sigwait([{int(signum)}]); os.write(1, b'asked\\n'); {act}"
    return [*PYTHON, "-c", lines]


@pytest.fixture
def within(launch):
    """Run a command with a time limit to its end; return the code that a shell would tell."""

    def run_one(tool, seconds, command=LONG, *, wrap=(), stdin=subprocess.DEVNULL, **how) -> int:
        line = [*wrap, *limited(tool, seconds, command, **how)]
        return code_of(launch(line, namespace=False, stdin=stdin).finish())

    return run_one


@everywhere
@pytest.mark.parametrize("seconds", ["1000", "0", "0.0", "1000.34", "999.999999999"])
@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -USR1 $$", 138)])
def test_command_in_time_keeps_its_code(within, tool, seconds, script, code):
    """Whole numbers, fractions and 0, which is no limit."""
    assert code == within(tool, seconds, ["sh", "-c", script])


@everywhere
@pytest.mark.parametrize("seconds", [".1", "0.1"])
def test_late_command_is_asked_to_stop(within, tool, seconds):
    """It gets SIGTERM, and the code says that it was late."""
    assert TOO_LATE == within(tool, seconds)


@everywhere
@pytest.mark.parametrize("code", [0, 7, 137])
def test_what_a_late_command_leaves_with_does_not_count(launch, tool, code):
    """Also 0, and a code as of a SIGKILL."""
    line = [*blocking("TERM"), *limited(tool, "0.1", asked(f"os._exit({code})"))]
    result = launch(line, namespace=False).finish()

    assert (TOO_LATE, "asked\n") == (code_of(result), result.out)


@everywhere
def test_late_command_that_ignores_it_is_killed(within, tool):
    """Then the code is that of SIGKILL."""
    wrap = blocking("TERM")

    assert 128 + signal.SIGKILL == within(tool, "0.2", kill_after="0.2", wrap=wrap)


@everywhere
def test_late_command_that_is_killed_by_another_tells_so(within, tool):
    """Whatever has sent the SIGKILL."""
    command = asked("os.kill(os.getpid(), signal.SIGKILL)")

    assert 128 + signal.SIGKILL == within(tool, "0.1", command, wrap=blocking("TERM"))


@everywhere
def test_kill_after_counts_without_a_limit_to_reach(launch, tool):
    """It is for a request to stop from outside as well."""
    line = limited(tool, "1000", victim("listener"), kill_after="0.2")
    run = launch(line, namespace=tool == "pyinit as PID 1")
    run.ready()
    assert until(lambda: state(run.process.pid) == "S")  # as below
    run.send(signal.SIGTERM)

    assert 128 + signal.SIGKILL == code_of(run.finish())


@everywhere
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_go_on_to_the_command(launch, tool, signum):
    """What it makes of them is its own: it was not late."""
    script = f"trap 'exit 9' {signum}; echo 'ready (pid: 1)'; while :; do :; done"
    run = launch(limited(tool, "1000", ["sh", "-c", script]), namespace=tool == "pyinit as PID 1")
    run.ready()
    # timeout(1) that is asked right after its fork, before it knows its child, leaves that behind.
    assert until(lambda: state(run.process.pid) == "S")
    run.send(signum)

    assert 9 == code_of(run.finish())


@everywhere
def test_stopped_command_is_continued(within, tool):
    """Or it could not end before it is killed."""
    assert TOO_LATE == within(tool, "0.2", ["sh", "-c", "kill -STOP $$"], kill_after="1000")


@everywhere
def test_command_that_is_not_there(within, tool):
    """Nothing is late, and the code says what is wrong."""
    assert [127, 126] == [within(tool, 1000, [word]) for word in ("no-such-program", "/")]


@pytest.mark.parametrize(("tool", "code"), [("timeout", 125), ("pyinit", 1)])
@pytest.mark.parametrize(
    ("seconds", "how"),
    [
        ("invalid", {}),
        ("42D", {}),
        ("-1", {}),
        ("", {}),
        ("1000", {"kill_after": "invalid"}),
        ("1000", {"options": ["--no-such-option"]}),
        ("1000", {"command": []}),
    ],
    ids=str,
)
def test_mistake_starts_nothing(within, tool, code, seconds, how):
    """Each has a code of its own for that."""
    command = how.get("command", ["sh", "-c", "exit 9"])

    assert code == within(tool, seconds, command, **{k: how[k] for k in how if k != "command"})


@everywhere
@pytest.mark.parametrize("word", ["--block-signal=ALRM", "--ignore-signal=ALRM", "--block-signal"])
def test_limit_needs_no_signal_from_the_caller(within, tool, word):
    """What the caller blocks or ignores does not change it; here SIGTERM is default again."""
    command = ["env", "--default-signal", *PYTHON, "-c", UNBLOCKED]

    assert TOO_LATE == within(tool, "0.5", command, wrap=["env", word])


UNBLOCKED = """
import signal
signal.pthread_sigmask(signal.SIG_SETMASK, ())
while True:
    signal.pause()
"""


@everywhere
def test_ignored_sigchld_is_no_hindrance(within, tool):
    """A caller may have ignored it; the code of the command counts all the same."""
    ignoring = ["env", "--ignore-signal=CHLD"]

    assert [0, 7] == [
        within(tool, 1000, ["sh", "-c", f"exit {code}"], wrap=ignoring) for code in (0, 7)
    ]


@everywhere
def test_child_of_before_is_not_the_command(launch, tool):
    """What a shell has begun before it became the tool may end when it likes."""
    line = limited(tool, "0.5", ["sh", "-c", "sleep 1000; echo late"])
    result = launch(["sh", "-c", 'sleep 0.1 & exec "$@"', "-", *line], namespace=False).finish()

    assert (TOO_LATE, "") == (code_of(result), result.out)


@pytest.mark.parametrize("outer", PLACES[:2])
@pytest.mark.parametrize("inner", PLACES[:2])
@pytest.mark.parametrize(("first", "second"), [("1000", "0.2"), ("0.2", "1000")])
def test_limits_nest(within, outer, inner, first, second):
    """The one that is shorter ends the command, and both have its code."""
    assert TOO_LATE == within(outer, first, limited(inner, second))


DAEMON = ["sh", "-c", "setsid sh -c 'echo \"ready (pid: $$)\"; exec sleep 1000' & wait"]

# The same, and what asks it to stop is pending until the other process is ready.
BEGIN = """
import os, signal
reader, writer = os.pipe()
is_daemon = os.fork() == 0
if is_daemon:
    os.setsid()
    print(f"ready (pid: {os.getpid()})", flush=True)
    os.write(writer, b"x")
os.read(reader, 1 - is_daemon)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
while True:
    signal.pause()
"""
DAEMON_FIRST = [*PYTHON, "-c", BEGIN]


def test_process_that_left_the_group_outlives_timeout(launch):
    """It is out of reach there, and goes on."""
    run = launch(limited("timeout", "1000", DAEMON), namespace=False, stderr=subprocess.DEVNULL)
    pid = run.ready()
    run.send(signal.SIGALRM)  # as its clock does
    assert TOO_LATE == run.process.wait()
    try:
        assert until(lambda: state(pid) == "S")
    finally:
        os.kill(pid, signal.SIGKILL)
    run.finish()


@BOTH
def test_process_that_left_the_group_does_not_outlive_pyinit(start, namespace):
    """The drain ends it: its end of the pipe is closed."""
    run = start(["-t", "0.1"], DAEMON_FIRST, wrap=blocking("TERM"), namespace=namespace)
    run.ready()

    assert TOO_LATE == run.finish().code


@pytest.mark.parametrize(("tool", "seconds", "code"), [("timeout", 0.5, 124), ("pyinit", 1000, 0)])
def test_command_reads_from_the_terminal(launch, tool, seconds, code):
    """Below timeout(1) it is in the background and is stopped; pyinit leaves it where it was."""
    master, slave = os.openpty()
    try:
        os.write(master, b"hello\n\x04")
        line = ["setsid", "--ctty", "sh", "-c", '"$@"; exit $?', "-"]
        line += limited(tool, seconds, ["cat"])
        result = launch(line, namespace=False, stdin=slave, start_new_session=False).finish()
    finally:
        os.close(slave)
        os.close(master)

    assert (code, "" if code else "hello\n") == (code_of(result), result.out)


@BOTH
@pytest.mark.parametrize("how", ["option", "variable"])
def test_what_it_was_doing_is_told(start, patient, namespace, how):
    """One warning has how long it ran, what it gets, and where it was."""
    options, wrap = (["-t", "2.5"], []) if how == "option" else ([], ["env", "PYINIT_TIMEOUT=2.5"])
    wrap += patient()
    run = start(options, victim("listener", 5), wrap=wrap, namespace=namespace)
    pid = run.ready()
    result = run.finish()
    (event,) = result.events
    wanted = {"event": "timed_out", "level": "warning", "pid": pid, "seconds": 2.5}
    wanted |= {"signal": "SIGTERM", "state": "sleeping", "target": f"process {pid}"}

    assert (TOO_LATE, f"got {int(signal.SIGTERM)}\n") == (result.code, result.out[:7])
    assert wanted == {key: event[key] for key in wanted}
    assert "listener.py" in event["stack"][0]
    assert "reason" not in event


@BOTH
@pytest.mark.parametrize(
    ("options", "signum", "target"),
    [
        (["-r", "TERM:USR1"], signal.SIGUSR1, "process"),
        (["-r", "TERM:0", "-k", "USR2:1000,KILL"], signal.SIGUSR2, "process"),
        (["-k", "INT:1000,KILL"], signal.SIGINT, "process"),
        (["-g"], signal.SIGTERM, "process group"),
        (["-a"], signal.SIGTERM, "every "),
    ],
)
def test_request_goes_where_signals_go(start, options, signum, target, namespace):
    """Through -r, the first step of -k, -g and -a, as a SIGTERM that came in."""
    how = {"wrap": blocking(int(signum)), "namespace": namespace}
    result = start(["-t", "0.1", *options], asked("os._exit(3)", signum), **how).finish()
    (event,) = result.named("timed_out")

    assert (TOO_LATE, "asked\n") == (result.code, result.out)
    assert (signum.name, True) == (event["signal"], event["target"].startswith(target))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-e", "124"], 0),
        (["-e", "143"], TOO_LATE),
        (["-e", "124", "--leftovers", "99"], 0),
        (["-d", "0"], TOO_LATE),
        (["--leftovers", "99"], TOO_LATE),
    ],
)
def test_code_goes_through_the_other_options(run, options, code):
    """What the command would have left with is nothing that -e looks at."""
    assert code == run(["-t", "0.1", *options], LONG).code


def test_request_from_outside_takes_the_place_of_the_limit(start):
    """With a kill-after, which is implied: the command is asked once, and its code counts."""
    run = start(["-t", "1000"], victim("listener", 5))
    run.ready()
    result = run.stop()

    assert (5, "") == (result.code, result.err)


def test_limit_holds_without_a_kill_after(start):
    """Where nothing else would end a command that goes on after SIGINT."""
    run = start(["-t", "3", "-k", "0"], victim("listener", 5))
    run.ready()
    run.send(signal.SIGINT)
    assert f"got {int(signal.SIGINT)}" == run.line()

    assert TOO_LATE == run.finish().code


def test_request_that_is_refused_is_told(start):
    """The limit is over, and pyinit goes on to wait for the command's end."""
    command = ["sh", "-c", "trap '' TERM; read x; exit 7"]
    run = start(
        ["-t", "0.2", "-k", "0"],
        command,
        wrap=refusing("kill:error=EPERM"),
        namespace=False,
        stdin=subprocess.PIPE,
    )
    event = run.event("kill_refused")
    run.close_stdin()

    assert ("SIGTERM", "EPERM") == (event["signal"], event["error"])
    assert TOO_LATE == run.finish().code


def test_last_words_tell_of_the_limit(run, patient, tmp_path):
    """With its position, as for one that had to be killed."""
    log = tmp_path / "log"
    command = [*PYTHON, "-c", "import time\ntime.sleep(1000)"]
    wrap = ["env", "PYINIT_VERBOSITY=1", *patient()]
    run(["-t", "2.5", f"--termination-log={log}"], command, wrap=wrap)
    how, late, *rest = log.read_text().splitlines()

    assert "was killed by SIGTERM" in how
    assert late.endswith("had run for 2.5 s (-t) and was asked to stop.")
    assert "    <string>:2 <module>" in rest


def test_drain_begins_where_the_limit_ended_the_command(start):
    """What it left has the time of -d, and the limit does not count for it."""
    # It begins before pyinit: the child may not have the time to begin another process.
    script = "exec 3<&0; trap '' TERM; (read x; echo done) <&3 & exec \"$@\" 3<&-"
    wrap = ["sh", "-c", script, "-"]
    run = start(["-t", "0.2", "-k", "0.2"], LONG, wrap=wrap, stdin=subprocess.PIPE)
    assert run.event("child_exited")["signal"] == "SIGKILL"
    run.close_stdin()
    result = run.finish()

    assert (128 + signal.SIGKILL, "done\n") == (result.code, result.out)


def test_stop_by_a_key_does_not_hang_the_limit(launch):
    """In a job ^Z stops pyinit with its command; once it is continued the limit is over."""
    master, slave = os.openpty()
    try:
        line = ["setsid", "--ctty", "bash", "--norc", "-ic"]
        script = '"$@"; echo stopped; fg >/dev/null; echo "code $?"'
        wrapped = ["sh", "-c", "echo 'ready (pid: 1)'; exec sleep 1000"]
        line += [script, "-", *limited("pyinit", "1", wrapped)]
        run = launch(line, namespace=False, stdin=slave, start_new_session=False)
        run.ready()
        os.write(master, b"\x1a")
        assert "stopped" == run.line()
        assert "code 124" == run.line()
    finally:
        os.close(slave)
        os.close(master)
