"""Docker and podman, as the tests drive them: their own command line, their own output."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import VICTIMS, Result

REPOSITORY = Path(__file__).parent.parent.parent
FILES = Path("/run/e2e")  # what prepare.py makes; in memory, see private.py
BASE, APP, BUILDKIT_APP, TINI_APP = (
    "python:3.12-slim", "localhost/app", "localhost/app-buildkit", "localhost/tini",
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
BUILD = ("build", "--network=host", "--progress=plain", "--file")


def build(
    dockerfile: Path, tag: str, context: Path = REPOSITORY, *, buildkit: bool = False
) -> None:
    """Build an image with Docker, which reaches the package registries as this machine does."""
    environment = {**os.environ, **ENVIRONMENT, "DOCKER_BUILDKIT": str(int(buildkit))}
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    arguments = [word for name in proxies for word in ("--build-arg", name)]
    DOCKER.ask(*BUILD, dockerfile, *arguments, "--tag", tag, context, env=environment)


class Container:
    """A container that runs in the background."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self.engine, self.identity = engine, identity
        self._log: subprocess.Popen | None = None

    def line(self, pattern: str) -> re.Match:
        """Wait for a line of stdout or stderr in which something is found."""
        if self._log is None:
            follow = ("logs", "--follow", self.identity)
            self._log = self.engine.open(*follow, stderr=subprocess.STDOUT)
        read = []
        for line in self._log.stdout:
            if found := re.search(pattern, line):
                return found
            read.append(line)
        pytest.fail(f"{pattern!r} did not come, but {read}")

    def kill(self, signum: "int | str") -> None:
        self.engine.ask("kill", "--signal", signum, self.identity)

    def stop(self, seconds: int = 30) -> int:
        """Stop it and return its code."""
        self.engine.ask("stop", "--time", seconds, self.identity)
        return self.wait()

    def wait(self) -> int:
        return int(self.engine.ask("wait", self.identity))

    def finish(self) -> Result:
        """Wait for its end and return all that it wrote."""
        code = self.wait()
        written = self.engine.do("logs", self.identity)
        return Result(code, written.out, written.err)

    def so_far(self) -> str:
        """Return what it wrote to stdout up to now."""
        return self.engine.do("logs", self.identity).out

    def inside(self, *command: object) -> str:
        """Run a command in it and return what it prints."""
        return self.engine.ask("exec", self.identity, *command)

    def field(self, form: str) -> str:
        """Return what the engine knows about it."""
        return self.engine.ask("inspect", "--format", form, self.identity)

    @property
    def pid(self) -> int:
        """The pid of its first process, as seen from here."""
        return int(self.field("{{.State.Pid}}"))

    def send(self, signum: int) -> None:
        """Send a signal past the engine."""
        os.kill(self.pid, signum)

    def remove(self) -> None:
        self.engine.remove(self.identity)
        if self._log is not None:
            self._log.kill()
            self._log.communicate()


def size_of(image: str) -> int:
    """Return how many bytes an image has, uncompressed."""
    return int(DOCKER.ask("image", "inspect", "--format", "{{.Size}}", image))


def mounted(source: object, target: str, options: str = "ro") -> tuple[str, str]:
    """Return the options of `run` that show a folder of this machine in the container."""
    return "--volume", f"{source}:{target}:{options}"


WITH_VICTIMS = mounted(VICTIMS, "/victims")
WITH_PROGRAMS = mounted(FILES / "programs", "/programs")


def listener(*arguments: object) -> list[str]:
    """Return the command that names every signal it gets."""
    return ["python3", "/victims/listener.py", *map(str, arguments)]


# For `python3 -c`: finish some work when SIGTERM comes.
WORK = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
signal.sigtimedwait([], 0.2)  # what is left to do
print("finished", flush=True)
"""
