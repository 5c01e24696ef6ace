"""What docs/security.md claims of files, signals, names, secrets and rights, and nothing else does.

The page names the tests of the claims that have theirs elsewhere.
"""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

import pytest

from testkit.namespaces import ROOT, UNSHARE
from testkit.processes import only_child, status, until
from testkit.programs import PYINIT, PYTHON, compile_c, victim

from pyinit.later import writer as log
from pyinit.later.plain import plain_emitter

CODE = 128 + signal.SIGKILL
SECRET = "s3cr3t"
NAMES = {  # 15 bytes at most, as the kernel keeps them
    "escapes": b"a\n\x1b[7m c=1\xff",
    "unicode": "\u202e\u200b\u2028 c=1".encode(),
    "controls": "\x85\x9b2J\r c=1".encode(),
}
CHARACTERS = [*map(chr, [*range(32), *range(127, 161)])]
CHARACTERS += "\u200b\u200e\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\ud800\udcff\U000e0001"
# The command: signals init, leaves an orphan and a survivor, and does not go when it is asked to.
LIFE = """
import os, signal, sys
def call(name):
    open("/proc/self/comm", "wb").write(name)
name = bytes.fromhex(sys.argv[1])
for signum in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(signum, lambda *_: None)
call(name)
os.kill(os.getppid(), signal.SIGHUP)
alive, held = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os._exit(0)
os.wait()
os.close(held)
os.read(alive, 1)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()
os.kill(os.getppid(), signal.SIGTERM)
while True:
    signal.pause()
"""
TOLD = {  # in JSON, and how a sentence of the console begins or goes on
    "child_started": "child_started",
    "signal_forwarded": "signal_forwarded",
    "orphan_reaped": "orphan_reaped",
    "stop_is_slow": "still runs",
    "kill_after_expired": "so pyinit kills it",
    "child_exited": "was killed by SIGKILL",
    "drain_started": "drain_started",
    "drain_survivor": "left behind",
    "drain_finished": "drain_finished",
}
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
NO_STRUCTLOG = "import sys; sys.modules['structlog'] = None\n"
OPTIONS = ["-vv", "-k", "0.2", "-d", "0.2"]


@pytest.fixture
def launcher(tmp_path):
    """Return the command that pyinit-launcher writes."""
    path = str(tmp_path / "pyinit")
    subprocess.run([f"{PYINIT}-launcher", path], check=True, stdout=subprocess.DEVNULL)
    return path


def life(name: bytes, python: str = sys.executable) -> list[str]:
    """Return a command that has pyinit tell of nearly all that there is."""
    # Python 3.12 warns of a fork among threads, which it counts in /proc/self/stat: behind a name
    # with a blank in it there is the niceness where it looks.
    return [python, "-IS", "-Wignore", "-c", LIFE, name.hex(), SECRET]


@pytest.mark.parametrize(
    ("emitter", "name"),
    [
        ("json", "escapes"),
        ("console", "escapes"),
        ("console", "unicode"),
        ("plain json", "controls"),
        ("plain console", "escapes"),
    ],
)
def test_no_event_can_be_forged(run, sabotage, tmp_path, name, emitter):
    """However the command and all processes are called, each event is one line and says so."""
    python = tmp_path / os.fsdecode(NAMES[name])
    python.symlink_to(os.path.realpath(sys.executable))
    wrap = ["env", f"LD_LIBRARY_PATH={sysconfig.get_config_var('LIBDIR')}"]
    plain, _, style = emitter.rpartition(" ")
    wrap += sabotage(NO_STRUCTLOG)[1:] if plain else []
    options = [*OPTIONS, f"--log-format={style}"]
    result = run(options, life(NAMES[name], str(python)), wrap=wrap)
    lines = result.err.split("\n")[:-1]

    assert CODE == result.code, result.err
    assert all(line.isprintable() for line in lines), lines
    assert [] == [
        wanted
        for name, sentence in TOLD.items()
        if (wanted := name if style == "json" else sentence) not in result.err
    ]
    if style == "json":
        assert all({"event", "level"} <= set(json.loads(line)) for line in lines)
    else:  # where the quotes and what is in them are taken away nothing of it is left
        assert not [line for line in lines if "c=1" in re.sub(r"'[^']*'|\"[^\"]*\"", "", line)]


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("make", [log.load_emitter, plain_emitter])
def test_no_character_moves_a_cursor(style, make):
    """Neither a control character, nor one without width, nor one that turns the line around."""
    lines = []
    made = make(style, lines.append)
    emit = made[0] if isinstance(made, tuple) else made
    for character in CHARACTERS:
        emit((1, 0.0, "orphan_reaped", {"pid": 7, "name": f"a{character}b"}))

    assert len(CHARACTERS) == len(lines)
    assert [] == [line for line in lines if not line.isprintable()]
    shown = zip(lines, CHARACTERS, strict=True)
    assert [] == [line for line, character in shown if f"a{character}b" in line]


