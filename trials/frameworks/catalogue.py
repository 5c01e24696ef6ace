"""The programs of docs/frameworks, how each is stopped, and how the stop must end."""

from dataclasses import dataclass

from pyinit.rehearse.model import FAILED, GRACEFUL, KILLED, LOST, UNTIDY
from trials.rehearsals.case import ON_PORT, Case

# A helper of multiprocessing that has no work left, the resource tracker, exits a moment after its
# program: PID 1 may be faster, and have the kernel kill it.
TRACKED = (f"{GRACEFUL}|{LOST}",) * 2
INITS = ("pyinit", "tini", "none")
GROUP = ("pyinit", "-g", "--")
BELOW_A_SHELL = ("sh", "-c", '"$@"; true', "sh")
FOUR_SECONDS = ("env", "SECONDS=4")
LATER = ("--after", "2")  # for a program that listens before it can answer
TASK_BEGAN = ("--ready-when", "task: began")
TASK_DONE, ITEM_DONE = "task: done", "item: done"
CHECKPOINT = "checkpoint written"
TOO_LARGE = ("torch",)  # about 1 GB: whoever wants to try them installs it
JUPYTER = (
    *("env", "JUPYTER_RUNTIME_DIR=FOLDER", "jupyter", "server", "--ServerApp.port=PORT"),
    *("--allow-root", "--no-browser", "--ServerApp.token="),
    "--ServerApp.disable_check_xsrf=True",
)


