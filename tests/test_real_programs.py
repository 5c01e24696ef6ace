"""Real programs below pyinit as PID 1: they serve, stop in their own way and leave no zombie."""

import dataclasses
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from applications import (
    PROGRAMS,
    ask_http,
    connect,
    prepare_gunicorn,
    prepare_nginx,
    prepare_redis,
    wait_for,
)

from testkit.namespaces import ROOT
from testkit.processes import children, only_child
from testkit.programs import tool
from testkit.running import Run

# PostgreSQL refuses to run as root, so it becomes another user, as in its image. Without root it
# could run as it is, were it not for the namespace in which we are root: in one more we are not.
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
AS_SOMEBODY = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that serves and what is expected of it.

    Attributes:
        prepare: writes what it needs into a folder and returns its command.
        ready: lines that it writes, in that order, until it serves.
        ask: makes a request of what runs in a folder and returns the answer.
        answer: the right one.
        farewell: lines that it writes, in that order, when it stops by itself and is not killed.
        code: what it exits with then.
    """

    prepare: Callable[[Path], list[str]]
    ready: tuple[str, ...]
    ask: Callable[[Path], str]
    answer: str
    farewell: tuple[str, ...]
    code: int = 0


def prepare_postgres(folder: Path) -> list[str]:
    """PostgreSQL with a new cluster, as a user who is not root."""
    data = f"{folder}/data"
    options = ("--auth=trust", "--username=postgres", "--no-locale", "--encoding=UTF8", "--no-sync")
    initdb = [postgres_tool("initdb"), "-D", data, *options]
    if ROOT:
        shutil.chown(folder, "postgres")
        initdb = [*AS_POSTGRES, *initdb]
    subprocess.run(initdb, check=True, capture_output=True)
    settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}")
    become = AS_POSTGRES if ROOT else AS_SOMEBODY
    return [*become, postgres_tool("postgres"), "-D", data, *settings]


def prepare_node(folder: Path) -> list[str]:
    """A server written for Node.js."""
    return [tool("node"), f"{PROGRAMS}/server.js", f"{folder}/http"]


def prepare_bash(folder: Path) -> list[str]:
    """A script with two background jobs, one of which answers."""
    os.mkfifo(folder / "requests")
    os.mkfifo(folder / "answers")
    return [tool("bash"), f"{PROGRAMS}/jobs.sh", f"{folder}/requests", f"{folder}/answers"]


def postgres_tool(name: str) -> str:
    """Return the path of a program of PostgreSQL, which Debian keeps out of PATH."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return max(map(str, versions), default=None) or tool(name)


def ask_redis(folder: Path) -> str:
    """Store a value and read it again."""
    with connect(folder / "redis") as server, server.makefile("rw", newline="\r\n") as talk:
        talk.write("SET greeting hello\r\nGET greeting\r\n")
        talk.flush()
        return "".join(talk.readline() for _ in range(3))


def ask_postgres(folder: Path) -> str:
    """Write a row and read it again."""
    statement = "CREATE TEMP TABLE t (n) AS VALUES (6); SELECT n * 7 FROM t"
    psql = [postgres_tool("psql"), "-XAtq", "-h", str(folder), "-U", "postgres", "-c", statement]
    return subprocess.run(psql, check=True, capture_output=True, text=True).stdout


def ask_bash(folder: Path) -> str:
    """Write a line to the job that answers."""
    (folder / "requests").write_text("you\n")
    return (folder / "answers").read_text()


NGINX = Program(
    prepare=prepare_nginx,
    ready=("start worker process ", "start worker process "),
    ask=ask_http,
    answer="200 hello from nginx\n",
    farewell=("exited with code 0", "exited with code 0", ": exit"),
)
REDIS = Program(
    prepare=prepare_redis,
    ready=("eady to accept connections",),
    ask=ask_redis,
    answer="+OK\r\n$5\r\nhello\r\n",
    farewell=("DB saved on disk", "bye bye"),
)
POSTGRES = Program(
    prepare=prepare_postgres,
    ready=("database system is ready to accept connections",),
    ask=ask_postgres,
    answer="42\n",
    farewell=("database system is shut down",),
)
GUNICORN = Program(
    prepare=prepare_gunicorn,
    ready=("is ready", "is ready"),
    ask=ask_http,
    answer="200 hello from Python\n",
    farewell=("Worker exiting", "Worker exiting", "Shutting down: Master"),
)
NODE = Program(
    prepare=prepare_node,
    ready=("listening",),
    ask=ask_http,
    answer="200 hello from node\n",
    farewell=("server closed",),
    code=3,
)
BASH = Program(
    prepare=prepare_bash,
    ready=("jobs run",),
    ask=ask_bash,
    answer="hello you\n",
    farewell=("answerer: 143", "sleeper: 143"),
    code=7,
)

each_program = pytest.mark.parametrize(
    "program",
    [NGINX, REDIS, POSTGRES, GUNICORN, NODE, BASH],
    ids=["nginx", "redis", "postgres", "gunicorn", "node", "bash"],
)
# What the images of these programs have as STOPSIGNAL where it is not SIGTERM.
stop_signals = pytest.mark.parametrize(
    ("program", "signum"),
    [(NGINX, signal.SIGQUIT), (POSTGRES, signal.SIGINT)],
    ids=["nginx-QUIT", "postgres-INT"],
)


@pytest.fixture
def serve(folder, start):
    """Start a program below pyinit and wait until it serves."""

    def serve_one(program: Program) -> Run:
        run = start(command=program.prepare(folder), stderr=subprocess.STDOUT)
        wait_for(run, *program.ready)
        return run

    return serve_one


@each_program
def test_program_serves_and_stops_by_itself(program, serve, folder):
    """A request gets its answer, and SIGTERM ends the program with its own farewell and code."""
    run = serve(program)
    answer = program.ask(folder)
    run.send(signal.SIGTERM)
    wait_for(run, *program.farewell)

    assert (program.answer, program.code) == (answer, run.finish().code)


@each_program
def test_no_zombie_of_200_orphans_stays(program, serve, folder, compiled):
    """When 200 orphans came and went the program alone is left, still serves and still stops."""
    run = serve(program)
    before = only_child(run.init)
    run.inside(compiled("reaped_orphans"), "200")

    assert [before] == children(run.init)
    assert program.answer == program.ask(folder)
    assert program.code == run.stop().code


@stop_signals
def test_stop_signal_of_its_image_ends_it(program, signum, serve):
    """The signal that `docker stop` sends it in its own image is a clean end, too."""
    run = serve(program)
    run.send(signum)
    wait_for(run, *program.farewell)

    assert program.code == run.finish().code
