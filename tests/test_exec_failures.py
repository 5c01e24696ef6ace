"""A command that cannot be run: the code, and a reason that says what to do."""

import errno
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from testkit.namespaces import MAY_READ, ROOT
from testkit.refusals import OPEN, refusing

from pyinit.later import exec_failure as diagnosis

ELF_HEADER = "<4sBBB9xHHIQQQIHHHHHH"


def elf(machine: int, *, interpreter: bytes = b"") -> bytes:
    """Return the head of a 64-bit ELF program for a machine, with a loader if one is given."""
    header = struct.pack(
        ELF_HEADER, b"\x7fELF", 2, 1, 1, 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    size = len(interpreter)
    segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 120, 120, size, size, 1)
    return header + segment + interpreter


def program(content: bytes, mode: int = 0o755):
    """Return what makes a file of that content and mode."""

    def make(path):
        path.write_bytes(content)
        path.chmod(mode)

    return make


TRUE = Path("/bin/true").read_bytes()
FAILURES = {
    "not-there": (lambda _path: None, 127, "there is no such file"),
    "directory": (lambda path: path.mkdir(), 126, "is a directory"),
    "fifo": (os.mkfifo, 126, "is not a regular file"),
    "mode": (program(b"#!/bin/sh\n", 0o644), 126, "mode 0644, -rw-r--r--"),
    "dangling": (lambda path: path.symlink_to("gone"), 126, "is a link to gone, which does not"),
    "loop": (lambda path: path.symlink_to(path), 126, os.strerror(errno.ELOOP)),
    "no-interpreter": (program(b"#!/no/such -x\n"), 126, "names the interpreter /no/such in"),
    "windows": (program(b"#!/bin/sh\r\nexit 0\r\n"), 126, "has Windows line endings"),
    "interpreter-mode": (program(b"#!/etc/passwd\n"), 126, "/etc/passwd, which is not executable"),
    "interpreter-directory": (program(b"#! /etc\n"), 126, "interpreter /etc, which is a directory"),
    "interpreter-device": (program(b"#!/dev/null\n"), 126, "/dev/null, which is not a regular"),
    # In an order of bytes that no s390x has, so that no emulator takes it (binfmt_misc).
    "architecture": (program(elf(22)), 126, "was built for s390x, but this machine is"),
    "cut-short": (program(TRUE[:100]), 126, "for this machine but damaged or truncated"),
    "cut-shorter": (program(TRUE[:19]), 126, "is a truncated ELF file"),
    "object": (program(TRUE[:16] + b"\1\1" + TRUE[18:]), 126, "an object file or a core dump"),
    "musl": (program(elf(62, interpreter=b"/lib/ld-musl-none.so.1\0")), 126, "ld-musl-none.so.1"),
    "loader-directory": (
        program(elf(62, interpreter=b"/etc\0")),
        126,
        "interpreter /etc, which is",
    ),
    "binary": (program(b"\xca\xfe\0\0"), 126, "is a binary file in a format"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_reason_says_what_a_person_needs(run, tmp_path, name):
    """An exec that fails is one error event: code 127 or 126, errno, and the reason in words."""
    make, code, reason = FAILURES[name]
    path = tmp_path / "app"
    make(path)
    result = run(command=[str(path)])
    (event,) = result.events

    assert code == result.code
    assert {"event": "exec_failed", "level": "error"} == {k: event[k] for k in ("event", "level")}
    assert (str(path), code) == (event["command"], event["code"])
    assert reason in event["reason"]


def test_command_not_in_path_shows_path(run):
    """A name that is not found is 127, and the reason shows where was looked."""
    result = run(command=["no-such-program"], wrap=["env", "PATH=/usr/bin:/bin"])

    assert 127 == result.code
    assert "not found in PATH (/usr/bin:/bin)" == result.events[0]["reason"]


def test_command_without_path_is_searched_in_the_default(run):
    """Where PATH is not set /bin and /usr/bin are searched, as execvp does."""
    result = run(command=["sh", "-c", "exit 5"], wrap=["env", "-u", "PATH"])
    missing = run(command=["no-such-program"], wrap=["env", "-u", "PATH"])

    assert 5 == result.code
    assert "PATH is not set" in missing.events[0]["reason"]


def test_path_below_a_file_is_not_found(run):
    """A path that goes through a file (ENOTDIR) is 127."""
    assert 127 == run(command=["/etc/passwd/app"]).code


def test_empty_command_is_not_found(run):
    """An empty word is no program: 127, not the EACCES of a directory."""
    result = run(command=[""])

    assert 127 == result.code
    assert "empty string" in result.events[0]["reason"]


def test_unusable_file_does_not_end_the_search(run, tmp_path):
    """A file in PATH that may not be executed is passed over for one that may."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        program(f"#!/bin/sh\necho {name}\n".encode(), mode)(tmp_path / name / "app")
    path = f"PATH={tmp_path}/first:{tmp_path}/second:/usr/bin:/bin"

    assert "second\n" == run(command=["app"], wrap=["env", path]).out


def test_unusable_file_is_named_if_there_is_no_other(run, tmp_path):
    """Where the search finds only a file without the x bit, it is 126 and names that file."""
    program(b"#!/bin/sh\n", 0o600)(tmp_path / "app")
    result = run(command=["app"], wrap=["env", f"PATH=/usr/bin:{tmp_path}"])

    assert 126 == result.code
    assert f"{tmp_path}/app is not executable" in result.events[0]["reason"]


def test_missing_interpreter_is_found_out_in_path_too(run, tmp_path):
    """A script in PATH whose interpreter does not exist is 126 with that reason, not 127."""
    program(b"#!/no/such\n")(tmp_path / "app")
    result = run(command=["app"], wrap=["env", f"PATH={tmp_path}:/usr/bin"])

    assert 126 == result.code
    assert "names the interpreter /no/such" in result.events[0]["reason"]


@pytest.mark.parametrize("path", ["{closed}:/usr/bin", "/usr/bin:{closed}:"])
def test_folder_that_may_not_be_searched_has_nothing(run, tmp_path, path):
    """Nothing is found in such a folder of PATH: 127, and the reason names it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    path = path.format(closed=closed)
    wrap = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "env", f"PATH={path}"]
    result = run(command=["no-such-program"], wrap=wrap)
    reason = f"not found in PATH ({path}); uid 0 may not search {closed}"

    assert (127, reason) == (result.code, result.events[0]["reason"])
    assert "ENOENT" == result.events[0]["error"]


def test_working_directory_that_may_not_be_searched_is_a_dot(run, tmp_path):
    """An empty entry of PATH is shown as the working directory."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    script = 'cd "$0"; exec setpriv --bounding-set=-all --inh-caps=-all env PATH= "$@"'
    result = run(command=["no-such-program"], wrap=["sh", "-c", script, str(closed)])

    assert 127 == result.code
    assert result.events[0]["reason"].endswith("; uid 0 may not search .")


def test_command_in_a_working_directory_that_may_not_be_searched(run, tmp_path):
    """A path that begins there is refused, and the reason says why, although pyinit has left it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    script = 'cd "$0"; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    result = run(command=["./app"], wrap=["sh", "-c", script, str(closed)])

    assert 126 == result.code
    assert "./app cannot be accessed: Permission denied" == result.events[0]["reason"]


def test_path_through_a_folder_that_may_not_be_searched_is_refused(run, tmp_path):
    """A command with a slash in it is searched nowhere else: 126, and the reason says why."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    wrap = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    result = run(command=[f"{closed}/app"], wrap=wrap)

    assert 126 == result.code
    assert f"{closed}/app cannot be accessed: Permission denied" == result.events[0]["reason"]


IN_WORKING_DIRECTORY = {
    "script": ("app", b"#!/bin/sh\n", 0o755, "./app"),
    "python-script": ("app.py", b"#!/usr/bin/env python3\n", 0o755, "./app.py"),
    "python": ("app.py", b"print()\n", 0o644, "python3 app.py"),
    "python-without-interpreter-line": ("app.py", b"print()\n", 0o755, "python3 app.py"),
    "shell": ("run me.sh", b"exit\n", 0o644, "sh 'run me.sh'"),
    "not-executable": ("app", b"", 0o644, "./app, after chmod +x ./app"),
}


@pytest.mark.parametrize("name", IN_WORKING_DIRECTORY)
def test_file_in_the_working_directory_is_not_in_path(run, tmp_path, name):
    """A name that PATH does not have is 127; where a file is called so, it says how to run it."""
    file, content, mode, write = IN_WORKING_DIRECTORY[name]
    program(content, mode)(tmp_path / file)
    result = run(command=[file], wrap=["env", "PATH=/usr/bin"], cwd=tmp_path)

    assert 127 == result.code
    assert "not found in PATH (/usr/bin); " in result.events[0]["reason"]
    assert result.events[0]["reason"].endswith(
        f" is in the working directory {tmp_path}, which is not in PATH: write {write}"
    )


def test_directory_of_that_name_is_no_program(run, tmp_path):
    """A directory is nothing to run."""
    (tmp_path / "app").mkdir()
    result = run(command=["app"], wrap=["env", "PATH=/usr/bin"], cwd=tmp_path)

    assert (127, "not found in PATH (/usr/bin)") == (result.code, result.events[0]["reason"])


WITHOUT = "pyinit starts the command without a shell"
FOR_A_SHELL = {
    "one-word": (["gunicorn app:app"], 'write each word separately, as in ["gunicorn", "app:app"]'),
    "one-word-with-path": (["/bin/echo hi"], 'each word separately, as in ["/bin/echo", "hi"]'),
    "variable": (["FOO=1", "x"], 'no variable: use ENV in the Dockerfile, or ["env"'),
    "variable-in-one-word": (["FOO=1 app"], "so FOO=... sets no"),
    "cd": (["cd", "/app", "&&"], f"cd is a shell command, but {WITHOUT}: use WORKDIR in"),
    "cd-in-one-word": (["cd /app && app"], 'or ["sh", "-c", "cd /app && app"]'),
    "export": (["export", "A=1"], 'use ["sh", "-c", "export ... && exec PROGRAM"]'),
    "source": (["source venv"], 'use ["sh", "-c", ". venv"]'),
    "exec": (["exec", "gunicorn"], f"exec is a shell command, but {WITHOUT}: leave it out"),
    "home": (["$HOME/app"], 'so $ has no special meaning: write it in full, or use ["sh", "-c"'),
    "tilde": (["~/app"], 'write it in full, or use ["sh", "-c", "exec ~/app"]'),
    "port": (["app -p $PORT"], '$ has no special meaning: use ["sh", "-c", "exec app -p $PORT"]'),
    "and": (["migrate && app"], 'so && has no special meaning: use ["sh", "-c", "migrate && app"]'),
    "pipe": (["app | tee log"], 'so | has no special meaning: use ["sh", "-c", "app | tee log"]'),
    "quotes": (["app 'a b'"], """' has no special meaning: use ["sh", "-c", "exec app 'a b'"]"""),
    "long": (["app" + " x" * 120], 'write each word separately, as in ["app", "x", "x", '),
}  # fmt: skip