WORD = "a\nb\x1b[2J\u202e\u200b\x9b\udcff\u2028"


@pytest.mark.parametrize(
    "words",
    [
        ["-{}"],
        ["-gx{}"],
        ["--{}"],
        ["-p", "{}", "x"],
        ["-r", "{}:{}", "x"],
        ["--inspect={}"],
        ["--inspect", "{}"],
        ["--log-format={}", "x"],
        ["{}/nothing"],
    ],
    ids=" ".join,
)
def test_no_sentence_can_be_forged(words):
    """A wrong word is shown, and nothing but shown, in one line."""
    words = [each.format(WORD, WORD) for each in words]
    done = subprocess.run([PYINIT, "--log-format=json", *words], check=False, capture_output=True)
    line = done.stderr.decode()

    assert done.returncode in {1, 127}
    assert (1, b"") == (line.count("\n"), done.stdout)
    assert line.removesuffix("\n").isprintable()


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["page", "json"])
@pytest.mark.parametrize("name", NAMES)
def test_no_inspected_name_can_forge(start, name, json_too):
    """`--inspect` shows a name as what it is, in one line of printable characters."""
    rename = f"open('/proc/self/comm', 'wb').write({NAMES[name]!r}); "
    ready = "import os, signal; print(f'ready (pid: {os.getpid()})', flush=True); signal.pause()"
    run = start([], [*PYTHON, "-c", rename + ready], namespace=False)
    page = [PYINIT, f"--inspect={run.ready()}", *json_too]
    done = subprocess.run(page, check=True, capture_output=True)

    assert all(line.isprintable() for line in done.stdout.decode().split("\n"))


def test_nothing_secret_is_told(run, tmp_path):
    """No argument of the command and nothing of its environment is told, however verbose."""
    wrap = ["env", f"TOKEN={SECRET}", f"{SECRET}=1"]
    result = run(["-w", *OPTIONS], life(b"plain"), wrap=wrap)
    failed = run(["-vvw"], [str(tmp_path / "nothing"), SECRET], wrap=wrap)

    assert (CODE, 127) == (result.code, failed.code)
    assert set(TOLD) <= {event["event"] for event in result.events}
    assert "exec_failed" in failed.err
    assert SECRET not in result.err + failed.err


MAY_BE_READ = re.compile(
    r"(/etc/ld\.so\.(cache|preload)|/(usr/)?lib(64)?/.*|/usr/(share|local/lib)/.*|/sys/fs/cgroup/.*"
    r"|/proc(/(self|\d+)/(comm|stat|cgroup|environ|task|fd)|/self/maps|/loadavg)?|/proc/sys/.*"
    # Of a process that is to be killed, to tell why.
    r"|/proc/\d+/(status|maps|mem|pagemap|mountinfo|syscall|fdinfo/\d+|net/\w+|task/\d+/(status|stat|syscall|wchan|schedstat|comm|children))"
    r"|/dev/(tty|null|urandom)|/etc/localtime)"
)
CHANGES = "mkdir|unlink|rename|link|symlink|f?chmod|[fl]?chown|truncate|mknod|u?mount|utime|creat"


def calls_of(command: str, lines: list[str]) -> list[str]:
    """Return what a process and its threads called from the exec of a command on."""
    begin = next(n for n, line in enumerate(lines) if re.search(rf'execve\("{command}"', line))
    pid = lines[begin].split("<")[0]
    return [
        line.split(maxsplit=1)[1]
        for line in lines[begin:]
        if re.match(rf"{pid}<|\d+<pyinit>", line)
    ]


def opened_by(calls: list[str]) -> list[tuple[str, str]]:
    """Return the paths that were opened, and the flags."""
    found = (re.match(r'open\w*\(.*?"(.*)", ([A-Z_|]+)', line) for line in calls)
    return [(each[1], each[2]) for each in found if each]


