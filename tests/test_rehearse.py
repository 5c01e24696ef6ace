"""`pyinit-rehearse`: real stops of real processes, in namespaces of their own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testkit.namespaces import USER
from testkit.processes import children, state, until
from testkit.programs import PYINIT, PYTHON, REHEARSE

from pyinit import __version__
from pyinit.rehearse import cli, client, container, model, verdict
from pyinit.rehearse.container import Container
from pyinit.rehearse.errors import NotRehearsedError
from pyinit.rehearse.inits import split
from pyinit.rehearse.model import Plan

GRACEFUL, NOT_GRACEFUL, NOT_REHEARSED, INTERRUPTED = 0, 1, 2, 130
# As a user without privileges, who owns the files of the tests.
AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
READY = ("--ready-when", "ready", "--grace", "20")  # more than it needs, even on a busy machine
SHORT = ("--ready-when", "ready", "--grace", "0.3")  # for stops that end in SIGKILL
NO_STOP = (*READY, "--after", "90")  # for what comes before the stop

# It exits at once, with code 0, on the signal that it is given.
POLITE = """
import signal, sys
signal.signal(signal.Signals["SIG" + sys.argv[1]], lambda *_: sys.exit())
print("ready", flush=True)
while True:
    signal.pause()
"""
IGNORING = "trap '' TERM; echo ready; while :; do sleep 9; done"
# A helper that ends when asked. It prints `ready` after its exec: before, it has sh's handlers.
HELPER = "sh -c 'echo ready; exec sleep 99' & wait"
JOB = f"trap 'exit 0' TERM; {HELPER}"  # a child that does not ask its helper to stop


def polite(signum="TERM") -> list[str]:
    return [*PYTHON, "-c", POLITE, signum]


def python(lines: str) -> list[str]:
    return [*PYTHON, "-c", lines]


def shell(lines: str) -> list[str]:
    return ["sh", "-c", lines]


@dataclass(frozen=True)
class Rehearsed:
    """The outcome of a rehearsal."""

    code: int
    out: str
    err: str
    runs: list[dict]

    @property
    def run(self) -> dict:
        """The first run."""
        return self.runs[0]

    @property
    def line(self) -> str:
        """The one line that it printed about itself."""
        lines = [line for line in self.err.splitlines() if line.startswith("pyinit-rehearse: ")]
        assert 1 == len(lines), self.err
        return lines[0].removeprefix("pyinit-rehearse: ")

    def named(self, name: str) -> list[dict]:
        """The processes of a name, of the first run."""
        return [process for process in self.run["processes"] if process["name"] == name]


@pytest.fixture
def rehearse(tmp_path):
    """Run `pyinit-rehearse` to its end."""

    def rehearse_one(options, command, *, wrap=(), **how) -> Rehearsed:
        file = tmp_path / "run.json"
        line = [*wrap, REHEARSE, *options, "--json", str(file), "--", *command]
        done = subprocess.run(line, check=False, capture_output=True, timeout=100, **how)
        out, err = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
        runs = json.loads(file.read_text())["runs"] if file.exists() and file.stat().st_size else []
        return Rehearsed(done.returncode, out, err, runs)

    return rehearse_one


@pytest.fixture
def free_port():
    """Return a port on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


