"""Docker and podman, as the tests drive them: their own command line, their own output."""

import dataclasses
import os
import subprocess
from pathlib import Path

from testkit.running import Result

FILES = Path("/run/e2e")  # what prepare.py makes; in memory, see private.py
BASE, APP, BUILDKIT_APP, SHORT_APP, WEB, FIRST, TINI_APP = (
    "python:3.12-slim", "localhost/app", "localhost/app-buildkit", "localhost/short",
    "localhost/web", "localhost/first", "localhost/tini",
)  # fmt: skip
APP_USER = 10001
TINI = "/usr/bin/tini-static"

CONFIGURATION = {
    "daemon.json": f'{{"deprecated-key-path": "{FILES}/key.json"}}',
    "docker-client/config.json": "{}",
    "containers.conf": """
        [containers]
        default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
        log_driver = "k8s-file"
        netns = "none"
        [engine]
        cgroup_manager = "cgroupfs"
        events_logger = "none"
    """,
    "storage.conf": f"""
        [storage]
        driver = "overlay"
        graphroot = "{FILES}/podman"
        runroot = "/run/podman"
    """,
}
ENVIRONMENT = {
    "CONTAINERS_CONF": f"{FILES}/containers.conf",
    "CONTAINERS_STORAGE_CONF": f"{FILES}/storage.conf",
    "DOCKER_CONFIG": f"{FILES}/docker-client",
}


def write_configuration() -> None:
    """Write what the engines read, and nothing of this machine's."""
    for name, text in CONFIGURATION.items():
        (FILES / name).parent.mkdir(exist_ok=True)
        (FILES / name).write_text(text)


@dataclasses.dataclass(frozen=True)
class Engine:
    """A container engine: `docker` or `podman`."""

    path: str

    def command(self, *arguments: object) -> list[str]:
        return [self.path, *map(str, arguments)]

    def do(self, *arguments: object, **how) -> Result:
        """Run a command of the engine to its end, whatever its code."""
        environment = {**os.environ, **ENVIRONMENT}
        how = {"stdin": subprocess.DEVNULL, "text": True, "env": environment} | how
        done = subprocess.run(self.command(*arguments), check=False, capture_output=True, **how)
        return Result(done.returncode, done.stdout, done.stderr)

    def ask(self, *arguments: object, **how) -> str:
        """Return what a command prints, which must succeed."""
        result = self.do(*arguments, **how)
        assert 0 == result.code, f"{self.command(*arguments)}: {result.err}"
        return result.out.rstrip("\n")

    def open(self, *arguments: object, **how) -> subprocess.Popen:
        """Start a command of the engine that goes on."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True} | how
        return subprocess.Popen(self.command(*arguments), env={**os.environ, **ENVIRONMENT}, **how)

    def remove(self, container: str) -> None:
        """Remove a container at once, if it is there."""
        self.do("kill", "--signal=KILL", container)
        self.do("rm", "--force", "--volumes", container)


DOCKER = Engine("/usr/bin/docker")
PODMAN = Engine("/usr/bin/podman")
BUILD = ("build", "--network=host", "--progress=plain")


def build(context: Path, tag: str, *, buildkit: bool = False) -> None:
    """Build an image with Docker, which reaches the package registries as this machine does."""
    environment = {**os.environ, **ENVIRONMENT, "DOCKER_BUILDKIT": str(int(buildkit))}
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    arguments = [word for name in proxies for word in ("--build-arg", name)]
    DOCKER.ask(*BUILD, *arguments, "--tag", tag, context, env=environment)


def size_of(image: str) -> int:
    """Return how many bytes an image has, uncompressed."""
    return int(DOCKER.ask("image", "inspect", "--format", "{{.Size}}", image))
