"""What `make dist` makes: it can be made again, it is whole, and pip needs nothing else."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from testkit.programs import ROOT_DIRECTORY

PRCTL = "python_prctl-*.whl"
SUPPORTED = re.findall(
    r"Python :: 3\.(\d+)",
    str(tomllib.loads((ROOT_DIRECTORY / "pyproject.toml").read_text())["project"]["classifiers"]),
)


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of that kind."""
    (found,) = folder.glob(pattern)
    return found


def metadata(wheel: Path):
    """Return the metadata of a wheel."""
    archive = ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(archive.read(name).decode())


def test_all_is_there(dist):
    """Source, wheels, licences, bill of materials: each has its hash, no other file is there."""
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], check=True, cwd=dist
    )
    listed = re.findall(r"^\w{64}  (\S+)$", (dist / "SHA256SUMS").read_text(), re.MULTILINE)

    assert sorted(path.name for path in dist.iterdir()) == sorted([*listed, "SHA256SUMS"])
    for kind in (
        "pyinit_container-*.tar.gz", "pyinit_container-*-py3-none-any.whl",
        "python-prctl-*.tar.gz", "structlog-*-py3-none-any.whl", "*.cdx.json",
        "LICENSE.GPL-3", "LICENSE.libcap",
    ):  # fmt: skip
        assert only(dist, kind).name in listed


def test_made_again_it_is_the_same(dist, tmp_path):
    """Out of the source archive, in another place, later, by another user: the same bytes."""
    unpack = ["tar", "-x", "--no-same-permissions", "-f", only(dist, "pyinit*.tar.gz")]
    subprocess.run(unpack, check=True, cwd=tmp_path, umask=0o077)
    (tree,) = tmp_path.iterdir()
    again = [sys.executable, "scripts/dist.py", "--prctl-wheels", dist]
    strange = {"TZ": "Pacific/Apia", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    subprocess.run(again, check=True, cwd=tree, env={**os.environ, **strange}, umask=0o077)

    assert (dist / "SHA256SUMS").read_text() == (tree / "dist/SHA256SUMS").read_text()


def test_source_archive_is_the_tree(dist):
    """Every file of the repository is in the source archive, tests and pages too; and no other."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT_DIRECTORY)
    tree = {name for name in listed.stdout.splitlines() if (ROOT_DIRECTORY / name).exists()}
    with tarfile.open(only(dist, "pyinit*.tar.gz")) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members if member.isfile()}

    assert {"tests/conftest.py", "Makefile", ".ci/run"} <= tree
    assert tree | {"PKG-INFO"} == names


def test_index_would_take_it(dist):
    """Twine finds nothing wrong with what is published, the page that README.md makes included."""
    files = [only(dist, "pyinit*.tar.gz"), only(dist, "pyinit*.whl")]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]

    subprocess.run(command, check=True)


def test_prctl_comes_with_its_licences(dist):
    """Every wheel of python-prctl has libcap inside, and the licences of both."""
    wheels = list(dist.glob(PRCTL))

    assert f"cp3{sys.version_info.minor}" in {wheel.name.split("-")[2] for wheel in wheels}
    assert {f"cp3{minor}" for minor in SUPPORTED} >= {wheel.name.split("-")[2] for wheel in wheels}
    for wheel in wheels:
        assert "-manylinux_2_" in wheel.name
        archive = ZipFile(wheel)
        texts = {Path(name).name: archive.read(name) for name in archive.namelist()}
        assert any(name.startswith("libcap-") for name in texts)
        for name in ("LICENSE.GPL-3", "LICENSE.libcap"):
            assert (dist / name).read_bytes() == texts[name]
    assert "GNU GENERAL PUBLIC LICENSE\n" in (dist / "LICENSE.GPL-3").read_text()
    assert "Redistribution and use in source and binary" in (dist / "LICENSE.libcap").read_text()


def test_bill_of_materials_names_what_is_installed(dist):
    """It is valid, and has each distribution and the library, with version and licence."""
    text = only(dist, "*.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    parts = [bom["metadata"]["component"], *bom["components"]]
    found = {part["name"]: part["version"] for part in parts}
    libcap = re.search(r"libcap-\w+\.so\.([\d.]+)", str(ZipFile(next(dist.glob(PRCTL))).namelist()))

    assert {
        "libcap": libcap[1],
        "pyinit-container": metadata(only(dist, "pyinit*.whl"))["Version"],
        "python-prctl": metadata(next(dist.glob(PRCTL)))["Version"],
        "structlog": metadata(only(dist, "structlog*.whl"))["Version"],
    } == found
    assert all(part["licenses"] for part in parts)
    needs = {each["ref"]: each.get("dependsOn", []) for each in bom["dependencies"]}
    assert [f"libcap=={libcap[1]}"] == needs[f"python-prctl=={found['python-prctl']}"]


INSTALL = """
set -e
test -z "$(command -v gcc cc)"
test -z "$(find / -xdev -name 'libcap.so*')"
pip install --quiet --no-index --find-links /dist pyinit-container
python3 -c 'import prctl; print(open("/proc/self/maps").read())' | grep -q python_prctl.libs/libcap-
"""
AS_PID_1 = "unshare --pid --fork --propagation=unchanged --mount-proc"


def test_pip_needs_nothing_else(inside):
    """Without compiler, libcap and index: pyinit and both libraries are installed, and work."""
    installed = inside(INSTALL)
    assert (0, "") == (installed.returncode, installed.stdout), installed.stderr
    told = {}
    for prefix in ("", AS_PID_1):
        ran = inside(f"{prefix} pyinit -v -- sh -c 'exit 3'")
        assert 3 == ran.returncode, ran.stderr
        lines = map(json.loads, ran.stderr.splitlines())
        told[prefix] = {event["event"]: event for event in lines}

    assert told[""]["not_pid1"]["subreaper"]
    assert "not_pid1" not in told[AS_PID_1]
    assert all(3 == events["child_exited"]["code"] for events in told.values())
