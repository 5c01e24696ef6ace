"""What the engine is told of the end: the child's code, and why a command could not be run."""

import json

import pytest


@pytest.mark.parametrize("code", [0, 3, 255])
def test_code_is_the_childs(start, code):
    """The engine gets the code that the child leaves with."""
    result = start.to_end("sh", "-c", f"exit {code}")

    assert (code, "", "") == (result.code, result.out, result.err)


def test_death_by_signal(start):
    """A child that crashes is 128 and the signal, and one JSON line says so."""
    result = start.to_end("sh", "-c", "kill -SEGV $$")
    (event,) = result.events

    assert (139, "child_exited", "SIGSEGV") == (result.code, event["event"], event["signal"])


def test_command_that_is_not_there(start):
    """The reason comes from pyinit, not from the runtime: the image's command is pyinit."""
    result = start.to_end("no-such-program")
    (event,) = result.events

    assert (127, "exec_failed", "ENOENT") == (result.code, event["event"], event["error"])


def test_the_image_has_a_command(start):
    """Without a command of its own a container runs that of Dockerfile.example, as its user."""
    container = start()
    container.line("Serving HTTP on")
    shown = container.inside("sh", "-c", "id -u; cat /proc/1/cmdline | tr '\\0' ' '").splitlines()

    assert "10001" == shown[0]
    assert shown[1].rstrip().endswith("pyinit -- python3 app.py")
    assert 143 == container.stop()


def test_log_is_json(start):
    """All that pyinit writes are JSON lines, and `docker logs` gives them as they were."""
    container = start("sh", "-c", "sh -c 'exit 3 & exit 0'; exit 4", verbosity=3)
    result = container.finish()
    events = [json.loads(line) for line in result.err.splitlines()]

    assert (4, {"pyinit"}) == (result.code, {event["logger"] for event in events})
    assert {"child_started", "child_exited"} <= {event["event"] for event in events}
