"""How to stop real applications gracefully: which options suit which, told by their own logs.

Each has work in hand, such as a request that takes until a gate opens, when SIGTERM is sent to
pyinit. The gate opens once the application has said that it is about to stop.
"""

import contextlib
import dataclasses
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import fastcgi
import pytest
from applications import (
    PROGRAMS,
    ask_http,
    http_answer,
    http_request,
    installed,
    prepare_gunicorn,
    prepare_nginx,
    prepare_redis,
    wait_for,
)

from testkit.programs import tool, victim
from testkit.running import Run

PHP_CONF = """\
[global]
daemonize = no
error_log = /dev/stderr
process_control_timeout = {patience}
[www]
user = root
listen = {folder}/fastcgi
pm = static
pm.max_children = 2
access.log = /dev/stderr
"""
# A shell that goes on after SIGTERM, but only when its app has ended.
TRAP = '''trap "echo the shell was asked" TERM; "$@"; echo "the app left with $?"'''
BACKSTOP = 30  # seconds; nothing here takes one
UPSTREAM_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nhello at last"


@dataclasses.dataclass(frozen=True)
class Work:
    """What an application has in hand.

    Attributes:
        go_on: opens the gate.
        answer: returns what the application answers then, an error where it does not.
    """

    go_on: Callable[[], object]
    answer: Callable[[], str]


@dataclasses.dataclass(frozen=True)
class Application:
    """A program that is to have work in hand.

    Attributes:
        prepare: writes what it needs into a folder and returns its command.
        ready: lines that it writes until it works.
        begin: gives work to what runs in a folder, and goes on when that is in hand.
        answer: what comes of it.
        beside: another one that it needs.
    """

    prepare: Callable[[Path], list[str]]
    ready: tuple[str, ...]
    begin: Callable[[Path], contextlib.AbstractContextManager[Work]] | None = None
    answer: str = ""
    beside: "Application | None" = None


@dataclasses.dataclass(frozen=True)
class Stop:
    """How an application is stopped, and what its log tells.

    Attributes:
        application: which one.
        options: those of pyinit.
        stopping: lines that it writes at SIGTERM, in that order.
        farewell: lines that it writes after the gate has opened.
    """

    application: Application
    options: tuple[str, ...]
    stopping: tuple[str, ...]
    farewell: tuple[str, ...] = ()


def prepare_uwsgi(folder: Path) -> list[str]:
    """uWSGI with a master and one worker."""
    serve = ["--master", "--processes", "1", "--http-socket", f"{folder}/http"]
    return [tool("uwsgi-core"), "--plugin", "python3", *serve, "--wsgi-file", f"{PROGRAMS}/wsgi.py"]


def prepare_graceful_uwsgi(folder: Path) -> list[str]:
    """uWSGI, told that SIGTERM is for a graceful stop."""
    hooks = ("unix_signal:15 gracefully_kill_them_all", "print:SIGTERM is graceful")
    return [*prepare_uwsgi(folder), *(f"--hook-master-start={hook}" for hook in hooks)]


def prepare_php(folder: Path, patience: int = 60) -> list[str]:
    """php-fpm with a master, which waits for its two workers so many seconds."""
    configuration = folder / "php-fpm.conf"
    configuration.write_text(PHP_CONF.format(folder=folder, patience=patience))
    found = max(Path("/usr/sbin").glob("php-fpm*"), default="php-fpm")
    return [tool(str(found)), "-nRF", "-y", str(configuration)]


def prepare_impatient_php(folder: Path) -> list[str]:
    """php-fpm with the default time limit, which is 0."""
    return prepare_php(folder, patience=0)


def prepare_celery(folder: Path) -> list[str]:
    """Celery with a pool of one process: another might not be ready yet when SIGTERM comes."""
    broker = f"redis+socket://{folder}/redis"
    options = ("--concurrency=1", "--loglevel=INFO", "--without-gossip", "--without-mingle")
    celery = [installed("celery"), "-A", "tasks", "-b", broker, "--workdir", str(PROGRAMS)]
    return ["env", f"GATE={folder}/gate", *celery, "worker", "--pool=prefork", *options]


def prepare_celery_in_shell(folder: Path) -> list[str]:
    """Celery below a shell that does not exec it."""
    return ["sh", "-c", '"$@"; true', "sh", *prepare_celery(folder)]


