"""`pyinit-launcher` writes a command that starts isolated and with its signals blocked."""

import marshal
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from testkit.namespaces import UNSHARE
from testkit.processes import status_of
from testkit.programs import PYINIT, victim
from testkit.signalsets import FORWARDED, OF_C_LIBRARY, signal_set

import pyinit

WRITER = f"{PYINIT}-launcher"
HOSTILE = "raise SystemExit('a module of the workload')\n"


def write(path: object, **environment: str) -> subprocess.CompletedProcess:
    """Run the pyinit-launcher that is tested."""
    how = {"env": {**os.environ, **environment}, "capture_output": True, "text": True}
    return subprocess.run([WRITER, str(path)], check=False, **how)


def first_line(path: object) -> str:
    """Return the #! line."""
    with open(str(path), encoding="utf-8") as file:
        return file.readline()


@pytest.fixture(scope="module")
def launcher():
    """Return a launcher that blocks signals before Python starts, and runs bytecode."""
    with tempfile.TemporaryDirectory(prefix="") as folder:
        path = f"{folder}/pyinit"
        done = write(path)
        assert (0, "") == (done.returncode, done.stderr)
        assert f"{path}.run.pyc" == first_line(path).split()[-1]
        yield path


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Return one whose path is too long for that of the bytecode in the #! line."""
    folder = tmp_path_factory.mktemp("in-a-folder-that-has-a-name-which-is-" + 60 * "x")
    done = write(folder / "pyinit")
    assert (0, "") == (done.returncode, done.stderr)
    assert first_line(folder / "pyinit").endswith(" -ISXutf8\n")
    assert ["pyinit"] == os.listdir(folder)
    return str(folder / "pyinit")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Return one for the env(1) of busybox, as on Alpine, which cannot block signals."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "env").symlink_to(shutil.which("busybox"))
    done = write(folder / "pyinit", PATH=f"{folder}:{os.environ['PATH']}")
    assert 0 == done.returncode
    assert "no env with -S --block-signal here" in done.stderr
    return str(folder / "pyinit")


@pytest.fixture(params=["launcher", "script", "plain"])
def either(request):
    """Return each of them in turn."""
    return request.getfixturevalue(request.param)