LISTENING = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    client.close()
"""


def test_graceful_stop(rehearse):
    """Code 0, and each process with its end: the child, and the helper that it left behind."""
    done = rehearse(READY, shell(JOB))
    init, child, helper = done.run["processes"]

    assert GRACEFUL == done.code
    assert model.GRACEFUL == done.run["verdict"]
    assert done.run["cause"].endswith("exited after SIGTERM from pyinit")
    assert (1, 2) == (init["pid"], child["pid"])
    assert (1, 2) == (child["parent"], helper["parent"])
    assert "sh" == child["name"]
    assert helper["command"].endswith("sleep 99")
    assert (True, "asked") == (helper["is_left"], helper["fate"])
    assert (0, "ended", False) == (child["code"], child["fate"], child["is_left"])
    assert ["SIGTERM"] == [mark["signal"] for mark in init["marks"]]
    assert "'ready'" == done.run["ready"]
    assert "ready" in done.run["output"]


def test_killed_stop(rehearse):
    """Code 1 if SIGKILL was needed, with the reason, and the code that an engine would see."""
    done = rehearse(SHORT, shell(IGNORING))

    assert NOT_GRACEFUL == done.code
    assert (model.KILLED, 137, 0.3) == (
        done.run["verdict"],
        done.run["code"],
        done.run["grace"],
    )
    assert re.search(r"sh \(pid 2\).* SIGTERM", done.run["cause"])
    assert "killed by the engine" in {process["fate"] for process in done.named("sh")}
    assert "SIGKILL" in done.err


def test_progress_and_output_are_shown_while_it_waits(rehearse):
    """On stderr, so that stdout has nothing but the report."""
    done = rehearse(READY, shell("echo hello; echo noise >&2; echo ready; exec sleep 99"))

    assert {"hello", "noise", "ready"} <= set(done.err.splitlines())
    assert "rehearsal: SIGTERM" in done.err
    assert "hello" not in done.out.splitlines()
    assert "SIGTERM" in done.out


def test_signal(rehearse):
    """The stop signal is that of --signal."""
    done = rehearse([*READY, "--signal", "QUIT"], polite("QUIT"))

    assert (GRACEFUL, "SIGQUIT", 0) == (done.code, done.run["signal"], done.run["code"])


def test_ready_port(rehearse, free_port):
    """It is ready when it accepts connections."""
    done = rehearse(["--ready-port", str(free_port)], [*python(LISTENING), str(free_port)])

    assert (GRACEFUL, f"port {free_port}") == (done.code, done.run["ready"])


def test_after(rehearse):
    """It is stopped this long after its start."""
    done = rehearse(["--after", "0.3"], shell("exec sleep 99"))

    assert (GRACEFUL, "running") == (done.code, done.run["ready"])
    assert done.run["booted"] >= 0.3


def test_all_asleep(rehearse):
    """Without an option it is ready when all of its processes sleep."""
    done = rehearse([], shell("sleep 99 & exec sleep 99"))

    assert (GRACEFUL, "all asleep") == (done.code, done.run["ready"])


def test_during_boot(rehearse):
    """It is stopped before it is ready, which it never is."""
    done = rehearse(["--during-boot", "--ready-when", "never"], shell("exec sleep 99"))

    assert (GRACEFUL, "running", 143) == (done.code, done.run["ready"], done.run["code"])
    (child,) = [each for each in done.run["processes"] if each["pid"] == 2]
    assert "sleep 99" in child["command"] or "exec sleep" in child["command"]


def test_twice(rehearse):
    """The signal is sent a second time, half a second later."""
    done = rehearse(["--ready-when=ready", "--grace=0.6", "--twice"], shell(IGNORING))
    first, again, killed = done.run["processes"][0]["marks"]

    assert ["SIGTERM", "SIGTERM", "SIGKILL"] == [each["signal"] for each in (first, again, killed)]
    assert done.run["again"] == again["at"] >= 0.5


def test_expect(rehearse):
    """A code other than the expected one is a failure, even 0."""
    wrong = rehearse([*READY, "--expect", "143"], polite())
    right = rehearse([*READY, "--expect", "143"], shell("echo ready; exec sleep 99"))

    assert (NOT_GRACEFUL, model.FAILED) == (wrong.code, wrong.run["verdict"])
    assert GRACEFUL == right.code


def test_failing_stop(rehearse):
    """A code that means failure is a failure."""
    done = rehearse(READY, shell(f"trap 'exit 3' TERM; {HELPER}"))

    assert (NOT_GRACEFUL, model.FAILED, 3) == (done.code, done.run["verdict"], done.run["code"])


def test_load_that_is_answered(rehearse, tmp_path):
    """A client uses the program during the stop, and its result counts."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # The program answers only when it is asked to stop.
    command = shell(f"trap 'echo answer > {gate}; exit 0' TERM; {HELPER}")
    done = rehearse([*READY, "--load", f"read line < {gate}"], command)

    assert GRACEFUL == done.code
    assert 0 == done.run["load"]["code"]
    assert done.run["load"]["began"] < 0 <= done.run["load"]["ended"]


def test_load_that_is_lost(rehearse, tmp_path):
    """If a client fails after the stop signal, work was lost."""
    over = tmp_path / "over"
    command = shell(f"trap 'touch {over}; exit 0' TERM; {HELPER}")
    client = f"until [ -e {over} ]; do sleep 0.05; done; exit 7"
    done = rehearse([*READY, "--load", client], command)

    assert (NOT_GRACEFUL, model.LOST) == (done.code, done.run["verdict"])
    assert "the load failed with code 7: the program exited without serving it" == done.run["cause"]


def test_load_that_is_killed_counts_as_in_a_shell(rehearse):
    """128 and the number of the signal."""
    done = rehearse([*NO_STOP, "--load", "kill -9 $$"], shell("echo ready; exec sleep 99"))

    assert NOT_REHEARSED == done.code
    assert "the load failed with code 137 before the stop" in done.line


def test_load_that_failed_before(rehearse):
    """Then the stop would show nothing."""
    done = rehearse([*NO_STOP, "--load", "exit 9"], shell("echo ready; exec sleep 99"))

    assert (NOT_REHEARSED, []) == (done.code, done.runs)
    assert done.line.startswith(
        "the load failed with code 9 before the stop: use a load that succeeds"
    )


INITS = ("tini", "dumb-init", "catatonit", "none")


def test_beside_others(rehearse):
    """The same stop under each init; one that exits with its child leaves the helper to SIGKILL."""
    done = rehearse([*READY, "--beside", ",".join(INITS)], shell(JOB))
    verdicts = {run["init"]: run["verdict"] for run in done.runs}
    helpers = {run["init"]: run["processes"][-1]["fate"] for run in done.runs}

    assert GRACEFUL == done.code  # as under the first one
    assert ["pyinit", *INITS] == [run["init"] for run in done.runs]
    assert "asked" == helpers.pop("pyinit")
    assert model.GRACEFUL == verdicts.pop("pyinit")
    # dumb-init signals the session, so it does not leave its helper out.
    assert model.LOST == verdicts["tini"] == verdicts["none"]
    assert "killed with PID 1" == helpers["tini"] == helpers["none"]
    assert [[], ["tini", "--"]] == [run["words"] for run in done.runs if run["init"] in INITS[::3]][
        ::-1
    ]


def test_beside_the_same(rehearse):
    """Each is tried once, even the one that the command begins with."""
    done = rehearse([*READY, "--beside", "tini, tini,pyinit,"], polite())

    assert ["pyinit", "tini"] == [run["init"] for run in done.runs]


