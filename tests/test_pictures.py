"""The pictures of the pages: anybody can read them, anywhere, and they agree with the pages."""

import re
from xml.etree import ElementTree as ET

import pytest

from pyinit.before import cli
from testkit.programs import ROOT_DIRECTORY
from trials.pictures import budget, choice, terminal
from trials.pictures.page import MARGIN, WIDTH
from trials.pictures.__main__ import FOLDER, PICTURES

FILES = sorted(FOLDER.glob("*.svg"))
PAGES = [
    *ROOT_DIRECTORY.glob("README*.md"),
    *(ROOT_DIRECTORY / "docs").rglob("*.md"),
]
SVG = "{http://www.w3.org/2000/svg}"
NAMESPACES = re.compile(r' xmlns(:xlink)?="http://www\.w3\.org/[\w/]+"')
ELSEWHERE = re.compile(r"https?:|data:|@import|@font-face|url\((?!#)|href=|<image|<script")
MOST_BYTES = 60_000
AVERAGE = {"small": 7.7, "mono": 8.8}  # pixels a character in a wide font
DRAWN = {"budget": budget.render, "choice": choice.render}
TERMINAL = terminal.Terminal("name", "A title", "What is seen.", "app", ("app",), 80)
OUTPUT = """\
\x1b[1;31mred\x1b[0m and <plain>

# A comment
17:38:24 [info   ] child_exited     pid=2 target='process 2'
exit code: 42
"""
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def texts(root: ET.Element) -> list[ET.Element]:
    return list(root.iter(f"{SVG}text"))


def shown(root: ET.Element) -> list[str]:
    """Return the lines of a terminal, without empty ones."""
    lines: dict[str, str] = {}
    for text in root.iterfind(f"{SVG}g/{SVG}text"):
        line = lines.get(text.get("y"), "")
        gap = round(float(text.get("x")) / terminal.COLUMN) - len(line)
        lines[text.get("y")] = line + " " * gap + text.text.replace("\xa0", " ")
    return list(lines.values())


def test_make_pictures_draws_each_picture():
    """None is left that no command makes any more."""
    assert sorted(PICTURES) == [file.stem for file in FILES]


@each_file
def test_picture_says_what_it_shows(file):
    """A screen reader gets a title and a description in place of hundreds of texts."""
    root = ET.parse(file).getroot()
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")

    assert "img" == root.get("role")
    assert f"{title.get('id')} {description.get('id')}" == root.get("aria-labelledby")
    assert len(title.text) > 10
    assert len(description.text) > 40
    assert len(texts(root)) > 10  # text is text, and not paths


@each_file
def test_picture_needs_nothing_from_elsewhere(file):
    """GitHub and a browser without a network show all of it, on light and on dark."""
    text = NAMESPACES.sub("", file.read_text())

    assert [] == ELSEWHERE.findall(text)
    assert "@media (prefers-color-scheme: dark)" in text
    assert len(text) < MOST_BYTES


@pytest.mark.parametrize(
    "reference",
    [
        '<image href="x.png"/>',
        '<a xlink:href="https://example.com"/>',
        "@import 'x.css';",
        "src: url(font.woff2)",
    ],
)
def test_reference_is_noticed(reference):
    """The test above finds what it looks for."""
    assert ELSEWHERE.search(reference)


@each_file
def test_picture_is_on_a_page(file):
    """A page shows it, with words for those who do not see it."""
    shown = re.compile(rf"^!\[([^\]]{{20,}})\]\((?:docs/)?pictures/{file.name}\)$", re.MULTILINE)

    assert [page.name for page in PAGES if shown.search(page.read_text())]


@pytest.mark.parametrize("name", DRAWN)
def test_picture_is_the_one_that_the_command_draws(name):
    """After a change, `make pictures ARGS="--only budget choice"` has to draw it again."""
    assert DRAWN[name]() == (FOLDER / f"{name}.svg").read_text()


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_leaves_the_picture(name):
    """There is room for a wide font."""
    for text in texts(ET.fromstring(DRAWN[name]())):
        words, styles, x = text.text, text.get("class").split(), float(text.get("x"))
        width = len(words) * next((AVERAGE[style] for style in styles if style in AVERAGE), 8.2)
        left = x - width * (1 if "right" in styles else 0.5 if "middle" in styles else 0)
        assert MARGIN - 1 <= left, words
        assert left + width <= WIDTH - MARGIN + 1, words


