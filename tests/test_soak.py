"""`make soak` finds what grows: its short form is run, on a pyinit that leaks as well."""

import subprocess

import pytest

from testkit.programs import run_module

from trials.soak.samples import Sample, judge


AT_REST = {"private_dirty": 12000, "rss": 22000, "data": 21000, "threads": 2, "descriptors": 4}
LEAK = """
import posix
real, kept = posix.waitpid, []
def waitpid(*arguments):
    kept.append(bytearray(4000))
    return real(*arguments)
posix.waitpid = waitpid
"""
DESCRIPTORS = """
import posix
real = posix.kill
def kill(*arguments):
    posix.open("/", posix.O_PATH)
    return real(*arguments)
posix.kill = kill
"""
NOISE = """
import posix
real = posix.kill
def kill(*arguments):
    posix.write(2, b"no event\\n")
    return real(*arguments)
posix.kill = kill
"""


def soak(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the command behind `make soak`."""
    return run_module("trials.soak", *arguments, **environment)


def samples(count: int = 60, minutes: int = 60, **growth: int) -> list[Sample]:
    """Return samples of a run in which some things grow by so much from one to the next."""
    return [
        Sample(
            seconds=(number + 1) * 60 * minutes / count,
            rounds=number,
            orphans=number,
            signals=number,
            zombies=growth.get("zombies", 0),
            **{name: start + number * growth.get(name, 0) for name, start in AT_REST.items()},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("options", ["", "-w", "-vv"])
def test_pyinit_does_not_grow(options):
    """Some seconds of orphans, signals and guests leave pyinit as it was, and lose no event."""
    done = soak("--seconds=1", f"--options={options}")
    table = done.stdout.splitlines()

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "verdict: nothing grew, nothing was lost" == table[-1]
    assert "private_dirty" in table[1]
    assert len(table) >= 2 + 6 + 1


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        (LEAK, "private_dirty grew by more than 2 %"),
        (DESCRIPTORS, "descriptors did not stay the same"),
        (NOISE, "lines that are not JSON"),
    ],
    ids=["memory", "descriptors", "lines"],
)
def test_pyinit_that_leaks_is_found(tmp_path, lines, finding):
    """What keeps memory or descriptors, or writes no event, costs code 1 and a sentence."""
    (tmp_path / "sitecustomize.py").write_text(lines)
    done = soak("--seconds=0", PYTHONPATH=str(tmp_path))

    assert 1 == done.returncode, done.stdout
    assert finding in done.stdout.splitlines()[-1]


def test_run_at_rest_is_judged_well():
    """Where nothing changes nothing is found."""
    assert [] == judge(samples())


@pytest.mark.parametrize(
    ("growth", "finding"),
    [
        ({"private_dirty": 5}, "private_dirty grew by more than 2 %: 12000 to 12295 KiB"),
        ({"rss": 8}, "rss grew by more than 2 %: 22000 to 22472 KiB"),
        ({"data": 20}, "data grew by more than 2 %: 21000 to 22180 KiB"),
        ({"threads": 1}, "threads did not stay the same: 2 to 61"),
        ({"descriptors": 1}, "descriptors did not stay the same: 4 to 63"),
        ({"descriptors": -1}, "descriptors did not stay the same: -55 to 4"),
        ({"zombies": 1}, "zombies were left: 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_growth_is_found(growth, finding):
    """A few KiB a minute are found after an hour, one descriptor or zombie at once."""
    assert [finding] == judge(samples(**growth))


def test_first_minute_does_not_count():
    """What is loaded late, such as structlog, is there after the first minute."""
    first = samples(count=61, minutes=61)[0]
    late = [Sample(30, 0, 0, 0, 3000, 9000, 9000, 1, 3, 0), first, *samples()]

    assert [] == judge(late)


def test_one_sample_is_no_proof():
    """A run in which there is nothing to compare is not said to be well."""
    assert ["there is only one sample after the beginning: nothing can be judged"] == judge(
        samples(count=1)
    )
