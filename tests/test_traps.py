"""The traps that bit other inits, and CPython's own, each under its name.

What only a drain could fall into comes with the drain.
"""

import itertools
import os
import re
import signal
import subprocess
import sys

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT
from testkit.processes import children, only_child, state, status, status_of, until
from testkit.programs import INSTALLED, PYTHON, victim
from testkit.refusals import MAY_NOT_KILL, OTHER_USER, STRACE, refusing
from testkit.running import command_line
from testkit.signalsets import pending, signal_set


@BOTH
def test_sigchld_inherited_as_ignored(run, namespace):
    """tini and catatonit hang for ever: pyinit gets its child's code, the child what it had."""
    wrap = ["env", "--ignore-signal=CHLD"]
    result = run(command=["cat", "/proc/self/status"], wrap=wrap, namespace=namespace)

    assert 0 == result.code
    assert signal.SIGCHLD in signal_set(status_of(result.out)["SigIgn"])


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
def test_forward_refused_with_eperm(start):
    """tini exits 1 and the container dies: pyinit warns, and goes on to the child's own end."""
    script = "echo 'ready (pid: 2)'; read x; exit 9"
    run = start(command=[*OTHER_USER, "sh", "-c", script], wrap=MAY_NOT_KILL, stdin=subprocess.PIPE)
    run.ready()
    for signum in (signal.SIGTERM, signal.SIGUSR1):
        run.send(signum)
        event = run.event("forward_refused")

        assert ("warning", "EPERM") == (event["level"], event["error"])
        assert (signum.name, "process 2") == (event["signal"], event["target"])
        assert "CAP_KILL" in event["reason"]
    assert (9, "") == (run.finish(b"\n").code, run.finish().err)


CLOSED = [c for n in range(4) for c in itertools.combinations((0, 1, 2), n)]
LIST_OPEN = """
import os, sys
found = []
for number in (0, 1, 2):
    try:
        os.fstat(number)
        found.append(number)
    except OSError:
        pass
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(file, repr(found).encode())
os._exit(4)
"""


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: f"closed{closed}")
@pytest.mark.parametrize("options", [[], ["-vv"]], ids=["quiet", "verbose"])
def test_standard_descriptors_closed(run, closed, options, tmp_path):
    """tini exits 1 where stdin is closed: pyinit runs, and the child finds the same holes."""
    closing = " ".join(f"{number}>&-" for number in closed)
    wrap = ["sh", "-c", f'exec "$@" {closing}', "-"]
    result = run(options, [*PYTHON, "-c", LIST_OPEN, str(tmp_path / "open")], wrap=wrap)

    assert 4 == result.code
    assert repr([n for n in (0, 1, 2) if n not in closed]) == (tmp_path / "open").read_text()


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_nothing_of_pyinits_own_is_where_a_standard_descriptor_was(run, closed):
    """What a workload writes to /proc/1/fd/2, as many do, is not read as news of a failed exec."""
    wrap = ["sh", "-c", f'exec "$@" {closed}>&-', "-"]
    script = f"{{ echo '2 x' >/proc/1/fd/{closed}; }} 2>/dev/null; exit 3"

    assert (3, "", "") == (
        (result := run(command=["sh", "-c", script], wrap=wrap)).code, result.out, result.err,
    )  # fmt: skip


@pytest.mark.parametrize("disposition", ["default", "ignore"])
def test_own_sigpipe_is_not_forwarded(start, disposition):
    """Of a stderr without a reader, init gets EPIPE and SIGPIPE; the workload sees neither."""
    reader, writer = os.pipe()
    os.close(reader)
    wrap = ["env", f"--{disposition}-signal=PIPE"]
    run = start(["-vv"], victim("listener", 9), wrap=wrap, stderr=writer)
    os.close(writer)
    run.ready()
    for signum in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN):
        run.send(signum)
        assert f"got {int(signum)}" == run.line()

    assert (9, f"got {int(signal.SIGTERM)}\n") == (run.stop().code, run.finish().out)


