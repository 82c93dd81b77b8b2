"""What trading costs and what the venue allows; the same in sweep, simulation, replay and live."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.graph.program import Sizing
from engine.graph.scalar import tidy
from parquet_store.errors import Usage, unknown

__all__ = ["CostNumbers", "Costs", "SizingNumbers", "sizing_numbers"]

SIZING_CODES = {"all_in": 0, "fixed_fraction": 1, "fixed_ratio": 2, "atr_risk": 3, "kelly": 4}


# Compiled code reads these by place: this file belongs to the digest that engine.jit names its cache by.
class CostNumbers(NamedTuple):
    """``Costs`` as compiled code reads them."""

    fee: float
    slippage: float
    price_tick: float
    quantity_step: float
    min_notional: float
    contract_size: float
    leverage: float
    initial_cash: float
    at_fill: float


class SizingNumbers(NamedTuple):
    """A size rule as compiled code reads it: the code of its kind and its two numbers."""

    kind: float
    first: float
    second: float


@dataclass(frozen=True)
class Costs:
    """Fees, slippage, and the venue's steps and minimums.

    Attributes
    ----------
    fee : float
        Fraction of the notional, on every fill.
    slippage : float
        Fraction of the price, against the order, on every fill.
    price_tick, quantity_step, min_notional, contract_size : float
        The venue's filters in quote, base (or contracts), quote and base currency; 0: none.
    leverage : float
        Largest notional over equity.
    initial_cash : float
        Quote currency.
    short : bool
        Whether the venue lets a position be short (a spot market does not).
    size_at : str
        ``"decision"``, or ``"fill"`` for research: the size is then fixed at a price no live order can know.
    """

    fee: float = 0.001
    slippage: float = 0.0005
    price_tick: float = 0.0
    quantity_step: float = 0.0
    min_notional: float = 0.0
    contract_size: float = 0.0
    leverage: float = 1.0
    initial_cash: float = 10_000.0
    short: bool = False
    size_at: str = "decision"

    def __post_init__(self) -> None:
        bounds = {"fee": (0.0, 0.1), "slippage": (0.0, 0.1), "leverage": (1.0, 125.0), "initial_cash": (1e-9, math.inf)}
        for item in dataclasses.fields(self):
            value, default = getattr(self, item.name), item.default
            if isinstance(default, bool):
                if not isinstance(value, bool):
                    raise Usage(f"costs: {item.name} is {value!r}, expected true or false")
            elif isinstance(default, float):
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise Usage(f"costs: {item.name} is {value!r}, expected a number")
                low, high = bounds.get(item.name, (0.0, math.inf))
                if not math.isfinite(value) or not low <= value <= high:
                    raise Usage(f"costs: {item.name} is {value:g}, expected {low:g} to {high:g}")
        if self.size_at not in ("decision", "fill"):
            raise unknown("size_at", self.size_at, ("decision", "fill"))

    def numbers(self) -> CostNumbers:
        """Return the form compiled code reads."""
        values = [float(getattr(self, name)) for name in CostNumbers._fields[:-1]]
        return CostNumbers._make([*values, float(self.size_at == "fill")])

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        data = dataclasses.asdict(self)
        return {k: tidy(v) if isinstance(v, float) else v for k, v in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Costs:
        """Return costs from plain data; an unknown name answers with the nearest one."""
        names = {item.name: item for item in dataclasses.fields(cls)}
        for name in data:
            if name not in names:
                raise unknown("cost", name, names)
        values: dict[str, Any] = {k: float(v) if type(v) is int else v for k, v in data.items()}
        return cls(**values)


def sizing_numbers(sizing: Sizing) -> SizingNumbers:
    """Return the form compiled code reads."""
    first, second = ([value for _, value in sizing.numbers] + [0.0])[:2]
    return SizingNumbers(float(SIZING_CODES[sizing.kind]), first, second)
