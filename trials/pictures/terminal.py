"""What a command writes on a terminal, as a picture: light and dark, with a font of the system."""

import io
import os
import re
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.color import parse_rgb_hex
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from rich.theme import Theme

from testkit.programs import ROOT_DIRECTORY

LINES = 50
COLUMN, TOP = 12.2, 41  # what rich gives to a character, in a height of 20, and to its title
MARGIN, HEAD = 12, 10  # on each side, and above the title
SCALE = 0.72  # to the 14.5 px of the other pictures
# pyinit's log has these colours on a terminal. `make run` reads it through a pipe: it has none.
LOG = r"^(?P<time>\d\d:\d\d:\d\d) \[(?P<level>\w+) *\] (?P<event>\w+)"
PAIR = r"\b(?P<key>[a-z_]+)=(?P<value>'[^']*'|\S+)"
STYLES = {"time": "dim", "level": "bold green", "event": "bold", "key": "cyan", "value": "magenta"}
COMMENT = r"(?m)^# .*$"
COMMAND_OR_RESULT = r"(?m)^(\$ .*|zombies: \d+|exit code: \d+)$"
# Background, text, then black, red, green, yellow, blue, magenta, cyan, white.
LIGHT = "ffffff 0d1117 24292f b3162c 1a7f37 9a6700 0550ae 8250df 1b7c83 59636e"
DARK = "0d1117 f0f6fc 484f58 ff7b72 4ac26b e3b341 79c0ff bc8cff 56d4dd b1bac4"
NO_WORDS = re.compile(r"<text [^>]*>\n</text>")  # rich draws the end of each line, too
FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'


@dataclass(frozen=True)
class Terminal:
    """A command, and the terminal that it writes to.

    Attributes:
        name: of the picture.
        title: what is seen, in a line.
        description: the same for those who do not see it.
        shown: the command as the picture has it.
        command: the command that is run, in the root of the repository.
        columns: how wide the terminal is.
    """

    name: str
    title: str
    description: str
    shown: str
    command: tuple[str, ...]
    columns: int

    def picture(self) -> str:
        """Run the command and return the picture."""
        return render(self, record(self.command, self.columns))


def record(command: Sequence[str], columns: int) -> str:
    """Run a command on a terminal and return what it writes, with its colours."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (LINES, columns))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT_DIRECTORY,
        env=environment,
    ) as run:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    text = written.decode().replace("\r\n", "\n")
    if run.returncode:
        sys.exit(f"{text}{command}: code {run.returncode}")
    return text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: no process has the other end any more
        return b""


def render(terminal: Terminal, output: str) -> str:
    """Return the picture of a command and its output."""
    styles = Theme({f"log.{name}": style for name, style in STYLES.items()})
    console = Console(
        record=True,
        width=terminal.columns,
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        theme=styles,
    )
    text = Text.from_ansi(f"$ {terminal.shown}\n{output.rstrip()}")
    text.highlight_regex(COMMENT, "blue")
    text.highlight_regex(COMMAND_OR_RESULT, "bold")
    for line in text.split("\n"):
        if line.highlight_regex(LOG, style_prefix="log."):
            line.highlight_regex(PAIR, style_prefix="log.")
        console.print(line, highlight=False, overflow="fold")
    return _page(terminal, console)


def _page(terminal: Terminal, console: Console) -> str:
    """Put parts that rich draws on a page: its own has one theme, and a font from the network."""

    def part(name: str, colours: str = LIGHT) -> str:
        """Have rich fill in one of the parts that it knows by name."""
        return console.export_svg(
            theme=_theme(colours), code_format=f"{{{name}}}", clear=False, unique_id=terminal.name
        )

    light, dark = part("styles"), part("styles", DARK)
    assert light.count("\n") == dark.count("\n"), "a class would not be the same in both"
    words = NO_WORDS.sub("", part("matrix")).replace("</text>", "</text>\n")
    width = round(terminal.columns * COLUMN + 18 + 2 * MARGIN)
    height = round(float(part("height"))) + HEAD + MARGIN
    box = f'x="{-MARGIN}" y="{-HEAD}" width="{width}" height="{height}"'
    page = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-MARGIN} {-HEAD} {width} {height}" \
width="{round(width * SCALE)}" height="{round(height * SCALE)}" \
role="img" aria-labelledby="{terminal.name}-title {terminal.name}-text">
<title id="{terminal.name}-title">{escape(terminal.title)}</title>
<desc id="{terminal.name}-text">{escape(terminal.description)}</desc>
<style>
text {{ font-family: {FONT}; font-size: 20px; white-space: pre }}
.name {{ fill: #59636e }} .line {{ stroke: #d1d9e0 }}
.page {{ fill: #ffffff; stroke: #d1d9e0; stroke-width: 2 }}
{light}
@media (prefers-color-scheme: dark) {{
.name {{ fill: #9198a1 }} .line {{ stroke: #3d444d }}
.page {{ fill: #0d1117; stroke: #3d444d }}
{dark}
}}
</style>
<defs>{part("lines")}</defs>
<rect class="page" {box} rx="10"/>
<text class="name" x="9" y="20">{escape(terminal.title)}</text>
<path class="line" d="M{-MARGIN} 34h{width}"/>
<g transform="translate(9, {TOP})">
{part("backgrounds")}
{words}
</g>
</svg>
"""
    return "".join(f"{line.strip()}\n" for line in page.splitlines() if line.strip())


def _theme(colours: str) -> TerminalTheme:
    parsed: list[tuple[int, int, int]] = [parse_rgb_hex(colour) for colour in colours.split()]
    background, text, *others = parsed
    return TerminalTheme(background, text, others)


TERMINALS = (
    Terminal(
        "run",
        "make run: a workload under pyinit, stopped by SIGTERM",
        "The output of make run. pyinit is PID 1 of a namespace and starts a workload, which "
        "leaves a daemon and five orphans behind. pyinit reaps the orphans, so there are no "
        "zombies. On SIGTERM it forwards the signal to the workload, which exits with 42. Then the "
        "drain starts: the daemon gets SIGTERM and finishes its work, nothing is killed, and "
        "pyinit exits with 42 as well.",
        "make run",
        ("examples/run.sh", "pyinit"),
        92,
    ),
    Terminal(
        "inspect",
        "pyinit --inspect: why a loop in bash would not stop",
        "The output of pyinit --inspect for a loop in bash that is PID 1. In red: SIGTERM is "
        "dropped, because PID 1 has no handler for it, and docker stop will wait for its full "
        "grace period. Below is a table with a line for each signal. Most are dropped, in red. "
        "SIGINT is delivered, in green. From outside, SIGKILL and SIGSTOP work.",
        "examples/inspect.sh bash",
        ("examples/inspect.sh", "bash"),
        80,
    ),
)
