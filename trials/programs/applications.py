"""Python servers with workers, each with a request or a task in progress."""

import sys
from dataclasses import replace

from trials.programs.servers import each
from trials.programs.trial import HOST, SOURCES, Answer, Case, Trial

JUPYTER_OPTIONS = (
    "--allow-root",
    "--no-browser",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
)


def uvicorn(trial: Trial) -> list[str]:
    """Start uvicorn with two workers."""
    serve = ["uvicorn", "--workers", "2", "--host", HOST, "--port", str(trial.port)]
    return [*of_app(trial), *serve, "app:app"]


def hypercorn(trial: Trial, *, workers: int = 2) -> list[str]:
    """Start hypercorn with two workers."""
    serve = ["hypercorn", "--workers", str(workers), "--bind", f"{HOST}:{trial.port}"]
    return [*of_app(trial), *serve, "app:app"]


def lonely_hypercorn(trial: Trial) -> list[str]:
    """Start hypercorn with one worker."""
    return hypercorn(trial, workers=1)


def of_app(trial: Trial) -> list[str]:
    """Return the variables that tell the app where it is and where its work is."""
    return ["env", f"PYTHONPATH={SOURCES}", f"WORK={trial.work_port}"]


def dask_scheduler(trial: Trial) -> list[str]:
    """Start a scheduler of dask."""
    return ["dask", "scheduler", "--host", HOST, "--port", str(trial.port), "--no-dashboard"]


def dask_worker(trial: Trial, *words: str) -> list[str]:
    """Start a worker of dask with its nanny, and a scheduler outside the namespace."""
    trial.popen(*dask_scheduler(trial))
    return [*worker_command(trial), *words]


def dask_worker_alone(trial: Trial) -> list[str]:
    """Start a worker of dask without a nanny."""
    return dask_worker(trial, "--no-nanny")


def worker_command(trial: Trial) -> list[str]:
    """Return the command of a worker of dask."""
    where = [f"tcp://{HOST}:{trial.port}", "--local-directory", str(trial.folder)]
    return ["dask", "worker", *where, "--no-dashboard", "--nthreads", "1"]


def submit(trial: Trial) -> Answer:
    """Submit a task to dask."""
    script = f"{SOURCES}/dask_client.py"
    return trial.client(sys.executable, script, str(trial.port), str(trial.work_port))


def submit_and_work(trial: Trial) -> Answer:
    """Start a worker outside the namespace, and submit a task."""
    trial.popen(*worker_command(trial), "--no-nanny")
    return submit(trial)


def jupyter(trial: Trial) -> list[str]:
    """Start a server of Jupyter."""
    serve = ["jupyter", "server", f"--ServerApp.ip={HOST}", f"--ServerApp.port={trial.port}"]
    return ["env", f"JUPYTER_RUNTIME_DIR={trial.folder}", *serve, *JUPYTER_OPTIONS]


def run_cell(trial: Trial) -> None:
    """Make a kernel of the server run a cell, and ask the cell."""
    script, cell = f"{SOURCES}/notebook.py", f"{SOURCES}/worker.py"
    trial.popen(
        sys.executable, script, str(trial.port), str(trial.folder), cell, str(trial.work_port)
    )


UVICORN = Case(
    "uvicorn --workers 2",
    uvicorn,
    ready=("startup complete", "startup complete"),
    begin=Trial.get,
    needs=("uvicorn", "curl"),
)
HYPERCORN = Case(
    "hypercorn --workers 2",
    hypercorn,
    ready=("Running on", "Running on"),
    begin=Trial.get,
    needs=("hypercorn", "curl"),
)
LONELY_HYPERCORN = replace(
    HYPERCORN, program="hypercorn --workers 1", prepare=lonely_hypercorn, ready=("Running on",)
)
DASK = Case("dask worker", dask_worker, ready=("Registered to",), begin=submit, needs=("dask",))
SCHEDULER = Case(
    "dask scheduler",
    dask_scheduler,
    ready=("Scheduler at",),
    begin=submit_and_work,
    needs=("dask",),
)
JUPYTER = Case(
    "jupyter server", jupyter, ready=("is running at",), begin=run_cell, needs=("jupyter-server",)
)
APPLICATIONS = (
    *each(UVICORN, "-g", "-a"),
    *each(HYPERCORN, "-g", "-r TERM:INT"),
    *each(LONELY_HYPERCORN, "-g"),
    *each(DASK, "-g", "-r TERM:INT"),
    *each(replace(DASK, program="dask worker --no-nanny", prepare=dask_worker_alone)),
    *each(SCHEDULER),
    *each(JUPYTER, "-g"),
)
