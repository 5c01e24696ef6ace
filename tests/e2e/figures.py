"""What pyinit costs an image and the start of a container, beside tini in the same image."""

import time
from collections.abc import Iterator

from engines import APP, BASE, DOCKER, SHORT_APP, TINI_APP, size_of

ROUNDS = 10
INITS = {"pyinit": APP, "tini": TINI_APP}
GROWN = {
    "Dockerfile.example": APP, "the three lines of docs/containers.md": SHORT_APP,
    "tini": TINI_APP,
}  # fmt: skip
# Print the bytes of pyinit and structlog, and those of the standard library's bytecode.
PARTS = """
import glob, os, pyinit, structlog, sysconfig

def below(folder, pattern):
    return glob.glob(f"{folder}/**/{pattern}", recursive=True)

packages = [os.path.dirname(module.__file__) for module in (pyinit, structlog)]
print(sum(os.path.getsize(path) for package in packages for path in below(package, "*.py*")))
stdlib = below(sysconfig.get_path("stdlib"), "*.pyc")
print(sum(os.path.getsize(path) for path in stdlib if "-packages/" not in path))
"""


def lines() -> Iterator[str]:
    """Return what there is to tell, line by line."""
    for name, image in GROWN.items():
        size = size_of(image)
        grown = (size - size_of(BASE)) / 1e6
        yield f"with {name} the image grows by {grown:.2f} MB, to {size / 1e6:.0f} MB"
        if image != TINI_APP:
            parts = DOCKER.ask("run", "--rm", "--network=none", image, "python3", "-c", PARTS)
            packages, stdlib = (int(number) / 1e6 for number in parts.split())
            yield f"    pyinit and structlog, compiled: {packages:.2f} MB"
            yield f"    bytecode of the standard library: {stdlib:.2f} MB"
            yield f"    the rest: {grown - packages - stdlib:.2f} MB"
        layers = DOCKER.ask("history", "--format", "{{.Size}}\t{{.CreatedBy}}", image).splitlines()
        for layer in reversed(layers[:-1]):
            size, _, command = layer.partition("\t")
            if size != "0B":
                yield f"    {size:>7} {command}"
    yield compare_starts()


def compare_starts() -> str:
    """Return how long `true` takes with both, in turn: the fastest, which is disturbed least."""
    taken = [tuple(map(seconds_to_run, INITS.values())) for _ in range(ROUNDS)]
    pyinit, tini = (1000 * min(column) for column in zip(*taken, strict=True))
    return f"docker run true: pyinit {pyinit:.0f} ms, tini {tini:.0f} ms, ratio {pyinit / tini:.2f}"


def seconds_to_run(image: str) -> float:
    """Return how long a container that runs `true` takes, from `docker run` to its end."""
    begin = time.monotonic()
    DOCKER.ask("run", "--rm", "--network=none", image, "true")
    return time.monotonic() - begin