def test_beside_one_that_is_no_rehearsal(rehearse):
    """The runs before are reported; code 2 and a line are about the other."""
    lines = "test $$ = 1 && exit 3; echo ready; exec sleep 99"
    done = rehearse([*READY, "--beside", "none"], shell(lines))

    assert NOT_REHEARSED == done.code
    assert done.line.startswith(
        "under none: the command exited with code 3 before it was asked to stop"
    )
    assert ["pyinit"] == [run["init"] for run in done.runs]
    assert done.out.startswith(model.GRACEFUL)


@pytest.mark.parametrize(
    ("line", "init"),
    [
        ("pyinit -g --", "pyinit"),
        (f"{PYINIT} --log-format console -v --", "pyinit"),
        ("tini -g --", "tini"),
        ("docker-init --", "tini"),
        ("dumb-init -r 15:15 --", "dumb-init"),
        ("catatonit --", "catatonit"),
    ],
)
def test_init_of_the_command_is_rehearsed(rehearse, line, init):
    """The init of a command is PID 1, with its options; pyinit logs events nevertheless."""
    done = rehearse(READY, [*line.split(), *polite()])
    first, child, *more = done.run["processes"]

    assert (GRACEFUL, init, line.split()) == (done.code, done.run["init"], done.run["words"])
    assert [] == more
    assert (init == "pyinit") == bool(done.run["events"])
    assert line.split()[0].rpartition("/")[2] in first["command"]
    assert child["command"].startswith(" ".join([*PYTHON, "-c"]))


def test_command_as_pid_1(rehearse):
    """Without an init the kernel drops a signal that has no handler."""
    done = rehearse([*READY[:2], "--grace=2", "--beside=none"], shell("echo ready; exec sleep 99"))

    assert ["pyinit", "none"] == [run["init"] for run in done.runs]
    assert model.KILLED == done.runs[1]["verdict"]
    assert "is PID 1 and has no handler for SIGTERM" in done.runs[1]["cause"]


def test_files(rehearse, tmp_path):
    """Each report is written where it is asked for."""
    options = [f"--{kind}={tmp_path}/{kind}" for kind in ("svg", "html", "junit")]
    rehearse([*READY, *options], shell("echo ready; exec sleep 99"))

    assert (tmp_path / "svg").read_text().lstrip().startswith(("<?xml", "<svg"))
    assert "<html" in (tmp_path / "html").read_text()
    assert "<testsuite" in (tmp_path / "junit").read_text()


def test_file_that_takes_nothing(rehearse):
    """A full disk is reported after the report has been printed."""
    done = rehearse([*READY, "--html=/dev/full"], shell("echo ready; exec sleep 99"))

    assert NOT_REHEARSED == done.code
    assert "--html: /dev/full cannot be written: No space left on device" == done.line
    assert "SIGTERM" in done.out


WITHOUT = {
    "no-stdout": (">&-", GRACEFUL),
    "no-stderr": ("2>&-", GRACEFUL),
    "neither": (">&- 2>&- <&-", GRACEFUL),
    "full-stderr": ("2>/dev/full", GRACEFUL),
    "full-stdout": (">/dev/full", NOT_REHEARSED),
}


@pytest.mark.parametrize(("streams", "code"), WITHOUT.values(), ids=WITHOUT)
def test_streams_that_take_nothing(rehearse, streams, code):
    """They do not change the stop; a report that cannot be written is an error."""
    wrap = ["sh", "-c", f'exec "$@" {streams}', "sh"]
    done = rehearse(READY, shell("echo ready; exec sleep 99"), wrap=wrap)

    assert (code, model.GRACEFUL) == (done.code, done.run["verdict"])
    assert "Traceback" not in done.err
    assert ("2>" not in streams) == ("rehearsal: SIGTERM" in done.err)
    assert (streams in {"2>&-", "2>/dev/full"}) == done.out.startswith(model.GRACEFUL)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_stream_that_nobody_reads_any_more(stream, tmp_path):
    """As with `| head`: the files are written, and the code is that of the stop."""
    reader, writer = os.pipe()
    os.close(reader)
    file = tmp_path / "run.json"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writer}
    line = [REHEARSE, *SHORT, "--json", str(file), "--", *shell(IGNORING)]
    done = subprocess.run(line, check=False, text=True, **streams)
    os.close(writer)

    assert NOT_GRACEFUL == done.returncode
    assert model.KILLED == json.loads(file.read_text())["runs"][0]["verdict"]
    assert "Traceback" not in f"{done.stdout}{done.stderr}"


def test_stream_without_signs_for_a_drawing(rehearse):
    """The report keeps its columns."""
    done = rehearse(READY, polite(), env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert GRACEFUL == done.code
    assert "? SIGTERM" in done.out


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)],
)
def test_colours(variables, is_coloured):
    """If the terminal has colours, and the user wants them."""
    terminal, other_end = os.openpty()
    environment = {name: word for name, word in os.environ.items() if name != "NO_COLOR"}
    line = [REHEARSE, *READY, "--", *polite()]
    done = subprocess.run(
        line, check=True, stdout=other_end, stderr=subprocess.PIPE, env=environment | variables
    )
    os.close(other_end)
    text = os.read(terminal, 65536)
    os.close(terminal)

    assert text, done.stderr
    assert is_coloured == (b"\x1b[" in text)


