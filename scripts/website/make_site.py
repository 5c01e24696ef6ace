"""Make a web site of README.md, docs/ and the other pages, into site/: `make site`.

The pages are written for a forge, and stay as they are. In the copies of which the site is made,

- a link to a source file or to a folder becomes one to a page that shows it
- the navigation follows docs/README.md, so that there is one list of all pages

MkDocs makes the site. It fails if a link or an anchor leads nowhere, or if docs/README.md leaves a
page out. The site loads nothing from elsewhere: it can be read, and searched, from the file system.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).parents[2]
HERE = Path(__file__).parent
SITE = TREE / "site"
LIST = Path("docs/README.md")
PICTURES = {".png", ".svg"}
LANGUAGES = {".c": "c", ".html": "html", ".py": "python", ".sh": "bash", ".yaml": "yaml"}
# In code nothing is a link: neither in a fenced block nor in a span.
CODE = re.compile(r"^```.*?^```$|(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")
ITEM = re.compile(r" {0,3}(?:[-*]|\d+\.) ")


def pages(tree: Path) -> list[Path]:
    """Return the Markdown pages of the repository, relative to its root."""
    found = [*tree.glob("*.md"), *tree.glob("docs/**/*.md"), *tree.glob("examples/**/*.md")]
    return sorted(page.relative_to(tree) for page in found)


def prose_and_code(text: str) -> Iterator[tuple[str, str]]:
    """Split a page into pairs of prose and the code behind it."""
    begin = 0
    for code in CODE.finditer(text):
        yield text[begin : code.start()], code[0]
        begin = code.end()
    yield text[begin:], ""


def target(page: Path, link: str) -> Path:
    """Return to which file of the repository a link of a page leads."""
    return Path(os.path.normpath(page.parent / link))


def lists(text: str) -> str:
    """Write lists as Python-Markdown wants them, which is stricter than forges are."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if fenced or not ITEM.match(line):
            lines.append(line)
        elif line.startswith(" "):
            lines.append(f"    {line.lstrip(' ')}")
        else:
            if lines and re.match(r"[^>#|\s]", lines[-1]) and not ITEM.match(lines[-1]):
                lines.append("\n")
            lines.append(line)
    return "".join(lines)


def language(path: Path, text: str) -> str:
    """Return how the code of a file is to be coloured."""
    if path.name.startswith("Dockerfile"):
        return "dockerfile"
    first = text.partition("\n")[0]
    script = "python" if "python" in first else "bash" if first.startswith("#!") else "text"
    return LANGUAGES.get(path.suffix, script)


class Pages:
    """The folder from which MkDocs takes the pages."""

    def __init__(self, tree: Path, folder: Path) -> None:
        """Take the repository, and the folder to fill."""
        self.tree = tree
        self.folder = folder
        self.sources: set[Path] = set()

    def add(self, page: Path) -> None:
        """Copy a page of the repository, with the pictures and source files that it links to."""
        text = "".join(
            LINK.sub(lambda link: self._link(page, link[0]), prose) + code
            for prose, code in prose_and_code((self.tree / page).read_text(encoding="utf-8"))
        )
        self._write(page, lists(text))

    def _link(self, page: Path, link: str) -> str:
        path = target(page, link)
        if path.suffix == ".md" or not (self.tree / path).exists():
            return link  # MkDocs knows the one, and fails for the other
        if path.suffix not in PICTURES:
            return os.path.relpath(self._source(path), page.parent)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.tree / path, self.folder / path)
        return link

    def _source(self, path: Path) -> Path:
        """Return the page that shows a file, or lists a folder."""
        if (self.tree / path).is_file():
            page = path.with_name(f"{path.name}.md")
            text = (self.tree / path).read_text(encoding="utf-8")
            shown = f"~~~~~~ {language(path, text)}\n{text}~~~~~~\n"
        elif (self.tree / path / "README.md").exists():
            return path / "README.md"
        else:
            page = path / "README.md"
            files = sorted(file for file in (self.tree / path).iterdir() if file.is_file())
            names = [file.name for file in files]
            shown = "".join(f"- [`{name}`]({self._source(path / name).name})\n" for name in names)
        if page not in self.sources:
            self.sources.add(page)
            head = f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n\n"
            self._write(page, f"{head}# `{path}`\n\n{shown}")
        return page

    def _write(self, page: Path, text: str) -> None:
        (self.folder / page).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / page).write_text(text, encoding="utf-8")


def navigation(tree: Path) -> list[object]:
    """Return the navigation of the site: a section for each heading of docs/README.md."""
    sections: list[tuple[str, list[object]]] = []
    listed: set[Path] = set()
    for line in (tree / LIST).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            sections.append((line.removeprefix("## "), []))
        for page in (target(LIST, link) for link in LINK.findall(line)):
            if sections and page.suffix == ".md" and page not in listed:
                listed.add(page)
                sections[-1][1].append(entry(tree, page))
    return [
        {"Home": "README.md"},
        {"Documentation": str(LIST)},
        *({title: entries} for title, entries in sections if entries),
        {"中文": [str(page) for page in pages(tree) if page.name.endswith(".zh-CN.md")]},
        {"Changelog": "CHANGELOG.md"},
    ]


def entry(tree: Path, page: Path) -> object:
    """Return a page's place in the navigation: a section, if it lists the pages of a folder."""
    if page.name != "README.md":
        return str(page)
    text = (tree / page).read_text(encoding="utf-8")
    linked = dict.fromkeys(target(page, link) for link in LINK.findall(text))
    below = [path for path in linked if path.suffix == ".md" and path.is_relative_to(page.parent)]
    title = text.partition("\n")[0].removeprefix("# ")
    return {title: [str(page), *(str(path) for path in below if path != page)]}


def run_mkdocs(docs: Pages, configuration: Path) -> None:
    """Make the site, or exit with what MkDocs has found."""
    settings = {
        "INHERIT": str(HERE / "mkdocs.yml"),
        "docs_dir": str(docs.folder),
        "site_dir": str(SITE),
        "nav": navigation(docs.tree),
        "not_in_nav": "\n".join(f"/{page}" for page in docs.sources),
    }
    configuration.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML as well
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", configuration],
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    if ran.returncode:
        sys.exit(ran.stderr)


def finish(site: Path) -> None:
    """Say which pages are Chinese, and put the search index into a script.

    From the file system, a browser loads a script but no other file.
    """
    for page in site.rglob("*.zh-CN.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace('<html lang="en"', '<html lang="zh-CN"', 1), encoding="utf-8")
    index = (site / "search/search_index.json").read_text(encoding="utf-8")
    (site / "search/search_index.js").write_text(f"var __index = {index}", encoding="utf-8")


def main() -> None:
    """Make the site."""
    with tempfile.TemporaryDirectory() as scratch:
        docs = Pages(TREE, Path(scratch) / "pages")
        shutil.copytree(HERE / "theme", docs.folder)
        for page in pages(TREE):
            docs.add(page)
        run_mkdocs(docs, Path(scratch) / "mkdocs.yml")
    finish(SITE)
    print(f"site: {SITE / 'index.html'}")


if __name__ == "__main__":
    main()
