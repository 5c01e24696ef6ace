"""The application of examples/web, as its compose file runs it: stopped while it works."""

import contextlib
import subprocess
import sys

import pytest
import yaml
from engines import DOCKER, WEB
from images import WEB_EXAMPLE

COMPOSE = yaml.safe_load((WEB_EXAMPLE / "compose.yaml").read_text())
ASK = """
import sys, urllib.request

from testkit.programs import ROOT_DIRECTORY
method, path = sys.argv[1:]
asked = urllib.request.Request(f"http://127.0.0.1:8000{path}", method=method)
print(urllib.request.urlopen(asked).read().decode(), end="")
"""
# Much longer than the request, so that the worker has its job in hand when the server has exited.
REQUEST_SECONDS, JOB_SECONDS = 0.5, 3


class Service:
    """The service of the compose file, in a container without a network of this machine."""

    def __init__(self, start, options=(), command=()) -> None:
        (service,) = COMPOSE["services"].values()
        assert {"build": ".", "ports": ["8000:8000"]}.items() <= service.items()
        settings = [f"--env={name}={value}" for name, value in service["environment"].items()]
        volumes = [f"--volume=/{volume.partition(':/')[2]}" for volume in service["volumes"]]
        given = [*settings, *volumes, *options]
        self.container = start(*command, options=given, image=WEB)
        self.grace = int(service["stop_grace_period"].removesuffix("s"))
        # The server begins to listen before it says so, the worker looks for jobs when it has.
        for _ in range(2):
            self.container.line("worker is ready|Listening at")

    @contextlib.contextmanager
    def asking(self, method: str, path: str):
        """Send a request, from outside of the container; the process prints what is answered."""
        enter = ("nsenter", f"--target={self.container.pid}", "--net")
        command = (*enter, sys.executable, "-c", ASK, method, path)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            yield process

    def ask(self, method: str, path: str) -> str:
        with self.asking(method, path) as process:
            return process.communicate()[0]

    def stop_while_it_works(self) -> tuple[int, str]:
        """Stop it with a job and a request in hand; return its code and the answer."""
        assert "1\n" == self.ask("POST", f"/jobs?seconds={JOB_SECONDS}")
        self.container.line("^job 1 began")
        with self.asking("GET", f"/?seconds={REQUEST_SECONDS}") as request:
            self.container.line("^request began")
            return self.container.stop(self.grace), request.communicate()[0]


def test_served(docker):
    """It answers, and the worker does what the server was asked to have done."""
    service = Service(docker)

    assert "hello\n" == service.ask("GET", "/")
    assert "1\n" == service.ask("POST", "/jobs?seconds=0")
    service.container.line("^job 1 is done")
    assert "done\n" == service.ask("GET", "/jobs/1")
    assert 0 == service.container.stop(service.grace)


def test_stopped_while_it_works(docker):
    """Under pyinit the request is answered, then the job is done, then the container ends."""
    service = Service(docker)
    code, answer = service.stop_while_it_works()
    written = DOCKER.do("logs", service.container.identity)
    (finished,) = [line for line in written.err.splitlines() if "drain_finished" in line]

    assert (0, "hello\n") == (code, answer)
    assert "job 1 is done\n" in written.out
    assert '"finished": 1, "killed": 0' in finished


@pytest.mark.parametrize(
    "options",
    [["--entrypoint=./start.sh"], ["--entrypoint=./start.sh", "--init"]],
    ids=["alone", "tini"],
)
def test_stopped_without_pyinit(docker, options):
    """Without an init, and with tini, the same application loses the job, with the same code 0."""
    service = Service(docker, options)
    code, answer = service.stop_while_it_works()

    assert (0, "hello\n") == (code, answer)
    assert "is done" not in service.container.so_far()


def test_budget():
    """The compose file gives the server, then the worker their time before the engine's is over."""
    service = COMPOSE["services"]["web"]
    server = int(service["environment"]["PYINIT_KILL_AFTER"])
    worker = int(service["environment"]["PYINIT_DRAIN"])
    start = (WEB_EXAMPLE / "start.sh").read_text()
    graceful = int(start.partition("--graceful-timeout ")[2].split()[0])

    assert graceful < server
    assert server + worker < int(service["stop_grace_period"].removesuffix("s"))
    assert "init" not in service