def test_options_behind_the_command_are_its_own():
    """As with pyinit; `--` before it is allowed."""
    line = [REHEARSE, *READY, *shell('echo "$@"; echo ready; exec sleep 99'), "sh", "-V", "--", "x"]
    done = subprocess.run(line, check=False, capture_output=True, text=True)

    assert GRACEFUL == done.returncode
    assert "-V -- x" in done.stderr.splitlines()


def test_version_and_help():
    """Both on stdout."""
    done = subprocess.run([REHEARSE, "-V"], check=True, capture_output=True, text=True)
    module = [sys.executable, "-m", "pyinit.rehearse", "--help"]
    page = subprocess.run(module, check=True, capture_output=True, text=True).stdout

    assert f"pyinit-rehearse {__version__}\n" == done.stdout
    assert page.startswith("usage: pyinit-rehearse [OPTION]... -- COMMAND [ARG]...")
    assert "Exit code: 0 if the stop was graceful, 1 if it was not, 2 if" in page


WRONG = {
    "no-command": ([], [], "no command was given: write pyinit-rehearse [OPTION]... -- COMMAND"),
    "option": (["--bogus"], ["true"], "unrecognized arguments: --bogus"),
    "abbreviation": (["--during"], ["true"], "unrecognized arguments: --during"),
    "signal": (
        ["--signal=NOPE"],
        ["true"],
        "expected a signal other than KILL, such as TERM or SIGQUIT, not 'NOPE'",
    ),
    "kill": (["--signal=KILL"], ["true"], "argument --signal: expected a signal other than KILL"),
    "grace": (
        ["--grace=x"],
        ["true"],
        "argument --grace: expected a number of seconds without a unit",
    ),
    "negative": (["--grace=-1"], ["true"], "such as 5 or 0.5, not '-1'"),
    "endless": (["--after=inf"], ["true"], "such as 5 or 0.5, not 'inf'"),
    "nan": (["--ready-within=nan"], ["true"], "such as 5 or 0.5, not 'nan'"),
    "port": (
        ["--ready-port=65536"],
        ["true"],
        "argument --ready-port: expected a port from 1 to 65535",
    ),
    "port-0": (["--ready-port=0"], ["true"], "expected a port from 1 to 65535, not '0'"),
    "code": (["--expect=256"], ["true"], "expected an exit code from 0 to 255, not '256'"),
    "init": (
        ["--beside=init"],
        ["true"],
        "--beside: 'init' is not a known init: choose from pyinit, tini",
    ),
    "program": ([], ["/nowhere/app"], "/nowhere/app cannot be run: it is not in PATH"),
    "directory": ([], ["/"], "/ cannot be run: it is not in PATH, or not executable"),
    "empty": ([], [""], "expected a command to rehearse"),
    "inits-option": ([], ["pyinit", "--bogus", "app"], "'--bogus' is not an option of pyinit"),
    "inits-page": ([], ["pyinit", "--help"], "pyinit --help runs no command, so there is nothing"),
    "inits-command": ([], ["tini", "-g", "--"], "tini -g -- runs no command"),
    "ended": ([], ["true"], "the command exited with code 0 before it was asked to stop"),
    "failed": ([], shell("exit 3"), "the command exited with code 3 before it was asked to stop"),
    "crashed": ([], shell("kill -9 $$"), "the command exited with code 137 before it was asked"),
    "daemon": (
        ["--ready-when=never"],
        shell("sleep 99 & sleep 98 & sleep 0.3"),
        "the command exited with code 0 before it was asked to stop and left 2 behind, as daemons",
    ),
    "file": (
        ["--svg=/nowhere/x.svg"],
        ["true"],
        "--svg: /nowhere/x.svg cannot be written",
    ),
    "folder": (["--html=/tmp"], ["true"], "--html: /tmp cannot be written"),
    "same-file": (
        ["--junit=/dev/null", "--html=/dev/../dev/null"],
        ["true"],
        "--html and --json and --junit: each needs a file of its own",
    ),
    "never-ready": (
        ["--ready-when=never", "--ready-within=0.2"],
        ["sleep", "99"],
        (
            "the command was not ready within 0.2 s (expected: 'never' in its output): tell when "
            "it is ready with --ready-when, --ready-port or --after, or wait longer with "
            "--ready-within"
        ),
    ),
    "never-asleep": (
        ["--ready-within=0.2"],
        shell("while :; do :; done"),
        "the command was not ready within 0.2 s (expected: all of its processes asleep)",
    ),
}


