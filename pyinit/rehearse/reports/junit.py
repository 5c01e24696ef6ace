"""JUnit XML, for CI: a test case a run."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pyinit.rehearse.model import Run
from pyinit.rehearse.reports import facts, text
from pyinit.rehearse.reports.columns import plain, safe

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
SUITE = "pyinit-rehearse"


def render(runs: Sequence[Run]) -> str:
    """Return the document: what is not graceful is a failure, with the report as its text."""
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites,
        "testsuite",
        name=SUITE,
        tests=str(len(runs)),
        failures=str(sum(not run.is_graceful for run in runs)),
        errors="0",
        skipped="0",
        time=_time(sum(run.seconds for run in runs)),
    )
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
    ET.indent(suites)
    return HEADER + ET.tostring(suites, encoding="unicode") + "\n"


def _time(seconds: float) -> str:
    return f"{max(0, seconds):.3f}"
