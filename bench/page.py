"""docs/performance.md: what the command writes stands between two comments, the rest is prose."""

from pathlib import Path

from bench import plot, tables
from bench.errors import BenchError
from bench.figures import Figures

BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"


def report(figures: Figures, machine: list[str], picture: str) -> str:
    """Return all that there is to say, as Markdown; ``picture`` is the name of the plot."""
    parts = [
        tables.goals(figures),
        f"![The figures below as bars and curves]({picture})\n",
        *(f"{sentence}\n\n{table}" for sentence, table in tables.all_tables(figures)),
        "The names that are no program's:\n\n" + tables.names(figures) + "\n",
        "Measured on:\n\n" + "".join(f"- {line}\n" for line in machine),
    ]
    return "\n".join(parts)


def write(page: Path, figures: Figures, machine: list[str]) -> None:
    """Put the report into a page, in place of the one that is there, and the plot beside it."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{page} does not have the lines {BEGIN.strip()} and {END.strip()}"
        raise BenchError(message)
    picture = page.with_suffix(".svg")
    picture.write_text(plot.picture(figures))
    text = report(figures, machine, picture.name)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
