"""Pages of which a command writes a part: it stands between two comments, the rest is prose."""

import re
import sys
from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Put a text into a page, in place of the one that is there.

    Args:
        page: the page.
        name: what the comments call it.
        text: whole lines.

    Raises:
        SystemExit: the page does not have the comments.
    """
    marks = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, begin, rest = page.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        sys.exit(
            f"{name}: {page} does not have the lines {marks[0].strip()} and {marks[1].strip()}"
        )
    page.write_text(f"{before}{begin}{text}{end}{after}")


def cell(text: str, folders: re.Pattern[str]) -> str:
    """Return a text for a cell of a table, without folders that say nothing there."""
    return folders.sub("", text).replace("|", "\\|").replace("<", "\\<")