@pytest.mark.parametrize(("options", "command", "expected"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_rehearsed(rehearse, options, command, expected):
    """Code 2, and one line that says why, and what to do."""
    done = rehearse(options, command)

    assert (NOT_REHEARSED, "", []) == (done.code, done.out, done.runs)
    assert done.line.startswith(expected) or expected in done.line
    assert "Traceback" not in done.err


def test_ci_is_told_why_it_could_not_be_rehearsed(rehearse, tmp_path):
    """A missing file, or one without a test, would look like a success."""
    file = tmp_path / "junit.xml"
    done = rehearse([f"--junit={file}"], ["sh", "-c", "exit 3"])
    (suite,) = ET.parse(file).getroot()
    (case,) = suite

    assert NOT_REHEARSED == done.code
    assert ("1", "1", "0") == tuple(suite.get(name) for name in ("tests", "errors", "failures"))
    assert "sh -c 'exit 3'" == case.get("name")
    assert done.line == case.find("error").get("message")


@pytest.mark.parametrize("name", ["unshare", "setpriv"])
def test_programs_of_busybox(rehearse, tmp_path, name):
    """They lack options that this needs."""
    (tmp_path / name).symlink_to(shutil.which("busybox"))
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = rehearse([], ["sleep", "99"], env={**os.environ, "PATH": path})

    assert NOT_REHEARSED == done.code
    assert done.line.startswith("unshare or setpriv lacks an option: install util-linux 2.36")


def test_where_proc_tells_of_other_processes(rehearse):
    """It could not see the processes, and would wait for ever."""
    wrap = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--"]
    done = rehearse([], ["sleep", "99"], wrap=wrap)

    assert NOT_REHEARSED == done.code
    assert done.line.startswith(
        "/proc is missing, or shows another PID namespace: run mount -t proc"
    )


def test_folder_that_is_deleted(rehearse, tmp_path):
    """The command runs there nevertheless."""
    (tmp_path / "folder").mkdir()
    wrap = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh"]
    done = rehearse(READY, polite(), wrap=wrap, cwd=tmp_path / "folder")

    assert GRACEFUL == done.code, done.err


def test_port_that_is_in_use(rehearse):
    """The program that listens there would be taken for the command."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = rehearse([f"--ready-port={port}"], ["sleep", "99"])

    assert NOT_REHEARSED == done.code
    assert done.line.startswith(f"port {port} is already in use")


def test_init_that_cannot_be_run(rehearse, tmp_path):
    """It exists and is executable, but the kernel refuses it."""
    (tmp_path / "pyinit").write_text("#!/nowhere/python\n")
    (tmp_path / "pyinit").chmod(0o755)
    done = rehearse([], [str(tmp_path / "pyinit"), "--", "true"])

    assert NOT_REHEARSED == done.code
    assert done.line.startswith(f"the init cannot be run ({tmp_path}/pyinit: No such file")


def test_command_that_is_not_executable_in_there(rehearse, tmp_path):
    """It says why."""
    (tmp_path / "app").write_text("#!/nowhere/python\n")
    (tmp_path / "app").chmod(0o755)
    done = rehearse([], [str(tmp_path / "app")])

    assert NOT_REHEARSED == done.code
    assert re.match(f"the command cannot be run: '{tmp_path}/app: .*not found'", done.line)


NONE_LEFT = "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --inh-caps=-all "
NONE_LEFT += '--ambient-caps=-all "$@"'
FORBIDDEN = {
    "no-user-namespaces": [*AS_USER[:-1], "--keep-caps", "--", "sh", "-c", NONE_LEFT, "-"],
    "no-capability": ["unshare", *USER, "--", "setpriv", "--bounding-set=-sys_admin"],
}


@pytest.mark.parametrize("wrap", FORBIDDEN.values(), ids=FORBIDDEN)
def test_where_no_namespace_may_be_made(rehearse, wrap):
    """It says so in one line, with what would help."""
    done = rehearse([], ["sleep", "99"], wrap=wrap)

    assert (NOT_REHEARSED, "") == (done.code, done.out)
    assert re.match(
        r"no namespaces can be created here \(unshare: .*\): run pyinit-rehearse as root, or",
        done.line,
    )


def test_without_root(rehearse):
    """Any user can rehearse: in a user namespace, in which the command keeps its user."""
    command = shell(f"echo uid $(id -u); {JOB}")
    done = rehearse([*READY, "--beside", "none"], command, wrap=AS_USER)

    assert (GRACEFUL, [model.GRACEFUL, model.LOST]) == (
        done.code,
        [run["verdict"] for run in done.runs],
    )
    assert "uid 1000" in done.run["output"]
    assert "asked" == done.run["processes"][-1]["fate"]


@pytest.fixture
def held(tmp_path):
    """Return a command whose processes hold a pipe, and the end that is read to wait for them."""
    path = tmp_path / "held"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield shell(f"exec 9> {path}; sleep 99 & setsid sleep 99 & {IGNORING}"), reader
    os.close(reader)


def begun(line) -> subprocess.Popen:
    """Start a rehearsal and wait until its command is ready."""
    one = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    while b"rehearsal: SIGTERM" not in one.stderr.readline():
        pass
    return one


@pytest.mark.parametrize("wrap", [(), AS_USER], ids=["here", "user"])
@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, INTERRUPTED), (signal.SIGKILL, -9), (signal.SIGTERM, 128 + 15)],
    ids=["INT", "KILL", "TERM"],
)
def test_nothing_is_left_of_one_that_is_broken_off(held, tmp_path, wrap, signum, code):
    """However it ends, everything that it has started ends as well, with the load."""
    command, reader = held
    load = f"--load=exec 9> {tmp_path}/held; exec sleep 99"
    one = begun([*wrap, REHEARSE, "--ready-when=ready", "--grace=90", load, "--", *command])
    with one:
        one.send_signal(signum)
        while one.stderr.read(4096):
            pass

    assert code == one.returncode
    assert b"" == os.read(reader, 1)  # no process has it open any more


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_the_load_either(held, signum):
    """It is outside the container, but ends with the rehearsal."""
    (_, _, lines), reader = held
    load = lines.partition(";")[0]
    one = begun([REHEARSE, *READY[:2], "--grace=90", f"--load={load}; sleep 99", *shell(IGNORING)])
    with one:
        one.send_signal(signum)
        while one.stderr.read(4096):
            pass

    assert 128 + signum == one.returncode
    assert b"" == os.read(reader, 1)


def test_asked_to_hang_up_where_that_is_ignored(held):
    """Under nohup it continues."""
    command, _ = held
    line = ["nohup", REHEARSE, *SHORT, "--", *command]
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as one:
        while b"rehearsal: ready" not in one.stderr.readline():
            pass
        one.send_signal(signal.SIGHUP)
        one.stderr.read()

    assert NOT_GRACEFUL == one.returncode


def test_nothing_is_left_where_it_is_broken_off_before_it_is_ready(held):
    """As above, while it waits."""
    command, reader = held
    line = [REHEARSE, "--ready-when=never", "--", *command]
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as one:
        while b"ready\n" != one.stderr.readline():
            pass
        one.send_signal(signal.SIGINT)
        one.stderr.read()

    assert INTERRUPTED == one.returncode
    assert b"" == os.read(reader, 1)


def test_nothing_is_left_of_one_that_is_never_ready(held, rehearse):
    """A command that does not become ready is killed, with all its processes."""
    command, reader = held
    done = rehearse(["--ready-when=never", "--ready-within=0.2"], command)

    assert NOT_REHEARSED == done.code
    assert b"" == os.read(reader, 1)


LEAVING = """
import os, socket, subprocess, sys
place = sys.argv[2]
subprocess.run(["ipcmk", "-M", "4096"], check=True, stdout=subprocess.DEVNULL)
for path in ("/dev/shm/left", f"{place}/app.pid"):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
log = open(f"{place}/log", "w")
log.write("a line")
log.flush()
server = socket.socket(socket.AF_UNIX)
server.bind(f"{place}/s")
server.listen()
"""


def test_what_outlives_it(rehearse, folder):
    """Shared memory of both kinds, a PID file, a socket; a file does not count."""
    line = [*python(LEAVING + POLITE), "TERM", str(folder)]
    done = rehearse(READY, line, env={**os.environ, "TMPDIR": str(folder)})

    assert (NOT_GRACEFUL, model.UNTIDY) == (done.code, done.run["verdict"])
    assert {
        ("System V shared memory", "4,096 bytes", True),
        ("POSIX shared memory", "1 bytes", True),
        ("PID file", "the next start may think that the program still runs", True),
        ("socket", "the next start may fail: address already in use", True),
        ("file", "6 bytes", False),
    } == {(leak["kind"], leak["detail"], leak["counts"]) for leak in done.run["leaks"]}
    assert not Path("/dev/shm/left").exists()


HELPERS = """
import os, signal, sys
for _ in range(200):
    if os.fork() == 0:
        signal.pause()
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_two_hundred_helpers(rehearse):
    """Each of them is seen, and asked to stop."""
    done = rehearse(READY, python(HELPERS))
    helpers = [each for each in done.run["processes"] if each["parent"] == 2]

    assert GRACEFUL == done.code
    assert 200 == len(helpers)
    assert {("asked", "SIGTERM", True)} == {
        (each["fate"], each["signal"], each["is_left"]) for each in helpers
    }


LIMITED = ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh"]


def test_more_processes_than_files(rehearse, tmp_path):
    """It may open more files to watch them, but its children as few as before."""
    limit = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE)[:1])"
    load = f"ulimit -n > {tmp_path}/limit; sleep 99 & exit 0"
    done = rehearse([*READY, "--load", load], python(limit + HELPERS), wrap=LIMITED)

    assert GRACEFUL == done.code
    assert 202 == len(done.run["processes"])
    assert "100" in done.run["output"]
    assert "100\n" == (tmp_path / "limit").read_text()