@pytest.mark.parametrize("name", FOR_A_SHELL)
def test_command_for_a_shell_is_told_as_such(run, name):
    """What a Dockerfile's brackets make of a line for a shell: the reason says what to write."""
    command, hint = FOR_A_SHELL[name]
    result = run(command=command, wrap=["env", "PATH=/usr/bin:/bin"])

    assert 127 == result.code
    assert hint in result.events[0]["reason"]


SLIPS = {
    "option": (["-v", "app"], "the command begins after --, so put options of pyinit before"),
    "option-of-the-program": (["--help"], "docker run IMAGE OPTION replaces CMD by OPTION"),
    "dash-of-a-word-processor": (["\N{EN DASH}-", "app"], "the command begins after --"),
    "list": (['["app", "-v"]'], 'each word separately, as in ["app", "-v"]'),
    "list-of-anything": (['["a\\ud800", 1, "b"]'], 'as in ["a\\\\ud800", "b"]'),
    "line-end": (["app\r"], "it contains a space or a line ending: write app"),
    "blank": ([" app"], "it contains a space or a line ending: write app"),
    "in-quotes": (['"app"'], "the quotes are part of the word: write app"),
    "typographic": (["\N{LEFT DOUBLE QUOTATION MARK}a\N{RIGHT DOUBLE QUOTATION MARK}"], "write a"),
}  # fmt: skip


