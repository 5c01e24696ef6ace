"""JUnit XML for CI: one test case for each run."""

import shlex
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pyinit.rehearse.model import Run
from pyinit.rehearse.reports import facts, text
from pyinit.rehearse.reports.columns import plain, safe

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
SUITE = "pyinit-rehearse"


def render(runs: Sequence[Run]) -> str:
    """Return the document: a stop that is not graceful is a failure with the report as its text."""
    failures = sum(not run.is_graceful for run in runs)
    suite = _suite(len(runs), failures=failures, seconds=sum(run.seconds for run in runs))
    properties = ET.SubElement(suite, "properties")
    for run in runs:
        init = plain(facts.init(run))
        for key in ("verdict", "code", "enough"):
            value = getattr(run, key)
            if value is not None:
                told = {"name": f"{init}.{key}", "value": plain(safe(str(value)))}
                ET.SubElement(properties, "property", told)
        name = plain(f"{facts.command(run)}: {facts.request(run)}")
        kind = f"{SUITE}.{init}"
        case = ET.SubElement(suite, "testcase", classname=kind, name=name, time=_time(run.seconds))
        if not run.is_graceful:
            message, kind = plain(facts.headline(run)), plain(safe(run.verdict))
            ET.SubElement(case, "failure", message=message, type=kind).text = text.render([run])
    return _document(suite)


def render_error(command: Sequence[str], message: str) -> str:
    """Return the document for a stop that could not be rehearsed.

    Args:
        command: the command.
        message: why.
    """
    suite = _suite(1, errors=1)
    name = plain(safe(shlex.join(command)))
    case = ET.SubElement(suite, "testcase", classname=SUITE, name=name, time=_time(0))
    ET.SubElement(case, "error", message=plain(safe(message)), type="not rehearsed")
    return _document(suite)


def _suite(tests: int, *, failures: int = 0, errors: int = 0, seconds: float = 0) -> ET.Element:
    numbers = {"tests": tests, "failures": failures, "errors": errors, "skipped": 0}
    told = {name: str(number) for name, number in numbers.items()}
    return ET.Element("testsuite", {"name": SUITE, **told, "time": _time(seconds)})


def _document(suite: ET.Element) -> str:
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return HEADER + ET.tostring(suites, encoding="unicode") + "\n"


def _time(seconds: float) -> str:
    return f"{max(0, seconds):.3f}"
