"""The pytest plugin: the fixture ``pid1``. It imports little until a test uses it."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyinit.rehearse.rehearsed import Program


@pytest.fixture
def pid1() -> "Iterator[Callable[..., Program]]":
    """Run a command as a container would, with pyinit as PID 1, and report how it stops.

    ``stop = pid1(["gunicorn", "app:app"], ready_port=8000).stop()``, and then
    ``assert stop.graceful, stop.report``. The command is ready when ``pid1`` returns. When the test
    ends, each process that is left of the command is killed. docs/rehearsal.md lists the arguments.
    """
    from contextlib import ExitStack

    from pyinit.rehearse.errors import NotRehearsedError
    from pyinit.rehearse.rehearsed import Program

    with ExitStack() as at_end:

        def run(command: str | list[str], **plan: Any) -> Program:  # noqa: ANN401 - as Plan has them
            try:
                program = Program(command, **plan)
            except NotRehearsedError as error:
                said = "\n".join([str(error), *error.output])
            else:
                at_end.callback(program.close)
                return program
            pytest.fail(said, pytrace=False)

        yield run
