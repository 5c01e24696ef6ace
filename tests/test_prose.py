"""The linter for prose finds the words that it is to find, and no others (`make lint`)."""

import importlib.util
import sys

import pytest

from testkit.programs import ROOT_DIRECTORY

SPEC = importlib.util.spec_from_file_location("prose", ROOT_DIRECTORY / "scripts/prose.py")
prose = sys.modules.setdefault("prose", importlib.util.module_from_spec(SPEC))
SPEC.loader.exec_module(prose)

WRONG = {
    "pyinit waits for who is left": "who",
    "a process who waits": "who",
    "Whoever is left": "Whoever",
    "It kills nobody": "nobody",
    "until its patience is over": "patience",
    "Off PID 1 it adopts": "Off PID 1",
    "lack of memory, for one, ends it": "for one",
    "That is mended": "mended",
    "It turns at full speed": "turns at full speed",
    "it ends of whatever": "of whatever",
    "to bury it": "bury",
    "It reaps the dead, and waits": "the dead",
    "It died of SIGSEGV": "died of",
    "expected FROM:TO, as `TERM:QUIT`": "as `TERM:QUIT",
    "expected seconds, as 5 or 0.5": "as 5 or",
    "in order to stop": "in order to",
    "It utilizes ctypes": "utilizes",
    "lest it block": "lest",
    "It is obviously late": "obviously",
    "before the the end": "the the",
    "before the\nthe end": "the\nthe",
}
RIGHT = [
    "a user who may signal it, and someone who does not; anyone, who reads",
    "The row `nobody` or ``who`` is code, and so is <!-- a mark for whom -->",
    "as root or nobody; as nobody; the user nobody",
    "[labs](labs/whom/README.md), [who-sends-sigkill](nobody.md)",
    "```console\n$ who\n```",
    "for one process; the dead child; as tini does, as 3 of them do",
    "Args:\n    whom: the target",
    "EVERYONE is a constant",
    "yes\n\nyes | no | no",
]


@pytest.mark.parametrize(("text", "words"), WRONG.items(), ids=WRONG.values())
def test_words_are_found(text, words):
    """Each rule has an example, capital or not, at a line's end or in it."""
    assert [words] == [found for _, found, _ in prose.findings(text)]


def test_each_rule_has_an_example():
    """A rule that finds nothing would be none."""
    used = {instead for text in WRONG for _, _, instead in prose.findings(text)}

    assert set(prose.RULES.values()) == used


@pytest.mark.parametrize("text", RIGHT)
def test_right_words_are_not_found(text):
    """People may be called who, and code is what it is."""
    assert [] == list(prose.findings(text))


def test_python_file_is_read_by_comments_and_strings(tmp_path, capsys):
    """Names in the code are not read, and neither are strings of one word."""
    page = tmp_path / "a.py"
    page.write_text(
        '"""A module.\n\nIt tells who is left.\n"""\n\n'
        'whom = "nobody"  # for everyone\n'
        'print(f"{whom} has patience")\n'
    )

    assert 1 == prose.main([str(page)])
    assert [f"{page}:3: 'who'", f"{page}:6: 'everyone'", f"{page}:7: 'patience'"] == sorted(
        line.partition(": write ")[0] for line in capsys.readouterr().out.splitlines()
    )


def test_page_without_such_words_is_well(tmp_path, capsys):
    """The code is 0, and nothing is printed."""
    page = tmp_path / "a.md"
    page.write_text("# A page\n\nA process that has exited.\n")

    assert 0 == prose.main([str(page)])
    assert "" == capsys.readouterr().out


def test_english_pages_and_the_package_are_read():
    """Translations are not: other words are wrong there."""
    names = {str(path.relative_to(ROOT_DIRECTORY)) for path in prose.files(ROOT_DIRECTORY)}

    assert {"README.md", "docs/labs/README.md", "pyinit/init.py", "launcher/command.py"} <= names
    assert not any(name.endswith(".zh-CN.md") for name in names)
