"""What the child gets is what pyinit got."""

import contextlib
import os
import signal
import subprocess

import pytest

from testkit.marks import BOTH
from testkit.processes import status_of, until
from testkit.programs import PYTHON
from testkit.refusals import OPEN, refusing
from testkit.signalsets import OF_C_LIBRARY, signal_set


SIGNALS = "SigBlk", "SigIgn", "SigPnd", "ShdPnd"
# CPython ignores these two when it starts and does not tell what they were.
LOST = {signal.SIGPIPE, signal.SIGXFSZ}

# Block or ignore some signals, then become another program.
PREPARE = """
import _signal, os, sys
for number in map(int, filter(None, sys.argv[1].split(","))):
    _signal.signal(number, _signal.SIG_IGN)
_signal.pthread_sigmask(_signal.SIG_SETMASK, map(int, filter(None, sys.argv[2].split(","))))
for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
    _signal.signal(number, _signal.SIG_DFL)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def prepared(ignored=(), blocked=()) -> list[str]:
    """Return the command that runs another one with these signals ignored and blocked."""
    words = (",".join(str(int(number)) for number in numbers) for numbers in (ignored, blocked))
    # A bare name for its first word: Popen starts that in one way only, by fork and exec.
    return ["env", *PYTHON, "-c", PREPARE, *words]


@BOTH
@pytest.mark.parametrize(
    ("ignored", "blocked"),
    [
        ((), ()),
        ((signal.SIGINT, signal.SIGQUIT, signal.SIGHUP), ()),
        ((signal.SIGCHLD,), ()),
        ((), (signal.SIGTERM, signal.SIGUSR1, 40)),
        ((signal.SIGCHLD, signal.SIGTTOU, 50), (signal.SIGCHLD, signal.SIGINT)),
        ([n for n in range(1, 65) if n not in {9, 13, 19, 25} | OF_C_LIBRARY], range(1, 65)),
    ],
    ids=["none", "ignored", "sigchld", "blocked", "both", "all"],
)
def test_mask_and_dispositions_are_the_callers(run, ignored, blocked, namespace):
    """The child blocks and ignores just the signals that pyinit's caller did."""
    command = ["cat", "/proc/self/status"]
    result = run(command=command, wrap=prepared(ignored, blocked), namespace=namespace)
    direct = subprocess.run(
        [*prepared(ignored, blocked), *command], capture_output=True, text=True, check=True
    )
    got, wanted = (
        {name: signal_set(status_of(text)[name]) for name in SIGNALS}
        for text in (result.out, direct.stdout)
    )

    assert wanted == got
    # posix_spawn, by which the tests themselves may have been started, leaves these ignored.
    assert set(ignored) == got["SigIgn"] - OF_C_LIBRARY


@pytest.mark.parametrize("signum", sorted(LOST))
def test_ignored_sigpipe_and_sigxfsz_become_default(run, signum):
    """These two are the exception: the child gets the default, whatever the caller had."""
    ignore = ["env", f"--ignore-signal={signum.name[3:]}"]
    result = run(command=["cat", "/proc/self/status"], wrap=ignore)

    assert signum not in signal_set(status_of(result.out)["SigIgn"])


ENVIRONMENTS = {
    "empty": [],
    "plain": [b"PATH=/usr/bin:/bin", b"A=1"],
    "c-locale": [b"LC_CTYPE=C", b"X=1"],
    "posix-locale": [b"LANG=POSIX", b"B=2"],
    "coerced-by-the-user": [b"LC_CTYPE=C.UTF-8"],
    "lc-all": [b"LC_ALL=C", b"LC_CTYPE=C.UTF-8"],
    "no-equals-sign": [b"JUSTAWORD", b"C=3"],
    "twice": [b"D=4", b"D=5"],
    "undecodable": [b"E=\xff\xfe", b"\xe4\xf6=6", b"F=\n\t"],
    "order": [b"Z=1", b"A=2", b"LC_CTYPE=POSIX", b"M=3"],
    "python": [b"PYTHONPATH=/nowhere", b"PYTHONINSPECT=1", b"PYTHONWARNINGS=error", b"G="],
    "pyinit": [b"PYINIT_VERBOSITY=1", b"TINI_SUBREAPER="],
    "large": [b"BIG" + str(n).encode() + b"=" + b"x" * 120_000 for n in range(8)],
}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_environment_is_byte_for_byte_the_same(start, compiled, environment):
    """The child's environment equals pyinit's: no variable more, none less, none moved."""
    run = start(
        command=["/bin/cat", "/proc/self/environ"],
        wrap=[compiled("with_environment")],
        stdin=subprocess.PIPE,
    )
    wanted = b"".join(entry + b"\0" for entry in environment)
    result = run.finish(wanted)

    assert (0, wanted) == (result.code, result.out.encode(errors="surrogateescape"))


@pytest.mark.parametrize(
    "words",
    [
        ["-v", "--", "-g"],
        ["a b", "", "'", '"', "\n", "\\", "*", "$HOME"],
        ["\udcff\udc80", "grün", "日本"],
        ["x" * 131_000],
    ],
    ids=["options", "quoting", "bytes", "long"],
)
def test_arguments_are_handed_on_as_they_are(run, words):
    """Nothing that follows the command is looked at, and no byte of it changes."""
    result = run(command=["printf", "%s|", *words])

    assert "".join(f"{word}|" for word in words) == result.out


def test_child_leads_a_process_group_in_pyinits_session(run):
    """The child has a process group of its own, and no session of its own."""
    leader = (
        "import os; print(os.getpid() == os.getpgrp(), os.getsid(0) == os.getsid(os.getppid()))"
    )
    result = run(command=[*PYTHON, "-c", leader])

    assert "True True\n" == result.out


