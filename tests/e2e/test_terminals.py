"""A container with a terminal: `-t`, `-it`, ^C, job control, and a window that changes its size."""

import os
import uuid

import pexpect
import pytest
from containers import WITH_VICTIMS, listener
from engines import APP, ENVIRONMENT

OWNS_TERMINAL = "import os; print(os.isatty(0), os.tcgetpgrp(0) == os.getpgrp())"
SIZES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
print("ready")
while True:
    signal.sigwait([signal.SIGWINCH])
    print(os.get_terminal_size(0))
"""


@pytest.fixture
def converse(start):
    """Talk to a container with a terminal of its own, as a person does."""
    talks = {}

    def begin(*command, options=(), **variables):
        name = f"talk-{uuid.uuid4().hex}"
        given = [f"--name={name}", *start.arguments(options, variables), APP, *command]
        path, *arguments = start.engine.command("run", "-it", *given)
        environment = {**os.environ, **ENVIRONMENT, "TERM": "dumb"}
        talks[name] = pexpect.spawn(path, arguments, env=environment, encoding="utf-8")
        return talks[name]

    yield begin
    for name, talk in talks.items():
        start.engine.remove(name)
        talk.close(force=True)


def code_of(talk: pexpect.spawn) -> int:
    """Wait for the end of a talk and return the code of the container."""
    talk.expect(pexpect.EOF)
    talk.wait()
    return talk.exitstatus


def test_terminal_without_stdin(start):
    """With -t alone the terminal is the child's as well, and its foreground."""
    result = start.to_end("python3", "-c", OWNS_TERMINAL, options=["-t"])

    assert (0, "True True") == (result.code, result.out.strip())


def test_interrupt(converse):
    """^C reaches the child, as SIGINT."""
    talk = converse(*listener(), options=WITH_VICTIMS)
    talk.expect("ready")
    talk.sendcontrol("c")
    talk.expect("got 2\r")


def test_interrupt_ends_a_child_that_does_not_care(converse):
    """A child without a handler is killed by ^C, and its code says so."""
    talk = converse("sh", "-c", "echo ready; exec sleep infinity")
    talk.expect("ready")
    talk.sendcontrol("c")

    assert 130 == code_of(talk)


def test_job_control(converse):
    """A shell stops a job with ^Z, takes it to the foreground again, and ends it with ^C."""
    talk = converse("bash", "--norc", "-i", options=["--env=PS1=prompt> "])
    talk.expect("prompt> ")
    talk.sendline("sh -c 'echo job; exec sleep infinity'")
    talk.expect(r"\rjob\r")
    talk.sendcontrol("z")
    talk.expect("Stopped")
    talk.expect("prompt> ")
    talk.sendline("fg")
    talk.expect("fg\r\n.*exec sleep infinity")
    talk.sendcontrol("c")
    talk.expect("prompt> ")
    talk.sendline("exit 5")

    assert 5 == code_of(talk)


def test_window_size(converse):
    """A window that changes its size reaches the child as SIGWINCH, with the new size to be had."""
    talk = converse("python3", "-uc", SIZES)
    talk.expect("ready")
    talk.setwinsize(33, 101)
    talk.expect(r"columns=101, lines=33")


def test_events_on_a_terminal_are_for_people(converse):
    """Where stderr is a terminal events are no JSON."""
    talk = converse("true", verbosity=2)
    talk.expect("child_started")
    talk.expect("child_exited")

    assert "{" not in talk.before
    assert 0 == code_of(talk)