def run(launcher: str, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a launcher as PID 1 to its end."""
    how = {"env": {**os.environ, **environment}, "capture_output": True, "text": True}
    return subprocess.run([*UNSHARE, launcher, *words], check=False, **how)


def test_it_does_what_pyinit_does(either):
    """Code, streams and options are those of the command that pip installs."""
    done = run(either, "-v", "-e", "3", "--", "sh", "-c", "echo out; exit 3")

    assert (0, "out\n") == (done.returncode, done.stdout)
    assert '"event": "child_exited"' in done.stderr
    assert f"pyinit {pyinit.__version__}\n" == run(either, "--version").stdout


def test_the_child_gets_an_empty_mask(either):
    """Signals that env has blocked are not blocked in the child, and none is ignored."""
    fields = status_of(run(either, "--", "cat", "/proc/self/status").stdout)

    assert not signal_set(fields["SigBlk"])
    assert signal_set(fields["SigIgn"]) <= OF_C_LIBRARY  # posix_spawn(3) leaves these ignored


def test_child_below_the_launcher_blocks_nothing(launcher):
    """env(1) has blocked all signals, so the mask of the caller is not known."""
    command = ["env", "--block-signal=USR1", *UNSHARE, launcher, "--", "cat", "/proc/self/status"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert not signal_set(status_of(done.stdout)["SigBlk"])


def test_plain_one_hands_on_the_mask_it_got(plain):
    """If env(1) has not blocked signals, the child gets the mask of the caller."""
    command = ["env", "--block-signal=USR1", *UNSHARE, plain, "--", "cat", "/proc/self/status"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert 1 << signal.SIGUSR1 - 1 == int(status_of(done.stdout)["SigBlk"], 16)


def test_nothing_is_searched_for(launcher, tmp_path):
    """pyinit opens the two files beside the command, and no module."""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=openat,open", *UNSHARE]
    subprocess.run([*command, launcher, "--", "true"], check=True, capture_output=True)
    opened = re.findall(r'"([^"]*(?:pyinit|site-packages)[^"]*)"', trace.read_text())

    assert {f"{launcher}.run.pyc", f"{launcher}.rest"} == set(opened)


def test_it_is_called_pyinit(either):
    """The process name of PID 1 is pyinit, not Python."""
    assert "pyinit\n" == run(either, "--", "cat", "/proc/1/comm").stdout


def test_signals_are_blocked_before_python_boots(launcher, tmp_path):
    """env blocks all signals, and execs the interpreter with them blocked."""
    # In a file for each process: unshare(1) may change its own mask at the same time.
    options = ["-ff", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=rt_sigprocmask,execve"]
    command = ["strace", *options, *UNSHARE, launcher, "--", "true"]
    subprocess.run(command, check=True, capture_output=True)
    traces = [path.read_text() for path in tmp_path.glob("trace.*")]
    (trace,) = (trace for trace in traces if f'execve("{launcher}"' in trace)
    lines = trace.splitlines()
    begun, booted = (
        next(n for n, line in enumerate(lines) if re.search(rf"execve\({word}.*= 0", line))
        for word in (f'"{launcher}"', f'"{os.path.realpath(sys.executable)}"')
    )
    masks = [line for line in lines[begun:booted] if "rt_sigprocmask(SIG_" in line]

    assert re.search(r"SIG_(SETMASK|BLOCK), ~\[(KILL STOP )?RTMIN RT_1", masks[-1]), masks


@pytest.mark.parametrize(
    "variable",
    [
        "PYTHONHOME=/nowhere",
        "PYTHONEXECUTABLE=nothing",
        "PYTHONINSPECT=1",
        "PYTHONWARNINGS=error",
        "PYTHONMALLOC=debug",
        "PYTHONDEVMODE=1",
        "PYTHONSTARTUP=/nowhere",
        "PYTHONVERBOSE=1",
        "PYTHONPROFILEIMPORTTIME=1",
        "PYTHONUTF8=0",
    ],
)
def test_variable_of_the_workload_reaches_it_alone(either, variable):
    """The child gets the variable unchanged, and it has no effect on pyinit."""
    name, _, value = variable.partition("=")
    done = run(either, "-v", "--", "sh", "-c", f'echo "${name}"', **{name: value})

    assert (0, f"{value}\n") == (done.returncode, done.stdout)
    assert 2 == len(done.stderr.splitlines()), done.stderr


def test_modules_of_the_workload_stay_out(either, tmp_path):
    """Modules in PYTHONPATH with names of the standard library have no effect on pyinit."""
    for name in ("logging", "queue", "os", "structlog", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    done = run(either, "-v", "--", "sh", "-c", 'echo "$PYTHONPATH"', PYTHONPATH=str(tmp_path))

    assert (0, f"{tmp_path}\n") == (done.returncode, done.stdout)
    assert "structlog_unavailable" not in done.stderr
    assert "a module of the workload" not in done.stderr


def test_working_directory_stays_out(either, tmp_path):
    """Modules in the working directory, or beside the script, have no effect either."""
    for folder in (tmp_path, Path(either).parent):
        (folder / "json.py").write_text(HOSTILE)
    command = [*UNSHARE, either, "-v", "--", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    assert 0 == done.returncode
    assert "a module of the workload" not in done.stderr
    assert "structlog_unavailable" not in done.stderr


def test_every_signal_is_forwarded(either, start, monkeypatch):
    """A signal that is blocked from the beginning is forwarded."""
    monkeypatch.setattr("testkit.programs.PYINIT", either)
    child = start(command=victim("listener"))
    child.ready()
    for signum in FORWARDED:
        child.send(signum)

        assert f"got {signum}" == child.line()


def test_off_pid1_python_prctl_is_found(either):
    """If prctl is needed, it is loaded from the folder that the command names."""
    command = [either, "-v", "--", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert 0 == done.returncode
    assert '"event": "not_pid1"' in done.stderr
    assert '"subreaper": true' in done.stderr


def test_it_is_written_without_python_prctl(sabotage, tmp_path):
    """Without python-prctl, as in an image without a compiler, pyinit-launcher works too."""
    _env, variable = sabotage("import sys; sys.modules['prctl'] = None\n")
    name, _, value = variable.partition("=")
    done = write(tmp_path / "pyinit", **{name: value})

    assert (0, "") == (done.returncode, done.stderr)


@pytest.fixture
def short():
    """Return a folder whose path leaves room in a #! line."""
    with tempfile.TemporaryDirectory(prefix="") as folder:
        yield Path(folder)


def test_it_may_be_written_over_itself(short):
    """After an upgrade the command can be written again, also over the one that pip wrote."""
    path = short / "pyinit"
    path.write_text(Path(PYINIT).read_text())
    codes = [write(path).returncode for _ in range(2)]
    modes = {each.name: each.stat().st_mode & 0o777 for each in short.iterdir()}

    assert [0, 0] == codes
    assert {"pyinit": 0o755, "pyinit.run.pyc": 0o644, "pyinit.rest": 0o644} == modes


def test_it_may_be_written_again_beside_the_writer(short):
    """pyinit-launcher does not import bytecode that it wrote into its own folder."""
    writer = shutil.copy(WRITER, f"{short}/pyinit-launcher")
    for _ in range(2):
        done = subprocess.run([writer, f"{short}/pyinit"], capture_output=True, check=False)
        assert (0, b"") == (done.returncode, done.stderr)

    assert os.path.exists(f"{short}/pyinit.run.pyc")


def test_what_is_beside_it_is_no_module(short):
    """A script in the same folder, such as pytest, gets the package when it imports pyinit."""
    assert 0 == write(short / "pyinit").returncode
    script = short / "script"
    script.write_text("import pyinit.rehearse.plugin as plugin; print(plugin.__file__)")
    line = [sys.executable, script]
    told = subprocess.run(line, capture_output=True, check=True, text=True).stdout

    assert f"{Path(pyinit.__file__).parent}/rehearse/plugin.py\n" == told


def test_what_is_not_needed_any_more_is_removed(short):
    """If env(1) can no longer block signals, the new script does without bytecode."""
    assert [0, 0] == [write(short / "pyinit", **how).returncode for how in ({}, {"PATH": "/no"})]
    assert [short / "pyinit"] == list(short.iterdir())


@pytest.mark.parametrize("suffix", [".run.pyc", ".rest"])
@pytest.mark.parametrize("content", [b"", b"a file of somebody else's"])
def test_file_beside_it_that_is_another_ones_is_kept(short, suffix, content):
    """pyinit-launcher does not overwrite a foreign file beside the command."""
    other = short / f"pyinit{suffix}"
    other.write_bytes(content)
    done = write(short / "pyinit")

    assert (1, "") == (done.returncode, done.stdout)
    assert f"{other} exists and is not a file of pyinit-launcher" in done.stderr
    assert ([other], content) == (list(short.iterdir()), other.read_bytes())


def test_fifo_beside_it_is_not_read(short):
    """A FIFO is not opened: open would wait for a writer."""
    os.mkfifo(short / "pyinit.run.pyc")

    assert 1 == write(short / "pyinit").returncode


def test_bytecode_is_read_at_once(launcher):
    """The bytecode is short enough for CPython to read it at once."""
    assert Path(f"{launcher}.run.pyc").stat().st_size < 1 << 18


def test_constants_can_be_hashed(launcher):
    """Constants are hashable: a free-threaded Python keeps them in a table."""
    code = marshal.loads(Path(f"{launcher}.run.pyc").read_bytes()[16:])

    assert {"bytes", "code", "tuple"} <= {type(constant).__name__ for constant in code.co_consts}
    assert isinstance(hash(code.co_consts), int)


# --- what the bytecode does; with `site`, so that coverage can be measured ---


def bytecode(launcher: object, *words: str) -> list[str]:
    """Return the command that the kernel makes of a #! line, without the options."""
    return [sys.executable, "-P", f"{launcher}.run.pyc", str(launcher), *words]


def test_bytecode_does_what_pyinit_does(launcher):
    """Modules come from the bytecode: with options, without, and to show a page."""
    done = run(*bytecode(launcher, "-v", "-e", "3", "--", "sh", "-c", "exit 3"))

    assert (0, 2) == (done.returncode, done.stderr.count('"event": "child_'))
    assert 3 == run(*bytecode(launcher, "sh", "-c", "exit 3")).returncode
    assert f"pyinit {pyinit.__version__}\n" == run(*bytecode(launcher, "--version")).stdout
    assert "SIGTERM" in run(*bytecode(launcher, "--inspect")).stdout


@pytest.fixture
def own_copy(short):
    """Return a launcher for a copy of pyinit, and that copy."""
    copy = short / "lib" / "pyinit"
    shutil.copytree(Path(pyinit.__file__).parent, copy)
    assert 0 == write(short / "pyinit", PYTHONPATH=str(copy.parent)).returncode
    return short / "pyinit", copy


SAYS = "print(__name__, flush=True)\n"


@pytest.mark.parametrize("name", ["__init__", "child", "init", "processes", "signals"])
def test_bytecode_of_a_pyinit_that_was_replaced_is_not_run(own_copy, name):
    """After an upgrade of pyinit, a command that was not written again imports the new modules."""
    launcher, copy = own_copy
    with (copy / f"{name}.py").open("a") as file:
        file.write(SAYS)
    done = run(*bytecode(launcher, "sh", "-c", "exit 3"))
    said = "pyinit" if name == "__init__" else f"pyinit.{name}"

    assert (3, f"{said}\n") == (done.returncode, done.stdout)


def test_bytecode_outlives_the_package(own_copy):
    """If the package is removed, pyinit still works, log included."""
    launcher, copy = own_copy
    shutil.rmtree(copy)
    done = run(*bytecode(launcher, "-v", "-r", "USR1:0", "--", "sh", "-c", "exit 3"))

    assert (3, 2) == (done.returncode, done.stderr.count('"event": "child_'))


def test_without_the_rest_it_is_imported(own_copy):
    """It works without the file of the other modules."""
    launcher, copy = own_copy
    Path(f"{launcher}.rest").unlink()
    with (copy / "settings.py").open("a") as file:
        file.write(SAYS)
    done = run(*bytecode(launcher, "-v", "--", "sh", "-c", "exit 3"))

    assert (3, "pyinit.settings\n") == (done.returncode, done.stdout)
    assert 2 == done.stderr.count('"event": "child_')


@pytest.mark.parametrize(
    "name", ["py init", "py$HOME", "py'x", 'py"x', "py\\x", "py#x", "p\u00fc", "n" * 60, "n" * 200]
)
def test_name_that_no_first_line_can_have_runs_all_the_same(short, name):
    """If env -S would change the path, or the line is too long, there is no bytecode."""
    done = write(short / name)

    assert (0, "") == (done.returncode, done.stderr)
    assert [name] == os.listdir(short)
    assert 9 == run(str(short / name), "--", "sh", "-c", "exit 9").returncode


def spoil(path: Path, how: str) -> None:
    """Replace the file of the other modules by something else."""
    content = path.read_bytes()
    path.unlink()
    if how == "directory":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how != "none":
        changed = {"empty": b"", "other": b"x" + content[1:], "cut": content[:32]}
        path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["none", "empty", "other", "cut", "directory", "fifo"])
