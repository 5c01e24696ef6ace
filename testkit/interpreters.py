"""The installed Pythons: this one, the system's, and those of pyenv."""

import glob
import os
import subprocess

ASK = "import sys; print(sys.executable, '%d.%d.%d' % sys.version_info[:3])"


def at_hand() -> dict[str, str]:
    """Return the path of each Python from 3.11 on, by version; the first of several."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates = ["python3", *sorted(glob.glob("/usr/bin/python3.[0-9]*[0-9]"))]
    candidates += sorted(glob.glob(f"{pyenv}/versions/3.*/bin/python3"))
    found: dict[str, str] = {}
    for candidate in candidates:
        try:
            command = [candidate, "-IS", "-c", ASK]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except OSError:
            continue
        if done.returncode == 0:
            path, version = done.stdout.split()
            if int(version.split(".")[1]) >= 11:  # noqa: PLR2004 - 3.11
                found.setdefault(version, path)
    return found
