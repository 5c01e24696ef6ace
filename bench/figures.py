"""All samples. The key is what was measured, for which init, and at which size or delay."""

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any

Key = tuple[str, str, str]
PERCENT = 100


@dataclasses.dataclass(slots=True)
class Figures:
    """Samples, in the order in which they were taken. A key without samples raises KeyError."""

    samples: dict[Key, list[float]] = dataclasses.field(default_factory=dict)

    def add(self, what: str, init: str, values: Iterable[float], at: object = "") -> None:
        """Add samples for a key."""
        self.samples.setdefault((what, init, str(at)), []).extend(values)

    def all(self, what: str, init: str, at: object = "") -> list[float]:
        """Return the samples for a key."""
        return self.samples[what, init, str(at)]

    def median(self, what: str, init: str, at: object = "") -> float:
        """Return the median for a key."""
        return statistics.median(self.all(what, init, at))

    def quantile(self, percent: int, what: str, init: str, at: object = "") -> float:
        """Return a percentile: this many percent of the samples are not larger."""
        values = sorted(self.all(what, init, at))
        return values[min(len(values) - 1, len(values) * percent // PERCENT)]

    def ratio(self, what: str, init: str, other: str, at: object = "") -> float:
        """Return the median of one init divided by the median of another."""
        return self.median(what, init, at) / self.median(what, other, at)

    def inits(self, what: str) -> list[str]:
        """Return the inits that have samples, in order."""
        return list(dict.fromkeys(init for name, init, _ in self.samples if name == what))

    def places(self, what: str) -> list[str]:
        """Return the sizes or delays that have samples, in order."""
        return list(dict.fromkeys(at for name, _, at in self.samples if name == what))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the samples in the form that `from_json` reads."""
        return [
            {"what": what, "init": init, "at": at, "values": values}
            for (what, init, at), values in self.samples.items()
        ]

    @classmethod
    def from_json(cls, entries: list[dict[str, Any]]) -> "Figures":
        """Return the figures that `to_json` wrote."""
        return cls(
            {(entry["what"], entry["init"], entry["at"]): entry["values"] for entry in entries}
        )
