"""The input of an init: arguments, environment, Python's own variables, and its own package."""

import os
import shutil
from collections.abc import Callable

from trials.survive.case import Case, Stage, Surrounding

BYTES = os.fsdecode(b"\xff\xfe\x80\n\t\\")
SHADOWS = ("os", "signal", "posix", "time", "queue", "select", "threading", "json", "logging")
EXTERNAL = ("structlog", "prctl", "_prctl", "resource", "typing", "abc", "pyinit")
AT_START = ("sitecustomize", "usercustomize", "encodings")
HARMLESS = {
    "PYTHONINSPECT": "1",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONDEVMODE": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONVERBOSE": "1",
    "PYTHONMALLOC": "debug",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONPROFILEIMPORTTIME": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "0",
    "PYTHONSAFEPATH": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONINTMAXSTRDIGITS": "640",
    "PYTHONHASHSEED": "1",
    "PYTHONBREAKPOINT": "nowhere.nothing",
    "PYTHONNODEBUGRANGES": "1",
    "PYTHON_GIL": "1",
}
DEBUGGING = ("PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONVERBOSE")
FATAL = {
    "PYTHONHOME": "/nowhere",
    "PYTHONIOENCODING": "nonsense",
    "PYTHONHASHSEED": "nonsense",
    "PYTHONMALLOC": "nonsense",
    "PYTHONUTF8": "nonsense",
}
LOCALES: dict[str, dict[str, str]] = {
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "LANG=C": {"LANG": "C"},
    "none such": {"LC_ALL": "xx_YY.UTF-8"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin": {"LC_ALL": "de_DE.ISO-8859-1"},
}


def _only(**variables: str) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        stage.environment.clear()
        stage.environment.update(variables)

    return prepare


def _large(stage: Stage) -> None:
    for number in range(8):
        stage.environment[f"BIG{number}"] = "x" * 131_000


def _shadows(stage: Stage) -> None:
    stage.folder = stage.scratch / "shadows"
    stage.folder.mkdir()
    for name in (*SHADOWS, *EXTERNAL, *AT_START):
        (stage.folder / f"{name}.py").write_text("import sys\nsys.exit(66)\n")
    package = stage.folder / "pyinit"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit(66)\n")


def _shadows_by_variable(stage: Stage) -> None:
    _shadows(stage)
    assert stage.folder
    for name in AT_START:  # these are handled by Python itself
        (stage.folder / f"{name}.py").unlink()
    stage.environment["PYTHONPATH"] = f".:{stage.folder}"


def _odd_name(stage: Stage) -> None:
    folder = stage.scratch / ("x" * 250)
    folder.mkdir()
    odd = folder / (") R 1 1\n\x1b[31m" + "y" * 200)
    shutil.copy(stage.guest, odd)
    stage.guest = str(odd)


WORDS = (
    Surrounding(
        "arguments: one of 128 KiB, an empty one, bytes that are not text",
        (
            Case(name="long", words=("x" * 131_071,), exact=True),
            Case(name="bytes", words=(BYTES, "", "-v", "--"), exact=True),
        ),
    ),
    Surrounding(
        "environment: empty, no PATH, no HOME, 1 MiB, bytes that are not text",
        (
            Case(name="empty", prepare=_only(), exact=True),
            Case(name="no PATH", prepare=_only(HOME="/", LANG="C.UTF-8"), exact=True),
            Case(name="no HOME", prepare=_only(PATH=os.defpath), exact=True),
            Case(name="1 MiB", prepare=_large, exact=True),
            Case(name="bytes", variables={"X": BYTES, BYTES: "y"}, exact=True),
            Case(name="long PATH", variables={"PATH": "/nowhere:" * 12_000 + "/bin"}, exact=True),
        ),
    ),
    Surrounding(
        "locale: C, POSIX, one that does not exist, plain ASCII",
        tuple(
            Case(name=name, variables=variables, words=(BYTES,), exact=True)
            for name, variables in LOCALES.items()
        ),
    ),
    Surrounding(
        "modules that shadow Python's and pyinit's",
        (
            Case(name="working directory", prepare=_shadows),
            Case(name="PYTHONPATH", prepare=_shadows_by_variable),
        ),
    ),
    Surrounding(
        "Python's variables that change it",
        (
            Case(name="all", variables=HARMLESS),
            Case(name="to debug", variables={name: HARMLESS[name] for name in DEBUGGING}),
        ),
    ),
    Surrounding(
        "Python's variables that prevent its start",
        tuple(
            Case(name=name, variables={name: value}, refuses=None) for name, value in FATAL.items()
        ),
    ),
    Surrounding("the command has a long and odd name", (Case(prepare=_odd_name),)),
)
