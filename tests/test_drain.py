"""What the child leaves behind is asked to go and may finish, before pyinit leaves."""

import contextlib
import os
import re
import signal
import subprocess
import sys

import pytest

from testkit.marks import BOTH
from testkit.namespaces import MAY_READ, ROOT
from testkit.processes import children, state, until
from testkit.processes import descendants as descendants_of
from testkit.programs import PYTHON, victim
from testkit.refusals import MAY_NOT_KILL, OPEN, refusing

from pyinit.later import descendants, proc
from pyinit.later import survivors as left_behind
from pyinit.later.survivors import Survivors, _is_deaf
from pyinit.report import Report
from pyinit.settings import INFO, WARNING, Settings


@pytest.fixture
def leave(start, compiled):
    """Run a child that leaves helpers behind; return the run when it is about to go."""

    def leave_behind(options, count, what, *, code=0, **how):
        command = [compiled("helpers"), str(count), what, str(code)]
        run = start(options, command, stdin=subprocess.PIPE, **how)
        run.ready()
        if what == "ignore":
            assert until(lambda: are_asleep(run))
        return run

    return leave_behind


def are_asleep(run):
    """Tell whether all processes below pyinit wait."""
    return {"S"} == {state(pid) for pid in descendants_of(run.init)}


@pytest.fixture
def cling(compiled):
    """Hold processes so that nothing ends them, until the end of the test."""
    holders = []

    def cling_to(pid):
        command = [compiled("cling"), str(pid)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holders.append(subprocess.Popen(command, **pipes))
        assert b"ready\n" == holders[-1].stdout.readline()
        return holders[-1]

    yield cling_to
    for holder in holders:
        holder.communicate()


def end(run):
    """Let the child go and wait for the end of all."""
    run.close_stdin()
    return run.finish()


@BOTH
@pytest.mark.parametrize("count", [50, 2000])
def test_all_may_finish(leave, count, namespace):
    """Every helper, in a session of its own and its parent gone at once, ends its work."""
    result = end(leave([], count, "finish", code=7, namespace=namespace))

    assert (7, count, "") == (result.code, result.out.count("done\n"), result.err)


@BOTH
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_multiprocessing_may_finish(start, method, namespace):
    """Any parent will do: with forkserver, the default of Python 3.14, it is not the child."""
    run = start(["-v"], victim("workers", method), namespace=namespace)
    run.ready()
    result = run.stop()
    (finished,) = result.named("drain_finished")

    assert (128 + signal.SIGTERM, "done\ndone\n") == (result.code, result.out)
    assert (0, 0) == (finished["killed"], finished["left"])


GONE_LATER = """
import os, sys
class Gone:
    def find_spec(self, name, *_):
        if name == "pyinit.later.descendants":
            if os.path.exists({flag!r}):
                raise ImportError(name)
            open({loaded!r}, "w").close()
sys.meta_path.insert(0, Gone())
"""


def test_all_may_finish_although_the_package_is_gone_by_then(leave, sabotage, tmp_path):
    """When pyinit is not PID 1, modules for finding the rest are loaded before they can go."""
    flag, loaded = tmp_path / "gone", tmp_path / "loaded"
    wrap = sabotage(GONE_LATER.format(flag=str(flag), loaded=str(loaded)))
    run = leave([], 2, "finish", code=7, wrap=wrap, namespace=False)
    assert until(loaded.exists)
    flag.touch()
    result = end(run)

    assert (7, 2, "") == (result.code, result.out.count("done\n"), result.err)


def test_drain_0_is_the_way_of_tini(leave):
    """With -d 0 pyinit exits at once, and the kernel kills the rest."""
    result = end(leave(["-d", "0"], 20, "finish", code=7))

    assert (7, "", "") == (result.code, result.out, result.err)


def test_drain_0_lets_others_be_off_pid1(leave):
    """With -d 0, when pyinit is not PID 1, the processes that are left get no signal."""
    run = leave(["-d", "0"], 1, "finish", namespace=False)
    (child,) = children(run.init)
    (helper,) = children(child)
    run.close_stdin()
    assert 0 == run.process.wait()
    os.kill(helper, signal.SIGTERM)

    assert "done\n" == run.finish().out


@BOTH
def test_who_will_not_go_is_named_and_killed(leave, patient, namespace):
    """One that ignores SIGTERM is named at the deadline and killed; the child's code is kept."""
    run = leave(["-d", "0.2"], 2, "ignore", code=7, wrap=patient(), namespace=namespace)
    result = end(run)
    told = [(event["event"], event["level"], event["name"]) for event in result.events]

    assert 7 == result.code
    assert [("drain_survivor", "warning", "helpers")] * 2 == told
    assert {"sleeping"} == {event["state"] for event in result.events}
    assert all(event["seconds"] > 0.1 for event in result.events)


@BOTH
@pytest.mark.parametrize("what", ["stopped", "handover"])
def test_states_in_which_a_helper_may_be(leave, what, namespace):
    """One that is stopped ends by SIGTERM; one that forks to clean up is waited for."""
    result = end(leave([], 20, what, namespace=namespace))

    assert (0, 20, "") == (result.code, result.out.count("done\n"), result.err)


@BOTH
def test_nobody_escapes_by_forking(leave, patient, namespace):
    """A helper that ignores SIGTERM and is never the same process for long is killed as well."""
    how = {"code": 7, "wrap": patient(naming=0.2), "namespace": namespace}
    result = end(leave(["-d", "0.1"], 1, "escape", **how))

    assert (7, False) == (result.code, "escaped" in result.out)  # no process holds stdout any more
    assert {"helpers"} == {event["name"] for event in result.named("drain_survivor")}


@BOTH
def test_signals_go_to_those_that_remain(start, namespace):
    """A signal that pyinit gets during the drain reaches every process that is left."""
    script = '"$@" & read ready; exit 7'
    run = start(
        ["-v"], ["sh", "-c", script, "-", *victim("listener")],
        namespace=namespace, stdin=subprocess.PIPE,
    )  # fmt: skip
    run.ready()
    run.close_stdin()
    run.event("drain_started")
    assert f"got {int(signal.SIGTERM)}" == run.line()
    assert f"got {int(signal.SIGCONT)}" == run.line()
    run.send(signal.SIGUSR1)
    assert f"got {int(signal.SIGUSR1)}" == run.line()
    event = run.event("signal_forwarded")

    assert ("every process" if namespace else "every descendant") == event["target"]


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@BOTH
def test_other_users_are_reached(start, compiled, namespace):
    """A helper that runs as another user may finish like all others."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *MAY_READ]
    command = [*other, compiled("helpers"), "3", "finish"]
    run = start([], command, namespace=namespace, stdin=subprocess.PIPE)
    run.ready()

    assert 3 == end(run).out.count("done\n")


def host(start, *options, **how):
    """Start a pyinit whose child goes when its stdin ends."""
    child = ["sh", "-c", "echo 'ready (pid: 2)'; read x; exit 0"]
    run = start(options, child, stdin=subprocess.PIPE, **how)
    run.ready()
    return run


GUEST = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
signal.sigwait({signal.SIGTERM})
print("asked", flush=True)
sys.stdin.read()
print("done", flush=True)
"""


def words_of_guest(run):
    """Bring a process in, let the child go, and return what the guest says until its end."""
    guest = run.enter(*PYTHON, "-c", GUEST)
    words = [guest.stdout.readline()]
    run.close_stdin()
    words += [guest.stdout.readline(), guest.communicate()[0]]
    return [word.strip() for word in words]


def test_who_was_brought_in_may_finish(start):
    """A process that `docker exec` put in has no parent in here, and is waited for all the same."""
    run = host(start)
    assert ["ready", "asked", "done"] == words_of_guest(run)
    assert (0, "") == (run.finish().code, run.finish().err)


def test_who_was_brought_in_and_will_not_go_is_killed(start, patient):
    """The deadline holds for those without a parent, too."""
    run = host(start, "-d", "0.2", wrap=patient())
    guest = run.enter("sh", "-c", "trap '' TERM; (echo ready; read x; :); :")
    assert "ready\n" == guest.stdout.readline()
    run.close_stdin()
    names = [event["name"] for event in run.finish().named("drain_survivor")]

    assert ["sh", "sh"] == names


def test_dead_guest_is_not_waited_for(start):
    """A zombie whose parent is outside the namespace is not drained."""
    run = host(start, "-v")
    guest = run.enter("sh", "-c", "echo ready; read x")
    assert "ready\n" == guest.stdout.readline()
    (inside,) = children(guest.pid)
    guest.send_signal(signal.SIGSTOP)  # nsenter, which would wait for it
    os.waitid(os.P_PID, guest.pid, os.WSTOPPED)
    os.kill(inside, signal.SIGKILL)
    assert until(lambda: state(inside) == "Z")
    run.close_stdin()
    run.event("child_exited")
    assert until(lambda: is_leaving(run.init))
    guest.send_signal(signal.SIGCONT)

    assert (0, "") == (run.finish().code, run.finish().err)


def is_leaving(pid):
    """Tell whether a process has exited, although the kernel still keeps it for others' sake."""
    try:
        return not os.listdir(f"/proc/{pid}/fd")
    except PermissionError:  # its memory is gone, and with it the right to look
        return True


def test_sentinel_beside_it_is_never_hit(start, leave):
    """When pyinit is not PID 1, a process of the same user that is not below it gets nothing."""
    sentinel = subprocess.Popen(victim("listener"), stdout=subprocess.PIPE, text=True)
    try:
        sentinel.stdout.readline()
        end(leave(["-d", "0.1"], 5, "ignore", namespace=False))
        run = start(["--all", "-k", "0.1"], victim("listener"), namespace=False)
        run.ready()
        run.send(signal.SIGHUP)
        run.stop()
        sentinel.send_signal(signal.SIGUSR1)

        assert f"got {int(signal.SIGUSR1)}\n" == sentinel.stdout.readline()
    finally:
        sentinel.kill()
        sentinel.communicate()


@pytest.fixture
def below():
    """Start a listener that is not our child but our child's, and return the pids of both."""
    command = ["sh", "-c", '"$@" & read x', "-", *victim("listener")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        shell.pids = (shell.pid, int(re.search(r"\d+", shell.stdout.readline())[0]))
        yield shell
        for pid in shell.pids:
            os.kill(pid, signal.SIGKILL)


def first_signal(listener):
    """Return the first signal that a listener got: of several SIGRTMAX comes last."""
    os.kill(listener.pids[1], signal.SIGRTMAX)
    return int(listener.stdout.readline().split()[1])


@pytest.mark.parametrize("changed", ["nothing", "its birth", "its parent", "its parent's birth"])
def test_reused_pid_is_not_hit(monkeypatch, below, changed):
    """A pid that was a descendant's when /proc was read and is another's now gets no signal."""
    child, listener = below.pids
    read = {pid: proc.stat(pid) for pid in (child, listener)}
    if changed == "its parent":
        other = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        read[other.pid] = proc.stat(other.pid)
        read[listener].parent = other.pid
    read[listener].birth -= changed == "its birth"
    read[child].birth -= changed == "its parent's birth"
    monkeypatch.setattr(proc, "stats", lambda: read)
    monkeypatch.setattr(descendants, "WALKING_SECONDS", 0)
    descendants.send((signal.SIGCONT,), child=0)
    if changed == "its parent":
        other.communicate()

    assert (signal.SIGCONT if changed == "nothing" else signal.SIGRTMAX) == first_signal(below)


@pytest.mark.parametrize("seconds", [0, 60])
def test_who_was_missed_is_asked_by_the_next_walk(monkeypatch, below, seconds):
    """The walk is repeated, even if it took too long: one that was not seen is asked as well."""
    child, listener = below.pids
    everybody = {pid: proc.stat(pid) for pid in (child, listener)}
    seen = iter([{child: everybody[child]}, everybody, everybody])
    monkeypatch.setattr(proc, "stats", lambda: next(seen))
    monkeypatch.setattr(descendants, "WALKING_SECONDS", seconds)
    descendants.send((signal.SIGCONT,), child=0)

    assert signal.SIGCONT == first_signal(below)


def test_whose_parent_ends_while_it_is_looked_for_is_asked(monkeypatch, below):
    """One that was seen below a parent which was gone a moment later is found by a second look."""
    _, listener = below.pids
    before, after = proc.stat(listener), proc.stat(listener)
    after.parent = os.getpid()
    seen = iter([{listener: before}, {listener: after}, {listener: after}])
    monkeypatch.setattr(proc, "stats", lambda: next(seen))
    monkeypatch.setattr(descendants, "WALKING_SECONDS", 60)
    descendants.send((signal.SIGCONT,), child=0)

    assert signal.SIGCONT == first_signal(below)


def test_who_is_born_later_is_passed_over(monkeypatch, below):
    """One that its parent forked after it had been asked is not, but SIGKILL is for it as well."""
    child, listener = below.pids
    everybody = {pid: proc.stat(pid) for pid in (child, listener)}
    seen = iter([{child: everybody[child]}, everybody, everybody])
    monkeypatch.setattr(proc, "stats", lambda: next(seen))
    monkeypatch.setattr(descendants, "_now", lambda: (everybody[listener].birth - 1, 0))
    monkeypatch.setattr(descendants, "WALKING_SECONDS", 60)
    descendants.send((signal.SIGCONT,), child=0)

    assert signal.SIGRTMAX == first_signal(below)


def test_without_subreaper_there_is_nothing_to_drain(leave):
    """If pyinit adopts no orphans, the helpers are not its own: logged at -vv, and left alone."""
    run = leave(["-vv"], 1, "finish", wrap=refusing("prctl:error=EPERM"), namespace=False)
    (pyinit,) = children(run.process.pid)
    (child,) = children(pyinit)
    (helper,) = children(child)
    run.close_stdin()
    assert 0 == run.process.wait()
    os.kill(helper, signal.SIGTERM)
    result = run.finish()

    assert "done\n" == result.out
    assert 1 == len(result.named("nothing_to_drain"))
    assert [] == result.named("drain_started")


@BOTH
def test_who_cannot_die_is_left(leave, cling, patient, namespace):
    """A process that not even SIGKILL ends is told of, and pyinit leaves."""
    how = {"code": 7, "wrap": patient(last=1.0), "namespace": namespace}
    run = leave(["-v", "-d", "0.1"], 2, "ignore", **how)
    (child,) = children(run.init)
    holder = cling(children(child)[0])
    run.close_stdin()
    event = run.event("drain_finished")

    assert ("warning", 0) == (event["level"], event["finished"])
    # Where other work starves it, the other one may need more than a second to end.
    assert (event["killed"], event["left"]) in {(1, 1), (0, 2)}
    holder.communicate()
    assert 7 == run.finish().code


@pytest.mark.parametrize(("seconds", "left"), [(-1, None), (60, 0)])
def test_who_was_not_found_in_time_may_be_left(monkeypatch, seconds, left):
    """After SIGKILL none may be found because there was no time: then it is unknown who is left."""
    told = []
    monkeypatch.setattr(left_behind, "NAMING_SECONDS", seconds)
    monkeypatch.setattr(left_behind, "alive", lambda _seconds: ())
    monkeypatch.setattr(left_behind, "pids", lambda: [2])
    monkeypatch.setattr(Report, "tell", lambda _self, _level, *told_of: told.append(told_of))
    found = Survivors(Report(Settings(("app",)), b""), 5.0)
    found.gave_up = True
    found.finished()

    assert [("drain_finished", left)] == [(event, number) for event, _, _, number, _ in told]


def test_without_proc_it_drains_the_same(leave, patient):
    """Without /proc no process can be named, but every one is asked, waited for and killed."""
    hide = ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "-"]
    result = end(leave([], 20, "finish", code=7, wrap=hide))
    assert (7, 20, "") == (result.code, result.out.count("done\n"), result.err)

    result = end(leave(["-d", "0.1"], 2, "ignore", code=7, wrap=[*hide, *patient()]))
    told = [(event["event"], event["name"], event["state"]) for event in result.events]
    assert (7, [("drain_survivor", None, "dead")] * 2) == (result.code, told)


def test_foreign_proc_is_not_believed(leave, patient):
    """A /proc of another PID namespace has others' names for our pids: none are told."""
    hide = ["sh", "-c", 'umount /proc && exec "$@"', "-"]
    run = leave(["-v", "-d", "0.1"], 1, "ignore", wrap=[*hide, *patient()])
    (event,) = end(run).named("drain_survivor")

    assert (None, "dead") == (event["name"], event["state"])


@BOTH
@pytest.mark.parametrize("option", ["-v", "-w"])
def test_who_is_killed_is_told_before_that_it_was_reaped(leave, option, namespace):
    """Else the log would say of a process that is gone that pyinit kills it."""
    result = end(leave([option, "-d", "0.2"], 3, "ignore", namespace=namespace))
    names = [event["event"] for event in result.events]
    told = [name for name in names if name in {"drain_survivor", "orphan_reaped"}]

    assert ["drain_survivor"] * 3 + ["orphan_reaped"] * 3 == told


def test_drain_can_be_followed(leave):
    """-v logs how many processes remain, when each exits, and how it ended."""
    result = end(leave(["-v"], 3, "finish"))
    names = [event["event"] for event in result.events]
    begun, over = result.named("drain_started")[0], result.named("drain_finished")[0]

    assert ["child_started", "child_exited", "drain_started"] == names[:3]
    assert [*["orphan_reaped"] * 3, "drain_finished"] == names[3:]
    assert {"helpers"} == {event["name"] for event in result.named("orphan_reaped")}
    assert (3, 5.0) == (begun["remaining"], begun["grace_seconds"])
    assert (3, 0, 0) == (over["finished"], over["killed"], over["left"])


def test_nobody_left_is_no_drain(run):
    """A child that takes all of its own with it makes no drain."""
    names = [event["event"] for event in run(["-v"], ["sh", "-c", "sleep 0 & wait"]).events]

    assert ["child_started", "child_exited"] == names


@BOTH
def test_who_is_reaped_by_its_own_parent_counts(start, compiled, namespace):
    """A helper below another helper has finished, too, although pyinit never reaped it."""
    command = [compiled("nested"), "2", "7"]
    run = start(["-v"], command, stdin=subprocess.PIPE, namespace=namespace)
    run.ready()
    result = end(run)
    (over,) = result.named("drain_finished")

    assert (7, 2, 0) == (result.code, over["finished"], over["killed"])


def test_pipeline_is_the_childs_to_wait_for(run):
    """A shell waits for all of a pipeline: nothing is left to drain before all is read."""
    result = run(["-v"], ["sh", "-c", "seq 20000 | while read -r x; do echo got $x; done"])

    assert 20000 == result.out.count("got ")
    assert [] == result.named("drain_started")


@pytest.fixture
def chain(start, compiled):
    """Run a pyinit that is not PID 1, in a namespace of its own, whose child leaves a chain."""

    def run_chain(depth, prepare="", *, wrap=(), options=("-d", "10")):
        command = [compiled("nested"), str(depth), "7"]
        first = ["sh", "-c", f'{prepare}\n"$@"; exit $?', "-", *wrap]
        run = start(options, command, wrap=first, stdin=subprocess.PIPE)
        run.ready()
        return run

    return run_chain


@pytest.mark.parametrize("loadavg", [None, "", "0.00 0.00 0.00 0/0 0"], ids=str)
def test_whole_chain_is_asked(chain, tmp_path, loadavg):
    """When pyinit is not PID 1, all are asked, at any depth and with any pids."""
    prepare = ""
    if loadavg is not None:
        (tmp_path / "loadavg").write_text(loadavg)
        prepare = f"mount --bind {tmp_path}/loadavg /proc/loadavg"
    result = end(chain(50, prepare))

    assert (7, 50, "") == (result.code, result.out.count("asked\n"), result.err)


def test_whole_chain_is_asked_although_pids_began_anew(chain):
    """When pyinit is not PID 1, a parent may have a higher pid than its child: pids wrap around."""
    wrap = "echo 32000 >/proc/sys/kernel/ns_last_pid"
    run = chain(5, wrap)
    run.inside("sh", "-c", "echo 300 >/proc/sys/kernel/ns_last_pid")
    result = end(run)

    assert (7, 5, "") == (result.code, result.out.count("asked\n"), result.err)


@pytest.mark.parametrize("descriptors", [8, 12])
def test_walk_needs_few_descriptors(chain, descriptors):
    """A deep tree is walked with the few descriptors that a small limit leaves."""
    result = end(chain(30, f"ulimit -n {descriptors}"))

    assert (7, 30, "") == (result.code, result.out.count("asked\n"), result.err)


SLOW_FIRST_LOOK = """
from time import monotonic
from pyinit import lifecycle
from pyinit.later import proc, survivors
lifecycle.LAST_SECONDS = survivors.NAMING_SECONDS = 60
look = proc.stats
def slow_look():
    proc.stats, end = look, monotonic() + 1
    while monotonic() < end:
        pass
    return look()
proc.stats = slow_look
"""


def test_time_begins_when_they_were_asked(leave, sabotage):
    """Helpers that are found late, among very many processes, have all of their time still."""
    how = {"namespace": False, "wrap": sabotage(SLOW_FIRST_LOOK)}
    result = end(leave(["-d", "0.5"], 2, "ignore", code=7, **how))
    killed = result.named("drain_survivor")

    assert (7, 2) == (result.code, len(killed))
    assert all(event["seconds"] >= 0.5 for event in killed)


FAULTS = [
    "pidfd_open:error=ENOSYS",
    "pidfd_open:error=EPERM",
    "pidfd_open:error=EMFILE",
    "pidfd_send_signal:error=ENOSYS",
    "pidfd_send_signal:error=EPERM",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_chain_is_asked_without_pidfds(chain, fault):
    """Where pidfds are missing or forbidden the chain is asked all the same."""
    result = end(chain(10, wrap=refusing(fault)))

    assert (7, 10, "") == (result.code, result.out.count("asked\n"), result.err)


def test_those_that_remain_are_signalled_through_pidfds(leave, tmp_path):
    """When not PID 1, a signal goes to the process that was looked at, not to its pid's next."""
    trace = tmp_path / "trace"
    calls = "trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal"
    strace = ["strace", "-qq", "-o", str(trace), "-e", calls, "-e", "signal=none"]
    result = end(leave([], 3, "finish", wrap=strace, namespace=False))
    made = trace.read_text()
    sent = re.findall(r"^pidfd_send_signal\(\d+, (\w+), .* = 0$", made, re.MULTILINE)

    assert "done\n" * 3 == result.out
    assert 3 == len(set(re.findall(r"^pidfd_open\((\d+), ", made, re.MULTILINE)))
    assert ["SIGTERM", "SIGCONT"] * 3 == sent
    assert "kill(" not in made


def test_naming_takes_a_bounded_time(start, compiled, patient):
    """SIGKILL does not wait for a slow /proc: a process that is not named before is named after."""
    count, slow = 30, f"inject={OPEN}:delay_exit=20000"
    wrap = ["sh", "-c", '"$@"; exit $?', "-", *patient(naming=0.2)]
    wrap += ["strace", "-qq", "-o", "/dev/null", "-e", slow]
    command = [compiled("helpers"), str(count), "ignore", "7"]
    run = start(["-d", "0.1"], command, wrap=wrap, stdin=subprocess.PIPE)
    run.ready()
    assert until(lambda: are_asleep(run))
    result = end(run)
    survivors = result.named("drain_survivor")
    states = [event["state"] for event in survivors]

    assert (7, count) == (result.code, len({event["pid"] for event in survivors}))
    assert states.count("sleeping") < count // 2  # each takes 20 ms, all of them have 200
    assert {"sleeping", "dead"} == set(states)


def test_guest_is_asked_although_the_package_breaks(start, sabotage):
    """A guest is asked and waited for even if no module can be loaded any more."""
    broken = ("survivors", "proc", "events")
    spoil = "".join(f"sys.modules['pyinit.later.{name}'] = None\n" for name in broken)
    run = host(start, wrap=sabotage(f"import sys\n{spoil}"))
    assert ["ready", "asked", "done"] == words_of_guest(run)
    assert (0, {"internal_error"}) == (
        run.finish().code, {event["event"] for event in run.finish().events},
    )  # fmt: skip


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@pytest.mark.parametrize("hidepid", [0, 1, 2])
def test_hidden_guest_may_finish(start, hidepid):
    """A guest that /proc hides from pyinit is asked and waited for."""
    hide = ["sh", "-c", f'mount -o remount,hidepid={hidepid} /proc && exec "$@"', "-"]
    caps = [f"--{kind}-caps=+kill,+dac_read_search" for kind in ("inh", "ambient")]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *caps]
    run = host(start, wrap=[*hide, *user])
    assert ["ready", "asked", "done"] == words_of_guest(run)
    assert (0, "") == (run.finish().code, run.finish().err)


def is_leader(pid: int) -> bool:
    """Tell whether a process leads a session of its own, as seen from here."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@BOTH
def test_who_may_not_be_killed_is_told_once(start, compiled, patient, namespace):
    """Helpers of another user are named as survivors; that they cannot be killed is told once."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *MAY_READ]
    command = ["sh", "-c", '"$@" & read x; exit 7', "-", *other, compiled("helpers"), "1", "ignore"]
    wrap = [*patient(last=1.0), *MAY_NOT_KILL]
    run = start(["-d", "0.1"], command, wrap=wrap, namespace=namespace, stdin=subprocess.PIPE)
    run.ready()
    found = []  # its parent may be ending just now, and a look at the tree miss it
    assert until(lambda: found.extend(filter(is_leader, descendants_of(run.init))) or found)
    helper = os.pidfd_open(found[0])
    run.close_stdin()
    assert 7 == run.process.wait()
    with contextlib.suppress(ProcessLookupError):  # as PID 1 it has taken it with it, else not
        signal.pidfd_send_signal(helper, signal.SIGKILL)
    os.close(helper)
    told = [event["event"] for event in run.finish().events]

    # As PID 1 kill(-1) does not report it; otherwise neither SIGTERM nor SIGKILL got through.
    assert (0 if namespace else 2) == told.count("kill_refused")
    assert {"drain_survivor", "drain_finished"} <= set(told)


@pytest.mark.parametrize("proc", ["mount -t tmpfs none /proc", "umount /proc"])
def test_without_proc_off_pid1_the_child_is_all(start, proc):
    """When not PID 1, without /proc, --all still reaches the child; then none can be waited for."""
    outer = ["sh", "-c", f'{proc}; "$@"; exit $?', "-"]
    script = 'sleep 60 & trap "exit 7" TERM; echo "ready (pid: $$)"; read x'
    command = ["sh", "-c", script]
    run = start(["-a", "-d", "60"], command, wrap=outer, stdin=subprocess.PIPE)
    run.ready()
    os.kill(children(run.init)[0], signal.SIGTERM)
    told = [run.event(name) for name in ("forward_refused", "kill_refused")]
    result = run.finish()

    assert {"ENOENT"} == {event["error"] for event in told}
    assert all("/proc does not show" in event["reason"] for event in told)
    assert 7 == result.code


@pytest.mark.parametrize("fault", ["waitid:error=EPERM:when=3+", "wait4:error=ENOMEM"])
def test_lasting_fault_does_not_keep_it(leave, fault):
    """If zombies cannot be reaped, pyinit asks, kills and exits nevertheless."""
    run = leave(["-d", "2"], 3, "finish", code=7, wrap=refusing(fault), namespace=False)
    result = end(run)

    assert (7, 3) == (result.code, result.out.count("done\n"))
    assert {"internal_error"} == {event["event"] for event in result.events}


@pytest.mark.parametrize("options", [[], ["-v"]], ids=["default", "-v"])
@pytest.mark.parametrize("when", ["1", "1..2", "2", "3", "4", "5"])
def test_proc_that_cannot_be_read_once_is_read_again(leave, when, options):
    """When not PID 1, a full table of files at the wrong moment costs no process its life."""
    wrap = refusing(f"{OPEN}:error=ENFILE:when={when}", paths=["/proc"])
    run = leave(options, 3, "finish", code=7, wrap=wrap, namespace=False)
    result = end(run)

    assert (7, 3) == (result.code, result.out.count("done\n"))


def ended(monkeypatch, who: list[int], remaining: list[int] | None, *, gave_up: bool) -> tuple:
    """Return level and event of the end of a drain, where /proc shows so many."""
    monkeypatch.setattr(left_behind, "alive", lambda _: ((pid, None) for pid in who))
    monkeypatch.setattr(left_behind, "pids", lambda: remaining)
    report = Report(Settings(("true",), verbosity=INFO), b"")
    report.open()
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    found = Survivors(report, 1.0)
    found.gave_up = gave_up
    found.finished()
    ((level, _, _, keys),) = report.backlog
    return level, keys["finished"], keys["left"]


def test_who_is_hidden_is_left_all_the_same(monkeypatch):
    """If a drain is given up and /proc shows no process, there is one that it does not show."""
    assert (WARNING, 1, 1) == ended(monkeypatch, [7], [7, 8], gave_up=True)
    assert (WARNING, None, None) == ended(monkeypatch, [], [], gave_up=True)
    assert (INFO, 2, 0) == ended(monkeypatch, [], [7, 8], gave_up=True)  # they are zombies
    assert (INFO, 2, 0) == ended(monkeypatch, [], [7, 8], gave_up=False)
    assert (INFO, None, 0) == ended(monkeypatch, [], None, gave_up=False)


def test_each_one_is_told_once(monkeypatch):
    """Names are read before SIGKILL and logged after it, when most of them are reaped."""
    seen = proc.stat(os.getpid())
    monkeypatch.setattr(left_behind, "alive", lambda _: iter([(7, seen), (8, seen)]))
    report = Report(Settings(("true",), verbosity=WARNING), b"")
    report.open()
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    found = Survivors(report, 1.0)
    found.name_all(None)
    wanted = [pid for pid in (7, 8, 9) if found.wants_name(pid)]
    found.reaped(8, None, signal.SIGKILL)
    assert [] == report.backlog
    found.reaped(9, "nine", signal.SIGKILL)
    found.tell_named()
    found.tell_named()
    told = [(keys["pid"], keys["name"], keys["state"]) for _, _, _, keys in report.backlog]

    assert [9] == wanted
    assert [(9, "nine", "dead"), *((pid, seen.name, seen.in_words()) for pid in (7, 8))] == told


@pytest.mark.parametrize(
    ("letter", "threads", "state"),
    [(b"Z", 1, "zombie"), (b"Z", 2, "running without its first thread"), (b"S", 2, "sleeping")],
)
def test_state_of_who_is_named(monkeypatch, letter, threads, state):
    """A process whose first thread has ended looks like a zombie and is none."""
    seen = proc.stat(os.getpid())
    seen.state, seen.threads = letter, threads
    monkeypatch.setattr(proc, "stat", lambda _: seen)

    assert state == proc.state(os.getpid())


def test_state_of_who_is_gone(monkeypatch):
    """It ended just now: there is none to name."""
    monkeypatch.setattr(proc, "stat", lambda _: None)

    assert proc.state(os.getpid()) is None


def test_init_that_cannot_be_looked_at_is_not_deaf(monkeypatch):
    """Where an init below this namespace has gone, or may not be looked at, it has its time."""
    monkeypatch.setattr(proc, "is_nested_init", lambda _: True)
    stat = proc.stat(os.getpid())
    stat.ignored = stat.caught = 0

    assert _is_deaf(4194305, stat, 0.0) is None


def test_who_is_gone_is_no_init():
    """If /proc does not show a process, it is taken for one of this namespace."""
    assert not proc.is_nested_init(4194305)
    assert proc.pid_namespace(4194305) is None
    assert proc.pid_namespace(os.getpid()).startswith("pid:[")