def test_more_processes_than_may_be_watched(rehearse):
    """It says so, because it could not report all of them."""
    wrap = [*LIMITED[:2], LIMITED[2].replace("-S", ""), "sh"]
    done = rehearse(READY, python(HELPERS), wrap=wrap)

    assert NOT_REHEARSED == done.code
    assert done.line.startswith("the command has more processes than can be watched, one open file")


def test_command_that_forks_fast(rehearse):
    """Processes that live too short to be seen do no harm."""
    lines = "trap 'exit 0' TERM; echo ready; while :; do /bin/true; done"
    done = rehearse(READY, shell(lines))

    assert (GRACEFUL, 0) == (done.code, done.run["code"])
    assert len(done.run["processes"]) >= 2


def test_output_without_end(rehearse):
    """It is read all the time, and ends with its command."""
    done = rehearse(["--ready-when", "y", "--grace", "20"], ["yes"])

    assert (GRACEFUL, 143) == (done.code, done.run["code"])
    assert {"y"} == set(done.run["output"])


def test_output_as_it_stops(rehearse):
    """More than a pipe holds, during the stop: it is read then as well."""
    # Not print, which may be busy with the line before.
    written = "(os.write(1, b'x' * (1 << 20)), sys.exit())"
    lines = "import os;" + POLITE.replace("sys.exit()", written)
    done = rehearse(READY, [*python(lines), "TERM"])

    assert (GRACEFUL, 0) == (done.code, done.run["code"])
    assert 1 << 20 == len("".join(done.run["output"]).replace("ready", ""))


def test_binary_output(rehearse):
    """Bytes of all kinds, which are not text, do no harm."""
    lines = "import os; os.write(1, bytes(range(256)) * 9 + b'\\nready\\n');" + POLITE
    done = rehearse(READY, [*python(lines), "TERM"])

    assert GRACEFUL == done.code
    assert "ready" in done.run["output"]


