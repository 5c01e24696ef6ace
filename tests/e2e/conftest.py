"""Fixtures: containers that are gone when their test is over."""

import pytest
from engines import DOCKER, PODMAN
from starting import starter

ENGINES = {"docker": DOCKER, "podman": PODMAN}


@pytest.fixture(params=ENGINES)
def start(request):
    """Start containers with Docker, and with podman."""
    with starter(ENGINES[request.param]) as made:
        yield made


@pytest.fixture
def docker():
    """Start containers with Docker alone."""
    with starter(DOCKER) as made:
        yield made


@pytest.fixture
def podman():
    """Start containers with podman alone."""
    with starter(PODMAN) as made:
        yield made


def pytest_sessionfinish(session):
    """Have the run fail where a test left a container behind; workers are done by now."""
    if hasattr(session.config, "workerinput"):
        return
    left = [name for engine in ENGINES.values() for name in engine.ask("ps", "-aq").split()]
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line(f"containers are left: {left}", red=True)
