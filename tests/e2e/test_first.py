"""The container of docs/tutorial.md: stopped as its steps 3 to 5 say, with what they promise."""

import shutil
import time

import pytest
from engines import DOCKER, FILES, FIRST, build

ALONE = ["--entrypoint=./start.sh"]
READY = ["helper: ready", "server: ready"]
DONE = ["helper: done", "server: done"]
GRACE = 10  # seconds, Docker's own


def run_and_stop(docker, options=(), image=FIRST) -> tuple[int, list[str], float]:
    """Start it, stop it when both are ready; return its code, its lines, and how long it took."""
    container = docker(options=options, image=image)
    for _ in READY:
        container.line("ready")
    begin = time.monotonic()
    DOCKER.ask("stop", container.identity)
    seconds = time.monotonic() - begin
    result = container.finish()
    return result.code, (result.out + result.err).splitlines(), seconds


def test_without_an_init(docker):
    """Step 3: nothing happens for ten seconds, then every process is killed."""
    code, lines, seconds = run_and_stop(docker, ALONE)

    assert (137, READY) == (code, sorted(lines))
    assert seconds >= GRACE


def test_with_the_init_of_docker(docker):
    """Step 4: it ends at once, and both processes lose their work."""
    code, lines, seconds = run_and_stop(docker, [*ALONE, "--init"])

    assert (143, READY) == (code, sorted(lines))
    assert seconds < GRACE


def test_with_pyinit(docker):
    """Step 5: both finish, and pyinit logs nothing."""
    code, lines, seconds = run_and_stop(docker)

    assert (143, READY) == (code, sorted(lines[:2]))
    assert DONE == sorted(lines[2:])
    assert seconds < GRACE


@pytest.fixture
def image_with_exec():
    """Build the image again, with `exec` before the server, as step 5 proposes."""
    folder, image = FILES / "first-exec", f"{FIRST}-exec"
    shutil.copytree(FILES / "first", folder)
    script = (folder / "start.sh").read_text()
    (folder / "start.sh").write_text(
        script.replace("python3 app.py server", "exec python3 app.py server")
    )
    build(folder, image)
    yield image
    DOCKER.ask("image", "rm", "--force", image)
    shutil.rmtree(folder)


def test_with_exec(docker, image_with_exec):
    """The code is the server's own, and the helper finishes after the server."""
    code, lines, _ = run_and_stop(docker, image=image_with_exec)

    assert 0 == code
    assert ["server: done", "helper: done"] == lines[2:]


def test_with_pyinit_telling_more(docker):
    """With PYINIT_VERBOSITY=2 each step of the stop is in the log."""
    _, lines, _ = run_and_stop(docker, ["--env=PYINIT_VERBOSITY=2"])
    logged = "\n".join(lines)

    for event in ("child_started", "signal_forwarded", "drain_started", "drain_finished"):
        assert f'"event": "{event}"' in logged
