"""A command that cannot be run: the code, and a reason that says what to do."""

import os
import shutil
import struct

import pytest
from harness import MAY_READ, ROOT

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


FAILURES = {
    "not-there": (lambda _path: None, 127, "there is no such file"),
    "directory": (lambda path: path.mkdir(), 126, "is a directory"),
    "fifo": (os.mkfifo, 126, "is not a regular file"),
    "mode": (program(b"#!/bin/sh\n", 0o644), 126, "mode 0644, -rw-r--r--"),
    "dangling": (lambda path: path.symlink_to("gone"), 126, "is a link to gone, which does not"),
    "loop": (lambda path: path.symlink_to(path), 126, "Too many levels of symbolic links"),
    "no-interpreter": (program(b"#!/no/such -x\n"), 126, "names the interpreter /no/such in"),
    "windows": (program(b"#!/bin/sh\r\nexit 0\r\n"), 126, "has Windows line endings"),
    "interpreter-mode": (program(b"#!/etc/passwd\n"), 126, "/etc/passwd, which is not executable"),
    "architecture": (program(elf(183)), 126, "was built for aarch64"),
    "musl": (program(elf(62, interpreter=b"/lib/ld-musl-none.so.1\0")), 126, "ld-musl-none.so.1"),
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
    assert "empty word" in result.events[0]["reason"]


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


def test_command_longer_than_a_pipe_does_not_hang(run):
    """A word of 70,000 bytes is told as too long, and the child does not wait for a reader."""
    result = run(command=["x" * 70_000])

    assert 126 == result.code
    assert "File name too long" in result.events[0]["reason"]


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


def test_console_format_says_the_same(run):
    """On a console the reason is in the line as well."""
    result = run(["--log-format=console"], ["no-such-program"])

    assert 127 == result.code
    assert "exec_failed" in result.err
    assert "not found in PATH" in result.err
