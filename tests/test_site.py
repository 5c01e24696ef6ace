"""Links and anchors of all pages lead somewhere, and the site shows each page (`make site`)."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from testkit.programs import ROOT_DIRECTORY

SCRIPT = ROOT_DIRECTORY / "scripts/website/make_site.py"
SPEC = importlib.util.spec_from_file_location("make_site", SCRIPT)
make_site = sys.modules.setdefault("make_site", importlib.util.module_from_spec(SPEC))
SPEC.loader.exec_module(make_site)

ALL = make_site.pages(ROOT_DIRECTORY)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(text: str) -> set[str]:
    """Return the anchors that a forge gives to the headings of a page."""
    found: list[str] = []
    for heading in HEADING.findall(FENCED.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        earlier = sum(bool(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other)) for other in found)
        found.append(f"{anchor}-{earlier}" if earlier else anchor)
    return set(found)


def broken(tree: Path, page: Path) -> list[str]:
    """Return the links of a page that lead to no file of the repository, or to no heading."""
    found = []
    text = (tree / page).read_text()
    prose = "".join(part for part, _ in make_site.prose_and_code(text))
    for path, anchor in LINK.findall(prose):
        to = tree / make_site.target(page, path) if path else tree / page
        if not to.exists() or (anchor and anchor not in anchors(to.read_text())):
            found.append(f"{path}#{anchor}" if anchor else path)
    return found


def bold_stars(text: str) -> list[str]:
    """Return what is meant to be bold, but shown with its stars by a forge.

    CommonMark ends bold text only where no letter follows, or no punctuation is before the stars.
    """
    found = re.findall(r"\*\*[^\s*](?:[^*\n]*\S)?\*\*.?", FENCED.sub("", text))
    return [bold for bold in found if not bold[-4].isalnum() and bold[-1].isalnum()]


def flat(navigation: object) -> list[str]:
    """Return the pages of a navigation."""
    if isinstance(navigation, str):
        return [navigation]
    inner = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for part in inner for page in flat(part)]


@pytest.fixture
def tree(tmp_path):
    """Return an empty repository with a folder for its pages."""
    (tmp_path / "docs").mkdir()
    return tmp_path


@pytest.fixture
def docs(tree):
    """Return the pages of which a site is made, still without a page."""
    return make_site.Pages(tree, tree / "copies")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder with the site, where `make site` has installed what makes it."""
    pytest.importorskip("mkdocs", reason="only `make site` installs it")
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_site, "SITE", folder)
        make_site.main()
    return folder


@pytest.mark.parametrize("page", ALL, ids=str)
def test_links_and_anchors_lead_somewhere(page):
    """A link leads to a file of the repository that is there, an anchor to a heading of a page."""
    assert [] == broken(ROOT_DIRECTORY, page)


def test_broken_links_are_noticed(tree):
    """Files, folders and anchors are; what looks like a link in code is none."""
    page = Path("docs/page.md")
    (tree / page).write_text(
        "# A page\n## `-d`, and so on\n## Twice\n## Twice\n"
        "[1](page.md) [2](#-d-and-so-on) [3](page.md#a-page) [4](../docs) [5](#twice-1)\n"
        "[6](nothing.md) [7](#nothing) [8](page.md#nothing) [9](../nothing) [10](#twice-2)\n"
        "[11](https://example.org/nothing) `[12](nothing)`\n"
        "```text\n# [13](#no)\n```\n[14](#13no)\n"
    )

    expected = ["nothing.md", "#nothing", "page.md#nothing", "../nothing", "#twice-2", "#13no"]
    assert expected == broken(tree, page)


@pytest.mark.parametrize("page", ALL, ids=str)
def test_bold_text_is_bold_on_a_forge(page):
    """In Chinese no space follows a sentence: there the stop goes behind the stars."""
    assert [] == bold_stars((ROOT_DIRECTORY / page).read_text())


def test_stars_are_noticed():
    """A letter, punctuation and two stars are one thing in each order but one."""
    good = "**宽限期**。从 **A stop.** Then **`-k`**, and\n**end.**\n```text\n**宽。**从\n```\n"

    assert [] == bold_stars(good)
    assert ["**宽限期。**从", "**`-k`**s"] == bold_stars("**宽限期。**从\n**`-k`**s")


def test_each_page_is_in_the_navigation_once():
    """docs/README.md lists each page; a page that lists the others of its folder helps it."""
    assert [str(page) for page in ALL] == sorted(flat(make_site.navigation(ROOT_DIRECTORY)))


