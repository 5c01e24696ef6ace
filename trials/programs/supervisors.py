"""Supervisors and runners, each with a service in hand that finishes its work at SIGTERM."""

import dataclasses
import json
import subprocess
import shlex

from trials.programs.servers import each
from trials.programs.trial import BIN, SOURCES, Answer, Case, Trial

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
TRAP = '''trap "echo asked" TERM; "$@"; exit $?'''


def a_shell(_trial: Trial) -> list[str]:
    """Run a container that does nothing but wait, as for guests."""
    return ["sleep", "infinity"]


def guest(trial: Trial, *words: str) -> Answer:
    """Run a job as docker exec does."""
    return trial.guest("sh", "-c", f"{shlex.join(trial.worker(*words))}; echo $?")


def minding_guest(trial: Trial) -> Answer:
    """Run a job that finishes its work at SIGTERM."""
    return trial.guest(*trial.worker("minds"))


def supervisord(trial: Trial) -> list[str]:
    """Supervisord with one program."""
    text = SUPERVISORD.format(folder=trial.folder, worker=shlex.join(trial.worker("minds")))
    return ["supervisord", "-c", str(trial.write("supervisord.conf", text))]


def runsvdir(trial: Trial) -> list[str]:
    """Runsvdir with one service."""
    trial.write("service/work/run", f"#!/bin/sh\nexec {shlex.join(trial.worker('minds'))}\n", 0o755)
    return ["runsvdir", f"{trial.folder}/service"]


def npm_start(trial: Trial) -> list[str]:
    """Npm with a script that is a Node.js program."""
    scripts = {"start": f"node {SOURCES}/worker.js {trial.work_port}"}
    trial.write("package.json", json.dumps({**NPM, "scripts": scripts}))
    return ["env", "NO_UPDATE_NOTIFIER=1", f"HOME={trial.folder}", "npm", "start"]


def npm_start_exec(trial: Trial) -> list[str]:
    """Npm with a script that is exec'ed by its shell."""
    scripts = {"start": f"exec node {SOURCES}/worker.js {trial.work_port}"}
    command = npm_start(trial)
    trial.write("package.json", json.dumps({**NPM, "scripts": scripts}))
    return command


def node(trial: Trial) -> list[str]:
    """Start the same program without npm."""
    return ["node", f"{SOURCES}/worker.js", str(trial.work_port)]


def pm2(trial: Trial, *words: str) -> list[str]:
    """Start the same below pm2-runtime, which npm installs into the trial's folder."""
    where = ["env", f"HOME={trial.folder}", f"PM2_HOME={trial.folder}/pm2"]
    return [*where, "pm2-runtime", "start", *words, f"{SOURCES}/worker.js", "--", str(trial.work_port)]


def patient_pm2(trial: Trial) -> list[str]:
    """Give the program more time than pm2's 1.6 seconds."""
    return pm2(trial, "--kill-timeout", "8000")


def java(trial: Trial) -> list[str]:
    """A Java program with a shutdown hook that waits for the work."""
    compiled = trial.folder / "classes"
    subprocess.run(("javac", "-d", compiled, SOURCES / "Worker.java"), check=True)
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(compiled), "Worker", str(trial.work_port)]


def java_below_shell(trial: Trial) -> list[str]:
    """Start the same below a shell that does not exec it."""
    return ["sh", "-c", '"$@"; exit $?', "sh", *java(trial)]


def java_below_trap(trial: Trial) -> list[str]:
    """Start the same below a shell with a trap."""
    return ["sh", "-c", TRAP, "sh", *java(trial)]


GUEST_CASE = Case("docker exec, a plain job", a_shell, begin=guest)
SUPERVISORS = ()
