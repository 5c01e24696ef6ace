"""Programs with a fault, each with the expected report, and programs without a fault."""

from pyinit.rehearse.model import FAILED, KILLED, LOST, SLOW, UNTIDY
from trials.rehearsals.case import CLIENT, ON_PORT, READY, Case

NOT_GOT = "did not get SIGTERM"
GOES_ON = r"has a handler for SIGTERM .*continues"
NO_TIME = ("pyinit", "-d", "1", "--")  # a drain that is over soon
UWSGI = (
    *("uwsgi-core", "--plugin", "python3", "--master", "--processes", "2"),
    *("--http-socket", "127.0.0.1:PORT", "--wsgi-file", "SOURCES/slow_page.py"),
)
UWSGI_READY = ("--ready-when", "spawned uWSGI worker 2", "--after", "1")  # the master is later
POSTGRES = """
PATH="$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH"
initdb -D "$0" --auth=trust --username=postgres --no-locale --encoding=UTF8 --no-sync >/dev/null
exec postgres -D "$0" -c listen_addresses= -c "unix_socket_directories=$0"
"""


def _python(source: str, *arguments: str) -> tuple[str, ...]:
    return ("PYTHON", f"SOURCES/{source}", *arguments)


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _gunicorn(*options: str) -> tuple[str, ...]:
    return ("PYTHON", "-m", "gunicorn", "-b", "127.0.0.1:PORT", "--chdir", "SOURCES", *options)


