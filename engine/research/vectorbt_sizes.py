"""The sizes VectorBT is handed as numbers, because it cannot compute them: fixed at the decision, Kelly's, stepped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.graph.program import Sizing
from engine.research.vectorbt_orders import Unsayable
from engine.simulate import Costs, Decisions, Simulation, simulate
from pipelines import Bars

__all__ = ["quantities_of", "sized"]

MARKER = 1e-7


def quantities_of(
    simulation: Simulation, decisions: Decisions, sizing: Sizing, costs: Costs
) -> NDArray[np.float64] | None:
    """Return the quantity VectorBT is given for an entry decided at each close, None where it computes it itself.

    Where the simulation considered no entry a tiny marker stands, so that an entry it missed is seen.

    Raises
    ------
    Unsayable
        A shadow of size 0 turned into a position at a close where both sides enter: flat, VectorBT does nothing there.
    """
    if sizing.kind == "kelly":
        _refuse_turned_shadow(simulation, decisions)
    free = costs.quantity_step == 0.0 and costs.min_notional == 0.0
    if costs.size_at == "fill" and sizing.kind == "all_in" and sizing.number("fraction") == 1.0 and free:
        return None
    bars = simulation.bars
    ordered = simulation.ordered.copy()
    if costs.size_at == "fill" or not free:
        # rounded down or fixed at the fill: the quantity that was filled, nothing where none was
        ordered[~np.isnan(ordered)] = 0.0
        for trade in (*simulation.trades, *simulation.open_trade):
            ordered[trade["entry_bar"] - 1] = trade["quantity"]
    return np.where(np.isnan(ordered), MARKER * costs.initial_cash / bars.close, ordered)


def _refuse_turned_shadow(simulation: Simulation, d: Decisions) -> None:
    both = d.long_entry & ~d.long_exit & d.short_entry & ~d.short_exit
    before = -1
    for trade in (*simulation.trades, *simulation.open_trade):
        decided = int(trade["entry_bar"]) - 1
        if both[decided] and before != decided + 1:
            raise Unsayable(
                f"at the close of bar {decided} both sides enter and a shadow of Kelly's turns into a position: "
                "VectorBT, which has no shadows, cannot say that; the plain simulation checks it"
            )
        before = int(trade["exit_bar"])


def sized(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> NDArray[np.float64] | None:
    """Return the quantities VectorBT is given for one combination."""
    return quantities_of(simulate(bars, decisions, costs, sizing), decisions, sizing, costs)
