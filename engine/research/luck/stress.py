"""What a candidate earns when trading costs more than assumed, and the cost at which it earns nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.graph import Program, columns
from engine.simulate import Costs, Simulation, simulate
from engine.simulate.run import decisions_of
from pipelines import Bars

__all__ = ["Stress", "Stressed", "stress_costs"]

FACTORS = (1.0, 2.0, 3.0)
HALVINGS = 24
DEAREST = 0.1  # of the price, each fill: what Costs allow


@dataclass(frozen=True)
class Stressed:
    """A candidate's figures at a multiple of fee and slippage; NaN where undefined."""

    factor: float
    sharpe: float
    total_return: float


@dataclass(frozen=True)
class Stress:
    """A candidate under growing costs.

    Attributes
    ----------
    levels : tuple of Stressed
        At 1, 2 and 3 times the fee and slippage.
    cost : float
        What a fill costs, fee and slippage, as a fraction of its value.
    break_even : float
        The cost of a fill, the same fraction, at which the total return comes to 0; 0 where it loses even at no cost,
        infinite where it earns even at the dearest fee or slippage of 10 %.
    """

    levels: tuple[Stressed, ...]
    cost: float
    break_even: float


def stress_costs(program: Program, bars: Bars, costs: Costs) -> tuple[Simulation, Stress]:
    """Return the plain simulation of a program, and what becomes of it at higher costs.

    Where neither fee nor slippage is asked, the break-even is that of the fee alone.
    """
    decisions = decisions_of(columns(program, bars))

    def at(costs: Costs) -> Simulation:
        return simulate(bars, decisions, costs, program.sizing)

    plain = at(costs)
    levels = []
    for factor in FACTORS:
        figures = (plain if factor == 1.0 else at(scaled(costs, factor))).metrics
        levels.append(Stressed(factor, figures["sharpe"], figures["total_return"]))
    return plain, Stress(tuple(levels), costs.fee + costs.slippage, break_even(at, costs))


def scaled(costs: Costs, factor: float) -> Costs:
    """Return costs with fee and slippage a multiple of what they were, at most 10 % each."""
    return replace(costs, fee=min(DEAREST, costs.fee * factor), slippage=min(DEAREST, costs.slippage * factor))


def break_even(at: Callable[[Costs], Simulation], costs: Costs) -> float:
    """Return the cost of a fill at which the total return crosses 0, by bisection."""
    unit = costs if costs.fee + costs.slippage > 0.0 else replace(costs, fee=DEAREST)
    most = DEAREST / max(unit.fee, unit.slippage)

    def earns(factor: float) -> bool:
        return bool(at(scaled(unit, factor)).metrics["total_return"] > 0.0)

    if not earns(0.0):
        return 0.0
    if earns(most):
        return math.inf
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if earns(middle) else (low, middle)
    return (unit.fee + unit.slippage) * (low + high) / 2.0
