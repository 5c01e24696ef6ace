"""Start containers, and leave none behind."""

import contextlib
import dataclasses
from collections.abc import Iterator

from containers import Container
from engines import APP, Engine

from testkit.running import Result


@dataclasses.dataclass
class Starter:
    """Starts containers of one engine, and removes them in the end."""

    engine: Engine
    started: list[Container] = dataclasses.field(default_factory=list)

    def __call__(self, *command, options=(), image=APP, **variables) -> Container:
        """Start a container in the background; the variables are those of pyinit: kill_after=5."""
        given = self.arguments(options, variables)
        identity = self.engine.ask("run", "--detach", *given, image, *command)
        self.started.append(Container(self.engine, identity))
        return self.started[-1]

    def to_end(self, *command, options=(), image=APP, **variables) -> Result:
        """Run a container to its end."""
        given = self.arguments(options, variables)
        return self.engine.do("run", "--rm", *given, image, *command)

    @staticmethod
    def arguments(options, variables) -> list[str]:
        """Return what stands between `run` and the image."""
        settings = [f"--env=PYINIT_{name.upper()}={value}" for name, value in variables.items()]
        return ["--network=none", *settings, *options]


@contextlib.contextmanager
def starter(engine: Engine) -> Iterator[Starter]:
    """Return what starts containers of an engine until the end of a block."""
    made = Starter(engine)
    yield made
    for container in reversed(made.started):  # those that joined another's namespace come first
        container.remove()
