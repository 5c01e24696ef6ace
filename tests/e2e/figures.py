"""What pyinit costs an image and the start of a container, beside tini in the same image."""

import time
from collections.abc import Iterator

from engines import APP, BASE, DOCKER, TINI_APP, size_of

ROUNDS = 10
INITS = {"pyinit": APP, "tini": TINI_APP}


def lines() -> Iterator[str]:
    """Return what there is to tell, line by line."""
    for name, image in INITS.items():
        size = size_of(image)
        grown = (size - size_of(BASE)) / 1e6
        yield f"with {name} the image grows by {grown:.2f} MB, to {size / 1e6:.0f} MB"
    layers = DOCKER.ask("history", "--format", "{{.Size}}\t{{.CreatedBy}}", APP).splitlines()
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
