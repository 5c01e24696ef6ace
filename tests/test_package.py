"""What is installed, and that the pages beside it tell the truth."""

import importlib.metadata
import os
import re
from pathlib import Path

from testkit.programs import ROOT_DIRECTORY

import pyinit
from pyinit.before import cli
from pyinit.before import usage
from pyinit.lifecycle import LAST_SECONDS

DISTRIBUTION = importlib.metadata.distribution("pyinit-container")
README = (ROOT_DIRECTORY / "README.md").read_text()


def test_installed_package_is_tested_not_the_tree():
    """What the tests import came out of a wheel."""
    assert ROOT_DIRECTORY / "pyinit" != Path(pyinit.__file__).parent
    assert DISTRIBUTION.version == pyinit.__version__


def test_wheel_is_pure():
    """One wheel serves every Python and every machine."""
    wheel = DISTRIBUTION.read_text("WHEEL").splitlines()

    assert {"Root-Is-Purelib: true", "Tag: py3-none-any"} <= set(wheel)


def test_both_libraries_are_required():
    """python-prctl and structlog are installed with pyinit, and drawsvg where it is asked for."""
    needed = sorted(re.match(r"[\w-]+", need)[0] for need in DISTRIBUTION.requires)
    always = [need for need in DISTRIBUTION.requires if "extra ==" not in need]

    assert ["drawsvg", "python-prctl", "structlog"] == needed
    assert 2 == len(always)
    assert ["rehearse"] == DISTRIBUTION.metadata.get_all("Provides-Extra")


def test_metadata_is_what_an_index_shows():
    """A licence that machines can read, no address where there is none, types where it says so."""
    metadata = DISTRIBUTION.metadata

    assert "MIT" == metadata["License-Expression"]
    assert metadata.get_all("Project-URL") is metadata["Home-page"] is None
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert (Path(pyinit.__file__).parent / "py.typed").exists()


def test_workflows_have_every_supported_python():
    """CI tries, and a release has wheels for, each Python that the classifiers name."""
    named = "\n".join(DISTRIBUTION.metadata.get_all("Classifier"))
    supported = re.findall(r"Python :: (3\.\d+)", named)
    workflows = ROOT_DIRECTORY / ".github/workflows"
    tried = re.search(r"python: \[(.*)\]", (workflows / "ci.yml").read_text())[1]
    built = re.findall(r"\bcp(3)(\d+)-\*", (workflows / "release.yml").read_text())

    assert supported == re.findall(r"[\d.]+", tried)
    assert supported == [".".join(version) for version in built]


def test_description_has_no_link_that_leads_nowhere():
    """An index shows README.md without the files beside it."""
    links = re.findall(r"\]\(([^)]*)\)", DISTRIBUTION.metadata.get_payload())

    assert len(links) > 0
    assert [] == [link for link in links if not link.startswith("https:")]
    assert len(re.findall(r"\]\(", README)) > len(links)


def test_commands_are_scripts_of_the_wheels_own():
    """A wrapper, as for an entry point, would import `re` first; pytest alone finds one."""
    scripts = {os.path.basename(path) for path in DISTRIBUTION.files if "/bin/" in str(path)}
    (plugin,) = DISTRIBUTION.entry_points

    assert {"pyinit", "pyinit-launcher", "pyinit-rehearse"} == scripts
    assert ("pytest11", "pyinit") == (plugin.group, plugin.name)
    assert hasattr(plugin.load(), "pid1")


def test_licence_page_is_the_licence():
    """-l prints the file LICENSE."""
    assert (ROOT_DIRECTORY / "LICENSE").read_text() == usage.LICENCE


def test_readme_is_short():
    """The README can be read at a sitting."""
    assert len(README.splitlines()) <= 120


def test_readme_has_every_option_and_no_other():
    """The table of options is that of the code."""
    table = re.findall(r"^\| (`-.*?) \|", README, re.MULTILINE)
    options = set(re.findall(r"`(--?[\w-]+)", " ".join(table)))

    assert {*cli.FLAGS, *cli.VALUES, *cli.MAY_HAVE_VALUES} == options


def test_readme_names_files_that_exist():
    """Every file that the README names is there."""
    named = set(re.findall(r"\b((?:tests|docs|scripts)/[\w./-]+\.\w+)", README))

    assert [] == [name for name in sorted(named) if not (ROOT_DIRECTORY / name).exists()]


def test_pages_name_tests_that_exist():
    """A test that a page calls to witness is there."""
    pages = "".join(path.read_text() for path in (ROOT_DIRECTORY / "docs").rglob("*.md"))
    named = set(re.findall(r"\b(tests/\w+\.py)::(\w+)", pages))
    missing = [
        (file, name)
        for file, name in named
        if f"def {name}(" not in (ROOT_DIRECTORY / file).read_text()
    ]

    assert len(named) > 5
    assert [] == missing


def test_patience_of_the_engines_is_not_used_up():
    """The options that the page advises leave a second for SIGKILL, and add up as it says."""
    page = (ROOT_DIRECTORY / "docs/graceful-shutdown.md").read_text()
    row = r"^\| (\d+) s \| `(.*)` \| (\d+) s \| (\d+) s \|$"
    advice = re.findall(row, page, re.MULTILINE)
    assert ["10", "30", "90"] == [patience for patience, *_ in advice]
    for patience, options, child, others in advice:
        settings = cli.parse([*options.split(), "app"], {})
        assert (float(child), float(others)) == (settings.kill_after, settings.drain)
        assert settings.kill_after + settings.drain + LAST_SECONDS < float(patience)


def test_internals_have_every_module_and_no_other():
    """The table of modules, with the sentence below it, names what is in pyinit/."""
    page = (ROOT_DIRECTORY / "docs/maintainers/internals.md").read_text()
    named = re.findall(r"^\| `([\w/]*\w)` \| ", page, re.MULTILINE)
    named += re.findall(r"`(__\w+__)`", page)
    package = ROOT_DIRECTORY / "pyinit"
    modules = [
        str(path.relative_to(package).with_suffix(""))
        for path in package.rglob("*.py")
        if path.parent == package or path.stem != "__init__"
    ]

    assert sorted(modules) == sorted(named)


def test_readme_warns_of_the_other_project():
    """The public index has a project called pyinit, which is not this one."""
    assert "Do not `pip install pyinit`" in README
    assert "GPL-3.0-or-later" in README


def test_changelog_and_docs_name_no_event_that_is_not_there():
    """An event named in a page is one that docs/events.md describes."""
    described = set(
        re.findall(r"^### (\w+)", (ROOT_DIRECTORY / "docs/events.md").read_text(), re.MULTILINE)
    )
    named = re.findall(r"`(\w+_\w+)`\)", (ROOT_DIRECTORY / "docs/gotchas.md").read_text())

    assert set(named) <= described
