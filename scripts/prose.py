"""Look for words that make a reader stop, and say what to write instead: part of `make lint`.

It reads the English pages, and the comments and strings of the Python files that users run. Code in
a page or in a comment is not looked at.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).parent.parent
PAGES = ("*.md", "docs/**/*.md", "examples/**/*.md")
PYTHON = ("pyinit/**/*.py", "launcher/*.py", "examples/**/*.py")
PROCESSES = '"a process that", "every process"; for people, "someone" and "anyone"'

# What to look for, as whole words, and what to write. tests/test_prose.py has an example of each.
RULES = {
    r"who|whom|whoever|somebody|everybody|everyone|anybody": PROCESSES,
    r"nobody": '"no process", "nothing"; for people, "no one"',
    r"patience": '"grace period" or "timeout"',
    r"off PID 1": '"when pyinit is not PID 1"',
    r"for one(?=[,.;:)])": '"for example"',
    r"mend(?:s|ed|ing)?": '"fix"',
    r"turn(?:s|ed|ing)? at full speed": '"spin"',
    r"of whatever": '"for whatever reason"',
    r"bury|buries|buried": '"reap"',
    r"the dead(?=[,.;:)]| (?:and|are|go|have|is|or|that)\b)": '"exited processes"',
    r"(?:die|dies|died|dying) of": '"be killed by"',
    r"(?<=[,(])\s?as `?(?:[A-Z]+:[A-Z0-9]+|[0-9.]+ or)": '"such as"',
    r"in order to": '"to"',
    r"utili[sz](?:e|es|ed|ing)": '"use"',
    r"lest|whence|thence|thereof|albeit": "a plainer word",
    r"obviously|needless to say|it goes without saying|please note": "nothing: leave it out",
    r"(?-i:([a-z]+)(?: +|\n)\1)": "the word once",
}
PEOPLE = (
    "administrator|anyone|author|attacker|colleague|developer|engineer|maintainer|no one|operator|"
    "people|person|reader|someone|team|user|you"
)
# Right all the same: people, the user called nobody, the MIT license, what is said twice.
RIGHT = re.compile(
    rf"\b(?:(?:{PEOPLE})s?,? who|(?:as|or|user) nobody|persons to whom"
    r"|that that|had had|proc proc|wait(?:s|ed|ing)? for one)\b",
    re.IGNORECASE,
)
CODE = re.compile(r"^```.*?^```$|<!--.*?-->|(`+)(?!`).*?(?<!`)\1(?!`)", re.MULTILINE | re.DOTALL)
ARGUMENT = re.compile(r"^ +\w+: ", re.MULTILINE)  # of a function, in its docstring
LINK = re.compile(r"\]\([^)]*\)")


def blank(found: re.Match[str]) -> str:
    """Replace small letters, so that no rule fits. A rule may ask what follows in capitals."""
    return re.sub(r"[a-z]", "_", found[0])


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words and what to write instead, for each place where a rule fits."""
    for hidden in (CODE, LINK, ARGUMENT, RIGHT):
        text = hidden.sub(blank, text)
    for rule, instead in RULES.items():
        for found in re.finditer(rf"(?<![\w-])(?:{rule})(?![\w-])", text, re.IGNORECASE):
            if not found[0].isupper():  # a constant
                yield text.count("\n", 0, found.start()) + 1, found[0].strip(), instead


def python_texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments, and the strings with more than a word, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file, each with its first line."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python_texts(content)
    else:
        yield 1, content


def files(tree: Path) -> list[Path]:
    """Return the files to look at."""
    found = [path for pattern in (*PAGES, *PYTHON) for path in tree.glob(pattern)]
    return sorted(path for path in found if not path.name.endswith(".zh-CN.md"))


def main(paths: list[str]) -> int:
    """Print what is found in the files, or in all; return 1 if there is anything."""
    count = 0
    for path in map(Path, paths) if paths else files(TREE):
        for first, text in texts(path):
            for line, words, instead in findings(text):
                name = path.relative_to(TREE) if path.is_relative_to(TREE) else path
                print(f"{name}:{first + line - 1}: {words!r}: write {instead}")
                count += 1
    return count > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