def test_own_sigxfsz_is_not_forwarded(start, tmp_path):
    """A log file that may not grow queues a SIGXFSZ for init; the workload would die with 153."""
    wrap = ["sh", "-c", 'ulimit -f 0; exec "$@"', "-"]
    script = "echo 'ready (pid: 2)'; read x; exit 9"
    with open(tmp_path / "log", "wb") as log:
        run = start(["-vv"], ["sh", "-c", script], wrap=wrap, stderr=log, stdin=subprocess.PIPE)
    run.ready()
    for _ in range(5):
        run.send(signal.SIGWINCH)

    assert 9 == run.finish(b"\n").code


def test_sigpipe_from_somebody_else_is_forwarded(start):
    """Only its own SIGPIPE is init's affair, even when it has just had one."""
    reader, writer = os.pipe()
    os.close(reader)
    run = start(["-vv"], victim("listener", 0), stderr=writer)
    os.close(writer)
    run.ready()
    run.send(signal.SIGUSR1)
    run.line()
    run.send(signal.SIGPIPE)

    assert f"got {int(signal.SIGPIPE)}" == run.line()


@pytest.mark.parametrize("options", [["-g"], []], ids=["group", "child"])
def test_signal_before_the_childs_setpgid(start, options):
    """A signal that is pending when pyinit starts reaches a group that the child is not in yet."""
    slow = ["-f", "-e", "inject=setpgid:delay_enter=100000"]
    wrap = [*STRACE, *slow, *pending(signal.SIGTERM)]
    run = start(options, victim("listener"), wrap=wrap, namespace=False)
    run.ready()
    os.kill(only_child(run.init), signal.SIGRTMAX)

    assert f"got {int(signal.SIGTERM)}" == run.line()


# In a group of its own, and with all signals blocked, as the child is to have them.
JOIN = """
import _signal, os, sys
_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
os.setpgid(0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_group_signal_before_the_childs_setpgid(start):
    """What is sent to pyinit's group, as timeout(1) does, reaches the child as pyinit forwards it.

    Also where the child has not run yet: pyinit itself has put it into another group.
    """
    slow = ["-f", "-e", "trace=setpgid", "-e", "inject=setpgid:delay_enter=1000000:when=1"]
    wrap = [*STRACE, "--seccomp-bpf", *slow, *PYTHON, "-c", JOIN]
    run = start(["-v", "-r", "USR1:USR2"], victim("listener"), wrap=wrap, namespace=False)
    run.event("child_started")
    os.killpg(only_child(run.init), signal.SIGUSR1)
    run.ready()

    assert f"got {int(signal.SIGUSR2)}" == run.line()  # the lower number would come first


def test_sigchld_coalesces(start, compiled):
    """Many deaths while init does not run are one SIGCHLD: all of them are reaped at it."""
    run = start(command=victim("listener", 0))
    run.ready()
    workload = children(run.init)
    run.send(signal.SIGSTOP)
    run.inside(compiled("daemon"), "300")
    run.send(signal.SIGCONT)

    assert until(lambda: children(run.init) == workload)


def test_child_dies_before_anything_else(run):
    """A child that is dead before init first waits for a signal is noticed all the same."""
    slow = refusing("rt_sigtimedwait:delay_enter=300000")
    result = run(command=["sh", "-c", "exit 7"], wrap=slow, namespace=False)

    assert 7 == result.code


def test_reaped_pid_is_not_signalled(tmp_path):
    """Once the child is reaped, its pid may be reused: not one kill comes after that."""
    log = tmp_path / "calls"
    strace = ["strace", "-qq", "-o", str(log), "-e", "trace=kill,wait4"]
    script = "for n in HUP USR1 USR2 WINCH RTMIN; do kill -$n $PPID; done; kill -KILL $$"
    command = command_line([], ["bash", "-c", script], wrap=strace, namespace=False)
    for _ in range(10):
        subprocess.run(command, check=False)
        calls = log.read_text().splitlines()
        sent, reaped = (
            [n for n, call in enumerate(calls) if re.match(what, call)]
            for what in (r"kill\(", r"wait4\(.* = [1-9]")
        )

        assert 1 == len(reaped)
        assert all(n < reaped[0] for n in sent)


def test_sigint_raises_no_keyboardinterrupt(run):
    """CPython's own handler for SIGINT neither runs in init nor in the child before exec."""
    inject = refusing("setpgid:signal=INT", everybody=True)
    result = run(command=["sleep", "60"], wrap=inject, namespace=False)

    assert (130, "") == (result.code, result.err)


