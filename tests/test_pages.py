"""A command writes only between two comments of a page; a translation keeps code as it is."""

import re
from pathlib import Path

import pytest

from testkit import pages
from testkit.programs import ROOT_DIRECTORY

PAGE = "# A page\n\n<!-- one: begin -->\nold\n<!-- one: end -->\n\nIts end.\n"
TRANSLATIONS = [
    *sorted(ROOT_DIRECTORY.glob("*.zh-CN.md")),
    *sorted((ROOT_DIRECTORY / "docs").rglob("*.zh-CN.md")),
]
each_translation = pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)


def test_text_is_put_in_place_of_the_one_that_is_there(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    pages.put(page, "one", "new\n")

    assert PAGE.replace("old", "new") == page.read_text()


@pytest.mark.parametrize("mark", ["begin", "end"])
def test_page_without_comments_is_left_alone(tmp_path, mark):
    page = tmp_path / "page.md"
    text = PAGE.replace(f"one: {mark}", "another")
    page.write_text(text)
    with pytest.raises(SystemExit, match=r"one: .* does not have the lines <!-- one: begin -->"):
        pages.put(page, "one", "new\n")

    assert text == page.read_text()


def english(page: Path) -> Path:
    """Return the page of which a page is the translation."""
    return page.with_name(page.name.replace(".zh-CN.", "."))


def fenced(page: bytes) -> list[bytes]:
    """Return the fenced blocks of a page, each with the comment above it, if there is one."""
    return re.findall(rb"^(?:<!-- .*? -->\n)?```.*\n(?s:.*?)^```$", page, re.MULTILINE)


def options(page: str) -> list[list[str]]:
    """Return what is code in the first two columns of a table of options."""
    rows = re.findall(r"^\| (`-.*?\|.*?)\|", page, re.MULTILINE)
    return [re.findall(r"`.*?`", row) for row in rows]


def links(page: Path, other: Path) -> list[str]:
    """Return where the links of a page lead, without the one to its other language."""
    found = re.findall(r"\]\(([^)]*)\)", page.read_text())
    return sorted(link for link in found if link != other.name)


def test_readme_and_tutorial_are_translated():
    """The tests below have these two pages, at least, to look at."""
    translated = {str(page.relative_to(ROOT_DIRECTORY)) for page in TRANSLATIONS}

    assert {"README.zh-CN.md", "docs/tutorial.zh-CN.md"} <= translated


@each_translation
def test_translation_has_the_blocks_of_the_english_page(page):
    """The fenced blocks are the same byte for byte: tests/test_docs.py runs the English ones."""
    blocks = fenced(english(page).read_bytes())

    assert len(blocks) > 0
    assert blocks == fenced(page.read_bytes())


@each_translation
def test_translation_has_the_options_and_links_of_the_english_page(page):
    """An option or a link that is new in one language is missed in the other."""
    assert options(english(page).read_text()) == options(page.read_text())
    assert links(english(page), page) == links(page, english(page)) != []


@each_translation
def test_each_language_links_to_the_other(page):
    """A reader sees in the first lines that there is the other language."""
    for one, other in ((page, english(page)), (english(page), page)):
        assert f"]({other.name})" in "".join(one.read_text().splitlines()[:5])


@pytest.mark.parametrize(
    "other",
    [
        b"<!-- illustration: slow -->\n```text\none\n```\n\n```console\n$ two\n```\n",
        b"```text\none\n```\n\n```console\n$ two \n```\n",
        b"```text\none\n```\n\n```yaml\n$ two\n```\n",
        b"```console\n$ two\n```\n\n```text\none\n```\n",
        b"```text\none\n```\n",
    ],
    ids=["a mark", "a space", "a language", "the order", "one less"],
)
def test_block_that_differs_is_noticed(other):
    """Neither prose between blocks nor anything but prose makes two pages equal."""
    page = b"```text\none\n```\n\n```console\n$ two\n```\n"

    assert fenced(page) == fenced(page.replace(b"\n\n", b"\n\nProse.\n\n"))
    assert fenced(page) != fenced(other)
