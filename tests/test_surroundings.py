"""pyinit survives the hostile surroundings of `make survive`, or refuses to start where it may."""

import pytest

from testkit.programs import PYINIT, ROOT_DIRECTORY
from trials.survive import attempt
from trials.survive.ordeal import OK, REFUSES
from trials.survive.surroundings import SURROUNDINGS

AT_MOST = 3  # cases of a surrounding; make survive has them all
OPTIONS = ("", "-vv")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Return the folder of the workload, which every user may enter."""
    folder = tmp_path_factory.mktemp("programs")
    for path in (folder, *list(folder.parents)[:2]):
        path.chmod(0o755)
    attempt.compile_programs(folder)
    return folder


def chosen(surrounding) -> list:
    """Return the cases to try, each with one option in turn, a lonely one with both."""
    cases = surrounding.cases
    if surrounding.own:  # about deadlines, and slow with a log whose clocks jump
        return [(case, "") for case in cases]
    if len(cases) == 1:
        return [(cases[0], option) for option in OPTIONS]
    some = cases[:: -(-len(cases) // AT_MOST)]
    return [(case, OPTIONS[number % len(OPTIONS)]) for number, case in enumerate(some)]


@pytest.mark.parametrize("surrounding", SURROUNDINGS, ids=lambda one: one.name)
def test_pyinit_survives(surrounding, programs):
    """The workload starts, gets its signals, leaves no zombie, and its code comes out."""
    found = {}
    for case, option in chosen(surrounding):
        command = attempt.of_init("pyinit", PYINIT)[option]
        ((what, verdict),) = attempt.verdicts([case], "pyinit", {option: command}, programs)
        allowed = {False: {OK}, None: {OK, REFUSES}, True: {REFUSES}}[case.refuses]
        found[what] = OK if verdict in allowed else verdict
    told = set(found.values())
    if told == {attempt.NOT_HERE}:
        pytest.skip("it cannot be had here, or takes root")

    assert told <= {OK, attempt.NOT_HERE}, found


def test_what_fails_is_noticed(programs):
    """An init that forwards nothing, or exits at once, or loses the code is noticed."""
    shell = {
        "hangs": ["sh", "-c", '"$@" & while :; do wait; done', "-"],
        "code": ["sh", "-c", '"$@"; exit 3', "-"],
        "exits": ["false"],
    }
    (case,) = next(one for one in SURROUNDINGS if one.name == "RLIMIT_CORE: 0").cases
    words = dict(attempt.verdicts([case], "other", shell, programs, limit=1))

    assert OK not in words.values()
    assert len(shell) == len(words)


def test_page_has_a_row_for_each():
    """The table was made with the surroundings as they are."""
    page = (ROOT_DIRECTORY / "docs" / "maintainers" / "reliability.md").read_text()

    assert [] == [one.name for one in SURROUNDINGS if f"| {one.name} |" not in page]
