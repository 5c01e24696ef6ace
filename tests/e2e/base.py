"""Make a base image that stands in for the official one, which is not always to be had.

It is Debian with its own Python, and like the official slim image: pip and the headers are there,
the compiler and the bytecode of the standard library are not. What this machine needs to reach the
package registries (proxy, index, certificates) is put into it, so that a build needs no more.
"""

import platform
import subprocess
from pathlib import Path

from testkit.registries import apt_options, apt_sources, files, pack

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