def beside(allowed: re.Pattern, opened: list[tuple[str, str]], *folders: Path) -> list[str]:
    """Return the paths that are neither Python's, nor in these folders, nor allowed."""
    ours = tuple(map(os.path.realpath, [sys.prefix, sys.base_prefix, *folders]))
    paths = {path for path, _ in opened if not os.path.realpath(path).startswith(ours)}
    return [path for path in paths if not allowed.fullmatch(path)]


@pytest.mark.parametrize("which", ["installed", "launcher"])
def test_files_are_only_read(launcher, tmp_path, which):
    """pyinit opens Python, itself, /proc and its cgroup to read, and no socket; it writes to 2."""
    command = PYINIT if which == "installed" else launcher
    trace = tmp_path / "trace"
    calls = "trace=%file,%network,write,writev,pwrite64,kill,tkill,tgkill,pidfd_send_signal"
    strace = ["strace", "-f", "-Y", "-qq", "-s", "400", "-o", str(trace), "-e", calls]
    words = [*strace, *UNSHARE, command, *OPTIONS, "--", *life(b"plain")]
    done = subprocess.run(words, check=False, capture_output=True, start_new_session=True)
    made = calls_of(command, trace.read_text().splitlines())
    opened = opened_by(made)
    written = {path for path, flags in opened if not flags.startswith("O_RDONLY")}
    writes = {found[1] for line in made if (found := re.match(r"p?write\w*\((\d+)", line))}

    assert CODE == done.returncode, done.stderr
    assert len(opened) > 20
    assert [] == beside(MAY_BE_READ, opened, tmp_path)
    assert [] == [path for path, _ in opened if re.search("openssl|libssl|_ssl", path)]
    assert ({"/proc/self/comm"} if which == "launcher" else set()) == written
    assert writes <= {"2", "3"} if which == "launcher" else writes <= {"2"}
    assert [] == [line for line in made if re.match(CHANGES, line)]
    assert [] == [line for line in made if re.match(r"(socket|connect|bind|send|recv)", line)]
    # Signal 0 only asks whether a process is there that has exited while it was looked at.
    sent = [re.match(r"kill\((-?\d+)(?:<.*>)?, SIG", line) for line in made]
    killed = {found[1] for found in sent if found}
    # A look wakes the loop up, by a signal to itself, unless pyinit has exited before it is over.
    assert {"2", "-1"} == killed - {"1"}
    assert {"SIGCHLD"} >= {re.split(r"\W+", line)[3] for line in made if "kill(1" in line}
    assert [] == [line for line in made if re.match(r"tg?kill|pidfd_send", line)]


THREAD = r"/task/\d+(/(status|stat|syscall|wchan|schedstat))?"
INSPECTED = re.compile(
    rf"{MAY_BE_READ.pattern}|/proc/(self|\d+)/mountinfo|/proc/\d+/mem|/proc/\d+(/status|/task|{THREAD})"
)


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["page", "json"])
def test_inspection_changes_nothing(start, tmp_path, option):
    """`--inspect` runs nothing, sends no signal, only reads, and of memory one set of signals."""
    run = start(command=victim("listener"))
    run.ready()
    assert until(lambda: "sigtimedwait" in Path(f"/proc/{run.init}/wchan").read_text())
    trace = tmp_path / "trace"
    calls = "trace=%file,%network,write,writev,pwrite64,pread64,kill,tkill,tgkill,ptrace"
    strace = ["strace", "-f", "-Y", "-qq", "-s", "400", "-o", str(trace), "-e", calls]
    words = [*strace, PYINIT, f"--inspect={run.init}", *option]
    subprocess.run(words, check=True, stdout=subprocess.PIPE)
    made = calls_of(PYINIT, trace.read_text().splitlines())
    opened = opened_by(made)
    memory = next(n for n, line in enumerate(made) if re.search(r'/proc/\d+/mem"', line))

    assert [] == beside(INSPECTED, opened)
    assert [] == [flags for _, flags in opened if not flags.startswith("O_RDONLY")]
    assert [8] == [size for line in made[memory:] if (size := size_read(line))]
    assert 1 == len([line for line in made if line.startswith("execve")])
    changes = f"{CHANGES}|t?g?kill|ptrace|socket|connect|p?write\\w*\\((?!1[,<])"
    assert [] == [line for line in made if re.match(changes, line)]


def size_read(call: str) -> int | None:
    """Return how many bytes a call of pread(2) asks for."""
    found = re.match(r"pread64\(.*, (\d+), \w+\) += ", call)
    return int(found[1]) if found else None