def test_sections_of_the_navigation_are_those_of_the_list(tree):
    """The order is the list's: neither the alphabet's nor that of the headings' pages."""
    (tree / "docs/labs").mkdir()
    (tree / "docs/labs/README.md").write_text(
        "# Labs\n| [b](b.md) | [why](../why.md) | [a](a.md) |\n"
    )
    (tree / "docs/README.md").write_text(
        "# List\n[home](../README.md)\n## To read\n- [why](why.md): and\n  [how](how.md)\n"
        "## To try\nHere are [labs](labs/README.md), [code](../code/).\n## Empty\n[why](why.md)\n"
    )
    labs = {"Labs": ["docs/labs/README.md", "docs/labs/b.md", "docs/labs/a.md"]}

    assert [
        {"To read": ["docs/why.md", "docs/how.md"]},
        {"To try": [labs]},
    ] == make_site.navigation(tree)[2:-2]


def test_link_to_a_source_file_leads_to_a_page_that_shows_it(tree, docs):
    """The rest of the page, with its code, stays as it is."""
    (tree / "run.py").write_text("print()\n")
    code = "`[run](../run.py)`\n\n```text\n[run](../run.py)\n```\n"
    page = f"# A page\n\n[run](../run.py) [self](page.md) {code}"
    (tree / "docs/page.md").write_text(page)
    docs.add(Path("docs/page.md"))

    expected = page.replace("[run](../run.py) ", "[run](../run.py.md) ", 1)
    assert expected == (docs.folder / "docs/page.md").read_text()
    assert "~~~~~~ python\nprint()\n~~~~~~\n" in (docs.folder / "run.py.md").read_text()
    assert {Path("run.py.md")} == docs.sources


def test_link_to_a_folder_leads_to_a_list_of_its_files(tree, docs):
    """It leads to the README.md of the folder, where there is one."""
    for folder in ("code", "docs/told"):
        (tree / folder).mkdir()
    (tree / "code/Dockerfile").write_text("FROM scratch\n")
    (tree / "docs/told/README.md").write_text("# Told\n")
    (tree / "docs/page.md").write_text("[code](../code/) [told](told)\n")
    docs.add(Path("docs/page.md"))

    assert (
        "[code](../code/README.md) [told](told/README.md)\n"
        == (docs.folder / "docs/page.md").read_text()
    )
    assert "- [`Dockerfile`](Dockerfile.md)\n" in (docs.folder / "code/README.md").read_text()
    assert "~~~~~~ dockerfile\nFROM scratch\n" in (docs.folder / "code/Dockerfile.md").read_text()


def test_picture_is_copied(tree, docs):
    """A picture lies where the page expects it."""
    (tree / "docs/a.svg").write_text("<svg/>")
    (tree / "README.md").write_text("![a](docs/a.svg)\n")
    docs.add(Path("README.md"))

    assert "<svg/>" == (docs.folder / "docs/a.svg").read_text()
    assert "![a](docs/a.svg)\n" == (docs.folder / "README.md").read_text()


def test_list_after_a_paragraph_stays_a_list():
    """Python-Markdown wants an empty line before a list, and four columns before an inner item."""
    page = "So:\n- one\n  more\n- two\n   - inner\n\n```text\nSo:\n- no list\n   - none\n```\n"
    expected = page.replace("So:\n- one", "So:\n\n- one").replace("   - inner", "    - inner")

    assert expected == make_site.lists(page)


def test_search_finds_a_term(site):
    """The index has its places, and the copy for the file system is the same."""
    text = (site / "search/search_index.json").read_text()
    places = json.loads(text)["docs"]
    found = {at["location"] for at in places if "drain" in f"{at['title']} {at['text']}".lower()}

    assert {"docs/usage.html#-d", "docs/glossary.html#drain"} <= found
    assert f"var __index = {text}" == (site / "search/search_index.js").read_text()


def test_site_loads_nothing_from_elsewhere(site):
    """Only links that a reader follows lead out of it."""
    pages = {str(page.relative_to(site)): page.read_text() for page in site.rglob("*.html")}
    loaded = re.compile(r"""<(?!a\b)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")

    assert {"index.html", "docs/index.html", "docs/usage.html", "examples/web/index.html"} <= {
        *pages
    }
    assert [] == [(name, tag) for name, text in pages.items() for tag in loaded.findall(text)]


def test_chinese_pages_say_so(site):
    """Browsers choose fonts, and readers voices, by the language."""
    assert '<html lang="zh-CN"' in (site / "docs/tutorial.zh-CN.html").read_text()
    assert '<html lang="en"' in (site / "docs/tutorial.html").read_text()