FAULTS = (
    Case(
        "a handler that does not exit",
        _python("handler_without_exit.py"),
        KILLED,
        GOES_ON,
    ),
    Case(
        "SIGTERM is ignored",
        _sh("trap '' TERM; echo ready; exec sleep infinity"),
        KILLED,
        "ignores SIGTERM",
    ),
    Case(
        "SIGTERM is blocked",
        ("env", "--block-signal=TERM", *_sh("echo ready; exec sleep infinity")),
        KILLED,
        "blocks SIGTERM",
    ),
    Case(
        "SIGTERM is lost while it boots",
        _sh("trap '' TERM; echo boots; sleep 2; trap 'exit 0' TERM; sleep infinity & wait"),
        KILLED,
        r"SIGTERM was lost: sh \(pid 2\) still ignored it when it arrived",
        options=("--ready-when", "boots"),
        grace=5,
    ),
    Case(
        "made for ^C: it handles only SIGINT",
        _python("only_sigint.py"),
        KILLED,
        "ignores SIGTERM",
        advice="STOPSIGNAL SIGINT",
    ),
    Case(
        "PID 1 of a namespace of its own",
        (
            *("unshare", "--user", "--map-root-user", "--pid", "--fork"),
            *_sh("echo ready; sleep infinity; :"),
        ),
        KILLED,
        "is PID 1 of its own PID namespace",
    ),
    Case(
        "a stopped process",
        _sh("echo ready; kill -STOP $$"),
        KILLED,
        r"sh \(pid 2\) is stopped",
    ),
    Case(
        "a second SIGTERM is fatal",
        _python("second_is_fatal.py"),
        LOST,
        "second SIGTERM",
        options=(*READY, "--twice"),
        grace=5,
    ),
    Case(
        "a handler with a bug",
        _python("handler_raises.py"),
        FAILED,
        r"\b1\b",
    ),
    Case(
        "code 0 where 143 is expected",
        _sh("trap 'exit 0' TERM; echo ready; sleep infinity & wait"),
        FAILED,
        r"\b0\b.*\b143\b|\b143\b.*\b0\b",
        options=(*READY, "--expect", "143"),
    ),
    Case(
        "a handler that waits for a lock",
        ("PYTHON", "HUNG/handler_deadlock.py"),
        KILLED,
        "signal handler .*not returned",
    ),
    Case(
        "a handler that takes longer than the grace period",
        _python("slow_handler.py", "60"),
        KILLED,
        "signal handler .*not returned.*slow_handler.py",
    ),
    Case(
        "a slow `atexit` hook",
        _python("slow_atexit.py", "6"),
        SLOW,
        "of the grace period of 9 s: .*atexit hook .*slow_atexit.py",
        grace=9,
    ),
    Case(
        "a non-daemon thread",
        ("PYTHON", "HUNG/thread_at_exit.py"),
        KILLED,
        "non-daemon thread",
    ),
    Case(
        "asyncio, a task that swallows its cancellation",
        _python("swallows_cancellation.py"),
        KILLED,
        r"event loop awaits at .*swallows_cancellation.py",
    ),
    Case(
        "a pool of processes that the parent waits for",
        _python("pool_not_closed.py"),
        KILLED,
        r"waits for .*thread|waits for python",
    ),
    Case(
        "`subprocess.run`, SIGTERM not forwarded",
        _python("subprocess_run.py"),
        KILLED,
        rf"waits for sleep \(pid \d+\).*{NOT_GOT}",
        advice="-g",
    ),
    Case(
        "a child in a session of its own, under `-g`",
        ("pyinit", "-g", "--", *_python("own_session.py")),
        KILLED,
        rf"waits for sleep \(pid \d+\).*{NOT_GOT}",
        advice="-a",
    ),
    Case(
        "a helper that inherited an ignored SIGTERM",
        _python("inherits_ignore.py"),
        KILLED,
        r"sleep \(pid \d+\).* ignores SIGTERM",
    ),
    Case(
        "a shell: its trap runs only after its command",
        _sh("trap 'exit 0' TERM; sh -c 'echo ready; exec sleep infinity'; :"),
        KILLED,
        rf"sh \(pid 2\) waits for sleep .*{NOT_GOT}",
    ),
    Case(
        "a shell with a trap, around a pipeline",
        _sh("trap 'exit 0' TERM; { echo ready; exec tail -f /dev/null; } | cat; :"),
        KILLED,
        rf"sh \(pid 2\) waits for .*(tail|cat) .*{NOT_GOT}",
    ),
    Case(
        "a script that restarts its worker for ever",
        _sh("trap 'kill $!' TERM; echo ready; while :; do sleep infinity & wait; done"),
        KILLED,
        r"sh \(pid 2\) (waits for sleep|has a handler for SIGTERM)",
    ),
    Case(
        "a shell without `exec`",
        _sh("sh -c 'echo ready; exec sleep infinity'; :"),
        left="sleep",
    ),
    Case(
        "`tail -f` at the end of a script, after a server in the background",
        _sh("(trap 'exit 0' TERM; echo ready; sleep infinity & wait) & tail -f /dev/null; :"),
        left="sh",
    ),
    Case(
        "a daemon left behind, which ignores SIGTERM",
        (
            *NO_TIME,
            *_sh("(trap '' TERM; echo ready; exec sleep infinity) & exec tail -f /dev/null"),
        ),
        LOST,
        r"sleep \(pid \d+\).*ignores SIGTERM|ignores SIGTERM.*sleep \(pid",
        grace=20,
    ),
    Case(
        "a helper under tini, which exits with its child",
        ("tini", "--", *_sh("sleep infinity & exec tail -f /dev/null")),
        LOST,
        r"sleep \(pid \d+\) got SIGKILL from the kernel",
        advice="pyinit",
        left="sleep",
        options=(),
    ),
    Case(
        "a daemon in a session of its own under dumb-init",
        (
            *("dumb-init", "--"),
            *_sh("setsid sh -c 'echo ready; exec sleep infinity' & exec tail -f /dev/null"),
        ),
        LOST,
        r"sleep \(pid \d+\) got SIGKILL from the kernel",
        advice="pyinit",
        left="sleep",
    ),
    Case(
        "a helper of nohup that takes longer than the drain",
        (
            *NO_TIME,
            *_sh('nohup "$0" "$@" & exec tail -f /dev/null'),
            *_python("slow_handler.py", "30"),
        ),
        LOST,
        r"python\S* \(pid \d+\)",
        advice="-d",
    ),
    Case(
        "a master that kills its workers",
        _python("kills_workers.py"),
        LOST,
        r"python\S* \(pid \d+\).* SIGKILL|SIGKILL.* python\S* \(pid",
    ),
    Case(
        "a worker that crashes at its end",
        _python("worker_crashes.py"),
        FAILED,
        r"python\S* \(pid \d+\) crashed .*SIGABRT",
    ),
    Case(
        "`timeout -k`, shorter than the clean-up",
        ("timeout", "-k", "1", "600", *_python("slow_handler.py", "2")),
        LOST,
        "SIGKILL",
        grace=5,
    ),
    Case(
        "a server that drops a request in progress",
        _python("server.py", "PORT", "60", "leaves"),
        LOST,
        "the load failed",
        options=(*ON_PORT, *CLIENT),
    ),
    Case(
        "a server that never answers a request in progress",
        _python("server.py", "PORT", "60", "finishes"),
        KILLED,
        r"waits for .*thread.*server.py",
        options=(*ON_PORT, *CLIENT),
    ),
    Case(
        "System V shared memory",
        _python("system_v_memory.py"),
        UNTIDY,
        "shared memory",
        leak="^System V shared memory",
    ),
    Case(
        "POSIX shared memory",
        _python("posix_memory.py"),
        UNTIDY,
        "shared memory",
        leak="^POSIX shared memory.*psm_",
    ),
    Case(
        "a PID file",
        _sh("echo $$ >FOLDER/server.pid; echo ready; exec sleep infinity"),
        UNTIDY,
        r"server\.pid",
        leak=r"^PID file.*server\.pid",
    ),
    Case(
        "the file of a unix socket",
        _python("unix_socket.py", "server.sock"),
        UNTIDY,
        r"server\.sock",
        leak=r"^socket.*server\.sock",
    ),
    Case(
        "nginx, STOPSIGNAL not set to SIGQUIT, with a request",
        ("nginx", "-e", "stderr", "-c", "FOLDER/nginx.conf"),
        LOST,
        "the load failed",
        advice="STOPSIGNAL SIGQUIT",
        options=(*ON_PORT, *CLIENT),
        configuration="nginx.conf",
    ),
    Case(
        "gunicorn, with a request that takes longer than the grace period",
        ("env", "SECONDS=60", *_gunicorn("slow_page:application")),
        KILLED,
        r"slow_page.py",
        options=(*ON_PORT, *CLIENT),
    ),
    Case(
        "gunicorn, with a `--graceful-timeout` shorter than a request",
        ("env", "SECONDS=60", *_gunicorn("--graceful-timeout", "1", "slow_page:application")),
        LOST,
        "the load failed",
        options=(*ON_PORT, *CLIENT),
        grace=8,
    ),
    Case(
        "uvicorn, with a stream that does not end",
        (
            *("PYTHON", "-m", "uvicorn", "--port", "PORT", "--app-dir", "HUNG"),
            *("--log-level", "warning", "asgi:application"),
        ),
        KILLED,
        r"awaits at .*uvicorn/server.py",
        options=(*ON_PORT, *CLIENT),
    ),
    Case(
        "uWSGI without `--die-on-term`, which SIGTERM reloads",
        UWSGI,
        KILLED,
        rf"uwsgi-core \(pid 2\) {GOES_ON}",
        advice="gracefully_kill_them_all",
        options=UWSGI_READY,
    ),
    Case(
        "celery, with a task that takes longer than the grace period",
        ("PYTHON", "HUNG/celery_task.py", "FOLDER"),
        KILLED,
        r"celery_task.py",
    ),
    Case(
        "Node.js: `server.close()`, with a request that is not answered",
        ("node", "SOURCES/closes.js", "PORT", "60"),
        KILLED,
        GOES_ON,
        options=(*ON_PORT, *CLIENT),
    ),
    Case(
        "redis, which cannot save",
        _sh("mkdir FOLDER/data; exec redis-server --port PORT --dir FOLDER/data --save '3600 1'"),
        KILLED,
        rf"redis-server \(pid 2\) {GOES_ON}",
        options=(*ON_PORT, "--load", "rmdir FOLDER/data"),
    ),
)

