"""Warn of a variable that pyinit does not know, if it looks like a typing error.

This is never an error: names that begin with PYINIT_ may come from elsewhere. For example, a
service of Kubernetes called pyinit gives PYINIT_PORT and PYINIT_SERVICE_HOST to every container.
"""

from pyinit.before import cli, usage
from pyinit.settings import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyinit.report import Report

PREFIX = "PYINIT_"
MOST_TOLD = 8
# Options about a run. --version is left out: a Dockerfile may set PYINIT_VERSION for itself.
TOPICS = {*cli.FLAGS.values(), *cli.VALUES.values()} - cli.PAGES - {"json"}


def tell(report: "Report", names: "Iterable[str]") -> None:
    """Warn of each name that looks like a variable or an option of pyinit."""
    found = ((name, meant(name)) for name in names)
    for name, right in [pair for pair in found if pair[1]][:MOST_TOLD]:
        report.tell(WARNING, "variable_unknown", name, right)


def meant(name: str) -> str:
    """Return the variable that was meant, or the option if it has none; else nothing."""
    for right in cli.VARIABLES:  # PYINIT_DRAIN_SECONDS
        if name.startswith(f"{right}_"):
            return right
    word = name.removeprefix(PREFIX).replace("_", "-").lower()
    variables = {
        right.removeprefix(PREFIX).replace("_", "-").lower(): right for right in cli.VARIABLES
    }
    near = usage.nearest_option(f"--{word}", tuple(variables))
    if near in variables:
        return variables[near]
    known = (*cli.FLAGS, *cli.VALUES)
    option = usage.nearest_option(f"--{word}", known)
    topic = cli.FLAGS.get(option) or cli.VALUES.get(option)
    if topic not in TOPICS:
        return option if option.startswith(PREFIX) else ""  # a guess may be VARIABLE=VALUE
    return next((right for right, of in cli.VARIABLES.items() if of == topic), option)
