"""Make a base image that stands in for the official one, which is not always to be had.

It is Debian with its own Python, and like the official slim image: pip and the headers are there,
the compiler and the bytecode of the standard library are not. What this machine needs to reach the
package registries (proxy, index, certificates) is put into it, so that a build needs no more.
"""

import io
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INDEX_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout"}
UV_SETTINGS = {
    "SSL_CERT_FILE": "cert", "UV_DEFAULT_INDEX": "index-url", "UV_INDEX": "extra-index-url",
}  # fmt: skip
LEFT_OUT = ("doc", "info", "locale", "man")

# In the order of use; "$1" is the root of the image.
HOOKS = (
    # Python's headers, without the rest of the 60 MB of the package that has them.
    'echo \'APT::Sandbox::User "root";\' >"$1/etc/apt/apt.conf.d/own"',
    'cd "$1" && chroot . apt-get -qq download "lib$(readlink usr/bin/python3)-dev"',
    'cd "$1" && dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards "./usr/include/*"',
    'rm "$1/etc/apt/apt.conf.d/own" "$1"/*.deb "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED',
    'find "$1/usr" -name __pycache__ -prune -exec rm -r {} +',
)


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def apt_sources() -> list[str]:
    """Return the files that tell this machine where packages are."""
    found = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").iterdir())]
    return [str(path) for path in found if path.suffix in {".list", ".sources"} and path.exists()]


def apt_options() -> list[str]:
    """Return how this machine reaches them, as `Acquire::http::Proxy "...";`."""
    dumped = output_of("apt-config", "dump", "--no-empty").splitlines()
    return [line for line in dumped if line.startswith("Acquire::")]


def index_options() -> dict[str, str]:
    """Return the settings by which pip reaches the index here, files and folders left out."""
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
    """Return the same for uv, which reads no pip.conf."""
    options = index_options()
    return {name: options[option] for name, option in UV_SETTINGS.items() if option in options}


def files() -> dict[str, bytes]:
    """Return what is put into the image of this machine's own settings."""
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


def make(archive: Path) -> None:
    """Write the file system of the base image into an archive."""
    settings = archive.with_name("settings.tar")
    pack(files(), settings)
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
    command += ["--include=python3,python3-pip,python3-venv"]
    command += [f"--aptopt={line}" for line in ('Apt::Install-Recommends "false"', *apt_options())]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    command += [f"--customize-hook={hook}" for hook in HOOKS]
    command += [f"--customize-hook=tar-in {settings} /"]
    subprocess.run([*command, codename, str(archive), *apt_sources()], check=True)
