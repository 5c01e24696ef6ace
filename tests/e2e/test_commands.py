"""`exec CONTAINER pyinit ... -- COMMAND`, as in docs/commands.md, in containers without an init."""

import pytest
from containers import mounted

from testkit.programs import ROOT_DIRECTORY

WITH_EXAMPLES = mounted(ROOT_DIRECTORY / "examples", "/examples")
SHARED_MEMORY = ["-I", "/examples/shared_memory.py"]
WORDS = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]


@pytest.fixture
def container(start):
    """Return a container whose PID 1 is no init and reaps nothing."""
    return start("infinity", options=["--entrypoint=sleep"])


def test_client_that_is_killed_leaves_the_command(container):
    """With a client that is killed, as by a time limit of timeout(1), nothing in there ends."""
    command = ["sh", "-c", "echo ready; exec sleep 1001"]
    with container.engine.open("exec", container.identity, *command) as client:
        assert "ready\n" == client.stdout.readline()
        client.kill()

    assert "sleep 1001" in container.inside(*WORDS)


@pytest.mark.parametrize(
    ("options", "last", "code"),
    [(["--timeout", "1"], "exec sleep 1002", 124), (["--leftovers", "99"], "exit 0", 99)],
    ids=["timeout", "leftovers"],
)
def test_pyinit_leaves_nothing_of_the_command(container, options, last, code):
    """Its code is that of the client, and nothing that the command started is left."""
    command = ["sh", "-c", f"setsid sleep 1002 & {last}"]
    result = container.engine.do("exec", container.identity, "pyinit", *options, "--", *command)

    assert code == result.code, result.err
    assert "sleep 1002" not in container.inside(*WORDS)


@pytest.mark.parametrize(
    ("options", "command", "left"),
    [
        ([], ["python3", *SHARED_MEMORY], 0),
        (["--init", "--entrypoint=python3"], SHARED_MEMORY, 60),
    ],
    ids=["pyinit", "the-engines-own"],
)
def test_shared_memory_of_a_python_that_is_killed(start, options, command, left):
    """Where another container shares /dev/shm the blocks stay, unless the init lets them go."""
    holder = start("infinity", options=["--entrypoint=sleep", "--ipc=shareable"])
    sharing = [f"--ipc=container:{holder.identity}", *WITH_EXAMPLES]
    result = start.to_end(*command, options=[*options, *sharing])

    assert (137, left) == (result.code, int(holder.inside("sh", "-c", "ls /dev/shm | wc -l")))
