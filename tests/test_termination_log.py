"""The last words: what went wrong, in the file that Kubernetes shows; nothing where nothing did."""

import os
import re
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from testkit.namespaces import ROOT, UNSHARE
from testkit.programs import PYINIT, victim

from pyinit.later import last_words

MOST = 4096
HELPERS = "trap '' TERM; for i in $(seq {}); do sleep infinity & done; exit 3"


@pytest.fixture
def log(tmp_path):
    """Return a file as a kubelet makes it."""
    path = tmp_path / "termination-log"
    path.touch()
    return path


def mounting(folder: Path) -> list[str]:
    """Return what makes a folder /dev, in a mount namespace of its own."""
    (folder / "null").touch()
    mount = f"mount --bind /dev/null {folder}/null && mount --rbind {folder} /dev"
    return ["sh", "-c", f'{mount} && exec "$@"', "-"]


@pytest.fixture
def mounted(log, tmp_path):
    """Return what mounts that file where pyinit looks for it."""
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / log.name).touch()
    return [
        "sh",
        "-c",
        f'mount --bind {log} {folder / log.name} && exec "$@"',
        "-",
        *mounting(folder),
    ]


@pytest.fixture(params=["named", "usual"])
def where(request, log, mounted):
    """Have pyinit know of the file by a variable, or by itself."""
    return ["env", f"PYINIT_TERMINATION_LOG={log}"] if request.param == "named" else mounted


