"""What a candidate earns when trading costs more than assumed, and the cost at which it earns nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from engine.graph import Program
from engine.simulate import Costs, Simulation, simulate
from engine.simulate.run import decide
from pipelines import Bars

__all__ = ["Stress", "Stressed", "stress_costs"]

FACTORS = (1.0, 2.0, 3.0)
STEPS, NEAR = 12, 1e-7
CENT = 0.0001
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
    decisions = decide(program, bars)

    def at(costs: Costs) -> Simulation:
        return simulate(bars, decisions, costs, program.sizing)

    plain = at(costs)
    levels = []
    for factor in FACTORS:
        figures = (plain if factor == 1.0 else at(scaled(costs, factor))).metrics
        levels.append(Stressed(factor, figures["sharpe"], figures["total_return"]))
    return plain, Stress(tuple(levels), costs.fee + costs.slippage, break_even(at, costs, levels))


def scaled(costs: Costs, factor: float) -> Costs:
    """Return costs with fee and slippage a multiple of what they were, at most 10 % each."""
    return replace(costs, fee=min(DEAREST, costs.fee * factor), slippage=min(DEAREST, costs.slippage * factor))


def break_even(at: Callable[[Costs], Simulation], costs: Costs, levels: list[Stressed]) -> float:
    """Return the cost of a fill at which the total return crosses 0.

    The logarithm of what is left falls almost in proportion to the cost, so a few steps of regula falsi (Illinois)
    find the crossing between the dearest cost known to earn and the next one that does not.
    """
    free = costs.fee + costs.slippage == 0.0
    unit = replace(costs, fee=CENT) if free else costs
    most = DEAREST / max(unit.fee, unit.slippage)
    known = {} if free else {level.factor: grown(level.total_return) for level in levels if level.factor <= most}

    def growth(factor: float) -> float:
        return grown(at(scaled(unit, factor)).metrics["total_return"])

    low, above = 0.0, math.nan
    high, below = math.nan, math.nan
    for factor in itertools.chain(sorted(known), doubled(max(known, default=0.5), most)):
        value = known[factor] if factor in known else growth(factor)
        if value <= 0.0:
            high, below = factor, value
            break
        low, above = factor, value
    if math.isnan(high):
        return math.inf
    if low == 0.0:
        above = growth(0.0)
        if above <= 0.0:
            return 0.0
    middle, side = high, 0
    for _ in range(STEPS):
        if high - low <= NEAR * high:
            break
        middle = (low * below - high * above) / (below - above)
        value = growth(middle)
        if abs(value) < NEAR:
            break
        if value > 0.0:
            below = below / 2.0 if side > 0 else below  # the other end stayed twice: draw towards it
            low, above, side = middle, value, 1
        else:
            above = above / 2.0 if side < 0 else above
            high, below, side = middle, value, -1
    return (unit.fee + unit.slippage) * middle


def doubled(factor: float, most: float) -> Iterator[float]:
    """Yield twice the factor, and so on, up to ``most``."""
    while factor < most:
        factor = min(2.0 * factor, most)
        yield factor


def grown(total_return: float) -> float:
    """Return the logarithm of what an account is multiplied by."""
    return math.log(max(1.0 + total_return, 1e-12))