STORM = """
import os, signal
for signum in signal.valid_signals() - {9, 19, 17}:
    signal.signal(signum, lambda *_: None)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print(f"ready (pid: {os.getpid()})", flush=True)
for _ in range(int(os.read(0, 9))):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
    os.kill(os.getppid(), signal.SIGHUP)
helper = os.fork()
while True:
    signal.pause()
"""


@pytest.mark.parametrize("missing", [[], ["-e", "inject=pidfd_open:error=ENOSYS"]])
def test_nobody_beside_it_is_signalled(start, tmp_path, missing):
    """When not PID 1, in a storm of orphans, with --all: each kill is for a process below."""
    trace = tmp_path / "trace"
    calls = (
        "trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal,rt_sigqueueinfo,getppid,exit_group"
    )
    strace = ["strace", "-f", "-q", "-o", str(trace), "-e", calls, *missing]
    stranger = subprocess.Popen(victim("listener"), stdout=subprocess.PIPE, text=True)
    try:
        stranger.stdout.readline()
        run = start(
            ["-a", "-d", "1"], [*PYTHON, "-c", STORM], wrap=strace, namespace=False,
            stdin=subprocess.PIPE,
        )  # fmt: skip
        ready = run.ready()
        pyinit = only_child(run.init)
        run.process.stdin.write(b"30\n")
        asked = re.compile(rf"^{ready} +kill\({pyinit}, SIGHUP", re.MULTILINE)
        assert until(lambda: 30 == len(asked.findall(trace.read_text())))
        os.kill(pyinit, signal.SIGTERM)
        run.finish()
        stranger.send_signal(signal.SIGUSR1)
        first = stranger.stdout.readline()
    finally:
        stranger.kill()
        stranger.communicate()
    lines = [line.split(maxsplit=1) for line in trace.read_text().splitlines()]
    below = {int(pid) for pid, _ in lines} - {pyinit}
    made = [call for pid, call in lines if int(pid) == pyinit]
    aimed = {int(n) for call in made for n in re.findall(r"^(?:kill|pidfd_open)\((-?\d+)", call)}

    assert f"got {int(signal.SIGUSR1)}\n" == first
    assert ready in aimed
    assert aimed <= below
    assert [] == [call for call in made if re.match(r"tkill|tgkill|rt_sigqueueinfo", call)]


def test_it_needs_no_right(start):
    """Without a single capability, below no_new_privs, it forwards, reaps and drains."""
    wrap = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    run = start(["-v"], victim("listener", 5), wrap=wrap)
    run.ready()
    fields = status(run.init)
    run.send(signal.SIGUSR1)

    assert ("0" * 16, "1") == (fields["CapEff"], fields["NoNewPrivs"])
    assert f"got {int(signal.SIGUSR1)}" == run.line()
    assert 5 == run.stop().code


@pytest.mark.parametrize("wrap", [[], ["setpriv", "--no-new-privs"]], ids=["plain", "no_new_privs"])
def test_rights_of_the_child_are_the_callers(run, wrap):
    """pyinit takes no right away and gives none: setuid programs work where they would have."""
    command = ["grep", "-E", "^(Cap|NoNewPrivs|Seccomp|Uid|Gid|Groups)", "/proc/self/status"]
    caller = subprocess.run([*UNSHARE, *wrap, *command], check=True, capture_output=True, text=True)

    assert caller.stdout == run(command=command, wrap=wrap).out


LOOK = "open('/proc/1/environ').read(); open('/proc/1/mem', 'rb+').close(); print('both')"


def test_workload_of_the_same_user_is_as_strong(run):
    """The user of pyinit may read its environment and write its memory: it is no sandbox."""
    assert (0, "both\n", "") == dataclasses.astuple(run(command=[*PYTHON, "-c", LOOK]))


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
def test_workload_of_another_user_is_not(run):
    """A workload that was given another user can do neither."""
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    result = run(command=[*user, "sh", "-c", "cat /proc/1/environ; : <> /proc/1/mem"])

    assert (2, "", 2) == (result.code, result.out, result.err.count("ermission denied"))


def test_workload_can_neither_kill_nor_stop_it(run):
    """SIGKILL and SIGSTOP from inside are dropped by the kernel, and the next signal arrives."""
    script = "trap 'echo got; exit 3' USR1; kill -KILL 1; kill -STOP 1; kill -USR1 1; "
    result = run(["-v"], ["sh", "-c", script + "while :; do :; done"])

    assert (3, "got\n") == (result.code, result.out)
    assert ["SIGUSR1"] == [event["signal"] for event in result.named("signal_forwarded")]


