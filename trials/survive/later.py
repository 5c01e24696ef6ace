"""Trouble for an init that runs: stopped, frozen, traced, its files replaced, the clock changed."""

import glob
import os
import shutil
import signal
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from testkit.processes import state, status
from trials.survive.case import CODE, Case, Stage, Surrounding
from trials.survive.ordeal import Ordeal, Unavailable

CGROUPS = Path("/sys/fs/cgroup")
PACKAGES = ("pyinit", "structlog", "prctl.py", "_prctl*")


def _stopped(ordeal: Ordeal) -> None:
    """Stop it; meanwhile orphans exit and a signal comes."""
    os.kill(ordeal.init, signal.SIGSTOP)
    ordeal.wait(lambda: state(ordeal.init) == "T")
    ordeal.send(signal.SIGUSR1, to=ordeal.guest)
    os.kill(ordeal.init, signal.SIGUSR2)
    os.kill(ordeal.init, signal.SIGCONT)
    ordeal.expect(signal.SIGUSR2)


def _traced(ordeal: Ordeal) -> None:
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(ordeal.init)],
        stderr=subprocess.DEVNULL,
    )
    try:
        ordeal.wait(lambda: status(ordeal.init)["TracerPid"] == str(tracer.pid))
        ordeal.send(signal.SIGUSR1)
    finally:
        tracer.terminate()
        tracer.wait()
    ordeal.wait(lambda: status(ordeal.init)["TracerPid"] == "0")


def _freezer_v1() -> tuple[Path, str, tuple[str, str]]:
    return CGROUPS / "freezer", "freezer.state", ("FROZEN", "THAWED")


def _freezer_v2() -> tuple[Path, str, tuple[str, str]]:
    root = CGROUPS if (CGROUPS / "cgroup.procs").exists() else CGROUPS / "unified"
    return root, "cgroup.freeze", ("1", "0")


def _frozen(ordeal: Ordeal, *, version: Callable[[], tuple[Path, str, tuple[str, str]]]) -> None:
    root, name, words = version()
    if not root.is_dir():
        message = f"no {root}"
        raise Unavailable(message)
    group = root / f"pyinit-{os.getpid()}"
    group.mkdir()
    ordeal.stage.cleanup.callback(group.rmdir)
    for pid in (ordeal.init, ordeal.guest):
        (group / "cgroup.procs").write_text(str(pid))
    switch = group / name
    switch.write_text(words[0])
    ordeal.wait(lambda: _is_frozen(group, words[0]))
    os.kill(ordeal.init, signal.SIGUSR2)
    switch.write_text(words[1])
    ordeal.expect(signal.SIGUSR2)


def _is_frozen(group: Path, word: str) -> bool:
    events = group / "cgroup.events"
    if events.exists():
        return "frozen 1" in events.read_text()
    return (group / "freezer.state").read_text().strip() == word


def _private_copy(stage: Stage) -> None:
    """Put a copy of the init into the scratch folder, like an installation of its own."""
    if not stage.name.startswith("pyinit"):
        shutil.copy(stage.init[0], stage.scratch / "init")
        stage.init[0] = str(stage.scratch / "init")
        return
    home = stage.scratch / "venv"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
    target = next(home.glob("lib/python*/site-packages"))
    for found in (Path(sysconfig.get_path(where)) for where in ("purelib", "platlib")):
        for path in (path for name in PACKAGES for path in found.glob(name)):
            if path.is_dir():
                shutil.copytree(path, target / path.name, dirs_exist_ok=True)
            else:
                shutil.copy(path, target)
    scripts = Path(sysconfig.get_path("scripts"))
    for name in ("pyinit", "pyinit-launcher"):
        lines = (scripts / name).read_text().splitlines(keepends=True)
        (home / "bin" / name).write_text("".join((f"#!{home}/bin/python\n", *lines[1:])))
        (home / "bin" / name).chmod(0o755)
    if stage.name == "pyinit-launcher":
        writer = [str(home / "bin/pyinit-launcher"), str(home / "bin/pyinit")]
        subprocess.run(writer, check=True, stdout=subprocess.DEVNULL)
    stage.init[0] = str(home / "bin" / "pyinit")


def _files(stage: Stage) -> list[Path]:
    folder = Path(stage.init[0]).parent
    if not stage.name.startswith("pyinit"):
        return [Path(stage.init[0])]
    return [path for path in folder.parent.rglob("*") if path.is_file() and not path.is_symlink()]


def _deleted(ordeal: Ordeal) -> None:
    for path in _files(ordeal.stage):
        path.unlink()


def _replaced(ordeal: Ordeal, *, text: str) -> None:
    """Replace each file, as an installer does, by one with other content."""
    for path in _files(ordeal.stage):
        path.unlink()
        path.write_text(text)


def _clock(stage: Stage, **variables: str) -> None:
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        message = "faketime is not installed"
        raise Unavailable(message)
    # Its shared memory is named by the pid, so PID 1s of different tests would share it.
    stage.environment.update(LD_PRELOAD=found[0], FAKETIME_DISABLE_SHM="1", **variables)
    stage.environment["FAKETIME_NO_CACHE"] = "1"
    clock = stage.scratch / "clock"
    clock.write_text("+0\n")
    stage.environment["FAKETIME_TIMESTAMP_FILE"] = str(clock)


def _jumps(ordeal: Ordeal) -> None:
    clock = ordeal.stage.scratch / "clock"
    for jump in ("+10y", "-20y", "+1d"):
        clock.write_text(f"{jump}\n")
        ordeal.send(signal.SIGUSR2)


def _timed(name: str, prepare: Callable[[Stage], None], seconds: float = 0) -> tuple[Case, ...]:
    """Return cases for both deadlines: of -k, with a child that does not exit, and of -d."""
    case = Case(prepare=prepare, during=_jumps, seconds=seconds)
    kill = replace(case, name=f"{name}, -k", options=("-k", "0.3"), code=0, ends=137)
    drain = replace(case, name=f"{name}, -d", options=("-d", "0.3"), code=-CODE)
    return kill, drain


LATER = (
    Surrounding("stopped by SIGSTOP, and continued", (Case(during=_stopped),)),
    Surrounding("traced by strace, which then ends", (Case(during=_traced, root=True),)),
    Surrounding(
        "frozen by a cgroup, and thawed",
        (
            Case(name="version 1", during=partial(_frozen, version=_freezer_v1), root=True),
            Case(name="version 2", during=partial(_frozen, version=_freezer_v2), root=True),
        ),
    ),
    Surrounding(
        "its files are deleted", (Case(prepare=_private_copy, during=_deleted, mute=True),)
    ),
    Surrounding(
        "its files are replaced by others",
        tuple(
            Case(
                name=repr(text),
                prepare=_private_copy,
                mute=True,
                during=partial(_replaced, text=text),
            )
            for text in ("", "raise SystemExit", "half a stateme")
        ),
    ),
    Surrounding(
        "the wall clock jumps by years: deadlines hold",
        _timed("wall", partial(_clock, FAKETIME_DONT_FAKE_MONOTONIC="1"), 0.3),
        own=True,
    ),
    Surrounding("the monotonic clock jumps as well", _timed("all clocks", _clock), own=True),
)
