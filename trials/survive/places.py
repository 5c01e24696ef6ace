"""The surroundings of an init: descriptors, file systems, users."""

import itertools
import os
import pty
import socket
from functools import partial

from testkit.namespaces import MAY_READ
from testkit.pipes import fill
from trials.survive.case import Case, Stage, Surrounding

ALL_CLOSED = "<&- >&- 2>&-"
UID = 54321  # which no user has
FILL = (
    "mkdir SCRATCH/full && mount -t tmpfs -o size=4k none SCRATCH/full && "
    "{ cat /dev/zero >SCRATCH/full/it 2>SCRATCH/no-space || :; }"
)
HIDE = "mount -t tmpfs none"


def as_user(*options: str, may_read: bool = True) -> tuple[str, ...]:
    """Return a command that becomes another user, who can still read an interpreter of root's."""
    return ("setpriv", *options, "--clear-groups", *(MAY_READ if may_read else ()))


def _closed() -> tuple[Case, ...]:
    signs = ("<&-", ">&-", "2>&-")
    chosen = itertools.product((False, True), repeat=3)
    return tuple(
        Case(
            name=", ".join(itertools.compress(("stdin", "stdout", "stderr"), closed)) or "none",
            redirect=" ".join(itertools.compress(signs, closed)),
            mute=closed[2],
        )
        for closed in chosen
    )


def full_pipe(stage: Stage, *, blocking: bool = True) -> None:
    """Give it a full pipe for stderr, which no process reads."""
    reader, stage.stderr = os.pipe()
    stage.keep(reader, stage.stderr)
    fill(stage.stderr)
    os.set_blocking(stage.stderr, blocking)


def _dead_pipe(stage: Stage) -> None:
    reader, stage.stderr = os.pipe()
    os.close(reader)
    stage.keep(stage.stderr)


def _dead_socket(stage: Stage) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    stage.stderr = theirs.detach()
    stage.keep(stage.stderr)


def _hung_up(stage: Stage) -> None:
    master, stage.stderr = pty.openpty()
    stage.stdin = stage.stderr
    os.close(master)
    stage.keep(stage.stderr)


def _terminal(stage: Stage) -> None:
    master, stage.stdin = pty.openpty()  # not the controlling terminal of any process
    stage.keep(master, stage.stdin)


def _many_descriptors(stage: Stage) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    stage.descriptors = [null, *(os.dup(null) for _ in range(900))]
    stage.keep(*stage.descriptors)


STREAMS = (
    Surrounding("stdin, stdout, stderr closed, in all combinations", _closed()),
    Surrounding(
        "stderr is a full pipe that no process reads",
        tuple(
            Case(
                name="blocking" if blocking else "not blocking",
                mute=True,
                prepare=partial(full_pipe, blocking=blocking),
            )
            for blocking in (True, False)
        ),
    ),
    Surrounding("stderr is a pipe whose reader is gone", (Case(mute=True, prepare=_dead_pipe),)),
    Surrounding("stderr is a socket whose peer is gone", (Case(mute=True, prepare=_dead_socket),)),
    Surrounding(
        "stderr is on a full disk",
        (Case(mute=True, setup=FILL, redirect="2>>SCRATCH/full/log"),),
    ),
    Surrounding("stderr is open for reading only", (Case(mute=True, redirect="2</dev/null"),)),
    Surrounding("stdin, stderr: a terminal that hung up", (Case(mute=True, prepare=_hung_up),)),
    Surrounding("stdin is a terminal, but not the controlling one", (Case(prepare=_terminal),)),
    Surrounding("900 more descriptors are inherited", (Case(prepare=_many_descriptors),)),
)

FILES = (
    Surrounding("no /proc", (Case(setup=f"{HIDE} /proc"),)),
    Surrounding(
        "/proc with hidepid=2",
        (
            Case(name="root", setup="mount -o remount,hidepid=2 /proc"),
            Case(
                name="another user",
                setup="mount -o remount,hidepid=2 /proc",
                prefix=as_user(f"--reuid={UID}"),
                root=True,
            ),
        ),
    ),
    Surrounding("read-only root file system", (Case(setup="mount -o remount,ro,bind /"),)),
    Surrounding(
        "no /dev, or /dev/null is no device",
        (
            Case(name="no /dev", setup=f"{HIDE} /dev"),
            Case(
                name="no /dev, all closed",
                setup=f"{HIDE} /dev",
                redirect=ALL_CLOSED,
                mute=True,
            ),
            Case(
                name="/dev/null is a file",
                setup=f"{HIDE} /dev && : >/dev/null",
                redirect=ALL_CLOSED,
                mute=True,
            ),
            Case(
                name="/dev/null is a folder",
                setup=f"{HIDE} /dev && mkdir /dev/null",
                redirect=ALL_CLOSED,
                mute=True,
            ),
        ),
    ),
    Surrounding(
        "TMPDIR is full, or missing",
        (
            Case(name="full", setup=f"{FILL} && export TMPDIR=SCRATCH/full"),
            Case(name="missing", variables={"TMPDIR": "/nowhere"}),
        ),
    ),
    Surrounding(
        "the working directory is gone",
        tuple(
            Case(
                name=f"PYTHONPATH={value}" if value is not None else "",
                setup="mkdir SCRATCH/gone && cd SCRATCH/gone && rmdir SCRATCH/gone",
                variables={} if value is None else {"PYTHONPATH": value},
                refuses=None if value else False,  # then Python itself does not start
            )
            for value in (None, "", ".", "lib:/srv")
        ),
    ),
)

USERS = (
    Surrounding(
        "a user that is not in /etc/passwd", (Case(prefix=as_user(f"--reuid={UID}"), root=True),)
    ),
    Surrounding(
        "real and effective user differ, /proc/self is another's",
        (
            Case(name="set-user-id root", prefix=as_user(f"--ruid={UID}"), root=True),
            Case(name="set-user-id other", prefix=as_user(f"--euid={UID}"), root=True),
        ),
    ),
    Surrounding(
        "a user namespace in the user namespace",
        (
            Case(name="root is mapped", prefix=("unshare", "--user", "--map-root-user")),
            Case(name="nobody is mapped", prefix=("unshare", "--user"), root=True),
        ),
    ),
)
PLACES = (*STREAMS, *FILES, *USERS)