def test_installed_command_obeys_pythons_own_variables(run, sabotage):
    """What pip installs is a Python program: PYTHONHOME and sitecustomize count for it."""
    spoilt = run(command=["echo", "started"], wrap=["env", "PYTHONHOME=/nowhere"])
    ran = run(command=["true"], wrap=sabotage("import os; os.write(2, b'sitecustomize ran\\n')\n"))

    assert (1, "") == (spoilt.code, spoilt.out)
    assert "sitecustomize ran\n" == ran.err


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="it is about virtual environments")
def test_variable_for_a_mac_hides_the_virtual_environment(run):
    """PYTHONEXECUTABLE has Python look elsewhere, so what pip installs cannot start."""
    result = run(command=["echo", "started"], wrap=["env", "PYTHONEXECUTABLE=nothing"])

    assert (1, "") == (result.code, result.out)
    assert "No module named 'pyinit'" in result.err


@pytest.fixture
def fresh(folder):
    """Return the directory of an environment with pyinit and structlog, without any bytecode."""
    venv.create(folder / "venv", symlinks=True)
    folders = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site = sysconfig.get_path("purelib", "venv", folders)
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("pyinit", "structlog"):
        original = Path(importlib.util.find_spec(package).origin).parent
        shutil.copytree(original, Path(site, package), ignore=ignored)
    for command in ("pyinit", "pyinit-launcher"):
        _, *lines = Path(os.path.dirname(PYINIT), command).read_text().splitlines(keepends=True)
        script = folder / "venv/bin" / command
        script.write_text("".join([f"#!{folder}/venv/bin/python\n", *lines]))
        script.chmod(0o755)
    return folder / "venv"


def packages_with_bytecode(folder):
    """Return the packages of an environment whose bytecode is stored."""
    caches = folder.glob("lib/*/site-packages/*/__pycache__")
    return {cache.parent.name for cache in caches if any(cache.iterdir())}


@pytest.mark.parametrize(
    ("told", "stored"), [({}, {"pyinit", "structlog"}), (NO_BYTECODE, set())], ids=["plain", "told"]
)
def test_bytecode_is_stored_where_python_does(fresh, told, stored):
    """What pip installs stores bytecode that is not there, unless told not to."""
    given = os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | told
    command = [fresh / "bin/pyinit", "-v", "--", "true"]
    subprocess.run(command, check=True, env=given, stderr=subprocess.PIPE)

    assert stored == packages_with_bytecode(fresh)


def test_bytecode_with_the_command_of_the_launcher(fresh):
    """It has pyinit's own in it; structlog's is stored when pyinit-launcher tries the command."""
    with tempfile.TemporaryDirectory(prefix="") as place:  # a longer path has no room for bytecode
        write = [fresh / "bin/pyinit-launcher", f"{place}/pyinit"]
        subprocess.run(write, check=True, env=os.environ | NO_BYTECODE, stdout=subprocess.PIPE)
        tried = packages_with_bytecode(fresh)
        shutil.rmtree(next(fresh.glob("lib/*/site-packages/structlog/__pycache__")))
        command = [f"{place}/pyinit", "-v", "--", "true"]
        subprocess.run(command, check=True, stderr=subprocess.PIPE)

    assert {"structlog"} == tried == packages_with_bytecode(fresh)


PRELOADED = """
#include <unistd.h>
__attribute__((constructor)) static void begin(void)
{
    if (getpid() == 1)
        write(2, "preloaded\\n", 10);
}
"""


@pytest.mark.parametrize("which", ["installed", "launcher"])
def test_who_sets_the_linkers_variables_decides(launcher, tmp_path, which):
    """A library of LD_PRELOAD is in PID 1, whichever command it is."""
    (tmp_path / "it.c").write_text(PRELOADED)
    library = compile_c(tmp_path / "it.c", tmp_path, "-shared", "-fPIC")
    command = [
        *UNSHARE,
        "env",
        f"LD_PRELOAD={library}",
        PYINIT if which == "installed" else launcher,
    ]
    done = subprocess.run([*command, "--", "true"], check=True, stderr=subprocess.PIPE, text=True)

    assert "preloaded\n" in done.stderr


def test_page_names_tests_that_are_there():
    """Each test that docs/security.md names beside a claim is one of ours."""
    folder = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (folder.parent / "docs/security.md").read_text()))
    code = "".join(path.read_text() for path in folder.glob("test_*.py"))

    assert len(named) > 15
    assert [] == [name for name in named if f"def {name}(" not in code]
