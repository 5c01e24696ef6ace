"""Fixtures: containers that are gone when their test is over."""

import dataclasses

import pytest
from engines import APP, DOCKER, PODMAN, Container, Engine

ENGINES = {"docker": DOCKER, "podman": PODMAN}


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

    def to_end(self, *command, options=(), image=APP, **variables):
        """Run a container to its end."""
        given = self.arguments(options, variables)
        return self.engine.do("run", "--rm", *given, image, *command)

    @staticmethod
    def arguments(options, variables) -> list[str]:
        """Return what stands between `run` and the image."""
        settings = [f"--env=PYINIT_{name.upper()}={value}" for name, value in variables.items()]
        network = [] if any("--net" in option for option in options) else ["--network=none"]
        return [*network, *settings, *options]


@pytest.fixture(params=ENGINES)
def start(request):
    """Start containers with Docker, and with podman."""
    starter = Starter(ENGINES[request.param])
    yield starter
    for container in starter.started:
        container.remove()


@pytest.fixture
def docker():
    """Start containers with Docker alone."""
    starter = Starter(DOCKER)
    yield starter
    for container in starter.started:
        container.remove()