def test_rest_that_does_not_belong_to_it_is_not_taken(short, how):
    """Then the installed modules are used, and the log is complete."""
    assert 0 == write(short / "pyinit").returncode
    spoil(short / "pyinit.rest", how)
    done = run(*bytecode(short / "pyinit", "-v", "--", "sh", "-c", "exit 3"))

    assert (3, 2) == (done.returncode, done.stderr.count('"event": "child_'))


SPOILS_IT = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if not os.fork():
    signal.sigwait([signal.SIGTERM])
    print("asked", flush=True)
    os._exit(0)
open(sys.argv[1], "w").close()
os._exit(5)
"""


def test_rest_that_is_written_over_meanwhile_is_not_taken(short):
    """The supervisor, which is loaded last, comes from the installed package."""
    assert 0 == write(short / "pyinit").returncode
    workload = [sys.executable, "-c", SPOILS_IT, str(short / "pyinit.rest")]
    done = run(*bytecode(short / "pyinit", "--", *workload))

    assert (5, "asked\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("hole", [0, 1, 2])
def test_hole_is_the_childs(launcher, hole):
    """The file that pyinit keeps open does not become stdin or stdout of the child."""
    command = ["sh", "-c", f'exec "$@" {hole}>&-', "-", *bytecode(launcher, "--", "sh", "-c")]
    script = f"test -e /proc/$$/fd/{hole}"
    done = subprocess.run([*UNSHARE, *command, script], check=False, capture_output=True)

    assert 1 == done.returncode


def test_it_runs_from_any_directory(short, monkeypatch):
    """A relative folder in PATH, where env is found, does not make the command relative."""
    (short / "bin").mkdir()
    (short / "bin" / "env").symlink_to(shutil.which("env"))
    monkeypatch.chdir(short)
    done = write("pyinit", PATH=f"bin:{os.environ['PATH']}")
    monkeypatch.chdir("/")

    assert f"{short}/pyinit: #!{short}/bin/env -S" == done.stdout.partition(" --block")[0]
    assert 0 == subprocess.run([short / "pyinit", "true"], check=False).returncode


@pytest.mark.parametrize("variable", ["PYINIT_VERBOSITY=0", "TINI_VERBOSITY=0", "PYINIT_DRAIN=x"])
def test_it_is_written_whatever_the_image_sets_for_pyinit(variable, tmp_path):
    """A variable for the running container does not disturb the trial run."""
    name, _, value = variable.partition("=")
    done = write(tmp_path / "pyinit", **{name: value})

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "expected one path, for example: pyinit-launcher /usr/local/bin/pyinit"),
        (["a", "b"], "expected one path"),
        (["--hlep"], "expected one path, for example: pyinit-launcher /usr/local/bin/pyinit"),
        (["{folder}"], "{folder} is a directory: name a file, such as {folder}/pyinit"),
        (["{folder}/other"], "{folder}/other exists and is not a pyinit command: remove it"),
        (
            ["{folder}/no/pyinit"],
            "cannot write into {folder}/no: No such file or directory\n",
        ),
        (["{folder}/other/x"], "cannot write into {folder}/other: Not a directory\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_written_is_one_line(words, reason, tmp_path):
    """One line says why, nothing is changed, and the code is 1."""
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    command = [WRITER, *(word.format(folder=tmp_path) for word in words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"pyinit-launcher: {reason.format(folder=tmp_path)}")
    assert 1 == done.stderr.count("\n")
    assert [other] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("word", "beginning"),
    [
        ("-h", "Usage: pyinit-launcher PATH\n"),
        ("--help", "Usage: pyinit-launcher PATH\n"),
        ("-V", f"pyinit-launcher {pyinit.__version__}\n"),
        ("--version", f"pyinit-launcher {pyinit.__version__}\n"),
    ],
)
def test_pages_go_to_stdout(word, beginning):
    """Help and version are printed with code 0, and nothing is written elsewhere."""
    done = write(word)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(beginning)


def test_the_writer_is_not_overwritten(tmp_path):
    """A file that only mentions a `pyinit` command is not one."""
    path = tmp_path / "pyinit-launcher"
    shutil.copy(WRITER, path)
    done = write(path)

    assert (1, Path(WRITER).read_bytes()) == (done.returncode, path.read_bytes())
    assert "exists and is not a pyinit command" in done.stderr


def test_pipe_is_not_read(tmp_path):
    """Only files are opened: to open a FIFO would wait for a writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    done = write(path)

    assert (1, f"pyinit-launcher: {path} is not a file: name another path\n") == (
        done.returncode,
        done.stderr,
    )


def test_undecodable_interpreter_is_one_line(short):
    """A path that is not text cannot be in the script: one line says so."""
    folder = short / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "env").symlink_to(shutil.which("env"))
    done = write(short / "pyinit", PATH=f"{folder}:{os.environ['PATH']}")

    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert [folder] == list(short.iterdir())


def test_what_does_not_run_is_not_kept(short):
    """The command is tried before it is put in place: one that does not start replaces nothing."""
    env = short / "env"
    env.write_text('#!/bin/sh\ncase "$1" in *" true") ;; *) exit 7 ;; esac\n')
    env.chmod(0o755)
    done = write(short / "pyinit", PATH=f"{short}:{os.environ['PATH']}")

    assert 1 == done.returncode
    assert "pyinit-launcher: the new command does not run, so nothing was changed" in done.stderr
    assert [env] == list(short.iterdir())


def test_no_other_program_is_needed(tmp_path):
    """It is written and tried in an image without env and true as well."""
    done = write(tmp_path / "pyinit", PATH=str(tmp_path))

    assert 0 == done.returncode
    assert "no env with -S --block-signal here" in done.stderr
