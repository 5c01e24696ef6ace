"""The pages that the command writes into: between comments, and the rest of them is prose."""

from pathlib import Path

from bench import plot, tables
from bench.figures import Figures
from bench.summary import summary
from testkit import pages

PAGE, GOALS = Path("performance.md"), Path("maintainers/tried.md")


def report(figures: Figures, machine: list[str]) -> dict[tuple[Path, str], str]:
    """Return everything as Markdown, by the page and the part of it that it belongs to."""
    return {
        (PAGE, "bench summary"): f"\n{_lines(machine)}\n{summary(figures)}\n",
        (PAGE, "bench details"): (
            f"\n{tables.names(figures)}\n"
            "The picture shows pyinit with the first of the Pythons above; the tables show all.\n\n"
            f"![The figures below as bars and curves]({PAGE.with_suffix('.svg')})\n\n"
            + "\n".join(
                f"### {heading}\n\n{sentence}\n\n{table}"
                for heading, sentence, table in tables.details(figures)
            )
            + "\n"
        ),
        (GOALS, "bench goals"): f"\n{tables.goals(figures)}\n",
        (GOALS, "bench instructions"): f"\n{tables.instructions(figures)}\n",
    }


def write(docs: Path, figures: Figures, machine: list[str]) -> None:
    """Put the report into the pages of a folder, in place of what is there, and the picture."""
    for (page, part), text in report(figures, machine).items():
        pages.put(docs / page, part, text)
    (docs / PAGE.with_suffix(".svg")).write_text(plot.picture(figures))


def _lines(lines: list[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
