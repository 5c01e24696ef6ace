"""Supervisors and runners, each with a service that finishes its work at SIGTERM."""

import atexit
import functools
import json
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from trials.programs.servers import each
from trials.programs.trial import SOURCES, Case, Trial

SUPERVISORD = """\
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
[program:work]
command={worker}
autorestart=true
"""
NPM = {"name": "work", "version": "1.0.0"}
TRAP = """trap "echo asked" TERM; "$@"; exit $?"""


def sleep(_trial: Trial) -> list[str]:
    """Run a container that only waits, for guests."""
    return ["sleep", "infinity"]


def guest(trial: Trial) -> None:
    """Run a job, as docker exec does."""
    trial.guest(*trial.worker())


def minding_guest(trial: Trial) -> None:
    """Run a job that finishes its work at SIGTERM."""
    trial.guest(*trial.worker("minds"))


def open_shell(trial: Trial) -> None:
    """Run a job in an interactive shell, which ignores SIGTERM and waits for input."""
    shell = trial.guest("bash", "--norc", "-i", stdin=subprocess.PIPE)
    assert shell.stdin is not None
    shell.stdin.write(f"{shlex.join(trial.worker('minds'))}\n")
    shell.stdin.flush()


def supervisord(trial: Trial) -> list[str]:
    """Start supervisord with one program."""
    text = SUPERVISORD.format(folder=trial.folder, worker=shlex.join(trial.worker("serves")))
    return ["supervisord", "-c", str(trial.write("supervisord.conf", text))]


def runsvdir(trial: Trial) -> list[str]:
    """Start runsvdir with one service."""
    trial.write(
        "service/work/run", f"#!/bin/sh\nexec {shlex.join(trial.worker('serves'))}\n", 0o755
    )
    return ["runsvdir", f"{trial.folder}/service"]


def npm_start(trial: Trial) -> list[str]:
    """Start npm with a script that runs a Node.js program."""
    scripts = {"start": f"node {SOURCES}/worker.js {trial.work_port}"}
    trial.write("package.json", json.dumps({**NPM, "scripts": scripts}))
    return ["env", "npm_config_update_notifier=false", "npm", "start"]


def npm_start_exec(trial: Trial) -> list[str]:
    """Start npm with a script whose shell execs the program."""
    scripts = {"start": f"exec node {SOURCES}/worker.js {trial.work_port}"}
    command = npm_start(trial)
    trial.write("package.json", json.dumps({**NPM, "scripts": scripts}))
    return command


def node(trial: Trial) -> list[str]:
    """Start the same program without npm."""
    return ["node", f"{SOURCES}/worker.js", str(trial.work_port)]


@functools.cache
def pm2_folder() -> Path:
    """Install pm2 into a folder that is removed at the end."""
    folder = tempfile.mkdtemp(prefix="programs-pm2-")
    atexit.register(shutil.rmtree, folder)
    where = ("--prefix", folder, "--cache", f"{folder}/cache")
    install = ("npm", "install", "--silent", "--no-audit", "--no-fund", *where, "pm2")
    subprocess.run(install, check=True, capture_output=True)
    return Path(folder)


def pm2(trial: Trial, **settings: int) -> list[str]:
    """Start the same under pm2-runtime."""
    app = {"script": f"{SOURCES}/worker.js", "args": str(trial.work_port), **settings}
    apps = trial.write("pm2.json", json.dumps({"apps": [app]}))
    return [f"{pm2_folder()}/node_modules/.bin/pm2-runtime", "start", str(apps)]


def patient_pm2(trial: Trial) -> list[str]:
    """Give the program more time than pm2's 1.6 seconds."""
    return pm2(trial, kill_timeout=8000)


def java(trial: Trial) -> list[str]:
    """Start a Java program with a shutdown hook that waits for the work."""
    compiled = trial.folder / "classes"
    trial.run("javac", "-J-XX:-UsePerfData", "-d", str(compiled), f"{SOURCES}/Worker.java")
    return ["java", "-XX:-UsePerfData", "-cp", str(compiled), "Worker", str(trial.work_port)]


def java_below_shell(trial: Trial) -> list[str]:
    """Start the same under a shell that does not exec it."""
    return ["sh", "-c", '"$@"; exit $?', "sh", *java(trial)]


def java_below_trap(trial: Trial) -> list[str]:
    """Start the same under a shell with a trap."""
    return ["sh", "-c", TRAP, "sh", *java(trial)]


GUEST = Case("docker exec", sleep, begin=guest)
SUPERVISORD_CASE = Case("supervisord", supervisord, needs=("supervisord",))
RUNSVDIR = Case("runsvdir", runsvdir, needs=("runsvdir",))
NPM_CASE = Case("npm start", npm_start, needs=("npm", "node"))
PM2 = Case("pm2-runtime", pm2, needs=("npm", "node"))
JAVA = Case("java below sh", java_below_shell, needs=("java", "javac"))
SUPERVISORS = (
    *each(GUEST, "-d0"),
    *each(
        replace(GUEST, program="docker exec, job minds SIGTERM", begin=minding_guest), "-d0", "-d1"
    ),
    *each(replace(GUEST, program="docker exec -it bash", begin=open_shell), "-d1"),
    *each(SUPERVISORD_CASE, "-g", "-a"),
    *each(RUNSVDIR, "-d1", "-r TERM:HUP"),
    *each(NPM_CASE, "-g", "-d0"),
    *each(replace(NPM_CASE, program="npm start, exec in the script", prepare=npm_start_exec)),
    *each(replace(NPM_CASE, program="node without npm", prepare=node)),
    *each(PM2, "-g"),
    *each(replace(PM2, program="pm2-runtime, kill_timeout 8000", prepare=patient_pm2), "-g"),
    *each(JAVA, "-g", "-a"),
    *each(replace(JAVA, program="java below sh with a trap", prepare=java_below_trap), "-g", "-a"),
    *each(replace(JAVA, program="java, exec in the shell", prepare=java), "-e143"),
)