@contextlib.contextmanager
def slow_upstream(folder: Path) -> Iterator[Work]:
    """Send a request that nginx passes on to a server which takes its time."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/upstream")
        (folder / "upstream").chmod(0o777)
        listener.listen()
        with contextlib.closing(http_request(folder, "/slow")) as request:
            upstream, _ = listener.accept()
            with upstream:
                yield Work(lambda: upstream.sendall(UPSTREAM_ANSWER), lambda: http_answer(request))


@contextlib.contextmanager
def slow_page(folder: Path) -> Iterator[Work]:
    """Send a request for a page that takes its time."""
    request = http_request(folder, f"/?{folder}/gate")
    with contextlib.closing(request), shut_gate(folder) as gate:
        yield Work(gate.close, lambda: http_answer(request))


@contextlib.contextmanager
def slow_script(folder: Path) -> Iterator[Work]:
    """Send a request for a PHP script that takes its time."""
    request = fastcgi.Request(folder / "fastcgi", PROGRAMS / "slow.php", f"{folder}/gate")
    with contextlib.closing(request), shut_gate(folder) as gate:
        yield Work(gate.close, request.answer)


@contextlib.contextmanager
def slow_task(folder: Path) -> Iterator[Work]:
    """Wait for the task that Celery begins by itself."""
    with shut_gate(folder) as gate:
        yield Work(gate.close, str)


def shut_gate(folder: Path):
    """Wait until a process waits at the gate."""
    return (folder / "gate").open("wb", buffering=0)


NGINX = Application(
    prepare=prepare_nginx,
    ready=("start worker process ", "start worker process "),
    begin=slow_upstream,
    answer="200 hello at last",
)
GUNICORN = Application(
    prepare=prepare_gunicorn,
    ready=("is ready", "is ready"),
    begin=slow_page,
    answer="200 hello from Python\n",
)
UWSGI = Application(
    prepare=prepare_uwsgi,
    ready=("spawned uWSGI worker 1",),
    begin=slow_page,
    answer="200 hello from Python\n",
)
GRACEFUL_UWSGI = dataclasses.replace(
    UWSGI, prepare=prepare_graceful_uwsgi, ready=("SIGTERM is graceful",)
)
PHP = Application(
    prepare=prepare_php,
    ready=("ready to handle connections",),
    begin=slow_script,
    answer="hello from PHP\n",
)
IMPATIENT_PHP = dataclasses.replace(PHP, prepare=prepare_impatient_php)
CELERY = Application(
    prepare=prepare_celery,
    ready=("the pool has the task",),
    begin=slow_task,
    beside=Application(prepare_redis, ready=("eady to accept connections",)),
)
CELERY_IN_SHELL = dataclasses.replace(CELERY, prepare=prepare_celery_in_shell)

GRACEFUL = {
    "nginx -r TERM:QUIT": Stop(
        NGINX,
        options=("-r", "TERM:QUIT"),
        stopping=("gracefully shutting down", "gracefully shutting down"),
        farewell=('"GET /slow HTTP/1.1" 200', "exited with code 0", ": exit"),
    ),
    "php-fpm -r TERM:QUIT": Stop(
        PHP,
        options=("-r", "TERM:QUIT"),
        stopping=("Finishing ...",),
        farewell=('"GET /slow.php" 200', "exiting, bye-bye!"),
    ),
    "gunicorn": Stop(
        GUNICORN,
        options=(),
        stopping=("Handling signal: term",),
        farewell=('HTTP/1.1" 200', "Worker exiting", "Shutting down: Master"),
    ),
    "uwsgi with a hook": Stop(
        GRACEFUL_UWSGI,
        options=(),
        stopping=("graceful shutdown triggered", "Gracefully killing worker 1"),
        farewell=("=> generated 18 bytes", "goodbye to uWSGI."),
    ),
    "celery": Stop(
        CELERY,
        options=(),
        stopping=("Warm shutdown (MainProcess)",),
        farewell=("succeeded in",),
    ),
}
LOSING = {
    "nginx": Stop(NGINX, options=(), stopping=("(SIGTERM) received from 1, exiting", ": exit")),
    "php-fpm": Stop(PHP, options=(), stopping=("Terminating ...", "bye-bye!")),
    "php-fpm -r TERM:QUIT without process_control_timeout": Stop(
        IMPATIENT_PHP, options=("-r", "TERM:QUIT"), stopping=("Finishing ...", "bye-bye!")
    ),
    "gunicorn -r TERM:QUIT": Stop(
        GUNICORN,
        options=("-r", "TERM:QUIT"),
        stopping=("Handling signal: quit", "Shutting down: Master"),
    ),
    "uwsgi -r TERM:QUIT": Stop(
        UWSGI,
        options=("-r", "TERM:QUIT"),
        stopping=("received...killing workers...", "goodbye to uWSGI."),
    ),
}


def answer_if_any(work: Work) -> str | None:
    """Return the answer; None where the connection was dropped."""
    try:
        return work.answer()
    except ConnectionError:
        return None


def in_shell(shell: str, script: str) -> list[str]:
    """Return a script whose arguments are an app: one that leaves with 7 when it gets SIGTERM."""
    return [shell, "-c", script, shell, *victim("listener", 7)]


def told_by_helpers(what: str) -> list[str]:
    return [f"helper {number} {what}" for number in (1, 2)]


def each(stops: dict[str, Stop]) -> pytest.MarkDecorator:
    """Run a test with each of them."""
    return pytest.mark.parametrize("stop", stops.values(), ids=stops.keys())


each_shell = pytest.mark.parametrize("shell", ["sh", "bash"])


@pytest.fixture
def serve(folder, start):
    """Start an application below pyinit and wait until it works."""
    os.mkfifo(folder / "gate")

    def serve_one(application: Application, options: Sequence[str] = ()) -> Run:
        if application.beside is not None:
            serve_one(application.beside)
        run = start(options, application.prepare(folder), stderr=subprocess.STDOUT)
        wait_for(run, *application.ready)
        return run

    return serve_one


@each(GRACEFUL)
def test_work_in_hand_is_finished(stop, serve, folder):
    """What an application works on when SIGTERM comes is finished before it ends."""
    run = serve(stop.application, stop.options)
    with stop.application.begin(folder) as work:
        run.send(signal.SIGTERM)
        wait_for(run, *stop.stopping)
        work.go_on()

        assert stop.application.answer == work.answer()
    wait_for(run, *stop.farewell)
    assert 0 == run.finish().code


@each(LOSING)
def test_work_in_hand_is_lost(stop, serve, folder):
    """With the wrong signal an application drops what it works on, and says that it was stopped."""
    run = serve(stop.application, stop.options)
    with stop.application.begin(folder) as work:
        run.send(signal.SIGTERM)
        wait_for(run, *stop.stopping)
        run.finish()

        assert stop.application.answer != answer_if_any(work)


@pytest.mark.parametrize(
    ("application", "option"),
    [(CELERY, "-g"), (CELERY, "-a"), (CELERY_IN_SHELL, "-d60")],
    ids=["-g", "-a", "in a shell"],
)
def test_celery_loses_its_task_where_the_pool_gets_sigterm_too(application, option, serve, folder):
    """A SIGTERM of its own kills Celery's pool: from -g, -a, or the drain after a shell."""
    run = serve(application, [option])
    with shut_gate(folder) as gate:
        run.send(signal.SIGTERM)
        reader = select.poll()
        reader.register(gate, 0)

        assert [(gate.fileno(), select.POLLERR)] == reader.poll(BACKSTOP * 1000)  # none is left