def test_python_exits_with_120(run):
    """Output that cannot be flushed makes CPython's exit code 120: pyinit's is the child's."""
    with open("/dev/full", "wb") as full:
        assert 3 == run(["-v"], ["sh", "-c", "exit 3"], stdout=full, stderr=full).code


def test_pythoninspect_does_not_keep_pid1(run):
    """PYTHONINSPECT would leave an interactive interpreter behind as PID 1."""
    assert 3 == run(command=["sh", "-c", "exit 3"], wrap=["env", "PYTHONINSPECT=1"]).code


@pytest.mark.parametrize("how", ["PYTHONPATH", "cwd"])
def test_modules_of_the_workload_do_not_shadow(run, tmp_path, how):
    """A `pyinit`, `time` or `structlog` of the workload's is not loaded by init."""
    for module in ("pyinit", "structlog", "prctl", "resource", "queue", "select"):
        (tmp_path / f"{module}.py").write_text("import os; os._exit(66)\n")
    where = {"wrap": ["env", f"PYTHONPATH={tmp_path}"]} if how == "PYTHONPATH" else {}
    result = run(["-v"], ["sh", "-c", "exit 3"], cwd=tmp_path, namespace=False, **where)

    assert (3, "child_exited") == (result.code, result.events[-1]["event"])


FLOOD = """
import os, signal, types
from pyinit import init, signals

signals.block_all()
hangup = types.SimpleNamespace(si_signo=1, si_code=0, si_pid=0)
signals.wait = lambda seconds: hangup  # SIGCHLD never comes to the front
os._exit(init.run(("sh", "-c", "trap '' HUP; exit 8"), None, set()))
"""


def test_flood_does_not_starve_reaping():
    """The lowest number comes first: SIGHUP for ever would hide SIGCHLD from the wait."""
    done = subprocess.run([*INSTALLED, FLOOD], check=False, capture_output=True)

    assert (True, b"") == (done.returncode in {8, 129}, done.stderr)


def test_wait_that_ends_at_once_is_an_error():
    """A kernel that does not wait as long as it is told to would have PID 1 turn for ever."""
    strace = refusing("rt_sigtimedwait:error=EAGAIN")
    lines = "from pyinit import signals; signals.block_all(); signals.wait(60)"
    command = [*strace, *INSTALLED, lines]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert 1 == done.returncode
    assert "BlockingIOError" in done.stderr


SPOILT = """
from pyinit.lifecycle import Lifecycle
from pyinit.report import Report

def spoil(kind, name):
    act, left = getattr(kind, name), [MemoryError()]
    def fail_once(*arguments):
        if left:
            raise left.pop()
        return act(*arguments)
    setattr(kind, name, fail_once)

spoil(Lifecycle, "due")
"""


@pytest.mark.parametrize(
    ("also", "told"),
    [("", 1), ("spoil(Report, 'tell_error')", 0)],
    ids=["turn", "turn-and-guard"],
)
def test_turn_that_fails_is_not_the_last(also, told):
    """Where memory runs out in the middle of a turn, or of telling so, the next one comes."""
    script = FLOOD.replace("signals.wait = lambda seconds: hangup", SPOILT + also)
    done = subprocess.run([*INSTALLED, script], check=False, capture_output=True)

    assert (8, told) == (done.returncode, done.stderr.count(b"internal_error"))