def test_line_of_ten_million_bytes(rehearse):
    """The line is cut, and costs no more than others."""
    lines = "import sys; sys.stdout.write('x' * 10_000_000);" + POLITE
    done = rehearse(READY, [*python(lines), "TERM"])

    assert GRACEFUL == done.code
    assert done.err.count("x") >= 10_000_000
    assert len(done.run["output"]) <= 50


def test_command_that_closes_its_output(rehearse):
    """This is not its end."""
    done = rehearse([], shell("exec >&- 2>&-; exec sleep 99"))

    assert (GRACEFUL, 143) == (done.code, done.run["code"])


def test_what_the_command_writes_where_pyinit_does(rehearse):
    """It may look like an event, and is ignored if it is none of pyinit's."""
    lines = """
echo '{"event": 1, "timestamp": "2026-01-01T00:00:00Z"}' > /proc/1/fd/2
echo '{"message": "hello"}' > /proc/1/fd/2
echo '{"event": "hello", "timestamp": "today"}' > /proc/1/fd/2
echo '{"event": "signal_forwarded", "timestamp": "2026-01-01T00:00:00Z"}' > /proc/1/fd/2
echo '{"event": ["hello"], "timestamp": "2026-01-01T00:00:00Z"}' > /proc/1/fd/2
echo '{"event": "hello", "pid": [2], "timestamp": "2026-01-01T00:00:00Z"}' > /proc/1/fd/2
echo ready
exec sleep 99
"""
    done = rehearse(READY, shell(lines))

    assert GRACEFUL == done.code, done.err
    assert "hello" not in str(done.run["events"])


UNWATCHED = """
import os, signal, sys, time

def stop(*_):
    os.close(os.open(sys.argv[1], os.O_RDONLY))
    time.sleep(1.5)
    sys.exit()

signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_rehearsal_that_is_stopped_itself(tmp_path):
    """As by ^Z: the report says for how long no end could be seen, and names no grace period."""
    file, fifo = tmp_path / "run.json", tmp_path / "go"
    os.mkfifo(fifo)
    line = [REHEARSE, *READY, "--json", str(file), "--", *python(UNWATCHED), str(fifo)]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"rehearsal: SIGTERM\n" in iter(process.stderr.readline, b"")
        process.send_signal(signal.SIGSTOP)
        assert until(lambda: state(process.pid) == "T")
        fifo.write_text("")
        assert until(lambda: [state(pid) for pid in children(process.pid)] == ["Z"])
        process.send_signal(signal.SIGCONT)
        process.stderr.read()
    [run] = json.loads(file.read_text())["runs"]

    assert GRACEFUL == process.returncode
    assert 1 < run["unwatched"] <= run["seconds"]
    assert "pyinit-rehearse itself did not run for the last" in run["cause"]
    assert run["enough"] is None


def test_hostile_names(rehearse):
    """No name changes the terminal on which the report is read."""
    hostile = "a\n\x1b[7m\u202e</text>"
    lines = "import sys; open('/proc/self/comm', 'w').write(sys.argv[2]);" + POLITE
    done = rehearse(READY, [*python(lines), "TERM", hostile])

    assert GRACEFUL == done.code
    assert hostile[:5] in {each["name"][:5] for each in done.run["processes"]}
    assert all(line.isprintable() for line in done.out.splitlines()), done.out


def test_exec_of_the_same_program(rehearse):
    """The report has the new command, although the name is the same."""
    done = rehearse(READY, shell("exec sh -c 'echo ready; sleep 99 & wait' again"))
    child = done.run["processes"][1]

    assert child["command"].startswith("sh -c echo ready")
    assert 2 == child["pid"]


def test_program_without_any_words(rehearse, tmp_path):
    """A command line may be empty."""
    os.mkfifo(tmp_path / "gate")
    lines = f"exec 0<> {tmp_path}/gate; exec -a '' cat"
    done = rehearse([], ["bash", "-c", lines])

    assert (GRACEFUL, "") == (done.code, done.run["processes"][1]["command"])


ZOMBIE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
if os.fork() == 0:
    os._exit(3)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_zombie_is_one_process(rehearse):
    """A zombie that its parent does not reap is not seen as new at each look."""
    done = rehearse([*READY, "--after", "0.3"], python(ZOMBIE))

    assert GRACEFUL == done.code
    assert len(done.run["processes"]) <= 3


# The tests below run in this process, and can look at the parts while they work.


@pytest.fixture
def contain():
    """Start a container; it is killed at the end."""
    opened = []

    def contain_one(command, **plan) -> Container:
        show = plan.pop("show", lambda _: None)
        asked = Plan(tuple(command), **{"grace": 20.0, "ready_when": "ready"} | plan)
        one = Container(asked, *split(asked.command, asked.grace), show=show)
        opened.append(one)
        one.start()
        return one

    yield contain_one
    for one in opened:
        one.close()
        one.close()  # once more does no harm


def ready(one: Container) -> Container:
    one.wait_until_ready()
    return one


def test_stopped_once_told_twice(contain):
    """A second look at the same stop has the same result."""
    one = ready(contain(shell("echo ready; exec sleep 99")))
    first = one.stop()
    was = first.as_json()

    assert one.stop() is first
    assert was == first.as_json()


def test_pipe_that_another_process_holds(contain, monkeypatch):
    """If a process outside holds the output open, it is not waited for."""
    monkeypatch.setattr(container, "AFTERWARDS_SECONDS", 0.1)
    one = ready(contain(shell("echo ready; exec sleep 99")))
    child = one._census.seen[1].outer
    with open(f"/proc/{child}/fd/1", "w"):
        run = one.stop()

    assert run.is_graceful


def test_ended_before_it_is_stopped(contain, tmp_path):
    """It was ready, and then exited by itself."""
    os.mkfifo(tmp_path / "gate")
    one = ready(contain(shell(f"echo ready; read line < {tmp_path}/gate; exit 4")))
    (tmp_path / "gate").write_text("\n")
    assert until(lambda: not one._thread.is_alive())

    with pytest.raises(NotRehearsedError, match="exited with code 4 before it was asked") as failed:
        one.stop()
    assert ["ready"] == failed.value.output


def test_started_by_a_thread_that_has_ended(contain):
    """It runs as long as its rehearsal, not as long as the thread that asked for it."""
    made = []
    thread = threading.Thread(
        target=lambda: made.append(ready(contain(shell("echo ready; exec sleep 99"))))
    )
    thread.start()
    thread.join()

    assert made[0].stop().is_graceful


def test_directory_that_is_not_there(contain):
    """One line says so."""
    one = contain(["true"], directory="/nowhere")
    with pytest.raises(NotRehearsedError, match=r"cannot be started: .*: /nowhere"):
        one.wait_until_ready()


def test_environment_and_directory(contain, tmp_path):
    """The command has the environment and directory of the plan."""
    environment = {"PATH": os.environ["PATH"], "WORD": "word"}
    lines = "echo $WORD; pwd; echo ready; exec sleep 99"
    one = contain(shell(lines), environment=environment, directory=str(tmp_path))

    assert ["word", str(tmp_path), "ready"] == ready(one).stop().output


def test_command_that_is_not_there_in_its_own_path(contain):
    """The command may only be found there."""
    one = contain(["nowhere"], environment={"PATH": "/usr/bin:/bin"})

    with pytest.raises(NotRehearsedError, match="cannot be run: 'nowhere: not found'"):
        one.wait_until_ready()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_of_its_own_is_told(contain):
    """It does not hang, and nothing is left."""

    def fail(_line):
        raise ZeroDivisionError

    one = contain(shell("echo ready; exec sleep 99"), show=fail)

    with pytest.raises(NotRehearsedError, match="this is a bug in pyinit-rehearse: ZeroDivision"):
        one.wait_until_ready()
    assert "" == state(one._stage.pid)


TWICE = """
import os, signal, sys
left = [signal.SIGTERM, signal.SIGTERM]
def count(*_):
    left.pop()
    os.write(1, b"asked\\n")  # print may be busy with the line before
    if not left:
        sys.exit()
