"""The images that the tests run, and how each engine and runtime gets them."""

import shutil
import subprocess

import base
from engines import APP, BASE, DOCKER, FILES, PODMAN, ROOT_DIRECTORY, TINI, TINI_APP, build

from testkit import registries
from testkit.programs import VICTIMS, compile_c

EXAMPLE = ROOT_DIRECTORY / "Dockerfile.example"
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


def build_tini() -> None:
    """Make an image with tini as its init, for comparison."""
    context = FILES / "tini"
    context.mkdir()
    (context / "Dockerfile").write_text(TINI_DOCKERFILE)
    shutil.copy(TINI, context / "tini")
    build(context / "Dockerfile", TINI_APP, context)


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
        compile_c(source, FILES / "programs", "-static", "-pthread")
