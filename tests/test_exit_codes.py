"""The code that pyinit leaves with."""

import signal
import sys

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT, UNSHARE
from testkit.signalsets import OF_C_LIBRARY

# A signal of these kills a process by default; the others stop it or do nothing.
HARMLESS = {
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGSTOP,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGURG,
    signal.SIGWINCH,
}
DEADLY = sorted(set(range(1, 65)) - HARMLESS - OF_C_LIBRARY)


@BOTH
@pytest.mark.parametrize("code", [0, 126, 137, 255])
def test_code_of_the_child_comes_back(run, code, namespace):
    """The child's code is pyinit's code, and pyinit adds nothing to the output."""
    result = run(command=["sh", "-c", f"exit {code}"], namespace=namespace)

    assert (code, "", "") == (result.code, result.out, result.err)


def test_every_code_comes_back(start):
    """All 256 of them, each from a pyinit that is PID 1."""
    for low in range(0, 256, 16):
        codes = range(low, low + 16)
        runs = [start(command=["sh", "-c", f"exit {code}"]) for code in codes]

        assert list(codes) == [run.finish().code for run in runs]


def test_death_by_any_signal_becomes_128_and_its_number(start):
    """Signal N that kills the child makes the code 128 + N, for all that can kill."""
    runs = [start(command=["sh", "-c", f"ulimit -c 0; kill -{n} $$"]) for n in DEADLY]

    assert [128 + n for n in DEADLY] == [run.finish().code for run in runs]


@pytest.mark.parametrize(
    ("options", "child", "expected"),
    [
        (["-e", "42"], "exit 42", 0),
        (["-e42"], "exit 42", 0),
        (["-e", "42"], "exit 41", 41),
        (["-e", "42"], "exit 0", 0),
        (["-e", "1", "-e", "2"], "exit 2", 0),
        (["-e", "0"], "exit 0", 0),
        (["-e", "255"], "exit 255", 0),
        (["-e", "143"], "kill -TERM $$", 0),
        (["-e", "15"], "kill -TERM $$", 143),
        (["-e", "127"], "exit 127", 0),
    ],
)
def test_expected_codes_become_zero(run, options, child, expected):
    """-e CODE makes 0 of the code pyinit would leave with, of a signal's 128+N too."""
    assert expected == run(options, ["sh", "-c", child]).code


def test_expected_code_of_a_failed_exec_becomes_zero(run):
    """-e 127 covers a command that does not exist, as it does with tini."""
    assert 0 == run(["-e", "127"], ["no-such-program"]).code


@pytest.mark.parametrize("options", [[], ["-v"]], ids=["quiet", "verbose"])
@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("kill", 137), ("abort", 134)])
def test_code_of_another_thread_counts(run, compiled, options, how, code):
    """A process that is ended by a thread it did not begin with has that thread's code."""
    assert code == run(options, [compiled("leader"), how]).code


@pytest.mark.parametrize("options", [[], ["-v"]], ids=["quiet", "verbose"])
def test_unknown_code_is_never_0(run, options):
    """Where the kernel says nothing of the child that means an end, the code is 1 and not 0."""
    stopped = (signal.SIGTSTP << 8 | 0x7F).to_bytes(4, sys.byteorder).hex()
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject=wait4:poke_exit=@arg2={stopped}"]

    assert 1 == run(options, ["true"], wrap=strace, namespace=False).code


@pytest.mark.skipif(not ROOT, reason="without root UNSHARE has other words")
def test_unshare_as_documented(run):
    """The tests run pyinit just as the README says."""
    assert ("unshare", "--pid", "--fork", "--mount-proc") == UNSHARE
    assert "1\n" == run(command=["sh", "-c", "echo $PPID"]).out
