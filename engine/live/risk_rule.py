"""What a run is told of the account as a whole: its limits, how the cash is shared, what was known before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.risk import Limits

__all__ = ["RiskRule"]

Closes = tuple[tuple[int, ...], tuple[float, ...]]


@dataclass(frozen=True)
class RiskRule:
    """The account of a run.

    Attributes
    ----------
    limits : Limits, optional
        None: there are none.
    shared : bool
        Whether each leg sizes by its share of the whole account's equity, and all spend one cash.
    reserve : float
        What belongs to no leg, quote currency.
    wait_ns : int
        Bars that close at one moment are decided on together, when the last has come or so long after the close.
    closes : dict of str to (tuple of int, tuple of float)
        The last closes of each series before the run, times in ms.
    """

    limits: Limits | None = None
    shared: bool = False
    reserve: float = 0.0
    wait_ns: int = 2_000_000_000
    closes: Mapping[str, Closes] = field(default_factory=dict)

    @property
    def guards(self) -> bool:
        """Whether the account is looked at as one."""
        return self.limits is not None or self.shared

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "limits": None if self.limits is None else self.limits.model_dump(),
            "shared": self.shared,
            "reserve": self.reserve,
            "wait_ns": self.wait_ns,
            "closes": {series: [list(times), list(closes)] for series, (times, closes) in sorted(self.closes.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RiskRule:
        """Return the rule of its plain data."""
        limits = data["limits"]
        closes = {series: (tuple(times), tuple(values)) for series, (times, values) in data["closes"].items()}
        made = None if limits is None else Limits(**limits)
        return cls(made, data["shared"], data["reserve"], data["wait_ns"], closes)
