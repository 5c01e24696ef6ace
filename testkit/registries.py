"""How this machine reaches the package registries, for file systems that need them as well.

Proxy, index and certificates; Debian's mirrors only if the release is that of this machine.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INDEX_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout"}
UV_SETTINGS = {
    "SSL_CERT_FILE": "cert", "UV_DEFAULT_INDEX": "index-url", "UV_INDEX": "extra-index-url",
}  # fmt: skip


def output_of(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def apt_sources() -> list[str]:
    """Return the files that say where this machine gets packages."""
    found = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").iterdir())]
    return [str(path) for path in found if path.suffix in {".list", ".sources"} and path.exists()]


def apt_options() -> list[str]:
    """Return the apt settings of this machine, such as `Acquire::http::Proxy "...";`."""
    dumped = output_of("apt-config", "dump", "--no-empty").splitlines()
    others = ("Acquire::IndexTargets::", "Acquire::Changelogs::")  # the same everywhere
    return [line for line in dumped if line.startswith("Acquire::") and not line.startswith(others)]


def index_options() -> dict[str, str]:
    """Return the settings of pip for the index, without files and folders."""
    options = {"cert": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    for line in output_of(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        words = value.strip("'\"").replace("\\n", " ").split()
        kept = [word for word in words if not word.startswith(("file:", "/"))]
        if option in INDEX_SETTINGS and kept:
            options[option] = " ".join(kept)
    return options


def environment() -> dict[str, str]:
    """Return the same for uv, which does not read pip.conf."""
    options = index_options()
    return {name: options[option] for name, option in UV_SETTINGS.items() if option in options}


def files() -> dict[str, bytes]:
    """Return the settings of this machine that an image needs."""
    options = "".join(f"{option} = {value}\n" for option, value in index_options().items())
    found = {"etc/pip.conf": f"[global]\n{options}".encode()}
    if CERTIFICATES.exists():
        found[str(CERTIFICATES).lstrip("/")] = CERTIFICATES.read_bytes()
    return found


def pack(contents: dict[str, bytes], path: Path) -> None:
    """Write files into a tar archive."""
    with tarfile.open(path, "w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
