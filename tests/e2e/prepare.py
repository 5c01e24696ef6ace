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

sys.path.append(os.path.dirname(os.path.dirname(__file__)))

from base import make_base
from engines import (
    APP, BASE, BUILDKIT_APP, DOCKER, ENVIRONMENT, FILES, PODMAN, REPOSITORY, TINI, TINI_APP,
    write_configuration,
)
from harness import VICTIMS

DAEMON = (
    "dockerd", "--config-file", f"{FILES}/daemon.json", "--data-root", f"{FILES}/docker",
    "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
    "--ip-masq=false", "--storage-driver=overlay2",
)  # fmt: skip
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
TINI_DOCKERFILE = """
FROM python:3.12-slim
COPY tini /usr/local/bin/tini
ENTRYPOINT ["tini", "--"]
"""
BUILD = ("build", "--network=host", "--progress=plain", "--file")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say what was done, and how long it took."""
    begin = time.monotonic()
    yield
    print(f"e2e: {name} ({time.monotonic() - begin:.1f} s)", flush=True)


def start_daemon() -> None:
    """Start dockerd and wait until it says that it is ready, as it does to systemd."""
    address = f"{FILES}/ready"
    environment = {**os.environ, "NOTIFY_SOCKET": address, "PATH": f"{os.environ['PATH']}:{SBIN}"}
    log = FILES / "dockerd.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("wb") as output:
        ready.bind(address)
        daemon = subprocess.Popen(
            DAEMON, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        threading.Thread(target=tell_of_death, args=(daemon, address), daemon=True).start()
        if b"READY=1" not in ready.recv(4096):
            sys.exit(f"e2e: dockerd did not start:\n{log.read_text()}")


def tell_of_death(daemon: subprocess.Popen, address: str) -> None:
    daemon.wait()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.sendto(b"DEAD", address)


def build(dockerfile: str, tag: str, context: object, *, buildkit: bool = False) -> None:
    environment = {**os.environ, **ENVIRONMENT, "DOCKER_BUILDKIT": str(int(buildkit))}
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    arguments = [word for name in proxies for word in ("--build-arg", name)]
    DOCKER.ask(*BUILD, dockerfile, *arguments, "--tag", tag, context, env=environment)


def compile_programs() -> None:
    """Compile the victims in C so that they run in any image."""
    (FILES / "programs").mkdir()
    for source in VICTIMS.glob("*.c"):
        program = FILES / "programs" / source.stem
        subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", program, source], check=True)


def build_tini() -> None:
    context = FILES / "tini"
    context.mkdir()
    (context / "Dockerfile").write_text(TINI_DOCKERFILE)
    (context / "tini").write_bytes(open(TINI, "rb").read())
    (context / "tini").chmod(0o755)
    build(str(context / "Dockerfile"), TINI_APP, context)


def import_base() -> None:
    command = '["python3"]'
    DOCKER.ask("import", "--change", f"CMD {command}", FILES / "base.tar", BASE)


def give_to_podman() -> None:
    archive = FILES / "app.tar"
    DOCKER.ask("save", "--output", archive, APP, BASE)
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


def main() -> None:
    FILES.mkdir()
    write_configuration()
    with step("dockerd is up"):
        start_daemon()
    with step("base image is made"):
        make_base(FILES / "base.tar")
        import_base()
        compile_programs()
    dockerfile = str(REPOSITORY / "Dockerfile.example")
    with step("Dockerfile.example is built by the classic builder"):
        build(dockerfile, APP, REPOSITORY)
    with step("Dockerfile.example is built by BuildKit"):
        build(dockerfile, BUILDKIT_APP, REPOSITORY, buildkit=True)
    with step("podman, runc and crun have the image, too"):
        build_tini()
        give_to_podman()
        export_root()
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
