"""The reports of a rehearsal: each says what matters, and is safe with any name of a process."""

import json
import re
import sys
from unicodedata import category, east_asian_width
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit.rehearse import model
from pyinit.rehearse.errors import MissingLibraryError
from pyinit.rehearse.model import Leak, Load, Mark, Process, Run
from pyinit.rehearse.reports import html, junit, svg, text, timeline
from pyinit.rehearse.reports import json as data

SVG = "{http://www.w3.org/2000/svg}"
ESCAPE = re.compile(r"\x1b\[[\d;]*m")
STOP = Mark(0.0, "SIGTERM", "engine")
AGAIN = Mark(1.0, "SIGTERM", "engine")
SHOT = Mark(10.0, "SIGKILL", "engine")
TOLD = Mark(0.01, "SIGTERM", "pyinit")
DRAINED = Mark(2.0, "SIGTERM", "drain")
HOSTILE = "\x1b[31m\x00\u202e</text>]]><script>&\"'\ud800\ufffe"
WIDE = "日本語"


def process(pid=2, name="app", parent=1, began=-1.0, ended=1.0, **more) -> Process:
    killed = more.get("fate") in timeline.KILLED
    how = {"fate": model.BY_ITSELF, "code": None if killed else 0, "marks": []}
    return Process(pid, name, more.pop("command", name), parent, began, ended, **how | more)


def make(*processes, init="pyinit", **more) -> Run:
    first = process(1, init, 0, marks=[STOP])
    how = {"words": [init, "--"], "command": ["app", "-v"], "signal": "SIGTERM", "grace": 10.0}
    how |= {"seconds": 1.0, "code": 0, "cause": "every process ended"}
    return Run(init, processes=[first, *processes], **how | more)


def graceful(**more) -> Run:
    return make(process(marks=[TOLD]), enough=2, output=["a last word"], **more)


def killed(init="pyinit") -> Run:
    how = {"ended": 10.0, "fate": model.KILLED_WITH_PID1, "signal": "SIGKILL"}
    return make(
        process(2, "sh", marks=[TOLD], reason="waits for its command", **how),
        process(3, "sleep", 2, **how),
        init=init,
        verdict=model.KILLED,
        cause="sh (pid 2) waits for its command",
        advice=["write exec in front of sleep", 'CMD ["sleep", "100"]'],
        seconds=10.0,
        code=137,
        output=[f"line {n}" for n in range(12)],
    )


def crowd(count=40, **more) -> Run:
    helpers = [
        process(
            10 + n,
            "helper",
            2,
            ended=2.0 + n / 100,
            fate=model.ASKED,
            marks=[DRAINED],
            is_left=True,
        )
        for n in range(count)
    ]
    return make(process(marks=[TOLD]), *helpers, seconds=3.0, **more)


def left_by(init) -> Run:
    fate = model.KILLED_WITH_PID1 if init == "tini" else model.ASKED
    marks = [] if init == "tini" else [DRAINED]
    return make(
        process(marks=[TOLD]),
        process(3, "worker", ended=3.0, fate=fate, marks=marks, is_left=True),
        init=init,
        verdict=model.LOST if init == "tini" else model.GRACEFUL,
        seconds=3.0,
        leaks=[Leak("PID file", "/run/app.pid", "4 bytes"), Leak("file", "/tmp/log", counts=False)],
    )


def hostile() -> Run:
    return make(
        process(2, HOSTILE[:15], command=HOSTILE, reason=HOSTILE, signal=HOSTILE, code=None),
        process(3, WIDE * 3, 2, ended=None, fate=None),
        process(4, "e\u0301\u0302" + "\u1161", 2),
        words=[HOSTILE],
        command=[HOSTILE, WIDE * 50],
        signal="SIGX" + WIDE * 5,
        ready=HOSTILE,
        verdict=HOSTILE,
        cause=f"{HOSTILE} {WIDE * 60}",
        advice=[HOSTILE],
        leaks=[Leak(HOSTILE, HOSTILE, HOSTILE)],
        load=Load(HOSTILE, -1.0, None, None),
        events=[{"event": HOSTILE}],
        output=[HOSTILE, "\t" + WIDE * 60],
    )


def render(*runs, colour=False) -> str:
    return text.render(runs, colour=colour)


def row(report: str, begin: str) -> str:
    """Return the only row of a drawing that begins with this."""
    (found,) = (line for line in report.splitlines() if line.lstrip("└├│ ").startswith(begin))
    return found


