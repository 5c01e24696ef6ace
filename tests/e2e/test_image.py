"""What is in the images of Dockerfile.example and docs/containers.md: no more than it takes."""

import io
import json
import re
import tarfile

import pytest
from containers import WITH_PROGRAMS
from engines import APP, APP_USER, BASE, BUILDKIT_APP, DOCKER, ROOT_DIRECTORY, build, size_of

BOTH = pytest.mark.parametrize("image", [APP, BUILDKIT_APP], ids=["classic", "buildkit"])
PAGE = ROOT_DIRECTORY / "docs" / "containers.md"
DOCKERFILES = re.findall(r"^```dockerfile\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
LEFTOVERS = (
    "wheels",
    "source",
    "install",
    "root/.cache",
    "usr/bin/gcc",
    "usr/include/sys/capability.h",
)

# Print the modules whose bytecode is missing or of another source, and how many there are.
STALE = """
import importlib.util, os, pyinit, prctl, structlog
count = 0
for module in pyinit, prctl, structlog:
    top = os.path.dirname(module.__file__)
    is_package = module.__file__.endswith("__init__.py")
    for folder, _, names in os.walk(top) if is_package else [(top, [], ["prctl.py"])]:
        for name in names:
            if not name.endswith(".py"):
                continue
            count += 1
            path = os.path.join(folder, name)
            stat = os.stat(path)
            try:
                with open(importlib.util.cache_from_source(path), "rb") as compiled:
                    head = compiled.read(16)
            except FileNotFoundError:
                head = b""
            when, size = int(stat.st_mtime), stat.st_size
            if head[4:] != bytes(4) + when.to_bytes(4, "little") + size.to_bytes(4, "little"):
                print(path)
print(count)
"""


def layers(image: str) -> list[set[str]]:
    """Return the names of the files in each layer of an image."""
    saved = DOCKER.open("save", image, text=False)
    found = []
    with tarfile.open(fileobj=saved.stdout, mode="r|") as archive:
        for member in archive:
            if member.name.endswith("layer.tar"):
                content = io.BytesIO(archive.extractfile(member).read())
                with tarfile.open(fileobj=content) as layer:
                    found.append({name.removeprefix("./") for name in layer.getnames()})
    saved.communicate()
    return sorted(found, key=len)


@BOTH
def test_nothing_is_left_of_the_build(image):
    """No layer has the compiler, the wheels or a cache."""
    *own, base = layers(image)
    left = {name for layer in own for name in layer if name.startswith(LEFTOVERS)}

    assert set() == left
    assert any("pyinit/lifecycle.py" in name for layer in own for name in layer)
    assert len(base) > max(map(len, own))


@BOTH
def test_growth(image):
    """The image grows by less than 4 MB: most of it bytecode of the standard library."""
    assert 4_000_000 > size_of(image) - size_of(BASE)


def test_both_builders_make_the_same():
    """The classic builder and BuildKit install the same files."""
    classic, buildkit = (set().union(*layers(image)[:-1]) for image in (APP, BUILDKIT_APP))
    differing = {name for name in classic ^ buildkit if not name.startswith(("proc", "sys", "dev"))}

    assert set() == {name for name in differing if "pyinit" in name or "structlog" in name}


@BOTH
def test_bytecode(docker, image):
    """Every module of pyinit and its dependencies is compiled, and the bytecode counts."""
    *stale, count = docker.to_end("python3", "-c", STALE, image=image).out.split()

    assert ([], True) == (stale, int(count) > 40)


@BOTH
def test_user_and_signal(image):
    """The user is a number that is not root, and the image says how it is stopped."""
    inspected = json.loads(DOCKER.ask("image", "inspect", image))[0]["Config"]

    assert (str(APP_USER), "SIGTERM") == (inspected["User"], inspected["StopSignal"])
    assert ["pyinit", "--"] == inspected["Entrypoint"]


@BOTH
def test_prctl_can_be_loaded(docker, image):
    """libcap.so.2 is there: a pyinit that is not PID 1 becomes a subreaper."""
    result = docker.to_end("sh", "-c", "pyinit -v -- true; exit 3", image=image)
    (told,) = result.named("not_pid1")

    assert (3, True) == (result.code, told["subreaper"])


@pytest.mark.parametrize("number", range(2), ids=["venv", "uv"])
def test_images_of_the_page(docker, tmp_path, number):
    """The Dockerfiles of docs/containers.md build, start pyinit as PID 1, and leave no compiler."""
    dockerfile, image = tmp_path / "Dockerfile", f"localhost/page-{number}"
    dockerfile.write_text(DOCKERFILES[number])
    build(dockerfile, image)
    options = [*WITH_PROGRAMS, "--interactive"]
    container = docker("/programs/helpers", 5, "finish", options=options, image=image, verbosity=2)
    container.line("ready")
    container.stop()
    result = container.finish()

    assert (5, []) == (result.out.count("done\n"), result.named("structlog_unavailable"))
    assert 4_500_000 > size_of(image) - size_of(BASE)
    assert (
        "0" == docker.to_end("sh", "-c", "command -v gcc pip3.12 | wc -l", image=image).out.strip()
    )
    *stale, _ = docker.to_end("python3", "-c", STALE, image=image).out.split()
    assert [] == stale