signal.signal(signal.SIGTERM, count)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def contain_twice(contain, monkeypatch):
    """Start a container that is sent its second signal when the first one has arrived.

    A signal that is sent while the one before is still pending is lost. The time between the two is
    only for users.
    """
    usual = container.AGAIN_SECONDS
    monkeypatch.setattr(container, "AGAIN_SECONDS", float("inf"))

    def show(line) -> None:
        if line == "asked":
            monkeypatch.setattr(container, "AGAIN_SECONDS", usual)

    return partial(contain, twice=True, show=show)


def test_asked_twice(contain_twice):
    """The second signal arrives as well."""
    run = ready(contain_twice(python(TWICE))).stop()

    assert run.is_graceful
    assert ["ready", "asked", "asked"] == run.output
    assert run.again >= 0.5
    assert 2 == len(run.processes[0].marks)


FATAL_THE_SECOND_TIME = """
import os, signal
def take(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.write(1, b"asked\\n")
    while True:
        signal.pause()
signal.signal(signal.SIGTERM, take)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_second_signal_that_cuts_the_cleaning_short(contain_twice, monkeypatch):
    """A handler that works only once is reported."""
    monkeypatch.setattr(verdict, "AT_ONCE", 60.0)  # for a busy machine
    run = ready(contain_twice(python(FATAL_THE_SECOND_TIME))).stop()

    assert model.LOST == run.verdict
    assert run.cause.startswith("the second SIGTERM killed python3")


def test_load_that_still_waits(contain, monkeypatch):
    """A client that still waits for an answer at the end is not waited for."""
    monkeypatch.setattr(client, "LAST_SECONDS", 0.1)
    run = ready(contain(shell("echo ready; exec sleep 99"), load="sleep 99")).stop()

    assert (model.LOST, None, None) == (run.verdict, run.load.code, run.load.ended)
    assert "still waiting" in run.cause


def test_kernel_that_tells_no_status(contain, monkeypatch):
    """Before Linux 6.15, the events of pyinit must do."""
    monkeypatch.setattr("pyinit.rehearse.census.GET_INFO", 0)
    run = ready(contain(shell(JOB))).stop()

    assert run.is_graceful
    assert [("ended", 0), ("asked", None)] == [(each.fate, each.code) for each in run.processes[1:]]


def test_interrupted_before_anything_runs(monkeypatch, capsys):
    """^C gives code 130 and no traceback, whenever it comes."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "rehearse", interrupt)

    assert INTERRUPTED == cli.main(["--", "true"])
    assert "" == capsys.readouterr().err


def test_picture_without_what_draws_it(monkeypatch, capsys):
    """It is reported before anything runs, with what to install."""
    monkeypatch.setattr(cli, "find_spec", lambda _: None)

    assert NOT_REHEARSED == cli.main(["--svg", "x.svg", "--", "true"])
    assert "need drawsvg, which is missing: pip install drawsvg" in capsys.readouterr().err
    assert not Path("x.svg").exists()