WRONG = {
    "code": ([], "exit 3", r"sh \(pid \d+\) exited with code 3 after \d+\.\d s\."),
    "exec": ([], "exec no-such", r"sh .* exited with code 127 after .*"),
    "outside": ([], "kill -KILL $$", r"sh .* was killed by SIGKILL after .*: killed from outs.*"),
    "crash": ([], "ulimit -c 0; kill -SEGV $$", r"sh .* was killed by SIGSEGV after .*"),
    "unasked": ([], "kill -TERM $$", r"sh .* was killed by SIGTERM after \d+\.\d s\."),
    "rewritten": (
        ["-rUSR1:KILL"],
        "kill -USR1 1; while :; do :; done",
        r"sh .* was killed by SIGKILL from pyinit after .*",
    ),
    "drain": (
        ["-d0.1"],
        "trap '' TERM; sleep infinity & until grep -qx sleep /proc/$!/comm; do :; done",
        r"sh .* exited with code 0 after .*\nsleep \(pid \d+\) had not exited after \d+\.\d s .*",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_went_wrong_is_written(run, log, where, name):
    """The file says how the child ended, and what had to be killed, at any verbosity."""
    options, script, words = WRONG[name]
    run(options, ["sh", "-c", script], wrap=[*where, "env", "PYINIT_VERBOSITY=0"])

    assert re.fullmatch(words, log.read_text().strip(), re.DOTALL)


def test_command_that_cannot_be_run_is_written(run, log, where):
    """With the reason of the event."""
    (event,) = run([], ["no-such"], wrap=where).events

    assert f"no-such could not be run: {event['reason']}.\n" == log.read_text()


def test_who_asked_and_who_hung_is_written(start, log):
    """The file says what asked for the stop from outside, what did not end, and where it hung."""
    run = start(["-k", "0.5", f"--termination-log={log}"], victim("listener"))
    run.ready()
    asked = run.stop(signal.SIGTERM)
    first, second, third, *rest = log.read_text().splitlines()
    killed = next(event for event in asked.events if event["event"] == "kill_after_expired")

    assert 128 + signal.SIGKILL == asked.code
    assert re.fullmatch(
        r"SIGTERM came from outside the container, \d+\.\d s before the end\.", first
    )
    assert re.fullmatch(r"\S+ \(pid \d+\) was killed by SIGKILL from pyinit after .* s\.", second)
    assert third.startswith(
        f"{killed['name']} (pid {killed['pid']}) had not exited after 0.5 s and"
    )
    assert killed.get("reason", "") in third
    assert [line.strip() for line in rest] == [
        *[f"it waited for: {text}" for text in [killed.get("waits_for")] if text],
        *killed.get("stack", []),
    ]


@pytest.fixture
def watched(log):
    """Follow what is written there."""
    command = ["tail", "-n", "+1", "-f", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        yield tail.stdout
        tail.kill()


WAITING = "trap : TERM; echo 'ready (pid: '$$')'; read line; read line; exit {}"


@pytest.mark.parametrize("code", [0, 3])
def test_slow_stop_is_written_before_the_end(start, log, watched, where, code):
    """An engine may send SIGKILL, then it is all there is; otherwise the last words replace it."""
    command = ["sh", "-c", WAITING.format(code)]
    run = start(["--explain-after=0.1"], command, wrap=where, stdin=subprocess.PIPE)
    pid = run.ready()
    run.send(signal.SIGTERM)
    told = run.event("stop_is_slow")
    who = "SIGTERM came from outside the container, "
    assert re.fullmatch(rf"{who}\d+\.\d s before this message\.\n", watched.readline())
    assert f"sh (pid {pid}) has not exited: {told['reason']}.\n" == watched.readline()
    assert f"    it waited for: {told['waits_for']}\n" == watched.readline()
    run.close_stdin()
    run.finish()
    words = rf"{who}\d+\.\d s before the end\.\nsh .* exited with code 3 after .*\n" if code else ""

    assert re.fullmatch(words, log.read_text())


def test_slow_stop_that_nobody_asked_for_has_no_word_before_the_end(start, log):
    """The time of -t was over, so there is no request to tell of; that is no error."""
    options = ["-t0.1", "-rTERM:URG", "--explain-after=0.1", f"--termination-log={log}"]
    run = start(options, ["sh", "-c", "read line; exit 0"], stdin=subprocess.PIPE)
    run.event("stop_is_slow")
    run.close_stdin()
    rest = run.finish()
    ended, late, *_ = log.read_text().splitlines()

    assert (124, []) == (rest.code, rest.events)
    assert re.fullmatch(r"sh \(pid \d+\) exited with code 0 after .*", ended)
    assert re.fullmatch(r"sh \(pid \d+\) had run for 0\.1 s \(-t\) and was asked to stop\.", late)


def test_words_of_the_program_are_not_replaced(log):
    """Nor are ours that stand before them."""
    words = last_words.LastWords(str(log), 0.0, SimpleNamespace(kept=[], not_kept=0))
    words.leave([("one", [])])
    words.leave([("two", [])])
    assert "two\n" == log.read_text()
    log.write_text("two\nmine\n")
    words.leave([("three", [])])
    assert "two\nmine\n\nthree\n" == log.read_text()
    words.leave([])

    assert "two\nmine\n" == log.read_text()


def test_slow_stop_does_not_replace_the_last_words(log):
    """A thread that gets no processor until the end has nothing more to say."""
    words = last_words.LastWords(str(log), 0.0, SimpleNamespace(kept=[], not_kept=0))
    words.leave([("the last", [])])
    words._leave_early([("late", [])])

    assert "the last\n" == log.read_text()


def test_last_words_wait_for_earlier_ones(log, monkeypatch):
    """Where these end must be known to replace them."""
    real, written, going_on = last_words.put, threading.Event(), threading.Event()

    def put(*how):
        written.set()
        assert going_on.wait(30)
        return real(*how)

    monkeypatch.setattr(last_words, "EARLY_SECONDS", 30)
    monkeypatch.setattr(last_words, "put", put)
    words = last_words.LastWords(str(log), 0.0, SimpleNamespace(kept=[], not_kept=0))
    early = threading.Thread(target=words._leave_early, args=([("early", [])],))
    early.start()
    assert written.wait(30)
    monkeypatch.setattr(last_words, "put", real)
    last = threading.Thread(target=words.leave, args=([("the last", [])],))
    last.start()
    assert "" == log.read_text()
    going_on.set()
    last.join()
    early.join()

    assert "the last\n" == log.read_text()


def test_last_words_do_not_wait_for_ever(log, monkeypatch):
    """The disk of earlier ones may hang."""
    monkeypatch.setattr(last_words, "EARLY_SECONDS", 0.01)
    words = last_words.LastWords(str(log), 0.0, SimpleNamespace(kept=[], not_kept=0))
    with words._writes:
        words.leave([("the last", [])])

    assert "the last\n" == log.read_text()


def test_slow_stop_that_cannot_be_written_is_passed_over(tmp_path, monkeypatch):
    """It is told at the end."""
    monkeypatch.setattr(last_words, "start_new_thread", lambda function, words: function(*words))
    words = last_words.LastWords(str(tmp_path), 0.0, SimpleNamespace(kept=[], not_kept=0))
    words.leave_soon([("one", [])])

    assert tmp_path.is_dir()


def test_sender_in_the_container_is_named(run, log):
    """The first that asks is the one that is told."""
    command = [
        "sh",
        "-c",
        "trap '' TERM; trap 'kill -TERM 1; exit 4' INT; kill -INT 1; while :; do :; done",
    ]
    run([f"--termination-log={log}"], command)

    assert re.match(
        r"SIGINT came from sh \(pid \d+\), \d+\.\d s before the end\.\n", log.read_text()
    )


@pytest.mark.parametrize(
    ("code", "pid", "name", "sender"),
    [
        (0, 7, "a", "a (pid 7)"),
        (0, 7, None, "a process that had exited (pid 7)"),
        (0, 0, None, "outside the container"),
        (0, -1, None, "an unknown process"),
        (128, 0, None, "the terminal or the kernel"),
    ],
)
def test_every_kind_of_sender_has_words(code, pid, name, sender):
    """As the kernel tells of it."""
    received = SimpleNamespace(si_code=code, si_pid=pid, si_signo=signal.SIGINT)
    words = last_words.request(received, name, 2.04)

    assert (f"SIGINT came from {sender}, 2.0 s before the end.", []) == words


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ([], ["true"]),
        (["-e3"], ["sh", "-c", "exit 3"]),
        ([], ["sh", "-c", "kill -TERM 1; while :; do :; done"]),
        ([], ["sh", "-c", "trap exit INT; kill -INT 1; while :; do :; done"]),
        ([], ["sh", "-c", "sleep infinity &"]),
    ],
    ids=["code", "expected", "signal", "handler", "drained"],
)
def test_plain_stop_leaves_it_empty(run, log, where, options, command):
    """Where all was as it should be there is nothing to say."""
    run(options, command, wrap=where)

    assert "" == log.read_text()


def test_file_that_is_missing_is_made(run, tmp_path):
    """A file that is named is there afterwards, and says the same."""
    path = tmp_path / "words"
    run([f"--termination-log={path}"], ["true"])

    assert ("", 0o100644) == (path.read_text(), path.stat().st_mode)
    run([f"--termination-log={path}"], ["sh", "-c", "exit 3"])

    assert "exited with code 3" in path.read_text()


@pytest.mark.parametrize(("code", "words"), [(0, ""), (3, r"sh \(pid \d+\) exited .*\n")])
def test_older_words_are_replaced(run, log, code, words):
    """What is older than the child is of another run."""
    log.write_text("of another run")
    os.utime(log, (1, 1))
    run([f"--termination-log={log}"], ["sh", "-c", f"exit {code}"])

    assert re.fullmatch(words, log.read_text())


@pytest.mark.parametrize(("code", "words"), [(0, ""), (3, r"\nsh \(pid \d+\) exited .*\n")])
def test_words_of_the_program_stay(run, log, mounted, code, words):
    """What the program wrote itself is in front."""
    run([], ["sh", "-c", f"echo mine >{last_words.USUAL}; exit {code}"], wrap=mounted)

    assert re.fullmatch(f"mine\n{words}", log.read_text())


@pytest.mark.parametrize("own", [0, 4000, MOST, 5000])
def test_there_are_no_more_bytes_than_are_read(run, log, own):
    """100 that had to be killed, and what the program wrote, are 4,096 bytes and no half letter."""
    script = f"head -c {own} /dev/zero | tr '\\0' x >{log}; {HELPERS.format(100)}"
    result = run([f"--termination-log={log}", "-d", "0.1"], ["sh", "-c", script])
    text = log.read_text()

    assert 3 == result.code
    assert max(own, min(MOST, own + 1000)) <= len(text.encode()) <= max(MOST, own)
    assert text.startswith("x" * own)
    if not own:
        assert "\n68 more had to be killed.\n" in text


def link(path):
    path.symlink_to(path.with_suffix(".target"))
    path.with_suffix(".target").touch()


def second_name(path):
    path.touch()
    path.with_suffix(".target").hardlink_to(path)


REFUSED = {
    "link": (link, "EINVAL"),
    "dangling-link": (lambda path: path.symlink_to(path.with_suffix(".target")), "EINVAL"),
    "fifo": (os.mkfifo, "EINVAL"),
    "device": (lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3)), "EINVAL"),
    "directory": (lambda path: path.mkdir(), "EINVAL"),
    "second-name": (second_name, "EINVAL"),
    "no-folder": (lambda path: path.parent.rmdir(), "ENOENT"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_is_refused(run, tmp_path, name):
    """Nothing is followed, waited for or written; a warning says so, the code is the child's."""
    if name == "device" and not ROOT:
        pytest.skip("mknod(2) takes root")
    make, error = REFUSED[name]
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "words"
    make(path)
    result = run([f"--termination-log={path}"], ["sh", "-c", "exit 5"])
    (event,) = result.events
    target = path.with_suffix(".target")

    assert (5, "termination_log_refused", "warning") == (
        result.code,
        event["event"],
        event["level"],
    )
    assert (str(path), error) == (event["path"], event["error"])
    assert (name in {"link", "second-name"}) == target.exists()
    assert not target.exists() or not target.read_text()


def test_fifo_with_a_reader_is_refused(run, tmp_path):
    """A reader changes nothing: the file is not written to."""
    path = tmp_path / "words"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    result = run([f"--termination-log={path}"], ["sh", "-c", "exit 5"])

    assert (5, b"") == (result.code, os.read(reader, 10))
    os.close(reader)


def test_full_disk_costs_a_warning(run, tmp_path):
    """What cannot be written does not change the code."""
    limit = ["sh", "-c", 'ulimit -f 0; exec "$@"', "-"]
    result = run([f"--termination-log={tmp_path}/words"], ["sh", "-c", "exit 5"], wrap=limit)

    assert (5, ["EFBIG"]) == (result.code, [event["error"] for event in result.events])


def read_only(path):
    path.touch(0o444)


@pytest.mark.parametrize("make", [link, os.mkfifo, read_only], ids=lambda make: make.__name__)
def test_usual_file_that_is_none_is_passed_over(run, tmp_path, make):
    """It was not named, so nothing is logged."""
    folder = tmp_path / "dev"
    folder.mkdir()
    make(folder / "termination-log")
    wrap = [*mounting(folder), "setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    result = run([], ["sh", "-c", "exit 5"], wrap=wrap)

    assert (5, "") == (result.code, result.err)


def test_guest_leaves_no_words(run, log, mounted):
    """When not PID 1, pyinit may be started by `kubectl exec`: it writes only to a named file."""
    inner = f"{PYINIT} -- sh -c 'exit 3'; {PYINIT} --termination-log={log}.2 -- sh -c 'exit 4'; :"
    run([], ["sh", "-c", inner], wrap=mounted)

    assert "" == log.read_text()
    assert "exited with code 4" in log.with_suffix(".2").read_text()


def test_pyinit_that_cannot_start_says_so_there(launch, log, mounted):
    """The line on what is wrong with an option is what a person looks for there."""
    result = launch([*UNSHARE, *mounted, PYINIT, "-d", "soon", "app"]).finish()

    assert (1, result.err) == (result.code, log.read_text())


def test_relative_path_is_refused(run):
    """pyinit leaves the working directory, so a path has to begin at the root."""
    result = run(["--termination-log=words"], ["true"])

    assert (1, True) == (result.code, "expected an absolute path" in result.err)


@pytest.mark.parametrize("program", ["true", "false"])
def test_usual_run_looks_for_nothing(mounted, tmp_path, program):
    """Nothing is loaded or opened for it before the child is dead, nor ever where it ended well."""
    trace = "trace=%file,rt_sigtimedwait"
    strace = ["strace", "-ff", "-qq", "-s", "200", "-o", str(tmp_path / "calls"), "-e", trace]
    subprocess.run([*strace, *UNSHARE, *mounted, PYINIT, "--", program], check=False)
    logs = [path.read_text() for path in tmp_path.glob("calls.*")]
    (calls,) = (log for log in logs if f'execve("{PYINIT}"' in log)
    before, _, after = calls.partition(f'execve("{PYINIT}"')[2].partition("si_signo=SIGCHLD")

    assert after
    assert "termination-log" not in before
    assert "last_words" not in before
    assert (program == "false") == ("termination-log" in after) == ("last_words" in after)


def test_names_break_no_line(run, log, tmp_path):
    """What a process is called cannot forge a line."""
    program = tmp_path / "a\nb\x1b[2J"
    shutil.copy(shutil.which("sleep"), program)
    script = """trap '' TERM; "$0" infinity & while grep -qx sh /proc/$!/comm; do :; done; exit 3"""
    command = ["sh", "-c", script, str(program)]
    run([f"--termination-log={log}", "-d", "0.2"], command)

    assert r"a\nb\x1b[2J (pid " in log.read_text().splitlines()[1]


def test_headlines_come_before_details():
    """Where there is not room for all, each one that was killed has its sentence."""
    text = last_words._text([(f"{number} was killed.", ["x" * 100] * 20) for number in range(10)])
    lines = text.splitlines()

    assert [f"{number} was killed." for number in range(10)] == [
        line for line in lines if "killed" in line
    ]
    assert MOST - len(max(lines, key=len)) <= len(text) <= MOST
