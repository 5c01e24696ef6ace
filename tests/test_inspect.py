"""`pyinit --inspect` shows what a process does with every signal."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
import types
from time import monotonic

import pexpect
import pytest

from testkit.namespaces import MAY_READ, ROOT, UNSHARE
from testkit.processes import only_child, status_of, until
from testkit.programs import PYINIT, PYTHON, victim
from testkit.refusals import OPEN, refusing
from testkit.running import Run
from testkit.signalsets import OF_C_LIBRARY

from pyinit.before import names
from pyinit.inspect import page as listing, sentences
from pyinit.later import signal_state as inspection, proc as procfs, thread_signals, verdicts

ESCAPE = "\033"
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *MAY_READ)
needs_root = pytest.mark.skipif(not ROOT, reason="another user's process takes a second user id")


@pytest.fixture
def init(launch):
    """Run a command as PID 1 of a namespace, not below pyinit."""

    def begin(command, **popen) -> Run:
        run = launch([*UNSHARE, *command], **popen)
        run.ready()
        assert until(lambda: is_asleep(run.init))  # it is ready before it waits
        return run

    return begin


def is_asleep(pid: int) -> bool:
    """Tell whether all threads of a process wait for something."""
    tasks = Path(f"/proc/{pid}/task").glob("*/status")
    return all(status_of(path.read_text())["State"].startswith("S") for path in tasks)


def inspect(*options: str, wrap=(), **how) -> subprocess.CompletedProcess:
    """Run `pyinit --inspect` outside the namespace."""
    command = [*wrap, PYINIT, *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, **how)


def data(pid: int) -> dict:
    """Return the output of `--json` for a process."""
    return json.loads(inspect(f"--inspect={pid}", "--json").stdout)


def of(found: dict, name: str) -> dict:
    """Return the entry of one signal."""
    (told,) = (told for told in found["signals"] if told["name"] == name)
    return told


def words(found: dict, name: str) -> tuple[str, str]:
    """Return the two verdicts on one signal."""
    told = of(found, name)
    return told["inside"], told["outside"]


@pytest.mark.parametrize(
    ("does", "verdict", "said"),
    [
        ([], "dropped", "SIGTERM is dropped, from inside and from outside: PID 1 has no handler"),
        (["ignore:TERM"], "ignored", "SIGTERM is ignored: the program has set this. `docker stop`"),
        (["catch:TERM"], "delivered", "SIGTERM is delivered: its handler runs. When PID 1 exits,"),
        (["block:TERM"], "held", "SIGTERM is held: it is blocked, and the signal stays pending"),
        (["await:TERM"], "taken", "SIGTERM is taken: a thread waits for it (sigwait),"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_init_is_judged_as_init(init, does, verdict, said):
    """For PID 1 the page says what happens to SIGTERM, the same from inside and from outside."""
    run = init(victim("signals", *does))
    if verdict == "taken":
        assert until(lambda: "taken" == words(data(run.init), "SIGTERM")[0])
    outside = inspect(f"--inspect={run.init}").stdout
    inside = run.inside(PYINIT, "--inspect").stdout

    assert (verdict, verdict) == words(data(run.init), "SIGTERM")
    for page in (outside, inside):
        assert said.split() == page.split()[page.split().index("SIGTERM") :][: len(said.split())]
    assert re.match(r"\S+ \(\d+\), PID 1 of a PID namespace below this one: sleeping", outside)
    assert re.match(r"\S+ \(1\), PID 1 of this PID namespace: sleeping", inside)
    assert ("dropped", "kills") == words(data(run.init), "SIGKILL")
    assert ("dropped", "stops") == words(data(run.init), "SIGSTOP")


def test_another_process_is_judged_as_such(start):
    """Below pyinit, a signal kills the same program that would drop it as PID 1."""
    run = start(command=victim("signals"))
    run.ready()
    found = data(only_child(run.init))

    assert ("kills", "kills") == words(found, "SIGTERM")
    assert ("kills", "kills") == words(found, "SIGKILL")
    assert ("stops", "stops") == words(found, "SIGSTOP")
    assert 2 == found["namespace_pid"]
    assert "SIGTERM kills it" in found["sentence"]


def test_pyinit_itself_takes_all(start):
    """pyinit waits for every signal that it can, and its page names the child to look at next."""
    run = start(command=victim("signals"))
    child = run.ready()
    assert until(lambda: "taken" == words(data(run.init), "SIGTERM")[0])
    found = data(run.init)
    others = {told["name"] for told in found["signals"] if told["inside"] != "taken"}

    assert {"SIGKILL", "SIGSTOP", *map(names.name, OF_C_LIBRARY)} == others
    assert all(told["sure"] for told in found["signals"])
    assert f"--inspect={child}." in run.inside(PYINIT, "--inspect").stdout


def test_states_are_told(init):
    """Pending, blocked, ignored and caught are set for the right signals."""
    does = ["pend:USR1", "block:USR2", "ignore:HUP", "catch:WINCH"]
    found = data(init(victim("signals", *does)).init)
    states = ("pending", "blocked", "awaited", "ignored", "caught")
    told = {
        name: [state for state in states if of(found, f"SIG{name}")[state]]
        for name in ("USR1", "USR2", "HUP", "WINCH", "ALRM")
    }

    assert {
        "USR1": ["pending", "blocked"],
        "USR2": ["blocked"],
        "HUP": ["ignored"],
        "WINCH": ["caught"],
        "ALRM": [],
    } == told


def test_json_tells_of_all_signals(init):
    """JSON has 64 signals, each with its number, name and default action."""
    found = data(init(victim("signals")).init)
    defaults = {told["name"]: told["default"] for told in found["signals"]}

    assert list(range(1, 65)) == [told["number"] for told in found["signals"]]
    assert ["end", "core dump", "stop", "ignore", "continue"] == [
        defaults[f"SIG{name}"] for name in ("TERM", "QUIT", "TSTP", "CHLD", "CONT")
    ]


@pytest.fixture
def two_threads(tmp_path, init):
    """Run an init whose second thread blocks SIGUSR1."""
    program = tmp_path / "threads.py"
    program.write_text(
        "import os, signal, threading\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\n"
        "threading.Thread(target=signal.pause).start()\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})\n"
        "print(f'ready (pid: {os.getpid()})', flush=True)\n"
        "signal.pause()\n"
    )
    return init([*PYTHON, str(program)])


def test_threads_that_differ_are_told(two_threads):
    """A signal that one thread blocks and another does not has a star, and each thread a line."""
    page = two_threads.inside(PYINIT, "--inspect").stdout

    assert re.search(r"^10 +SIGUSR1 +end +blocked\* +dropped +dropped$", page, re.MULTILINE)
    assert "*          blocked by some threads and not by others\n" in page
    assert "Thread 1: blocks nothing.\nThread 2: blocks USR1.\n" in page
    assert "2 threads\n" in page


def test_the_stopped_gets_nothing_but_sigkill(start):
    """For a stopped process the page says so, and how to continue it."""
    run = start(command=victim("signals", "catch:TERM"))
    run.ready()
    child = only_child(run.init)
    os.kill(child, signal.SIGSTOP)
    assert until(lambda: data(child)["state"] == "stopped")
    found = data(child)

    assert ("held", "held") == words(found, "SIGTERM")
    assert ("kills", "kills") == words(found, "SIGKILL")
    assert ("continues", "continues") == words(found, "SIGCONT")
    assert f"To continue it: kill -CONT {child}." == found["advice"]


def test_page_fits_80_columns_and_is_plain_in_a_pipe(two_threads):
    """No line is wider than 80 columns, and no escape gets into a pipe."""
    page = two_threads.inside(PYINIT, "--inspect").stdout

    assert max(map(len, page.splitlines())) <= 80
    assert ESCAPE not in page
    assert re.search(r"^34-64 RTMIN..RTMAX +end +dropped +dropped$", page, re.MULTILINE)


COLOURED = {**os.environ, "TERM": "xterm", "NO_COLOR": ""}


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "NO_COLOR-empty", "dumb"],
)
def test_colour_is_for_terminals(variables, is_coloured):
    """On a terminal the page has colours, unless NO_COLOR is set or TERM is dumb."""
    environment = {**COLOURED, **variables}
    option = f"--inspect={os.getpid()}"
    text, code = pexpect.run(f"{PYINIT} {option}", env=environment, withexitstatus=True)

    assert is_coloured == (ESCAPE.encode() in text)
    assert 0 == code


@pytest.mark.parametrize(
    ("does", "sentence", "row", "colour"),
    [
        ("catch:TERM", "SIGTERM is delivered", "delivered", "32"),
        ("ignore:TERM", "SIGTERM is ignored", "ignored", "31"),
        ("catch:USR1", "SIGTERM is dropped", "dropped", "31"),
    ],
    ids=["handled", "ignored", "dropped"],
)
def test_colours_tell_what_would_not_stop(init, does, sentence, row, colour):
    """The sentence and the verdict are green for a handled SIGTERM, and red for a lost one."""
    run = init(victim("signals", does))
    page = pexpect.run(f"{PYINIT} --inspect={run.init}", env=COLOURED)
    lines = page.decode().splitlines()
    told, default = f"\033[{colour}m{row}\033[0m", "\033[2m{}\033[0m"

    assert any(line.startswith(f"\033[1;{colour}m{sentence}") for line in lines)
    (sigterm,) = (line for line in lines if line.startswith("15 "))
    assert (2, 1) == (sigterm.count(told), sigterm.count(default.format("end")))
    (sigchld,) = (line for line in lines if line.startswith("17 "))  # ignored by default
    assert 2 == sigchld.count(default.format("ignored"))


@pytest.fixture
def process():
    """Return a made-up process, whose threads differ in all that can differ."""
    thread = verdicts.Thread(
        tid=7,
        state="S",
        tracer=0,
        blocked=frozenset({10}),
        pending=frozenset({10}),
        awaited=frozenset(),
        waits=False,
    )
    others = {"blocked": frozenset(), "pending": frozenset()}
    waiting = thread._replace(tid=8, **others, awaited=frozenset({10}), waits=True)
    hidden = thread._replace(tid=9, **others, awaited=None, waits=None)
    full = hidden._replace(tid=10, blocked=frozenset(verdicts.ALL) - {9, 19})
    return verdicts.Process(
        pid=7,
        namespace_pid=7,
        name="app",
        state="sleeping",
        is_machines_init=False,
        in_orphaned_group=False,
        ignored=frozenset({40}),
        caught=frozenset({10}),
        pending=frozenset({41}),
        threads=(thread, waiting, hidden, full, full._replace(tid=11)),
    )


def test_page_shows_all_that_differs(process):
    """Each line fits its columns, and signals that differ do not share a line."""
    lines = listing.page(process, [], is_coloured=False).splitlines()

    for line in (
        "10    SIGUSR1        end       pending, blocked*,        taken?     taken?",
        "                               awaited, caught",
        "15    SIGTERM        end       blocked*                  kills      kills",
        "32-33 signal 32, 33  end       blocked*                  kills      kills",
        "34-39 RTMIN..+5      end       blocked*                  kills      kills",
        "40    SIGRTMIN+6     end       blocked*, ignored         ignored    ignored",
        "41    SIGRTMIN+7     end       pending, blocked*         kills      kills",
        "42-64 RTMIN+8..RTMAX end       blocked*                  kills      kills",
        "Thread 7: blocks USR1, has pending USR1.",
        "Thread 8: blocks nothing, waits for USR1.",
        "Thread 9: blocks nothing, may wait for signals.",
        "Thread 10 and 1 more: blocks all but KILL STOP, may wait for signals.",
    ):
        assert line in lines


def test_thread_of_the_kernel_is_told_as_such(process):
    """Nothing ends a kernel thread, not even SIGKILL, and there is no advice."""
    kernel = process._replace(ignored=frozenset(verdicts.ALL), caught=frozenset())
    kernel = kernel._replace(threads=(process.threads[1]._replace(awaited=frozenset()),))

    assert "it is a kernel thread." in sentences.sentence(kernel)
    assert "" == sentences.advice(kernel, [])


@pytest.mark.parametrize(
    ("change", "said", "advised"),
    [
        ({"caught": {15}}, "SIGTERM is delivered: its handler runs.", ""),
        ({"ignored": {15}}, "SIGTERM is ignored: only SIGKILL", "If it has work to finish, make"),
        ({"namespace_pid": 1}, "SIGTERM is dropped", "or make it handle SIGTERM."),
    ],
    ids=["caught", "ignored", "init-without-handlers"],
)
def test_advice_fits_what_the_process_does(process, change, said, advised):
    """A process that handles SIGTERM gets no advice; one without handlers gets none about -r."""
    alone = {"ignored": frozenset(), "caught": frozenset(), "threads": process.threads[:1]}
    changed = process._replace(**{**alone, **change})

    assert sentences.sentence(changed).startswith(said)
    assert advised in sentences.advice(changed, [])
    assert "pyinit -r TERM:" not in sentences.advice(changed, [])


def test_coloured_page_is_the_plain_one():
    """Without its escapes it is the same text: colours move no column, and say nothing alone."""
    process = inspection.look(os.getpid())
    coloured, plain = (listing.page(process, [], is_coloured=each) for each in (True, False))

    assert plain == re.sub(r"\033\[[\d;]+m", "", coloured)


def an_absent_pid():
    child = subprocess.Popen(["true"])
    child.wait()
    return [PYINIT, f"--inspect={child.pid}"], f"there is no process {child.pid} in this PID namesp"


def a_pid_that_cannot_be():
    return [PYINIT, "--inspect=999999999"], "there is no process 999999999 in this PID namespace"


def a_missing_proc():
    script = 'mount -t tmpfs none /proc; exec "$@"'
    return [*UNSHARE, "sh", "-c", script, "-", PYINIT, "--inspect"], "/proc is not mounted"


def the_proc_of_another_namespace():
    command = [word for word in UNSHARE if word != "--mount-proc"]
    return [*command, PYINIT, "--inspect"], "/proc shows the processes of another PID namespace"


@pytest.mark.parametrize(
    "make",
    [an_absent_pid, a_pid_that_cannot_be, a_missing_proc, the_proc_of_another_namespace],
    ids=lambda make: make.__name__,
)
def test_what_cannot_be_inspected_is_one_line(make):
    """One line says why, nothing goes to stdout, and the code is 1."""
    command, reason = make()
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(rf"pyinit: {re.escape(reason)}.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["page", "json"])
@pytest.mark.parametrize("make", [an_absent_pid, a_missing_proc], ids=lambda make: make.__name__)
def test_line_does_not_tell_of_a_command(make, option):
    """--inspect runs no command, so the line is about the process alone; with --json too."""
    command, reason = make()
    done = subprocess.run([*command, *option], check=False, capture_output=True, text=True)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"pyinit: {reason}")
    assert not re.search("start|internal|Error", done.stderr), done.stderr


@needs_root
@pytest.mark.parametrize(
    ("hidepid", "reason"),
    [("1", "no permission to look at process 1: "), ("2", "/proc hides process 1 (hidepid): ")],
)
def test_hidden_process_is_one_line(hidepid, reason):
    """If /proc hides processes of other users, the line says so, and which user may look."""
    script = f'mount -o remount,hidepid={hidepid} /proc; "$@" --inspect; exit $?'
    command = [*UNSHARE, "sh", "-c", script, "-", *NOBODY, PYINIT]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"pyinit: {reason}run pyinit as the same user, or as root\n" == done.stderr


def test_zombie_is_one_line():
    """Signals do nothing to a zombie; the line names the parent that has not reaped it."""
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    done = inspect(f"--inspect={zombie.pid}")
    zombie.wait()

    assert 1 == done.returncode
    assert (
        f"is a zombie: signals have no effect on it; its parent {os.getpid()} must" in done.stderr
    )


def test_who_ends_while_looked_at_is_one_line(monkeypatch):
    """A process that is reaped between two reads is reported as one that does not exist."""
    child = subprocess.Popen(["sleep", "infinity"])
    listdir = os.listdir

    def end(path: str) -> list[str]:
        tids = listdir(path)
        child.kill()
        child.wait()
        return tids

    monkeypatch.setattr(inspection.os, "listdir", end)
    with pytest.raises(inspection.InspectionError, match=f"there is no process {child.pid} in"):
        inspection.look(child.pid)


@pytest.mark.parametrize("path", ["task", "task/{}/status"])
def test_who_cannot_be_looked_at_twice_is_one_line(init, path):
    """A process that is missing at the second read is reported as hidden or gone."""
    pid = init(victim("signals")).init
    wrap = refusing(f"{OPEN}:error=ENOENT", paths=[f"/proc/{pid}/{path.format(pid)}"])
    done = inspect(f"--inspect={pid}", wrap=wrap)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"/proc hides process {pid} (hidepid)" in done.stderr


def test_kernel_without_pid_namespaces_has_one_init(init):
    """If /proc has no PID namespaces, no process is taken for the init of the machine."""
    wrap = refusing("readlink,readlinkat:error=ENOENT", paths=["/proc/self/ns/pid"])
    page = init(victim("signals")).inside(*wrap, PYINIT, "--inspect").stdout

    assert "PID 1 of this PID namespace" in page


def test_mounts_that_are_not_told_may_hide_somebody(monkeypatch):
    """If the mount options of /proc cannot be read, /proc may hide processes."""
    monkeypatch.setattr(procfs, "stats", lambda: stats((7, "S", 1, 7, 5), (1, "S", 0, 1, 1)))
    monkeypatch.setattr(thread_signals, "read", refuse)

    assert inspection._is_group_orphaned(7) is None


def refuse(*_path):
    raise PermissionError


def test_thread_leads_to_its_process(two_threads):
    """The id of a thread is not a pid: the line names the process of the thread."""
    found = data(two_threads.init)
    _, second = (thread["tid"] for thread in found["threads"])
    done = inspect(f"--inspect={second}")

    assert 1 == done.returncode
    assert f"pyinit: {second} is a thread of process {two_threads.init}: " in done.stderr


@needs_root
def test_what_is_not_seen_is_not_claimed(init):
    """Without the right to see whether a process waits, the page says so, and what is sure."""
    run = init(victim("signals", "await:TERM", "catch:HUP"))
    done = inspect(f"--inspect={run.init}", wrap=NOBODY)
    found = json.loads(inspect(f"--inspect={run.init}", "--json", wrap=NOBODY).stdout)

    assert "As far as pyinit can see from here: SIGTERM" in done.stdout
    assert "?          something that matters cannot be seen from here" in done.stdout
    assert "pyinit cannot see from here whether it waits for signals" in done.stdout
    assert not of(found, "SIGTERM")["sure"]
    assert ("delivered", True) == (of(found, "SIGHUP")["inside"], of(found, "SIGHUP")["sure"])
    assert ("kills", True) == (of(found, "SIGKILL")["outside"], of(found, "SIGKILL")["sure"])


@pytest.mark.parametrize(
    ("times", "seconds", "judged"),
    [(1, 30, ("taken", True)), (999, 0.05, ("kills", False))],
    ids=["once", "always"],
)
def test_who_wakes_while_looked_at_is_looked_at_anew(start, monkeypatch, times, seconds, judged):
    """A process that takes a signal between two reads seems to block and await nothing."""
    monkeypatch.setattr(thread_signals, "LOOKING_SECONDS", seconds)
    run = start(command=victim("signals", "await:TERM", "await:USR1"))
    run.ready()
    child = only_child(run.init)
    assert until(lambda: inspection.look(child).threads[0].waits)
    waiting = thread_signals._waiting
    left = [times]

    def sleeps() -> str:
        return thread_signals.fields_of(f"/proc/{child}/status")["voluntary_ctxt_switches"]

    def wake(*seen) -> tuple:
        if not left[0]:
            return waiting(*seen)
        left[0] -= 1
        before = sleeps()
        os.kill(child, signal.SIGUSR1)
        assert until(lambda: before != sleeps())
        return False, frozenset()

    monkeypatch.setattr(thread_signals, "_waiting", wake)
    verdict = verdicts.judge(inspection.look(child), signal.SIGTERM, inside=True)

    assert judged == (verdict.word, verdict.is_sure)


def test_there_is_an_end_to_looking_at_all_that_do_not_rest(monkeypatch):
    """A busy thread is read again and again, but not without limit."""
    monkeypatch.setattr(thread_signals, "LOOKING_SECONDS", 1000)
    monkeypatch.setattr(thread_signals, "_time_run", lambda _: "7")  # it runs for less than a tick
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        found = inspection.look(busy.pid, until=monotonic() + 0.05)
        busy.kill()

    assert [(busy.pid, None)] == [(thread.tid, thread.awaited) for thread in found.threads]
    assert found.in_orphaned_group is None  # not all processes are read


def stats(*told: tuple[int, str, int, int, int]) -> dict[int, procfs.Stat]:
    """Return what /proc would have: pid, state, parent, group and session of each process."""
    found = {}
    for pid, state, *ids in told:
        fields = [state, *ids, *[0] * 13, 1, *[0] * 14]
        found[pid] = procfs.Stat([str(field).encode() for field in fields])
    return found


SHELL, JOB = (5, "S", 4, 5, 5), (7, "S", 5, 7, 5)


@pytest.mark.parametrize(
    ("told", "is_orphaned"),
    [
        ([JOB, SHELL], False),
        ([(7, "S", 1, 7, 5), (1, "S", 0, 1, 1)], True),
        ([(7, "S", 5, 7, 7), SHELL], True),
        ([(7, "S", 6, 7, 5), (6, "S", 1, 7, 5), (1, "S", 0, 1, 1)], True),
        ([(7, "S", 6, 7, 5), (6, "S", 5, 7, 5), SHELL], False),
        ([(7, "S", 1, 7, 5), (1, "S", 0, 1, 1), (6, "Z", 5, 7, 5), SHELL], True),
        ([(7, "S", 4, 7, 5), (4, "S", 1, 4, 4)], True),
        ([(7, "S", 0, 7, 5)], None),
        ([(7, "S", 0, 7, 7)], True),
        ([(7, "S", 1, 0, 5), (1, "S", 0, 1, 5)], None),
        ([(7, "S", 1, 7, 0), (1, "S", 0, 0, 0)], None),
        ([], None),
    ],
    ids=[
        *("job", "of-init", "leader", "parent-in-group", "member-has-shell", "that-is-dead"),
        *("other-session", "parent-unseen", "leader-of-unseen", "outer-group", "outer-session"),
        "gone",
    ],
)
def test_group_is_orphaned_where_nobody_has_a_shell(monkeypatch, told, is_orphaned):
    """It is, if no living member has a parent in another group of the same session."""
    monkeypatch.setattr(procfs, "stats", lambda: stats(*told))

    assert is_orphaned == inspection._is_group_orphaned(7)


@pytest.mark.parametrize(
    ("told", "is_orphaned"),
    [([JOB, SHELL], False), ([(7, "S", 1, 7, 5), (1, "S", 0, 1, 1)], None)],
    ids=["job", "of-init"],
)
def test_group_with_members_who_may_be_hidden_is_not_known(monkeypatch, told, is_orphaned):
    """With hidepid, a hidden member of the group may have such a parent."""
    mounts = "24 1 0:22 / /proc rw,relatime - proc proc rw,hidepid=invisible\n"
    monkeypatch.setattr(procfs, "stats", lambda: stats(*told))
    monkeypatch.setattr(thread_signals, "read", lambda _: mounts)
    monkeypatch.setattr(inspection.os, "geteuid", lambda: 65534)

    assert is_orphaned == inspection._is_group_orphaned(7)


@pytest.mark.parametrize(
    ("signum", "change", "judged"),
    [
        (10, {}, ("taken", False)),
        (15, {}, ("kills", True)),
        (20, {"in_orphaned_group": None}, ("stops", False)),
        (20, {"in_orphaned_group": None, "ignored": frozenset({20})}, ("ignored", True)),
        (19, {"in_orphaned_group": None}, ("stops", True)),
        (10, {"threads": (0, 2)}, ("delivered", False)),
        (10, {"threads": (0, 3)}, ("held", False)),
        (10, {"threads": (0, 1)}, ("taken", True)),
    ],
)
def test_what_is_not_seen_makes_unsure(process, signum, change, judged):
    """A verdict is sure only if all that it depends on was seen."""
    if "threads" in change:
        change = {"threads": tuple(process.threads[place] for place in change["threads"])}
    verdict = verdicts.judge(process._replace(**change), signum, inside=True)

    assert judged == (verdict.word, verdict.is_sure)


def test_who_waits_for_unknown_signals_may_take_any(init, monkeypatch):
    """If a security module hides what a thread waits for, it may wait for any signal."""

    def read(path: str) -> str:
        if path.endswith("/syscall"):
            raise PermissionError
        return "do_sigtimedwait" if path.endswith("/wchan") else ""

    monkeypatch.setattr(thread_signals, "read", read)
    monkeypatch.setattr(thread_signals, "LOOKING_SECONDS", 30)  # the machine may be busy
    process = inspection.look(init(victim("signals", "catch:HUP")).init)
    judged = [verdicts.judge(process, signum, inside=True) for signum in (signal.SIGTERM, 1, 9)]

    assert [("taken", False), ("delivered", True), ("dropped", True)] == [
        (verdict.word, verdict.is_sure) for verdict in judged
    ]
    assert "run this as root, in Docker with --cap-add SYS_PTRACE" in sentences.notes(process)[0]


def test_thread_that_is_dead_and_not_reaped_is_left_out(monkeypatch):
    """A traced thread that has exited stays in /proc, and does not count."""
    dead = {"State": "Z (zombie)", "TracerPid": "0", "SigBlk": "0", "SigPnd": "0"}
    monkeypatch.setattr(thread_signals, "_at_rest", lambda *_: (dead, False, frozenset()))

    assert thread_signals._thread(7, 8) is None
    assert thread_signals._thread(7, 7) is not None


AWAITED = "128 0x1000 0x0 0x0 0x8 0x0 0x0 0x7ffe 0x7f"
POOR_KERNELS = {
    "other-machine": ({"machine": "m68k", "syscall": AWAITED}, (None, None)),
    "other-call": ({"syscall": "7 0x1"}, (False, frozenset())),
    "no-memory": ({"syscall": AWAITED}, (True, None)),
    "no-wchan": ({"syscall": None, "wchan": None}, (None, None)),
    "wchan-0": ({"syscall": "", "wchan": "0"}, (None, None)),
    "wchan-elsewhere": ({"syscall": "", "wchan": "do_wait"}, (False, frozenset())),
}


@pytest.mark.parametrize("name", POOR_KERNELS)
def test_what_the_kernel_does_not_tell_is_not_known(tmp_path, monkeypatch, name):
    """Without some files of /proc, only what they say is missing."""
    files, waits = POOR_KERNELS[name]
    status = f"Pid:\t{1 << 30}\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t1\n"
    (tmp_path / "status").write_text(status)
    for file in files.keys() - {"machine"}:
        if files[file] is not None:
            (tmp_path / file).write_text(files[file])
    machine = types.SimpleNamespace(machine=files.get("machine", "x86_64"))
    monkeypatch.setattr(thread_signals.os, "uname", lambda: machine)

    assert waits == thread_signals._at_rest(str(tmp_path))[1:]


def test_nobody_is_above_the_machines_init():
    """Not even SIGKILL reaches the init of the machine, and there is no outside to send it from."""
    process = inspection.look(os.getpid())._replace(pid=1, namespace_pid=1, is_machines_init=True)

    assert "dropped" == verdicts.judge(process, signal.SIGKILL, inside=True).word
    assert verdicts.judge(process, signal.SIGKILL, inside=False) is None
    assert "the init of this machine" in listing.page(process, [], is_coloured=False)
    assert "docker stop" not in sentences.sentence(process)


def test_tracer_is_named(init):
    """A tracer may keep signals from a process: it is named, and only SIGKILL is sure."""
    run = init(victim("signals", "catch:TERM"))
    strace = ["strace", "-p", str(run.init), "-o", "/dev/null"]
    with subprocess.Popen(strace, stderr=subprocess.PIPE, text=True) as tracer:
        assert "attached" in tracer.stderr.readline()
        page = inspect(f"--inspect={run.init}").stdout
        found = data(run.init)
        run.inside("sh", "-c", "kill -STOP 1")  # without the tracer it would be dropped
        assert until(lambda: data(run.init)["state"] == "stopped by a tracer")
        stopped = data(run.init)
        tracer.terminate()

    assert f"Process {tracer.pid} traces it, as strace does" in page
    sure = {told["name"] for told in found["signals"] if told["sure"]}
    assert {"SIGKILL"} == sure
    assert ("dropped", "kills") == words(found, "SIGKILL")
    assert "The process that traces it must continue it." == stopped["advice"]


def test_name_cannot_forge_a_line(init):
    """A process name cannot add lines or escapes to the page."""
    rename = "open('/proc/self/comm', 'wb').write(b'a\\n\\x1b[2Jb'); "
    ready = "import os, signal; print(f'ready (pid: {os.getpid()})', flush=True); signal.pause()"
    page = inspect(f"--inspect={init([*PYTHON, '-c', rename + ready]).init}").stdout

    assert page.startswith("a\\n\\x1b[2Jb (")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--inspect", "7"], "--inspect '7': expected no command; to inspect a process other "),
        (["--inspect", "--", "app"], "--inspect 'app': expected no command; to inspect "),
        (["--inspect=0"], "--inspect '0': expected a pid, as in --inspect=7"),
        (["--inspect="], "--inspect: expected a pid, as in --inspect=7"),
        (["--inspect=self"], "--inspect 'self': expected a pid, as in --inspect=7"),
        (["--json"], "--json is only valid with --inspect"),
        (["--json", "app"], "--json is only valid with --inspect"),
        (["--json=1", "--inspect"], "--json '1': expected no value"),
        (["--inspct"], "'--inspct' is not an option of pyinit; did you mean --inspect?"),
    ],
    ids=" ".join,
)
def test_wrong_words_are_one_line(options, line):
    """Wrong words beside `--inspect` cost one line that says what is right, and code 1."""
    done = inspect(*options)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"pyinit: {line}")
    assert 1 == done.stderr.count("\n")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["page", "json"])
def test_full_disk_is_told(options):
    """If the page cannot be written, there is one line on stderr, and code 1."""
    with open("/dev/full", "w") as full:
        command = [PYINIT, f"--inspect={os.getpid()}", *options]
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)

    assert (1, "pyinit: cannot write to stdout: No space left on device\n") == (
        done.returncode,
        done.stderr,
    )


def test_variables_of_the_image_do_not_matter(init):
    """`docker exec` passes the variables of the image, which are meant for PID 1, not for this."""
    run = init(victim("signals"))
    wrong = {**os.environ, "PYINIT_DRAIN": "what?", "PYINIT_VERBOSITY": "3"}

    assert 0 == inspect(f"--inspect={run.init}", env=wrong).returncode


def test_thread_has_a_name_of_its_own():
    """A thread has a name; one that is gone has none."""
    pid = os.getpid()

    assert procfs.name(pid) == procfs.thread_name(pid, pid)
    assert procfs.thread_name(pid, 1 << 30) is None


def test_who_is_gone_is_in_no_namespace():
    """A process may exit while it is read."""
    assert (False, None) == (procfs.is_nested_init(1 << 30), procfs.pid_namespace(1 << 30))
