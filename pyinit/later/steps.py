"""Log each step of a slow stop, and begin the look at the child that comes before.

Loaded at the first of these steps. The signals of a step are sent even if this fails.
"""

from time import monotonic

from pyinit import lifecycle
from pyinit.later import outcome
from pyinit.settings import INFO, WARNING
from pyinit.signals import SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.supervisor import Supervisor

NEVER = float("inf"), SIGTERM  # the time and the signal of a drain: no process is newer


def tell(supervisor: "Supervisor", step: int, target: int, signums: tuple[int, ...]) -> None:
    """Log a step before its signals are sent.

    Args:
        supervisor: has what is known of the child.
        step: one of ``lifecycle.OF_SLOW_STOPS``.
        target: which processes get its signals, one of the targets of ``lifecycle``.
        signums: the signals of the step.
    """
    report, settings, pid = supervisor.report, supervisor.settings, supervisor.child.pid
    look, (ago, sent) = supervisor.peeked, outcome.asked(supervisor)
    if step == lifecycle.PEEK:
        _peek(supervisor, target)
    elif step == lifecycle.TIME_OUT:
        report.tell(WARNING, "timed_out", target, pid, settings.timeout, signums[:1], look)
    elif step == lifecycle.ESCALATE:
        supervisor.escalated = signums[0]
        report.tell(INFO, "stop_escalated", target, pid, ago, signums[:1])
    elif step == lifecycle.EXPLAIN:
        report.tell(WARNING, "stop_is_slow", pid, ago, sent, look)
        if outcome.has_termination_log(supervisor):
            from pyinit.later import last_words

            last_words.leave_early(supervisor, ago, sent)
    else:  # EXPIRE
        report.tell(WARNING, "kill_after_expired", target, pid, settings.kill_after, look)


def _peek(supervisor: "Supervisor", target: int) -> None:
    """Begin to find out why the processes do not stop; see ``later.look``."""
    before, supervisor.peeked = supervisor.peeked, None
    if supervisor.report.verbosity < WARNING:
        return
    supervisor.report.expect()
    from pyinit.later.look import Look

    life, asked_by = supervisor.lifecycle, supervisor.asked_by
    is_draining = life.state == lifecycle.DRAINING
    pids = None if is_draining else [supervisor.child.pid]
    at, sent = NEVER if is_draining else life.asked or NEVER
    came = sent if is_draining or asked_by is None else asked_by[0].si_signo
    until = life.until() or monotonic()
    try:
        supervisor.peeked = Look(
            pids, (at, sent, came), until, target=target, stacks=supervisor.settings.stacks
        )
        supervisor.peeked.before = before
    except RuntimeError:  # no thread: a container may have a limit of threads
        pass