@pytest.mark.parametrize(
    "stop", [each for stops in budget.STOPS.values() for each in stops], ids=lambda stop: stop.words
)
def test_budget_is_what_pyinit_takes_from_its_words(stop):
    """With the default of -d where the words have none."""
    settings = cli.parse([*stop.words.split()[1:], "app"], {})

    assert (settings.kill_after, settings.drain) == (stop.kill_after, stop.drain)


def test_budget_is_that_of_the_pages():
    """What fits is advised by the pages, for the same grace period."""
    page = (ROOT_DIRECTORY / "docs/graceful-shutdown.md").read_text()
    engines = dict(re.findall(r"^\| (`?[\w ]+`?) \|.*\| (\d+) s \|.*\|$", page, re.MULTILINE))
    advice = re.findall(r"^\| (\d+) s \| `(.*)` \| (\d+) s \| (\d+) s \|$", page, re.MULTILINE)
    (docker, too_long), (kubernetes, with_hook) = budget.STOPS.values()

    assert (engines["`docker stop`"], engines["Kubernetes"]) == (
        str(budget.DOCKER),
        str(budget.KUBERNETES),
    )
    for stop in (docker, kubernetes):
        options = stop.words.removeprefix("pyinit ")
        assert (str(stop.grace), options, str(stop.kill_after), str(stop.drain)) in advice
    page = (ROOT_DIRECTORY / "docs/kubernetes.md").read_text()
    assert (
        f"With a `preStop` hook of {with_hook.hook} seconds, set 35, "
        f"or give the child {with_hook.kill_after}." in page
    )
    assert [True, False, True, True] == [
        stop.fits for stop in (docker, too_long, kubernetes, with_hook)
    ]


def test_inspect_shows_what_the_page_has():
    """The page's commands are run; if they print something else, the picture is drawn again."""
    page = (ROOT_DIRECTORY / "docs/inspect.md").read_text()
    words = next(each.shown for each in terminal.TERMINALS if each.name == "inspect")
    block = re.search(rf"^\$ {re.escape(words)}\n.*?(?=^```$)", page, re.MULTILINE | re.DOTALL)[0]
    expected = "\n".join(filter(None, block.splitlines()))
    lines = shown(ET.parse(FOLDER / "inspect.svg").getroot())
    pattern = ".*?".join(map(re.escape, expected.split("...")))

    assert re.fullmatch(pattern, "\n".join(line.rstrip() for line in lines), re.DOTALL)


def test_terminal_has_all_of_the_output():
    """Each line is there, and a colour has a style, on light and on dark."""
    picture = terminal.render(TERMINAL, OUTPUT)
    root = ET.fromstring(picture)
    plain = OUTPUT.replace("\x1b[1;31m", "").replace("\x1b[0m", "")
    red = next(text for text in texts(root) if text.text == "red").get("class")

    assert ["$ app", *filter(None, plain.splitlines())] == shown(root)
    assert ["#b3162c", "#ff7b72"] == re.findall(rf"\.{red} \{{ fill: (#\w+);", picture)


def test_terminal_folds_what_is_too_wide():
    """As a terminal does, nothing is cut off."""
    root = ET.fromstring(terminal.render(TERMINAL, "x" * 200))

    assert ["$ app", "x" * 80, "x" * 80, "x" * 40] == shown(root)


def test_command_writes_on_a_terminal():
    """It sees one of that width on all three streams."""
    words = "for fd in 0 1 2; do test -t $fd || echo $fd; done; stty size; printf '\\033[1mend' >&2"

    assert "50 77\n\x1b[1mend" == terminal.record(("sh", "-c", words), 77)


def test_command_that_fails_is_not_drawn():
    """What it wrote says why."""
    with pytest.raises(SystemExit, match=r"(?s)no such program.*code 3"):
        terminal.record(("sh", "-c", "echo no such program; exit 3"), 77)
