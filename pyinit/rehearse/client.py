"""``--load``: a client that uses the program while it is stopped."""

import os
import resource
import select
import signal
import subprocess
from time import monotonic

from pyinit.rehearse.model import CODE_OF_SIGNAL, Load, Plan

# For a shell: the limit of open files that the rehearsal had before it raised its own.
LIMIT = f"ulimit -S -n {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
LAST_SECONDS = 5.0  # that the client gets to notice that the program is gone


class Client:
    """A shell command outside the container.

    Attributes:
        load: what is known about it; its times are monotonic.
    """

    def __init__(self, plan: Plan) -> None:
        """Start it in a process group of its own, which can be killed as a whole."""
        self.load = Load(plan.load, monotonic(), None, None)
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", f"{LIMIT}\n{plan.load}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=plan.environment,
            cwd=plan.directory,
            start_new_session=True,
        )

    def note(self) -> None:
        """Note whether it has ended; do not reap it, so that its pid and group stay its own."""
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        found = os.waitid(os.P_PID, self._process.pid, ended)
        if found is not None and self.load.ended is None:
            killed = 0 if found.si_code == os.CLD_EXITED else CODE_OF_SIGNAL
            self.load.code = killed + found.si_status
            self.load.ended = monotonic()

    def finish(self) -> None:
        """Give it a few seconds to end after the program."""
        pidfd = os.pidfd_open(self._process.pid)
        end = select.poll()
        end.register(pidfd, select.POLLIN)
        end.poll(LAST_SECONDS * 1000)
        os.close(pidfd)
        self.note()

    def close(self) -> None:
        """Kill it and what is left of its group."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
