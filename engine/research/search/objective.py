"""What a search looks for: metrics of the sweep's table by name, each with the direction in which it is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.simulate import METRICS, Costs
from parquet_store.errors import Usage, unknown

__all__ = ["KNOWN", "Objective", "objectives_of"]

SMALL = ("volatility", "max_drawdown_bars", "fees", "turnover")  # best when small
KNOWN = (*(name for name in METRICS if name != "open_trade"), "turnover")
ENDS = {"max": True, "min": False}


@dataclass(frozen=True)
class Objective:
    """A metric that is made large or small.

    Attributes
    ----------
    name : str
        A metric of the sweep's table, or ``turnover``: the notional of all fills over the initial cash, a year.
    large : bool
        Whether larger is better.
    """

    name: str
    large: bool

    @property
    def direction(self) -> str:
        """Optuna's word for it."""
        return "maximize" if self.large else "minimize"

    def values(self, metrics: NDArray[np.float64], costs: Costs, years: float) -> NDArray[np.float64]:
        """Return the objective of rows of metrics, shape (m, len(METRICS)); NaN where it is undefined."""
        if self.name == "turnover":
            return metrics[:, METRICS.index("fees")] / costs.fee / years
        return metrics[:, METRICS.index(self.name)].copy()

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"name": self.name, "direction": self.direction}


def objectives_of(texts: Sequence[str], costs: Costs) -> tuple[Objective, ...]:
    """Return the objectives of texts such as ``sharpe`` or ``trades:min``.

    Raises
    ------
    Usage
        None, an unknown one (the nearest is offered), one given twice, turnover without a fee to tell it by.
    """
    if not texts:
        raise Usage("no objective given: add --objective sharpe")
    found: list[Objective] = []
    for text in texts:
        name, colon, end = (piece.strip() for piece in text.partition(":"))
        if name not in KNOWN:
            raise unknown("objective", name, KNOWN)
        if colon and end not in ENDS:
            raise unknown(f"direction of objective {name}", end, ENDS)
        if name in (one.name for one in found):
            raise Usage(f"--objective {name}: given twice")
        if name == "turnover" and costs.fee <= 0.0:
            raise Usage("--objective turnover is told by the fees paid, and --fee is 0; expected a fee, or trades:min")
        found.append(Objective(name, ENDS[end] if colon else name not in SMALL))
    return tuple(found)
