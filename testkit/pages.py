"""Pages of which a command writes a part: the part between two comments."""

import re
import sys
from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Replace the text between the comments of a page.

    Args:
        page: the page.
        name: the name in the comments.
        text: whole lines.

    Raises:
        SystemExit: the page does not have these comments.
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
    """Return a text for a cell of a table, without folders that do not matter there."""
    return folders.sub("", text).replace("|", "\\|").replace("<", "\\<")
