"""A shell that is PID 1 because of missing brackets in a Dockerfile is told of, with the remedy."""

import signal
import subprocess

import pytest

from testkit.namespaces import UNSHARE
from testkit.programs import PYINIT

APP = "sh -c 'echo ready; read x'"


@pytest.fixture
def below(launch):
    """Run a shell as PID 1, as Docker does with ENTRYPOINT and plain words."""
    return lambda *shell: launch([*UNSHARE, *shell], stdin=subprocess.PIPE)


@pytest.mark.parametrize(
    "text",
    [
        f"{PYINIT} -- {APP}",
        f"cd / && {PYINIT} -- {APP}",
        f"NAME=value {PYINIT} -- {APP}",
        f"{PYINIT} -- {APP}; echo over",
        f"cd /\n{PYINIT} -- {APP}\n",
    ],
)
def test_shell_around_pyinit_is_told(below, text):
    """One warning at the default verbosity says what happened, and what to write."""
    run = below("dash", "-c", text)
    assert "ready" == run.line()
    event = run.event("shell_is_pid1")
    run.send(signal.SIGTERM)  # it is dropped, as the warning says
    run.close_stdin()
    run.finish()

    assert ("warning", "dash") == (event["level"], event["name"])
    assert 'ENTRYPOINT ["pyinit", "--"]' in event["reason"]
    assert "exec in front of pyinit" in event["reason"]


@pytest.mark.parametrize("shell", ["dash", "bash"])  # the one stays PID 1, the other becomes it
@pytest.mark.parametrize("words", [[], ["gunicorn", "app:app"]])
def test_command_that_docker_has_dropped_is_missed(below, shell, words):
    """ENTRYPOINT without brackets, and CMD: the shell gets its words and does nothing with them."""
    result = below(shell, "-c", f"{PYINIT} --", *words).finish()

    assert 1 == result.code
    assert result.err.startswith("pyinit: no command to run: write it after the options")
    assert result.err.endswith(
        "; if it is in CMD, Docker ignored it because ENTRYPOINT has no brackets: "
        'write ENTRYPOINT ["pyinit", "--"]\n'
    )


def test_command_that_somebody_forgot_is_no_business_of_docker(run):
    """Where pyinit is neither PID 1 nor a child of it."""
    result = run(wrap=["sh", "-c", f"{PYINIT}; exit $?"], namespace=False)

    line = "no command to run: write it after the options, as in pyinit -- COMMAND [ARG]..."
    assert f"pyinit: {line}\n" == result.err


@pytest.mark.parametrize(
    "shell",
    [
        ["dash", "-c", f"exec {PYINIT} -- {APP}"],
        ["dash", "-c", f"trap 'kill $!' TERM; {PYINIT} -- {APP}"],
        ["dash", "-c", f"trap '' TERM; {PYINIT} -- {APP}; :"],
        ["dash", "-c", f"echo before; {PYINIT} -- {APP}; echo after"],
        ["dash", "-c", f"sh -c '{PYINIT} -- true; echo ready; read x'; :"],
        ["dash", "-i", "-c", f"{PYINIT} -- true; :"],
        ["dash", "-c", f"{PYINIT} -- cat <<END\nit's\nEND"],
        ["dash", "-c", f": {PYINIT}; sh -c '{PYINIT} -- true; :'; :"],
        ["env", PYINIT, "--", "sh", "-c", "echo ready; read x"],
        ["bash", "-c", f'exec -a other dash -c "{PYINIT} -- true; :"'],
    ],
    ids=[
        "exec",
        "trap",
        "ignored",
        "script",
        "deeper",
        "typed",
        "quote",
        "word",
        "no-shell",
        "other",
    ],
)
def test_other_surroundings_are_not_told_of(below, shell):
    """Where SIGTERM comes through, or pyinit is a part of a script, there is nothing to say."""
    result = below(*shell).finish(b"\n")

    assert "shell_is_pid1" not in result.err
