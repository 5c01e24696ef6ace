"""The images that the tests run, and how each engine and runtime gets them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import base
from engines import APP, BASE, DOCKER, FILES, PODMAN, TINI, TINI_APP, build

from testkit import registries
from testkit.programs import ROOT_DIRECTORY, VICTIMS, compile_c

EXAMPLE = ROOT_DIRECTORY / "Dockerfile.example"
WEB_EXAMPLE = ROOT_DIRECTORY / "examples" / "web"
FIRST_EXAMPLE = ROOT_DIRECTORY / "examples" / "first"
PAGE = ROOT_DIRECTORY / "docs" / "containers.md"
SHORT, UV, COMPILER = re.findall(
    r"^```dockerfile\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
)
WHEELS = Path(sys.prefix, "dist")  # see the Makefile
# What a user of Dockerfile.example has beside it.
APPLICATION = """
import http.server, iniconfig
server = http.server.HTTPServer(("", 8000), http.server.SimpleHTTPRequestHandler)
print("Serving HTTP on port 8000", flush=True)
server.serve_forever()
"""
TINI_DOCKERFILE = f"""
FROM {BASE}
COPY tini /usr/local/bin/tini
ENTRYPOINT ["tini", "--"]
"""


def make_base() -> None:
    """Make the base image, under the name of the official one."""
    archive = FILES / "base.tar"
    base.make(archive)
    changes = [
        'CMD ["python3"]',
        *(f"ENV {name}={to}" for name, to in registries.environment().items()),
    ]
    arguments = [word for change in changes for word in ("--change", change)]
    DOCKER.ask("import", *arguments, archive, BASE)
    archive.unlink()


def example() -> Path:
    """Return a folder with Dockerfile.example, and what a user has beside it."""
    return project(FILES / "example", EXAMPLE.read_text())


def web() -> Path:
    """Return a folder with the application of examples/."""
    shutil.copytree(WEB_EXAMPLE, FILES / "web", ignore=shutil.ignore_patterns("wheels"))
    return with_wheel(FILES / "web")


def first() -> Path:
    """Return a folder with the files of docs/tutorial.md, and the wheels that it has pip make."""
    shutil.copytree(FIRST_EXAMPLE, FILES / "first", ignore=shutil.ignore_patterns("wheels"))
    (wheel,) = WHEELS.glob("pyinit_container-*.whl")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    wheels = ("--no-deps", "--wheel-dir", FILES / "first" / "wheels", wheel, "structlog")
    subprocess.run([*pip, *wheels], check=True)
    return FILES / "first"


def project(folder: Path, dockerfile: str) -> Path:
    """Make a folder from which an image can be built: a small application, and pyinit's wheel."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "app.py").write_text(APPLICATION)
    (folder / "requirements.txt").write_text("iniconfig\n")
    return with_wheel(folder)


def with_wheel(folder: Path) -> Path:
    """Put pyinit's wheel into a folder of its own beside a Dockerfile."""
    (wheel,) = WHEELS.glob("pyinit_container-*.whl")
    (folder / "wheels").mkdir()
    shutil.copy(wheel, folder / "wheels")
    return folder


def build_tini() -> None:
    """Make an image with tini as its init, for comparison."""
    context = FILES / "tini"
    context.mkdir()
    (context / "Dockerfile").write_text(TINI_DOCKERFILE)
    shutil.copy(TINI, context / "tini")
    build(context, TINI_APP)


def give_to_podman() -> None:
    """Let podman have Docker's image."""
    archive = FILES / "app.tar"
    DOCKER.ask("save", "--output", archive, APP)
    PODMAN.ask("load", "--quiet", "--input", archive)
    archive.unlink()


def export_root() -> None:
    """Unpack the image for the runtimes that know no images."""
    (FILES / "root").mkdir()
    container = DOCKER.ask("create", APP)
    exported = DOCKER.open("export", container, text=False)
    subprocess.run(["tar", "-x", "-C", FILES / "root"], check=True, stdin=exported.stdout)
    exported.communicate()
    DOCKER.ask("rm", container)


def compile_programs() -> None:
    """Compile the victims in C so that they run in any image."""
    (FILES / "programs").mkdir()
    for source in VICTIMS.glob("*.c"):
        if "int main(" in source.read_text():  # one is a library
            compile_c(source, FILES / "programs", "-static", "-pthread")
