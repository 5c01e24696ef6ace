"""Start a Docker daemon, make the images that the tests run, then become the command that is given.

Usage: prepare.py COMMAND [ARGUMENT]...

For the namespaces of private.py. It says how long each step takes.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))  # for testkit

import figures
import images
from engines import APP, BUILDKIT_APP, FILES, FIRST, SHORT_APP, WEB, build, write_configuration

DAEMON = (
    "dockerd", "--config-file", f"{FILES}/daemon.json", "--data-root", f"{FILES}/docker",
    "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
    "--ip-masq=false", "--storage-driver=overlay2",
)  # fmt: skip
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def say(text: str) -> None:
    sys.stdout.write(f"e2e: {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say what was done, and how long it took."""
    begin = time.monotonic()
    yield
    say(f"{name} ({time.monotonic() - begin:.1f} s)")


def start_daemon() -> None:
    """Start dockerd and wait until it says that it is ready, as it does to systemd."""
    address = f"{FILES}/ready"
    environment = {**os.environ, "NOTIFY_SOCKET": address, "PATH": f"{os.environ['PATH']}:{SBIN}"}
    log = FILES / "dockerd.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("wb") as output:
        ready.bind(address)
        how = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        daemon = subprocess.Popen(DAEMON, env=environment, **how)
        threading.Thread(target=tell_of_death, args=(daemon, address), daemon=True).start()
        if b"READY=1" not in ready.recv(4096):
            sys.exit(f"e2e: dockerd did not start:\n{log.read_text()}")


def tell_of_death(daemon: subprocess.Popen, address: str) -> None:
    daemon.wait()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.sendto(b"DEAD", address)


def main(command: list[str]) -> None:
    FILES.mkdir()
    write_configuration()
    with step("dockerd is up"):
        start_daemon()
    with step("a base image is made"):
        images.make_base()
        images.compile_programs()
    with step("Dockerfile.example is built by the classic builder"):
        example = images.example()
        build(example, APP)
    with step("Dockerfile.example is built by BuildKit"):
        build(example, BUILDKIT_APP, buildkit=True)
    with step("the three lines and examples/web are built by BuildKit"):
        build(images.project(FILES / "short", images.SHORT), SHORT_APP, buildkit=True)
        build(images.web(), WEB, buildkit=True)
    with step("examples/first is built by the classic builder"):
        build(images.first(), FIRST)
    with step("podman, runc and crun have the image, too"):
        images.build_tini()
        images.give_to_podman()
        images.export_root()
    with step("figures are taken"):
        for line in figures.lines():
            say(line)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