@dataclass(frozen=True)
class Stop:
    """A program, and how its stop must end.

    Attributes:
        package: the distribution whose version is in the table; empty for none.
        case: how to rehearse it, with its name in the table and its verdict under pyinit.
        others: patterns for the verdicts under tini and without an init; empty where it has
            options of pyinit.
        work: what the program writes when its work is done; empty if the verdict shows that.
        done_under: the inits under which it writes that.
    """

    package: str
    case: Case
    others: tuple[str, ...] = (GRACEFUL, GRACEFUL)
    work: str = ""
    done_under: tuple[str, ...] = INITS

    @property
    def inits(self) -> tuple[str, ...]:
        """Return the inits under which it is tried."""
        return INITS[: 1 + len(self.others)]

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Return the expected verdict for each of them."""
        return (self.case.verdict, *self.others)


def _asked(path: str = "slow", *more: str) -> tuple[str, ...]:
    load = f"curl --silent --fail --output /dev/null --max-time 60 127.0.0.1:PORT/{path}"
    return (*ON_PORT, "--load", load, *more)


def _uvicorn(*options: str) -> tuple[str, ...]:
    return ("uvicorn", "--port", "PORT", "--app-dir", "FRAMEWORKS", *options, "fastapi_app:app")


def _gunicorn(*options: str, application: str = "flask_app:app") -> tuple[str, ...]:
    """Start gunicorn; --preload, or a request could come before a worker can take it."""
    common = ("--preload", "--bind", "127.0.0.1:PORT", "--chdir", "FRAMEWORKS")
    return ("gunicorn", *common, *options, application)


def _flask(*options: str) -> tuple[str, ...]:
    return ("flask", "--app", "FRAMEWORKS/flask_app.py", "run", "--port", "PORT", *options)


def _runserver(*options: str) -> tuple[str, ...]:
    return (*FOUR_SECONDS, "PYTHON", "FRAMEWORKS/django_app.py", "runserver", *options, "PORT")


def _celery() -> tuple[str, ...]:
    """Start a worker that finds a task in its queue."""
    celery = ("celery", "--workdir", "FRAMEWORKS", "-A", "tasks")
    queue = ("--queue", "PORT")  # one for each, since two workers run at a time
    script = f'{" ".join(celery)} call {" ".join(queue)} tasks.work >/dev/null; exec "$@"'
    return ("sh", "-c", script, "sh", *celery, "worker", "-Q", "PORT", "--concurrency", "1")


def _pool(*words: str) -> tuple[str, ...]:
    return ("PYTHON", "FRAMEWORKS/pool.py", *words)


def _loader(*words: str) -> tuple[str, ...]:
    return ("PYTHON", "FRAMEWORKS/loader.py", *words)


FASTAPI = (
    Stop("uvicorn", Case("uvicorn", _uvicorn(), options=_asked(), grace=10)),
    Stop(
        "uvicorn",
        Case("uvicorn, a background task", _uvicorn(), options=_asked("later"), grace=10),
        work="background task: done",
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn `--workers 2`",
            (*FOUR_SECONDS, *_uvicorn("--workers", "2")),
            options=_asked("slow", *LATER),
            grace=10,
        ),
        TRACKED,
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn `--workers 2`, with `-g`",
            (*GROUP, *FOUR_SECONDS, *_uvicorn("--workers", "2")),
            options=_asked("slow", *LATER),
            grace=10,
        ),
        (),
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn `--reload`",
            (*FOUR_SECONDS, *_uvicorn("--reload")),
            options=_asked("slow", *LATER),
            grace=10,
        ),
        TRACKED,
    ),
    Stop(
        "uvicorn",
        Case("uvicorn, a stream", _uvicorn(), KILLED, options=_asked("stream"), grace=6),
        (KILLED, KILLED),
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn `--timeout-graceful-shutdown 2`, a stream",
            _uvicorn("--timeout-graceful-shutdown", "2"),
            LOST,
            options=_asked("stream"),
            grace=6,
        ),
        (LOST, LOST),
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn `--timeout-graceful-shutdown 2`, a request in a thread",
            ("env", "SECONDS=20", *_uvicorn("--timeout-graceful-shutdown", "2")),
            LOST,
            options=_asked("thread"),
            grace=6,
        ),
        (LOST, KILLED),
    ),
    Stop(
        "uvicorn",
        Case(
            "uvicorn below a shell",
            (*BELOW_A_SHELL, *_uvicorn()),
            options=_asked(),
            grace=6,
        ),
        (LOST, KILLED),
    ),
)
FLASK = (
    Stop("gunicorn", Case("gunicorn", _gunicorn(), options=_asked(), grace=10)),
    Stop(
        "gunicorn",
        Case(
            "gunicorn `--worker-class gthread`",
            _gunicorn("--worker-class", "gthread", "--threads", "4"),
            options=_asked(),
            grace=10,
        ),
    ),
    Stop(
        "gunicorn",
        Case("gunicorn, with `-g`", (*GROUP, *_gunicorn()), options=_asked(), grace=10),
        (),
    ),
    Stop(
        "gunicorn",
        Case("gunicorn", _gunicorn(), LOST, options=_asked("slow", "--signal", "INT")),
        (LOST, LOST),
    ),
    Stop(
        "gunicorn",
        Case("gunicorn", _gunicorn(), LOST, options=_asked("slow", "--signal", "QUIT")),
        (LOST, LOST),
    ),
    Stop(
        "gunicorn",
        Case(
            "gunicorn, a request longer than the grace period",
            ("env", "SECONDS=20", *_gunicorn()),
            KILLED,
            options=_asked(),
        ),
        (KILLED, KILLED),
    ),
    Stop(
        "gunicorn",
        Case(
            "gunicorn `--graceful-timeout 1`, the same",
            ("env", "SECONDS=20", *_gunicorn("--graceful-timeout", "1")),
            LOST,
            options=_asked(),
            grace=6,
        ),
        (LOST, LOST),
    ),
    Stop(
        "gunicorn",
        Case(
            "gunicorn below a shell",
            (*BELOW_A_SHELL, *_gunicorn()),
            options=_asked(),
            grace=6,
        ),
        (LOST, KILLED),
    ),
    Stop("flask", Case("`flask run`", _flask(), LOST, options=_asked()), (LOST, KILLED)),
    Stop(
        "flask",
        Case(
            "`flask run --debug`",
            (*FOUR_SECONDS, *_flask("--debug")),
            LOST,
            options=_asked("slow", *LATER),
        ),
        (LOST, LOST),
    ),
)
DJANGO = (
    Stop(
        "django",
        Case(
            "Django under gunicorn",
            _gunicorn(application="django_app"),
            options=_asked(),
            grace=10,
        ),
    ),
    Stop(
        "django",
        Case("`runserver`", _runserver(), LOST, options=_asked("slow", *LATER)),
        (LOST, LOST),
    ),
    Stop(
        "django",
        Case(
            "`runserver --noreload`",
            _runserver("--noreload"),
            LOST,
            options=_asked("slow", *LATER),
        ),
        (LOST, KILLED),
    ),
)
CELERY = (
    Stop("celery", Case("celery", _celery(), options=TASK_BEGAN, grace=20), work=TASK_DONE),
    Stop(
        "celery",
        Case("celery, with `-g`", (*GROUP, *_celery()), options=TASK_BEGAN, grace=20),
        (),
        TASK_DONE,
        (),
    ),
    Stop(
        "celery",
        Case("celery", _celery(), options=(*TASK_BEGAN, "--signal", "QUIT"), grace=20),
        work=TASK_DONE,
        done_under=(),
    ),
    Stop(
        "celery",
        Case("celery", _celery(), FAILED, options=(*TASK_BEGAN, "--signal", "INT"), grace=20),
        (FAILED, FAILED),
        TASK_DONE,
    ),
    Stop(
        "celery",
        Case(
            "celery, a task longer than the grace period",
            ("env", "SECONDS=20", *_celery()),
            KILLED,
            options=TASK_BEGAN,
            grace=6,
        ),
        (KILLED, KILLED),
        TASK_DONE,
        (),
    ),
    Stop(
        "celery",
        Case(
            "celery below a shell",
            (*BELOW_A_SHELL, *_celery()),
            options=TASK_BEGAN,
            grace=10,
        ),
        (LOST, KILLED),
        TASK_DONE,
        ("none",),
    ),
    Stop(
        "celery",
        Case(
            "celery beat",
            ("celery", "--workdir", "FRAMEWORKS", "-A", "tasks", "beat", "-s", "FOLDER/schedule"),
            options=("--ready-when", "maxinterval", "--after", "1"),
            grace=10,
        ),
    ),
)
NOTEBOOKS = tuple(
    Stop(
        "jupyter-server",
        Case(
            name,
            (*command, *JUPYTER),
            verdict,
            options=(
                *(*ON_PORT, "--after", "4", "--signal", signal),
                *("--load", "PYTHON NOTEBOOK PORT FOLDER FRAMEWORKS/cell.py 20"),
            ),
            grace=10,
        ),
        others,
    )
    for name, command, signal, verdict, others in (
        ("jupyter server, a cell", (), "TERM", LOST, (LOST, LOST)),
        ("jupyter server, a cell", (), "INT", LOST, (LOST, LOST)),
        ("jupyter server, a cell, with `-g`", GROUP, "TERM", LOST, ()),
    )
)
POOLS = (
    Stop(
        "",
        Case("a pool, no handler", _pool(), options=("--ready-when", "ready"), grace=6),
        (LOST, KILLED),
        ITEM_DONE,
        ("pyinit",),
    ),
    Stop(
        "",
        Case(
            "a pool, with a handler", _pool("handler"), options=("--ready-when", "ready"), grace=6
        ),
        TRACKED,
        ITEM_DONE,
    ),
    Stop("torch", Case("a DataLoader, no handler", _loader(), UNTIDY, grace=6), (LOST, KILLED)),
    Stop(
        "torch",
        Case("a DataLoader, with a handler", _loader("handler"), grace=10),
        work=CHECKPOINT,
    ),
    Stop(
        "torch",
        Case(
            "a DataLoader, with a handler and `-g`",
            (*GROUP, *_loader("handler")),
            f"{UNTIDY}|{FAILED}",
            grace=10,
        ),
        (),
        CHECKPOINT,
        (),
    ),
    Stop(
        "torch",
        Case(
            "`torchrun`, 2 ranks with handlers",
            ("torchrun", "--nproc-per-node", "2", "FRAMEWORKS/ranks.py"),
            FAILED,
            grace=10,
        ),
        (FAILED, FAILED),
        CHECKPOINT,
    ),
)
PAGES = {
    "fastapi": FASTAPI,
    "flask": FLASK,
    "django": DJANGO,
    "celery": CELERY,
    "jupyter": NOTEBOOKS,
    "multiprocessing": POOLS,
}
STOPS = tuple(stop for stops in PAGES.values() for stop in stops)
