"""A page with the picture and all details, in one file without scripts and without network."""

import json
from collections.abc import Iterable, Sequence
from html import escape

from pyinit.rehearse.model import Process, Run
from pyinit.rehearse.reports import facts, svg
from pyinit.rehearse.reports.columns import plain, safe
from pyinit.rehearse.reports.timeline import ending, seconds, verdict_tone

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --paper: #fff; --ink: #1f2328; --muted: #59636e; --line: #d1d9e0;
  --fine: #1a7f37; --odd: #9a6700; --bad: #b3162c }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #0d1117; --ink: #f0f6fc; --muted: #9198a1; --line: #3d444d;
    --fine: #4ac26b; --odd: #e3b341; --bad: #ff7b72 }}
}}
body {{ max-width: 60rem; margin: 0 auto; padding: 1rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }}
h1 {{ font-size: 1.4rem }} h2 {{ margin-top: 2.5rem; font-size: 1.2rem }} h3 {{ font-size: 1rem }}
.fine {{ color: var(--fine) }} .odd {{ color: var(--odd) }} .bad {{ color: var(--bad) }}
.wide {{ overflow-x: auto }}
.wide > svg {{ display: block; width: 100%; min-width: 40rem; height: auto }}
code, pre {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: 0.85em; overflow-wrap: anywhere }}
pre {{ padding: 0.75rem; border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap }}
table {{ border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top }}
th {{ color: var(--muted); font-weight: 600; white-space: nowrap }}
</style>
</head>
<body>
<h1>A rehearsed stop of <code>{title}</code></h1>
<div class="wide">
{picture}
</div>
{runs}
</body>
</html>
"""
COLUMNS = (
    "pid",
    "name",
    "parent",
    "began",
    "ended",
    "how",
    "signals",
    "outlived the child",
    "command",
)


def render(runs: Sequence[Run]) -> str:
    """Return the page.

    Args:
        runs: at least one.

    Raises:
        MissingLibraryError: as :func:`svg.render` does.
    """
    picture = svg.render(runs).partition("?>")[2].strip()
    title = _text(facts.command(runs[0], with_init=False))
    return PAGE.format(title=title, picture=picture, runs="".join(map(_run, runs)))


def _run(run: Run) -> str:
    verdict = f'<b class="{verdict_tone(run)}">{_text(safe(run.verdict))}</b>'
    cause = f": {_text(safe(run.cause))}" if run.cause else ""
    told = [f"{facts.circumstances(run)}; {facts.outcome(run)}"]
    rows = [(heading, texts) for heading, texts in facts.sections(run) if heading != "output"]
    return "\n".join(
        [
            f"<h2>{_text(facts.init(run))}: {verdict}{cause}</h2>",
            f"<p><code>{_text(facts.command(run))}</code><br/>{_text(told[0])}</p>",
            _table((), [[heading, "<br/>".join(map(_text, texts))] for heading, texts in rows]),
            "<h3>Processes</h3>",
            _table(COLUMNS, [_process(each, run) for each in run.processes]),
            _lines("Events of pyinit", map(json.dumps, run.events)),
            _lines("Last output", run.output),
            "",
        ]
    )


def _process(process: Process, run: Run) -> list[str]:
    signals = [f"{mark.signal} by {mark.by} at {seconds(mark.at)}" for mark in process.marks]
    cells = [
        str(process.pid),
        process.name,
        str(process.parent),
        seconds(process.began),
        "" if process.ended is None else seconds(process.ended),
        ending(process, run),
        ", ".join(signals),
        "yes" if process.is_left else "",
        process.command,
    ]
    return [_text(safe(cell)) for cell in cells]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    first = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = [f"<tr>{first}</tr>"] if first else []
    for name, *cells in rows:
        others = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>{others}</tr>')
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>" if lines else ""


def _lines(heading: str, lines: Iterable[str]) -> str:
    text = "\n".join(_text(safe(line)) for line in lines)
    return f"<h3>{heading}</h3>\n<pre>{text}</pre>" if text else ""


def _text(words: str) -> str:
    """Return safe words, escaped for the page."""
    return escape(plain(words))
