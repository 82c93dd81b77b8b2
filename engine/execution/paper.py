"""The paper broker: the simulation's own account kernel, fed one bar at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.program import Program
from engine.simulate.account import TRADE, close_bar, new_account, open_bar
from engine.simulate.costs import Costs, sizing_numbers

__all__ = ["PaperBroker"]


class PaperBroker:
    """One account that fills orders as the simulation does.

    Attributes
    ----------
    bars : int
        Bars digested; the next bar's index.
    account : ndarray of ``ACCOUNT``, shape (1,)
        The account as the kernels keep it.
    """

    def __init__(self, program: Program, costs: Costs) -> None:
        self.bars = 0
        self._costs, self._sizing = costs.numbers(), sizing_numbers(program.sizing)
        self._rules = (program.role("stop") is not None, program.role("target") is not None, program.max_hold)
        self._trailing = program.trailing
        self.account, self._trades = new_account(costs.initial_cash), np.zeros(64, TRADE)

    def open(self, open: float, high: float, low: float) -> None:
        """Fill what is due at the open and what rests within the bar."""
        if self.account["trades"][0] + 2 > self._trades.size:
            self._trades = np.concatenate([self._trades, np.zeros(self._trades.size, TRADE)])
        open_bar(self.account, self._trades, self.bars, open, high, low, self._trailing, self._sizing, self._costs)

    def close(self, close: float, signals: tuple[bool, bool, bool, bool], stop: float, target: float) -> None:
        """Mark the account at the close and take the decision for the next open."""
        close_bar(self.account, close, *signals, stop, target, self._rules, self._sizing, self._costs)
        self.bars += 1

    @property
    def equity(self) -> float:
        """At the last close, quote currency."""
        return float(self.account["equity"][0])

    @property
    def trades(self) -> NDArray[Any]:
        """Closed trades so far, dtype ``TRADE``."""
        return self._trades[: int(self.account["trades"][0])]

    @property
    def quantity(self) -> float:
        """The position, base currency, negative when short."""
        return float(self.account["quantity"][0])
