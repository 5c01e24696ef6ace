"""Everything that was recorded, for machines."""

import json
from collections.abc import Sequence

from pyinit.rehearse.model import Run

VERSION = 1


def render(runs: Sequence[Run]) -> str:
    """Return the document, in ASCII."""
    return (
        json.dumps({"version": VERSION, "runs": [run.as_json() for run in runs]}, indent=2) + "\n"
    )
