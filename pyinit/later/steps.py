"""What is told of a child that does not stop, step by step, and the look at it that comes before.

Loaded at the first of these steps. The signals of a step are sent whether this works or not.
"""

from time import monotonic

from pyinit import lifecycle
from pyinit.later import outcome
from pyinit.settings import INFO, WARNING
from pyinit.signals import SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.supervisor import Supervisor

NOBODY_LATER = float("inf"), SIGTERM  # when a drain asked, and with what


def tell(supervisor: "Supervisor", step: int, target: int, signums: tuple[int, ...]) -> None:
    """Tell of a step before its signals are sent.

    Args:
        supervisor: what is known of the child.
        step: one of ``lifecycle.OF_SLOW_STOPS``.
        target: which processes its signals are for, as ``lifecycle`` has it.
        signums: these signals.
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
    """Begin to find out why they do not stop; see ``later.look``."""
    before, supervisor.peeked = supervisor.peeked, None
    if supervisor.report.verbosity < WARNING:
        return
    supervisor.report.expect()
    from pyinit.later.look import Look

    life, asked_by = supervisor.lifecycle, supervisor.asked_by
    is_draining = life.state == lifecycle.DRAINING
    pids = None if is_draining else [supervisor.child.pid]
    at, sent = NOBODY_LATER if is_draining else life.asked or NOBODY_LATER
    came = sent if is_draining or asked_by is None else asked_by[0].si_signo
    until = life.until() or monotonic()
    try:
        supervisor.peeked = Look(
            pids, (at, sent, came), until, whom=target, stacks=supervisor.settings.stacks
        )
        supervisor.peeked.before = before
    except RuntimeError:  # no thread to be had, as where a container may have so many only
        pass