def test_uwsgi_does_not_stop_at_sigterm(serve, folder):
    """To uWSGI, without an option of its own, SIGTERM means: drop all requests and start anew."""
    run = serve(UWSGI)
    with UWSGI.begin(folder) as work:
        run.send(signal.SIGTERM)
        wait_for(run, "brutally killing workers", "(RE)spawned uWSGI master", *UWSGI.ready)

        assert answer_if_any(work) is None
    assert UWSGI.answer == ask_http(folder)


@pytest.mark.parametrize(
    ("options", "fate"), [([], "finished"), (["-g"], "abandoned")], ids=["default", "-g"]
)
def test_prefork_master_gets_sigterm_once_and_without_g_alone(options, fate, start):
    """A master sees one SIGTERM; its workers see none and finish their jobs, unless there is -g."""
    run = start(options, victim("prefork"))
    run.ready()
    run.send(signal.SIGTERM)
    run.send(signal.SIGWINCH)
    told = ["master got SIGTERM", "master ended", *(f"worker {n} {fate} its job" for n in (1, 2))]

    assert sorted(told) == sorted(run.finish().out.splitlines())


@each_shell
def test_shell_dies_of_sigterm_and_the_drain_asks_its_app(shell, start):
    """Without -g the shell alone gets SIGTERM; its app is asked when the shell is dead."""
    run = start(["-v"], in_shell(shell, '"$@"; true'))
    run.ready()
    result = run.stop()
    (forwarded,) = result.named("signal_forwarded")
    (app,) = result.named("orphan_reaped")

    assert ("process 2", 7) == (forwarded["target"], app["code"])
    assert f"got {int(signal.SIGTERM)}\n" == result.out
    assert 128 + signal.SIGTERM == result.code


@each_shell
def test_shell_with_a_trap_keeps_sigterm_from_its_app(shell, start):
    """A shell with a trap waits for its app, which without -g is never asked to stop."""
    run = start(["-v"], in_shell(shell, TRAP))
    app = run.ready()
    run.send(signal.SIGTERM)
    run.event("signal_forwarded")
    run.inside("kill", "-USR1", str(app))

    assert f"got {int(signal.SIGUSR1)}" == run.line()


@each_shell
def test_with_g_the_app_of_a_shell_with_a_trap_is_asked(shell, start):
    """With -g shell and app both get SIGTERM: the app ends, then the shell goes on to its end."""
    run = start(["-g"], in_shell(shell, TRAP))
    run.ready()
    result = run.stop()
    told = [f"got {int(signal.SIGTERM)}", "the shell was asked", "the app left with 7"]

    assert told == result.out.splitlines()
    assert 0 == result.code


def test_helpers_of_a_job_are_asked_and_finish_their_work(start):
    """What a job leaves behind, even in sessions of its own, gets SIGTERM and time to finish."""
    run = start(["-d", "60"], victim("job"), stdin=subprocess.PIPE)
    assert "the job is done" == run.line()
    assert told_by_helpers("was asked to stop") == sorted([run.line(), run.line()])
    run.close_stdin()
    result = run.finish()

    assert told_by_helpers("finished its work") == sorted(result.out.splitlines())
    assert 3 == result.code


def test_without_a_drain_the_helpers_of_a_job_die_with_it(run):
    """With -d 0 the helpers are not asked, and finish nothing."""
    result = run(["-d", "0"], victim("job"))

    assert (3, "the job is done\n") == (result.code, result.out)