def columns(line: str) -> int:
    """Return how many columns of a terminal a line needs."""
    widths = {"W": 2, "F": 2}
    return sum(0 if category(c)[0] == "M" else widths.get(east_asian_width(c), 1) for c in line)


def test_text_begins_with_verdict_and_cause():
    """The verdict is in the first line, then what was run and how it went."""
    first, second, *others = render(killed()).splitlines()

    assert "killed: sh (pid 2) waits for its command" == first
    assert "$ pyinit -- app -v" == second
    assert "code 137, 2 killed" in "\n".join(others[:2])


def test_text_has_verdict_alone_where_no_cause_is_known():
    """Without a cause there is no colon, and without a code no gap."""
    run = make(cause="", code=None, ready="port 80")

    report = render(run)

    assert "graceful\n" == report[:9]
    assert "(ready: port 80); stopped after 1.00 s\n\n" in report.replace("port\n80", "port 80")


def test_text_has_a_row_a_process_below_its_parent():
    """The tree is drawn, with how each process ended."""
    report = render(
        make(process(), process(3, "left", 2), process(4, "right", 2), process(5, "sub", 3))
    )

    assert row(report, "app 2").startswith("└ app 2")
    assert row(report, "left 3").startswith("  ├ left 3")
    assert row(report, "sub 5").startswith("  │ └ sub 5")
    assert row(report, "right 4").startswith("  └ right 4")
    assert row(report, "right 4").endswith("1.00 s code 0")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"code": 3}, "code 3"),
        ({"code": None, "signal": "SIGSEGV"}, "by SIGSEGV"),
        ({"code": None}, "1.00 s ended"),
        ({"code": None, "ended": None}, "not seen to end"),
        ({"fate": model.ASKED}, "code 0 (drain)"),
        ({"fate": model.KILLED_BY_INIT}, "SIGKILL by pyinit"),
        ({"fate": model.KILLED_BY_ENGINE}, "SIGKILL by engine"),
        ({"fate": model.KILLED_WITH_PID1}, "killed with PID 1"),
        ({"fate": model.KILLED_BY_ANOTHER}, "SIGKILL from inside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text_says_how_a_process_ended(how, told):
    """A code, a signal, or what killed it."""
    assert row(render(make(process(**how))), "app").endswith(told)


def test_text_marks_signals_in_their_order():
    """Each signal has a letter, even if the time between them is short; SIGCONT has none."""
    marks = [STOP, Mark(0.0, "SIGCONT", "drain"), Mark(0.0, "SIGTERM", "pyinit")]
    marks += [Mark(0.0, "SIGTERM", "drain"), Mark(0.0, "SIGKILL", "pyinit")]
    shot = process(ended=0.0, marks=marks, fate=model.KILLED_BY_INIT)

    report = render(make(shot, process(3, "late", ended=1.0, fate=model.KILLED_WITH_PID1)))

    assert "S2DK" in row(report, "app")
    assert re.search(r"─K +1.00 s", row(report, "late"))  # with no letter for a request
    for words in ("S stop signal", "2 again", "D SIGTERM of the drain", "K SIGKILL"):
        assert words in report


def test_text_tells_who_was_never_asked():
    """The bar is thin until the process is asked to stop."""
    asked = [Mark(0.1, "SIGCONT", "drain"), Mark(0.5, "SIGTERM", "drain")]
    report = render(make(process(marks=asked), process(3, "deaf", 1)))

    assert re.search(r"─────D━━+┥", row(report, "app"))
    assert "━" not in row(report, "deaf")


def test_text_leaves_out_what_had_ended_before():
    """A process that had ended when the stop signal came is not drawn."""
    report = render(make(process(2, "early", ended=-0.1), process(3, "kept", 2)))

    assert "early" not in report
    assert row(report, "kept 3").startswith("kept 3")


def test_text_folds_those_that_are_alike():
    """40 helpers are one row with their count, and the time of the last one."""
    report = render(crowd())

    assert "helper ×40" in row(report, "helper ×40")
    assert row(report, "helper").endswith("2.39 s code 0 (drain)")
    assert 3 == len(re.findall(r"S━|D━", report))


def test_text_folds_with_those_below():
    """Processes with different children are not alike."""
    pairs = [process(n, "sh", ended=1.0) for n in range(10, 30)]
    pairs += [process(n + 50, "sleep", n, code=int(n == 10)) for n in range(10, 30)]

    report = render(make(*pairs))

    assert row(report, "sh ×19").startswith("├ sh ×19") or row(report, "sh ×19").startswith("└ ")
    assert row(report, "sleep ×19").endswith("code 0")
    assert row(report, "sleep 60").endswith("code 1")


@pytest.mark.parametrize(
    ("some", "told"),
    [
        ({}, "in several ways"),
        ({"fate": model.KILLED_BY_INIT}, "7 of 30 killed"),
        ({"ended": None}, "in several ways"),
    ],
    ids=["codes", "killed", "not-seen-to-end"],
)
def test_text_folds_those_of_a_name_where_stories_differ(some, told):
    """If too many differ, those with the same name share a row, which says that they differ."""
    several = [process(9 + n, "worker", code=n) for n in range(23)]
    several += [process(50 + n, "worker", **{"code": n} | some) for n in range(7)]

    assert row(render(make(*several)), "worker ×30").endswith(told)


def test_text_has_twenty_rows_and_the_others_at_most():
    """If nothing is alike, the last row is for all that have no row."""
    report = render(make(*(process(n, f"app{n}", parent=n - 1) for n in range(2, 1500))))

    assert row(report, "1479 others").endswith("code 0")
    assert 21 == len(re.findall(r"^.*\d s code 0$", report, re.MULTILINE))


def test_text_shows_the_end_of_the_grace_period_where_it_is_in_reach():
    """A stop of a second needs no axis of ten seconds."""
    assert "grace period over ┐" in render(killed())
    assert "10 s" in render(killed()).split("grace period over")[1]
    assert "grace period over" not in render(graceful())


def test_text_names_the_grace_period_only_where_there_is_room():
    """At the left end there is room for the name of the stop signal."""
    report = render(make(process(ended=100.0), grace=1.0))

    assert "grace period over" not in report
    assert "┌ SIGTERM" in report


def test_text_tells_all_else():
    """Why, what to change, what leaked, the load, a grace period that is enough, the output."""
    run = killed()
    run.leaks = left_by("tini").leaks
    run.load = Load("curl :80", -0.2, 0.3, 7)
    run.enough = 12
    run.cause = "sh (pid 2) still ran"  # this is not said again
    report = render(run)
    details = report[report.index("\nwhy ") :]

    assert "why     sh (pid 2): waits for its command\n" in details
    assert 'advice  write exec in front of sleep\n        CMD ["sleep", "100"]\n' in details
    assert "leaks   PID file /run/app.pid (4 bytes)\n        file /tmp/log, not counted" in details
    assert "load    curl :80: failed, code 7 after 0.50 s\n" in details
    assert "grace   a grace period of 12 s would be enough; it was 10 s\n" in details
    assert "output  line 2\n" in details
    assert details.endswith("        line 11\n")
    assert row(report, "(the load)").endswith("0.30 s code 7")


@pytest.mark.parametrize(
    ("load", "told", "end"),
    [
        (Load("curl", -1.0, 0.5, 0), "curl: succeeded, code 0 after 1.50 s", "code 0"),
        (Load("curl", -1.0, None, None), "curl: did not finish, and was killed", "killed"),
    ],
    ids=["served", "killed"],
)
def test_text_tells_what_became_of_the_load(load, told, end):
    """The client is the last row, and its result a line."""
    report = render(graceful(load=load))

    assert told in report
    assert row(report, "(the load)").endswith(end)


def test_text_of_a_graceful_stop_has_no_output():
    """The output of the program does not matter then."""
    assert "a last word" not in render(graceful())


def test_text_says_who_depends_on_the_drain():
    """What the child left behind is named: what was killed, or would be under another init."""
    assert "left    worker (pid 3): got SIGKILL because PID 1 exited" in render(left_by("tini"))
    assert "worker (pid 3): would get SIGKILL under" in render(left_by("pyinit"))
    assert "left    helper ×40: would get SIGKILL" in render(crowd())


def test_text_counts_those_left_that_have_no_room():
    """At most six names are listed."""
    several = [process(n, f"app{n}", is_left=True) for n in range(2, 12)]

    assert "app7 ×1, 4 others: would" in render(make(*several)).replace("\n        ", " ")


def test_text_compares_several_runs_on_one_axis():
    """A line for each run at the top, and drawings with the same scale."""
    none = make(init=model.NONE, words=[], verdict=model.SLOW)
    report = render(killed("tini"), graceful(), none)
    lines = report.splitlines()

    assert lines[0].startswith("tini     killed     stopped after 10.0 s, code 137, 2 killed")
    assert lines[1].startswith("pyinit   graceful   stopped after 1.00 s, code 0")
    assert lines[2].startswith("no init  slow")
    assert "$ app -v" in lines
    assert 1 == len({line for line in lines if "┬" in line})
    assert 3 == sum("┬" in line for line in lines)
    assert report.index("With tini\n") < report.index("With pyinit\n")
    assert "With no init" not in report  # about which there is nothing more to say


def test_text_has_colours_only_where_asked():
    """Without them it is the same text."""
    for run in (graceful(), killed(), hostile()):
        coloured = render(run, colour=True)

        assert render(run) == ESCAPE.sub("", coloured) != coloured


def test_text_shows_names_that_are_hostile():
    """Nothing moves the cursor, and wide characters take two columns."""
    report = render(hostile())

    assert all(line.isprintable() for line in report.splitlines())
    assert r"\x1b[31m\x00" in report
    assert r"é\u0302\u1161 4" in report
    bars = [line for line in report.splitlines() if "──" in line]
    assert 1 == len({columns(line[: line.index("──")]) for line in bars})


def test_svg_says_what_it_shows():
    """A screen reader gets a title and a text, and each row has a tooltip."""
    root = ET.fromstring(svg.render([left_by("tini"), left_by("pyinit")]))
    words = [each.text for each in root.iter(f"{SVG}title")]

    assert "A rehearsed stop of app -v" == root.find(f"{SVG}title").text
    assert "tini: lost work: every process ended;" in root.find(f"{SVG}desc").text
    assert {"worker", "tini", "pyinit"} < set(words)
    assert "img" == root.get("role")
    assert root.get("aria-labelledby").split() == [
        root.find(f"{SVG}{name}").get("id") for name in ("title", "desc")
    ]


def drawn(run: Run) -> tuple[list[str], list[str]]:
    """Return the texts and the classes of everything that is drawn."""
    root = ET.fromstring(svg.render([run]))
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    return texts, [each.get("class", "") for each in root.iter()]


def legend(run: Run) -> list[ET.Element]:
    """Return the texts of the legend."""
    texts = list(ET.fromstring(svg.render([run])).iter(f"{SVG}text"))
    return [each for each in texts if each.text in svg.LEGEND.values()]


def test_svg_draws_what_the_text_does():
    """Names, times, ends, signs, the end of the grace period, and a legend of what is used."""
    texts, classes = drawn(killed())

    assert {"killed", "pyinit", "sh 2", "sleep 3", "10.0 s", "killed with PID 1"} < set(texts)
    assert {"grace period over", "SIGTERM", "10 s", "SIGKILL", "stop signal"} < set(texts)
    assert not {"again", "SIGTERM (drain)"} & set(texts)
    assert 2 * 3 == classes.count("cross")  # of two processes and of the legend
    assert 2 == classes.count("bad bold")
    assert "over" in classes


def test_svg_draws_the_other_signals():
    """A second stop signal and that of the drain have their own signs, and long lines wrap."""
    marks = [Mark(0.1, "SIGTERM", "drain"), Mark(0.2, "SIGKILL", "pyinit")]
    shot = process(marks=marks, fate=model.KILLED_BY_INIT)
    run = make(
        shot, process(3, marks=[TOLD, AGAIN]), process(4, parent=3, code=3), process(5, parent=3)
    )
    texts, classes = drawn(run)

    assert 1 < len({each.get("y") for each in legend(run)})
    assert {"again", "SIGTERM (drain)", "SIGKILL by pyinit"} < set(texts)
    assert "ink halo" in classes


def test_svg_tells_a_failure_by_its_shape():
    """Its end is a ring, for people who do not see the colours."""
    fine, failed = drawn(graceful()), drawn(make(process(code=3)))

    assert "failed" in failed[0]
    assert "failed" not in fine[0]
    assert 1 + 2 == failed[1].count("paper")  # the background, the process and the legend
    assert 1 == fine[1].count("paper")


def test_svg_names_the_grace_period_only_where_there_is_room():
    """Its line is there nevertheless."""
    texts, classes = drawn(make(process(ended=100.0), grace=1.0))

    assert "grace period over" not in texts
    assert "over" in classes


def test_svg_is_for_light_and_dark():
    """One document has both sets of colours."""
    document = svg.render([graceful()])
    light, dark = document.split("@media (prefers-color-scheme: dark)")

    for style in svg.COLOURS:
        assert f".{style} {{" in light
        assert f".{style} {{" in dark
    assert [] == re.findall(r"@import|url\(|<script|href", document)


def test_svg_says_which_library_is_missing(monkeypatch):
    """The sentence has the command that installs it."""
    monkeypatch.setitem(sys.modules, "drawsvg", None)

    with pytest.raises(MissingLibraryError, match=r"pip install drawsvg"):
        svg.render([graceful()])


def test_html_is_one_page_with_all_of_it():
    """The picture and tables of processes, events, leaks and output, all in one file."""
    run = left_by("tini")
    run.events, run.output = [{"event": "child_exited", "at": 0.5}], ["a last word"]
    page = html.render([run])
    root = ET.fromstring(page)
    cells = ["".join(each.itertext()) for each in root.iter() if each.tag in {"td", "th"}]

    assert root.find(f".//{SVG}desc") is not None
    assert {"worker", "3.00 s", "killed with PID 1", "SIGTERM by pyinit at 10 ms"} < set(cells)
    assert "PID file /run/app.pid (4 bytes)file /tmp/log, not counted as a fault" in cells
    assert '{"event": "child_exited", "at": 0.5}' in "".join(root.itertext())
    assert "a last word" in page
    assert [] == re.findall(r"<script|<link|@import|url\(|src=", page)


def test_html_leaves_out_what_there_is_not():
    """A graceful stop under another init has no events, and may have no cause."""
    page = html.render([make(cause="")])

    assert "Events of pyinit" not in page
    assert '<h2>pyinit: <b class="fine">graceful</b></h2>' in page


def test_html_escapes_whatever_a_process_is_called():
    """No name becomes an element of the page."""
    tags = {each.tag.removeprefix(SVG) for each in ET.fromstring(html.render([hostile()])).iter()}

    assert "script" not in tags


def test_junit_has_a_case_a_run():
    """A stop that is not graceful is a failure, with the text report."""
    root = ET.fromstring(junit.render([killed("tini"), graceful()]))
    (suite,) = root
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    bad, good = suite.findall("testcase")
    (failure,) = bad

    assert "testsuites" == root.tag
    assert ("2", "1", "0", "11.000") == tuple(
        suite.get(name) for name in ("tests", "failures", "errors", "time")
    )
    assert ["properties", "testcase", "testcase"] == [each.tag for each in suite]
    assert "137" == properties["tini.code"]
    assert "tini.enough" not in properties
    assert ("pyinit-rehearse.tini", "10.000") == (bad.get("classname"), bad.get("time"))
    assert "killed: sh (pid 2) waits for its command" == failure.get("message")
    assert render(killed("tini")) == failure.text
    assert [] == list(good)


def test_json_has_all_of_it():
    """The file has everything that is known."""
    runs = [graceful(load=Load("curl", 0.0, 1.0, 0)), hostile()]

    assert {"version": 1, "runs": [run.as_json() for run in runs]} == json.loads(data.render(runs))


names = st.one_of(st.sampled_from(["app", HOSTILE, WIDE]), st.text(max_size=20))
times = st.floats(-5, 1000)
optional = st.none() | times
signals = st.sampled_from(["SIGTERM", "SIGKILL", "SIGCONT", "SIGQUIT"])
marks = st.builds(Mark, times, signals, st.sampled_from(["engine", "pyinit", "drain"]))
pids = st.integers(0, 30)
processes = st.builds(
    Process,
    pid=pids,
    name=names,
    command=names,
    parent=pids,
    began=times,
    ended=optional,
    fate=st.none() | st.sampled_from(model.FATES),
    code=st.none() | st.integers(0, 255),
    signal=st.none() | names,
    marks=st.lists(marks, max_size=5),
    is_left=st.booleans(),
    reason=names,
)
RUNS = st.lists(
    st.builds(
        Run,
        init=names,
        words=st.lists(names, max_size=3),
        command=st.lists(names, max_size=3),
        signal=names,
        grace=st.floats(0, 100),
        ready=names,
        verdict=st.sampled_from(model.VERDICTS),
        cause=names,
        advice=st.lists(names, max_size=3),
        seconds=st.floats(0, 1000),
        code=st.none() | st.integers(0, 255),
        enough=st.none() | st.integers(0, 100),
        processes=st.lists(processes, max_size=40),
        leaks=st.lists(st.builds(Leak, names, names, names, st.booleans()), max_size=3),
        load=st.none() | st.builds(Load, names, times, optional, st.none() | st.integers(0, 255)),
        output=st.lists(names, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(RUNS)
def test_whatever_was_seen_can_be_told(runs):
    """Text has at most 80 columns, and XML is well-formed."""
    lines = text.render(runs).splitlines()

    assert [] == [line for line in lines if columns(line) > text.WIDTH or not line.isprintable()]
    for document in (svg.render(runs), html.render(runs), junit.render(runs)):
        ET.fromstring(document)
    assert len(runs) == len(json.loads(data.render(runs))["runs"])