def test_orphan_that_cannot_be_had_at_once(start):
    """Where wait4 takes no orphan although it is dead, it is taken at the next opportunity."""
    wrap = refusing("wait4:retval=0:when=1")
    command = ["sh", "-c", '(sh -c "exit 6" &); exec "$@"', "-", *victim("listener", 3)]
    run = start(["-w"], command, wrap=wrap, namespace=False)
    run.ready()
    tracer = run.process.pid
    (init,) = children(tracer)
    # It has ended, and if that was a second ago it is reaped already.
    assert until(lambda: all(state(orphan) in {"Z", ""} for orphan in children(init)[1:]))
    os.kill(init, signal.SIGUSR1)
    assert f"got {int(signal.SIGUSR1)}" == run.line()
    os.kill(init, signal.SIGTERM)
    result = run.finish()

    assert (3, [6]) == (result.code, [event["code"] for event in result.named("orphan_reaped")])


@pytest.mark.parametrize("options", [[], ["-w"]], ids=["quiet", "told"])
def test_zombies_that_cannot_be_had_at_once(run, options):
    """If wait4 takes no process although there is a zombie, it is no end and loses no code."""
    command = ["sh", "-c", "(sh -c 'exit 6' &); exit 3"]
    wrap = refusing("wait4:retval=0:when=1..3")

    assert 3 == run([*options, "-d", "0.2"], command, wrap=wrap, namespace=False).code


THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@BOTH
def test_thread_begun_before_the_mask_steals_no_signals(start, sabotage, namespace):
    """An agent's sitecustomize that starts threads loses no signal, and does not end PID 1."""
    wrap = sabotage(THREAD)
    listen = victim("listener", 5)
    run = start(["-v"], listen, wrap=wrap, namespace=namespace, stderr=subprocess.DEVNULL)
    run.ready()
    for signum in [signal.SIGRTMIN + 5] * 500:
        run.send(signum)

    assert [f"got {signal.SIGRTMIN + 5}"] * 500 == [run.line() for _ in range(500)]
    assert 5 == run.stop().code


@pytest.mark.parametrize("executable", ["''", "None", "'/nowhere'"])
def test_restart_needs_no_name_of_the_interpreter(run, sabotage, executable):
    """An interpreter that does not know its own path is left all the same."""
    wrap = sabotage(f"import sys\nsys.executable = {executable}\n{THREAD}")
    result = run(["-v"], ["sh", "-c", "exit 3"], wrap=wrap)

    assert (3, "child_exited") == (result.code, result.events[-1]["event"])


def test_restart_that_fails_is_told_and_nothing_starts(run, sabotage):
    """With a thread that takes its signals pyinit would hang some day: it does not begin at all."""
    spoil = "import os\ndef execv(*words):\n    raise OSError(7, 'Argument list too long')\n"
    result = run(command=["echo", "started"], wrap=sabotage(f"{spoil}os.execv = execv\n{THREAD}"))

    assert (1, "", 1) == (result.code, result.out, result.err.count("\n"))
    assert "another thread" in result.err
    assert "Argument list too long" in result.err


@pytest.mark.parametrize("entry", ["None", "__import__('pathlib').Path('/tmp')", "b'/tmp'"])
def test_restart_with_odd_module_path(run, sabotage, entry):
    """What is no text in sys.path, and of no use there either, does not stop a restart."""
    wrap = sabotage(f"import sys; sys.path.append({entry})\n{THREAD}")
    result = run(["-v"], ["sh", "-c", "exit 3"], wrap=wrap)

    assert (3, "child_exited") == (result.code, result.events[-1]["event"])


def test_restart_obeys_the_interpreters_own_variables(run, sabotage):
    """PYTHONHOME reaches the second start as it did the first: a moved interpreter needs it."""
    wrap = [*sabotage(THREAD), f"PYTHONHOME={sys.base_prefix}"]

    assert 3 == run(command=["sh", "-c", "exit 3"], wrap=wrap).code


def test_package_is_replaced_under_it(start, compiled, sabotage):
    """A module of pyinit that is half written raises anything: orphans are reaped all the same."""
    spoil = "import sys, types\nclass Half(types.ModuleType):\n    def __getattr__(self, name):\n"
    spoil += "        raise SyntaxError\nsys.modules['pyinit.later.proc'] = Half('proc')\n"
    run = start(
        ["-w"], [compiled("orphans"), "50"], wrap=sabotage(spoil), stderr=subprocess.DEVNULL
    )
    assert "gone" == run.line()
    workload = children(run.init)[0]

    assert until(lambda: children(run.init) == [workload])
    assert 0 == run.stop().code