@pytest.mark.parametrize("name", SLIPS)
def test_slip_in_a_command_is_told(run, name):
    """A word with something in it that is left over from a file or another language."""
    command, hint = SLIPS[name]
    result = run(command=command, wrap=["env", "PATH=/usr/bin:/bin"])

    assert 127 == result.code
    assert hint in result.events[0]["reason"]


@pytest.mark.parametrize("command", ["/no/such file", "no-such-program", "[app", "[" * 200])
def test_other_commands_have_no_hint(run, command):
    """A blank in a path may be right, and a name may just be wrong."""
    reason = run(command=[command]).events[0]["reason"]

    assert re.fullmatch(r"(there is no such file|not found in PATH) \([^)]*\)", reason)


CHAINS = {
    "missing": (b"#!/no/such\n", 0o755, "line, which names the interpreter /no/such in its #!"),
    "windows": (b"#!/bin/sh\r\n", 0o755, "which has Windows line endings"),
    "loader": (elf(62, interpreter=b"/lib/ld-none.so\0"), 0o755, "needs the loader /lib/ld-no"),
    "mode": (b"#!/etc/passwd\n", 0o755, "names the interpreter /etc/passwd, which is not exec"),
    "own-mode": (b"#!/bin/sh\n", 0o644, "/second, which is not executable (mode 0644"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_interpreter_that_is_a_script_is_looked_at(run, tmp_path, name):
    """An interpreter may be a script, whose own interpreter is what is missing."""
    content, mode, hint = CHAINS[name]
    program(content, mode)(tmp_path / "second")
    program(f"#!{tmp_path}/second\n".encode())(tmp_path / "app")
    result = run(command=[str(tmp_path / "app")])

    assert 126 == result.code
    assert hint in result.events[0]["reason"]
    assert f"names the interpreter {tmp_path}/second" in result.events[0]["reason"]


def test_interpreters_in_a_circle_end(tmp_path):
    """Scripts that are changed meanwhile may name each other: it is not followed for ever."""
    program(f"#!{tmp_path}/app\n".encode())(tmp_path / "app")
    told = b"%d %s\0/\0000"
    missing, forbidden = (
        diagnosis.explain("app", told % (number, os.fsencode(tmp_path / "app")))[2]
        for number in (errno.ENOENT, errno.EACCES)
    )

    assert 6 == missing.count("names the interpreter")
    assert "does a security module (LSM) forbid it?" in forbidden


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("name", ["app", "my app"])
def test_command_against_windows_line_endings_works(run, tmp_path, name, style):
    """What is printed, as it is printed, is a command that makes the program run."""
    program(b"#!/bin/sh\r\nexit 7\r\n")(tmp_path / name)
    wrap = ["env", f"PATH={tmp_path}:{os.environ['PATH']}"]
    first = run([f"--log-format={style}"], [name], wrap=wrap)
    # In JSON it stands in the message and in the reason.
    (command,) = set(re.findall(r"remove them with: (sed .*?'?/\w[\w/ -]*'?)[\"\n]", first.err))
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)

    assert 126 == first.code
    assert 7 == run(command=[name], wrap=wrap).code


def test_command_longer_than_a_pipe_does_not_hang(run):
    """A word of 70,000 bytes is told as too long, and the child does not wait for a reader."""
    result = run(command=["x" * 70_000])

    assert 126 == result.code
    assert os.strerror(errno.ENAMETOOLONG) in result.events[0]["reason"]


def test_empty_path_entry_is_the_working_directory(run, tmp_path):
    """An empty entry of PATH means the working directory (execvp(3))."""
    program(b"#!/bin/sh\nexit 6\n")(tmp_path / "app")

    assert 6 == run(command=["app"], wrap=["env", "PATH=/nowhere:"], cwd=tmp_path).code


@pytest.mark.parametrize("content", [b"exit $1\n", b""], ids=["script", "empty"])
def test_file_without_an_interpreter_line_is_run_by_sh(run, tmp_path, content):
    """A text without #! is a script for /bin/sh, arguments and all (execvp(3))."""
    program(content)(tmp_path / "app")

    assert (9 if content else 0) == run(command=[str(tmp_path / "app"), "9"]).code


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
def test_file_for_others_tells_the_user(run, tmp_path):
    """Where the x bit is another user's, the reason has the mode and the own uid."""
    shutil.copy("/bin/true", tmp_path / "app")
    (tmp_path / "app").chmod(0o744)
    os.chown(tmp_path / "app", 1, 1)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    wrap = ["setpriv", "--reuid=65534", "--clear-groups", *MAY_READ]
    result = run(command=[str(tmp_path / "app")], wrap=wrap)

    assert 126 == result.code
    assert "uid 65534" in result.events[0]["reason"]


def test_script_without_a_shell_says_so(run, tmp_path):
    """Where /bin/sh cannot run a file without #!, the reason names both."""
    program(b"exit 1\n")(tmp_path / "app")
    wrap = refusing("execve:error=EACCES", paths=["/bin/sh"], everybody=True)
    result = run(command=[str(tmp_path / "app")], wrap=wrap)

    assert 126 == result.code
    assert "has no #! line and /bin/sh, which would" in result.err  # strace has a word to say, too


def test_script_that_cannot_be_read_is_left_to_sh(run, tmp_path):
    """Whether a file is text is asked once: where it cannot be looked at, sh has a try."""
    path = tmp_path / "app"
    program(b"exit 8\n")(path)
    wrap = refusing(f"{OPEN}:error=EMFILE:when=1", paths=[path], everybody=True)

    assert 8 == run(command=[str(path)], wrap=wrap).code


def test_relative_path_is_told_from_the_working_directory(run, tmp_path):
    """The reason is looked for where the command was to be run, although pyinit has left it."""
    (tmp_path / "app").write_text("exit 3")
    result = run(command=["./app"], cwd=tmp_path)

    assert 126 == result.code
    assert result.events[0]["reason"].startswith("./app is not executable (mode 0644")


def test_deleted_working_directory_is_told(run, tmp_path):
    """A relative path that is not there: the directory that it is relative to is not, either."""
    gone = ["sh", "-c", f'mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir ../gone; exec "$@"', "-"]
    result = run(command=["./app"], wrap=gone)

    assert 127 == result.code
    assert "there is no such file (working directory deleted)" == result.events[0]["reason"]


def test_interpreter_that_only_the_kernel_knows_is_told(run, tmp_path):
    """ENOENT for a program that names no loader: what binfmt_misc would start it with is gone."""
    path = tmp_path / "app"
    program(elf(62))(path)
    result = run(
        command=[str(path)], wrap=refusing("execve:error=ENOENT", paths=[path], everybody=True)
    )

    assert 126 == result.code
    assert "exists, but another file that it needs to start does not" in result.events[0]["reason"]


def test_file_system_without_exec_is_told(run, tmp_path):
    """What has its x bits and is refused all the same may be on a file system mounted noexec."""
    script = 'mount -t tmpfs -o noexec none "$0" && cp /bin/true "$0" && exec "$@"'
    result = run(command=[f"{tmp_path}/true"], wrap=["sh", "-c", script, str(tmp_path)])

    assert 126 == result.code
    assert "true is on a file system that is mounted noexec" in result.events[0]["reason"]


def test_security_module_is_guessed(run, tmp_path):
    """If all bits are right but the exec is refused, something else forbids it."""
    shutil.copy("/bin/true", tmp_path / "app")
    command = [str(tmp_path / "app")]
    result = run(
        command=command, wrap=refusing("execve:error=EACCES", paths=command, everybody=True)
    )

    assert 126 == result.code
    assert "does a security module (LSM) forbid it?" in result.events[0]["reason"]


def test_folder_in_path_that_is_too_long_is_passed_over(run, tmp_path):
    """As execvp(3) does: it cannot have the command."""
    program = tmp_path / "command"
    program.write_text("#!/bin/sh\nexit 5\n")
    program.chmod(0o755)
    path = f"/{'d/' * 3000}:{tmp_path}:{os.environ['PATH']}"
    result = run(command=["command"], env={**os.environ, "PATH": path})

    assert (5, "") == (result.code, result.err)


def test_file_that_went_meanwhile_is_told(tmp_path):
    """Between exec and the look at it the file may go, and that is the reason then."""
    told = b"%d %s\0/\0000" % (errno.EACCES, os.fsencode(tmp_path / "app"))
    reason = f"{tmp_path}/app cannot be accessed: No such file or directory"

    assert (126, errno.EACCES, reason) == diagnosis.explain("app", told)


SEGMENTS = {
    "64-bit": struct.pack("<IIQQQQQQ", 3, 4, 176, 0, 0, 5, 5, 1),
    "32-bit": struct.pack(">IIIIIIII", 3, 116, 0, 0, 5, 5, 4, 1),
}


def elf_with_loader(kind: str) -> bytes:
    """Return a program with the loader in the second of two segments."""
    if kind == "64-bit":
        return elf(62)[:56] + b"\2\0" + bytes(6) + bytes(56) + SEGMENTS[kind] + b"/ld\0\0"
    head = b"\x7fELF\1\2\1" + bytes(9) + struct.pack(">HHIIIIIHH", 2, 20, 1, 0, 52, 0, 0, 52, 32)
    return head + b"\0\2" + bytes(6) + bytes(32) + SEGMENTS[kind] + b"/ld\0\0"


@pytest.mark.parametrize(
    ("head", "loader"),
    [
        (elf_with_loader("64-bit"), b"/ld"),
        (elf_with_loader("32-bit"), b"/ld"),
        (elf_with_loader("64-bit")[:100], b""),
        (elf(62), b""),
        (elf_with_loader("64-bit").replace(b"\2\0" + bytes(6), b"\1\0" + bytes(6)), b""),
        (b"\x7fELF", b""),
        (b"", b""),
    ],
    ids=["64-bit", "32-bit", "cut", "no-name", "static", "magic", "empty"],
)
def test_loader_of_a_program_is_found(head, loader):
    """It is in any segment, of either size and byte order; in what is cut off there is none."""
    assert loader == diagnosis.elf_interpreter(head)


def test_console_format_says_the_same(run):
    """On a console the reason is in the line as well."""
    result = run(["--log-format=console"], ["no-such-program"])

    assert 127 == result.code
    assert "no-such-program cannot be run: not found in PATH" in result.err