HEALTHY = (
    Case("gunicorn, idle", _gunicorn("slow_page:application"), options=ON_PORT),
    Case(
        "gunicorn, with a request",
        ("env", "SECONDS=4", *_gunicorn("slow_page:application")),
        options=(*ON_PORT, *CLIENT, "--after", "2"),  # it listens before it has a worker
        grace=20,
    ),
    Case(
        "uvicorn, with a stream that ends",
        (
            *("PYTHON", "-m", "uvicorn", "--port", "PORT", "--app-dir", "SOURCES"),
            *("--log-level", "warning", "stream:application"),
        ),
        options=(*ON_PORT, *CLIENT),
        grace=10,
    ),
    Case(
        "uWSGI with `--die-on-term`",
        (*UWSGI, "--die-on-term"),
        options=UWSGI_READY,
        grace=10,
    ),
    Case("celery, with a task", ("PYTHON", "HUNG/celery_task.py", "FOLDER", "1"), grace=20),
    Case(
        "redis",
        ("redis-server", "--port", "PORT", "--dir", "FOLDER", "--save", "3600 1"),
        options=ON_PORT,
        grace=10,
    ),
    Case(
        "PostgreSQL, STOPSIGNAL SIGINT",
        ("unshare", "--user", "--map-user=1000", "--map-group=1000", *_sh(POSTGRES), "FOLDER/data"),
        options=("--ready-when", "database system is ready", "--signal", "INT", "--expect", "0"),
        grace=20,
    ),
    Case(
        "nginx, STOPSIGNAL SIGQUIT, with a request",
        ("nginx", "-e", "stderr", "-c", "FOLDER/nginx.conf"),
        options=(*ON_PORT, *CLIENT, "--signal", "QUIT"),
        grace=10,
        configuration="nginx.conf",
    ),
    Case(
        "php-fpm, STOPSIGNAL SIGQUIT",
        ("PHP", "-nRF", "-y", "FOLDER/php-fpm.conf"),
        options=("--ready-when", "ready to handle connections", "--signal", "QUIT"),
        grace=10,
        configuration="php-fpm.conf",
    ),
    Case(
        "Node.js, with a request",
        ("node", "SOURCES/closes.js", "PORT", "1"),
        options=(*ON_PORT, *CLIENT),
        grace=10,
    ),
    Case(
        "`http.server`, with a request",
        _python("server.py", "PORT", "1", "finishes"),
        options=(*ON_PORT, *CLIENT),
        grace=10,
    ),
    Case(
        "a shell wrapper with `exec`",
        _sh("umask 022; echo ready; exec sleep infinity"),
    ),
    Case(
        "a shell with a trap and `wait`",
        _sh("trap 'kill $!; exit 0' TERM; sleep infinity & echo ready; wait"),
    ),
    Case(
        "a job with helpers that end when asked",
        _sh("for n in 1 2 3 4 5; do (exec sleep infinity) & done; echo ready; wait"),
        grace=20,
    ),
    Case(
        "`sleep infinity`, ready when all are asleep",
        ("sleep", "infinity"),
        options=(),
        grace=20,
    ),
    Case("processes that are asked to end, and waited for", _python("processes_end.py")),
    Case("shared memory that a tracker removes", _python("tracked_memory.py"), grace=20),
    Case("SIGTERM twice", _python("slow_handler.py", "1"), options=(*READY, "--twice"), grace=10),
    Case(
        "pyinit under tini",
        ("tini", "-s", "--", "pyinit", "--", *_sh("sleep infinity & echo ready; wait")),
        grace=20,
    ),
)
CASES = (*FAULTS, *HEALTHY)