@pytest.mark.parametrize("gone", ["proc", "events", "writer", "lines", "exec_failure"])
def test_package_is_deleted_under_it(start, compiled, sabotage, gone):
    """A module of pyinit that cannot be loaded any more costs events, not zombies or codes."""
    wrap = sabotage(f"import sys; sys.modules['pyinit.later.{gone}'] = None\n")
    run = start(["-vvw"], [compiled("orphans"), "200"], wrap=wrap, stderr=subprocess.DEVNULL)
    assert "gone" == run.line()
    workload = children(run.init)[0]

    assert until(lambda: children(run.init) == [workload])
    assert 0 == run.stop().code
    assert 127 == start(command=["no-such-program"], wrap=wrap).finish().code


def test_restart_without_threads_changes_nothing_for_the_child(run, sabotage):
    """Mask, environment, arguments and streams of the child are those of a run without it."""
    show = "grep Sig[BIC] /proc/self/status; env | sort; echo $#; printf '%s|' \"$@\""
    command = ["bash", "-c", show, "-", "--restarted", "", "a b", "\udcff", "\n"]
    locale = ["env", "-u", "LC_ALL", "-u", "LANG", "--block-signal=USR1", "LC_CTYPE=C"]
    plain = run(["-e", "9"], command, wrap=[*sabotage(""), *locale])
    restarted = run(["-e", "9"], command, wrap=[*sabotage(THREAD), *locale])

    assert plain == restarted
    assert {signal.SIGUSR1} == signal_set(status_of(plain.out)["SigBlk"])


@pytest.mark.parametrize("call", ["waitid", "wait4"])
@pytest.mark.parametrize("error", ["EAGAIN", "ECHILD", "EINTR", "EINVAL", "ENOSYS"])
@pytest.mark.parametrize("options", [[], ["-vv"]], ids=["quiet", "verbose"])
def test_failed_reaping_is_survived(run, options, call, error):
    """One call that fails neither hangs nor ends PID 1, nor does it cost the child's code."""
    wrap = refusing(f"{call}:error={error}:when=1")
    result = run(options, ["sh", "-c", "exit 3"], wrap=wrap, namespace=False)

    assert 3 == result.code


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM"])
def test_fork_fails(run, error):
    """Where there is no process to be had: one line that says so, code 1."""
    wrap = refusing(f"clone,clone3,fork,vfork:error={error}")
    result = run(command=["echo", "x"], wrap=wrap, namespace=False)

    assert (1, "") == (result.code, result.out)
    assert re.fullmatch(r"pyinit: cannot start 'echo': [^\n]+\n", result.err)


def test_working_directory_is_gone(run, folder):
    """An empty PYTHONPATH names the working directory, which may be none any more."""
    gone = ["sh", "-c", f'mkdir {folder}/gone; cd {folder}/gone; rmdir {folder}/gone; exec "$@"']
    wrap = [*gone, "-", "env", "PYTHONPATH="]

    assert 3 == run(command=["sh", "-c", "exit 3"], wrap=wrap).code


def test_init_that_waits_seems_to_block_nothing(start):
    """While it waits /proc shows an empty mask, and yet nothing is lost: sigtimedwait does that."""
    run = start(command=victim("listener"))
    run.ready()
    assert until(lambda: signal_set(status(run.init)["SigBlk"]) == set())
    run.send(signal.SIGTERM)

    assert f"got {int(signal.SIGTERM)}" == run.line()


def test_idle_means_no_wakeup(tmp_path):
    """tini wakes up every second: pyinit waits once, for as long as the child takes."""
    log = tmp_path / "calls"
    strace = ["strace", "-qq", "-o", str(log), "-e", "trace=rt_sigtimedwait,wait4,waitid"]
    subprocess.run(command_line([], ["sleep", "1.2"], wrap=strace, namespace=False), check=True)
    calls = [call.split("(")[0] for call in log.read_text().splitlines()]

    assert ("rt_sigtimedwait", 1) == (calls[0], calls.count("rt_sigtimedwait"))
