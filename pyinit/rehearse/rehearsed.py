"""A rehearsal from Python, for example in a test: start a program, use it, stop it."""

import shlex
from typing import Any

from pyinit.before import names
from pyinit.rehearse.container import Container
from pyinit.rehearse.inits import split
from pyinit.rehearse.model import Plan, Run
from pyinit.rehearse.reports import text


class Stop:
    """How a program stopped.

    Attributes:
        run: everything that was recorded.
    """

    def __init__(self, run: Run) -> None:
        """Keep the run."""
        self.run = run

    def __repr__(self) -> str:
        """Return the verdict and the cause, for the text of a failed assertion."""
        return f"<{self.verdict}: {self.cause}>"

    @property
    def graceful(self) -> bool:
        """Whether the verdict is graceful."""
        return self.run.is_graceful

    @property
    def verdict(self) -> str:
        """One of ``pyinit.rehearse.model.VERDICTS``."""
        return self.run.verdict

    @property
    def cause(self) -> str:
        """Why, in one sentence."""
        return self.run.cause

    @property
    def code(self) -> int | None:
        """The exit code of the container."""
        return self.run.code

    @property
    def seconds(self) -> float:
        """How long the stop took, from the stop signal to the end of the last process."""
        return self.run.seconds

    @property
    def output(self) -> list[str]:
        """The last lines that the command wrote."""
        return self.run.output

    @property
    def report(self) -> str:
        """The report, as ``pyinit-rehearse`` prints it."""
        return "\n" + text.render([self.run], colour=False)


class Program:
    """A command that runs under an init as PID 1, and is ready."""

    def __init__(self, command: str | list[str], **plan: Any) -> None:  # noqa: ANN401 - as Plan has them
        """Run it, and wait until it is ready.

        Args:
            command: the program and its arguments; a string is split as a shell would. It may begin
                with an init, as in an ENTRYPOINT: ``["pyinit", "-g", "--", "app"]``.
            plan: as for ``pyinit.rehearse.model.Plan``; ``signal`` may be a name.

        Raises:
            NotRehearsedError: it cannot be run, or is not ready in time.
            TypeError: there is no such argument.
        """
        words = shlex.split(command) if isinstance(command, str) else command
        if isinstance(plan.get("signal"), str):
            plan["signal"] = names.number(plan["signal"])
        asked = Plan(command=tuple(words), **plan)
        init, rest = split(asked.command, asked.grace)
        self._container = Container(asked, init, rest)
        self._container.start()
        try:
            self._container.wait_until_ready()
        except BaseException:
            self._container.close()
            raise

    @property
    def output(self) -> list[str]:
        """The last lines that it has written."""
        return self._container.output()

    def stop(self) -> Stop:
        """Stop it as an engine would, and wait until it is gone.

        Raises:
            NotRehearsedError: it had ended before.
        """
        __tracebackhide__ = True  # in the traceback that pytest shows
        return Stop(self._container.stop())

    def close(self) -> None:
        """Kill every process that is left."""
        self._container.close()
