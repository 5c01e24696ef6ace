"""How many helpers get to finish, under pyinit and without it; docs/containers.md has the table."""

import re

from containers import WITH_PROGRAMS
from engines import DOCKER, PODMAN
from starting import starter

from testkit.programs import ROOT_DIRECTORY

PAGE = ROOT_DIRECTORY / "docs" / "containers.md"
MARKED = re.compile(
    r"(<!-- drain: `make e2e` writes this table -->\n)(.*?)(<!-- end -->)", re.DOTALL
)
COUNT = 50
KINDS = {
    "finish": "in sessions of their own",
    "stopped": "stopped by SIGSTOP",
    "handover": "that fork to clean up",
}
PYINIT, ALONE = [], ["--init", "--entrypoint=/programs/helpers"]
RUNS = {
    ("Docker", "pyinit"): (DOCKER, PYINIT),
    ("Docker", "`--init` alone (tini)"): (DOCKER, ALONE),
    ("podman", "pyinit"): (PODMAN, PYINIT),
    ("podman", "`--init` alone (catatonit)"): (PODMAN, ALONE),
}


def finished(engine, options, kind) -> int:
    """Stop a container with helpers, with time to spare; return how many ended their work."""
    command = [] if "--init" in options else ["/programs/helpers"]
    with starter(engine) as start:
        given = [*options, *WITH_PROGRAMS, "--interactive"]
        container = start(*command, COUNT, kind, options=given)
        container.line("ready")
        container.stop()
        return container.finish().out.count("done\n")


def table(counts) -> str:
    """Return the table of the page."""
    head = ["engine", "init", *(f"helpers {words}" for words in KINDS.values())]
    rows = [[*names, *(f"{number} of {COUNT}" for number in found)] for names, found in counts]
    ruled = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([ruled[0], "|---" * len(head) + "|", *ruled[1:], ""])


def test_helpers_may_finish_and_the_page_says_so():
    """All of them under pyinit, none under the engine's init alone; the page has this table."""
    counts = [
        (names, [finished(engine, options, kind) for kind in KINDS])
        for names, (engine, options) in RUNS.items()
    ]
    page = PAGE.read_text()
    measured = MARKED.sub(lambda found: found[1] + table(counts) + found[3], page)
    if measured != page:
        PAGE.write_text(measured)

    assert [COUNT if names[1] == "pyinit" else 0 for names, _ in counts for _ in KINDS] == [
        number for _, found in counts for number in found
    ]
    assert measured == page, f"{PAGE} said something else; now it is as measured: look, and commit"