def test_descriptors_belong_to_the_child(run, tmp_path):
    """Every inherited descriptor arrives open, and pyinit adds none."""
    with (tmp_path / "kept").open("w") as kept:
        listed = run(command=["ls", "/proc/self/fd"], pass_fds=[kept.fileno()]).out.split()
        opened = {"0", "1", "2", str(kept.fileno())}
        assert opened <= set(listed)
        assert len(opened) + 1 == len(listed)  # `ls` itself opens the directory that it lists


def test_stdin_and_stdout_are_the_childs(start):
    """What goes in and out passes between the user and the child untouched."""
    data = bytes(range(256)) * 1000
    run = start(command=["cat"], stdin=subprocess.PIPE)

    assert data == run.finish(data).out.encode(errors="surrogateescape")


def test_working_directory_umask_and_limits_are_the_callers(run, tmp_path):
    """What a process inherits besides is not touched."""
    command = ["sh", "-c", "pwd; umask; ulimit -n; ulimit -c; nice"]
    wrap = [
        "sh",
        "-c",
        f'cd {tmp_path}; umask 027; ulimit -n 77; ulimit -c 0; exec nice -n 3 "$@"',
        "-",
    ]

    wanted = [str(tmp_path), "0027", "77", "0", str(min(os.nice(0) + 3, 19))]

    assert wanted == run(command=command, wrap=wrap).out.split()


def test_coerced_locale_stays_where_proc_does_not_tell(run):
    """Without /proc the old LC_CTYPE is not known, so the child gets what CPython made of it."""
    locale = ["env", "-u", "LC_ALL", "-u", "LC_CTYPE", "LANG=C"]
    hide = ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "-"]
    told, kept = (
        run(command=["sh", "-c", "echo $LC_CTYPE"], wrap=[*wrap, *locale]) for wrap in ((), hide)
    )

    assert ("\n", "C.UTF-8\n") == (told.out, kept.out)


def test_holes_that_cannot_be_filled_are_left(run):
    """With stdin closed and nothing to put there the child runs all the same."""
    strace = refusing(f"{OPEN}:error=ENFILE", paths=["/dev/null", "/"])
    close = ["sh", "-c", 'exec "$@" <&-', "-"]

    assert 3 == run(command=["sh", "-c", "exit 3"], wrap=[*strace, *close], namespace=False).code


def test_child_that_runs_is_not_given_up(run):
    """After the fork nothing that fails in the parent keeps it from its child."""
    wrap = refusing("sched_yield:error=ENOSYS")

    assert 3 == run(command=["sh", "-c", "exit 3"], wrap=wrap, namespace=False).code


def test_failed_exec_is_told_with_the_last_descriptor(run):
    """The child has one to spare for what finds the reason: its end of the parent's pipe."""
    limit = ["sh", "-c", 'ulimit -n 5; exec "$@"', "-"]
    result = run(command=["nowhere-to-be-found"], wrap=limit, namespace=False)

    assert 127 == result.code
    assert "exec_failed" in result.err


# --- what belongs to the child alone ---


def kept_by(pid: int) -> set[str]:
    """Return what a process has open besides 0, 1 and 2."""
    found = set()
    for number in set(os.listdir(f"/proc/{pid}/fd")) - {"0", "1", "2"}:
        with contextlib.suppress(FileNotFoundError):  # it was closed just now
            found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


@BOTH
def test_pyinit_keeps_no_descriptor_and_no_directory(start, tmp_path, namespace):
    """What pyinit inherited it lets go of, but 0, 1 and 2; the child has all of it."""
    reader, writer = os.pipe()
    script = f"echo ready; read x; pwd; echo word >&{writer}"
    how = {"cwd": tmp_path, "pass_fds": (writer,), "namespace": namespace}
    run = start([], ["bash", "-c", script], stdin=subprocess.PIPE, **how)
    os.close(writer)
    assert "ready" == run.line()
    own = os.fstat(reader).st_ino
    # One is its own, on which a failed exec would have been told; it opens others for a moment.
    assert until(
        lambda: os.readlink(f"/proc/{run.init}/cwd") == "/" and len(kept_by(run.init)) == 1
    )
    assert f"pipe:[{own}]" not in kept_by(run.init)
    run.close_stdin()

    assert [f"{tmp_path}", ""] == [run.line(), run.line()]
    assert b"word\n" == os.read(reader, 100)
    os.close(reader)


def test_end_of_an_inherited_pipe_is_seen_when_the_child_closes_it(start):
    """A process that waits for the end of a descriptor of the child does not wait for pyinit."""
    reader, writer = os.pipe()
    script = f"exec {writer}>&-; echo ready; read x"
    how = {"pass_fds": (writer,), "namespace": False}
    run = start([], ["bash", "-c", script], stdin=subprocess.PIPE, **how)
    os.close(writer)
    assert "ready" == run.line()

    assert b"" == os.read(reader, 1)
    os.close(reader)


@BOTH
@pytest.mark.parametrize("whose", ["pyinit", "other"])
def test_sockets_that_were_handed_over_are_the_childs(run, whose, namespace):
    """Where LISTEN_PID is pyinit's pid the child gets its own; another's is left alone."""
    pid = "$$" if whose == "pyinit" else "4194303"
    script = f'LISTEN_PID={pid} LISTEN_FDS=1 LISTEN_PIDFDID=7 exec "$@"'
    show = 'echo "$$ $LISTEN_PID $LISTEN_FDS ${LISTEN_PIDFDID-unset}"'
    result = run([], ["sh", "-c", show], wrap=["sh", "-c", script, "-"], namespace=namespace)
    own, *seen = result.out.split()
    wanted = [own, "1", "unset"] if whose == "pyinit" else ["4194303", "1", "7"]

    assert wanted == seen
