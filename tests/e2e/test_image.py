"""What is in the images of Dockerfile.example and docs/containers.md: no more than it takes."""

import io
import json
import tarfile

import images
import pytest
from containers import WITH_PROGRAMS
from engines import APP, APP_USER, BASE, BUILDKIT_APP, DOCKER, SHORT_APP, WEB, build, size_of

BOTH = pytest.mark.parametrize("image", [APP, BUILDKIT_APP], ids=["classic", "buildkit"])
EACH = pytest.mark.parametrize(
    "image", [APP, BUILDKIT_APP, SHORT_APP, WEB], ids=["classic", "buildkit", "short", "web"]
)
LEFTOVERS = ("wheels", "root/.cache", "usr/bin/gcc", "usr/include/sys/capability.h")

# Print the modules whose bytecode is missing or of another source, and how many there are.
STALE = """
import importlib.util, os, pyinit, structlog
count = 0
for module in pyinit, structlog:
    for folder, _, names in os.walk(os.path.dirname(module.__file__)):
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


@EACH
def test_nothing_is_left_of_the_build(image):
    """No layer has a compiler, a wheel or a cache."""
    *own, base = layers(image)
    left = {
        name
        for layer in own
        for name in layer
        if name.startswith(LEFTOVERS) or name.endswith(".whl")
    }

    assert left <= {"wheels"}  # where the wheels were mounted
    assert any("pyinit/lifecycle.py" in name for layer in own for name in layer)
    assert len(base) > max(map(len, own))


@pytest.mark.parametrize(("image", "most"), [(APP, 5), (BUILDKIT_APP, 5), (SHORT_APP, 14)])
def test_growth(image, most):
    """How many MB the image grows by at most: bytecode of the standard library, or of pip."""
    assert most * 1e6 > size_of(image) - size_of(BASE)


def test_both_builders_make_the_same():
    """The classic builder and BuildKit install the same files."""
    classic, buildkit = (set().union(*layers(image)[:-1]) for image in (APP, BUILDKIT_APP))
    differing = {name for name in classic ^ buildkit if not name.startswith(("proc", "sys", "dev"))}

    assert set() == {name for name in differing if "pyinit" in name or "structlog" in name}


@EACH
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


@EACH
def test_subreaper(docker, image):
    """Without python-prctl a pyinit that is not PID 1 becomes a subreaper, too."""
    result = docker.to_end("sh", "-c", "pyinit -vvv -- true; exit 3", image=image)
    (told,) = result.named("not_pid1")

    assert (3, True) == (result.code, told["subreaper"])
    assert 1 == len(result.named("python_prctl_unavailable"))


def test_application_and_its_requirements(docker):
    """Dockerfile.example installs requirements.txt, and runs app.py."""
    container = docker()
    container.line("Serving HTTP")

    assert 143 == container.stop()


def test_three_lines():
    """The short way is as short as the page says, and makes pyinit the first process."""
    lines = [line for line in images.SHORT.splitlines() if line[0].isupper()]

    assert ["FROM", "RUN", "ENTRYPOINT"] == [line.split()[0] for line in lines]


def run_and_stop(docker, image) -> None:
    """Check that pyinit is PID 1 in an image: helpers may finish, and structlog writes the log."""
    options = [*WITH_PROGRAMS, "--interactive"]
    container = docker("/programs/helpers", 5, "finish", options=options, image=image, verbosity=2)
    container.line("ready")
    container.stop()
    result = container.finish()

    assert (5, []) == (result.out.count("done\n"), result.named("structlog_unavailable"))


def test_three_lines_do(docker):
    """The short way starts pyinit as PID 1."""
    run_and_stop(docker, SHORT_APP)


@pytest.mark.parametrize("way", ["uv", "compiler"])
def test_images_of_the_page(docker, tmp_path, way):
    """The other Dockerfiles of docs/containers.md build, start pyinit, and leave no compiler."""
    dockerfile, image = getattr(images, way.upper()), f"localhost/page-{way}"
    build(images.project(tmp_path / way, dockerfile), image)
    run_and_stop(docker, image)

    assert 5_000_000 > size_of(image) - size_of(BASE)
    assert "" == docker.to_end("sh", "-c", "command -v gcc uv; true", image=image).out
    *stale, _ = docker.to_end("python3", "-c", STALE, image=image).out.split()
    assert [] == stale
    told = docker.to_end("sh", "-c", "pyinit -vvv -- true; exit 0", image=image)
    assert (0 if way == "compiler" else 1) == len(told.named("python_prctl_unavailable"))
