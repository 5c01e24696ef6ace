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
