"""The tables at the top of docs/usage.md: every option and variable, with the right default."""

import re

import pytest

from testkit.programs import ROOT_DIRECTORY

from pyinit.before import cli
from pyinit.settings import Settings

PAGE = (ROOT_DIRECTORY / "docs/usage.md").read_text()
ROWS = re.findall(r"^\| (\[`-.*?) \|.*\| (.*) \| .* \|$", PAGE, re.MULTILINE)
TOPICS = {**cli.FLAGS, **cli.VALUES, **cli.MAY_HAVE_VALUES}
SETTINGS = {topic for topic in TOPICS.values() if hasattr(Settings, topic)}
VARIABLES = dict(re.findall(r"^\| `(PYINIT_\w+)` \|.*\| (.*) \|$", PAGE, re.MULTILINE))


def default_cells() -> dict[str, str]:
    """Return what the table of options has as the default of each setting."""
    found = {}
    for cell, default in ROWS:
        topics = {TOPICS[word] for word in re.findall(r"`(-[\w-]+)`", cell)}
        found.update(dict.fromkeys(topics & SETTINGS, default))
    return found


def written(topic: str) -> str:
    """Return how the tables write a default."""
    default = getattr(Settings, topic)
    if topic == "parent_death_signal" or default in ((), {}, frozenset(), ""):
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default:g}`" if isinstance(default, (int, float)) else f"`{default}`"


def test_every_option_is_in_the_table():
    """Each way to write it, those that turn one off included."""
    table = PAGE[PAGE.index("## Every option") : PAGE.index("### Every variable")]

    assert set(TOPICS) <= set(re.findall(r"`(-[\w-]+)`", table))


@pytest.mark.parametrize("topic", sorted(SETTINGS))
def test_default_of_an_option(topic):
    """It stands first in its cell; what else there is to say of it follows."""
    assert re.match(rf"{re.escape(written(topic))}(\W|$)", default_cells()[topic])


@pytest.mark.parametrize("name", sorted(cli.VARIABLES))
def test_default_of_a_variable(name):
    assert written(cli.VARIABLES[name]) == VARIABLES[name]
