"""A plain client of the venue's core: it follows made decisions as a trader would, and keeps its trades."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.graph import Sizing
from engine.simulate import Costs, Decisions
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.order import Asked, Order
from pipelines import Bars
from tests.naive.sizing import on_grid

Trade = tuple[int, int, int, str, float, float, float, float, float]


class Trader:
    """Follows decisions over a venue of one market, long and short, one position at a time.

    The rules are written out here, not taken from the engine: a decision at each close, orders before the next open,
    a stop and a target once the entry has filled.
    """

    def __init__(self, symbol: str, bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> None:
        self.bars, self.wants, self.costs, self.sizing = bars, decisions, costs, sizing
        self.venue = Venue({Market.of(symbol, costs): bars})
        self.account = self.venue.open_account("k", "s", {"USDT": costs.initial_cash})
        self.symbol = symbol
        self.linear = ":" in symbol
        self.cash = costs.initial_cash
        self.trades: list[Trade] = []
        self.side, self.held, self.closes = 0, 0.0, 0
        self.entry: Order | None = None
        self.exit: Order | None = None
        self.resting: list[tuple[str, Order]] = []
        self.distances = (math.nan, math.nan)
        self.reason = "signal"
        self.entered: tuple[int, float, float] = (0, 0.0, 0.0)

    def run(self) -> list[Trade]:
        """Play all bars and return the closed trades."""
        at = 0
        while self.venue.open_bar():
            self.look(at)
            self.protect()
            self.venue.close_bar()
            self.look(at)
            self.decide(at)
            at += 1
        return self.trades

    def place(self, side: int, kind: Any, quantity: float, *, reduces: bool, **more: float) -> Order:
        asked = Asked(
            self.symbol, "buy" if side > 0 else "sell", kind, quantity, reduce_only=reduces and self.linear, **more
        )
        return self.venue.place(self.account, asked)

    def look(self, at: int) -> None:
        """Take note of what filled: exits before entries."""
        done = [("", self.exit)] if self.exit else []
        for name, order in [*done, *self.resting]:
            if order is not None and order.executions and self.side:
                (one,) = order.executions
                index, price, fee = self.entered
                self.cash += self.side * one.quantity * one.price - one.fee
                profit = self.side * one.quantity * (one.price - price) - (fee + one.fee)
                self.trades.append(
                    (index, at, self.side, name or self.reason, one.quantity, price, one.price, fee + one.fee, profit)
                )
                self.side, self.held, self.exit = 0, 0.0, None
                for _, rest in self.resting:
                    if rest.open:
                        self.venue.cancel(rest)
                self.resting = []
        if self.entry is not None and not self.entry.open:
            if self.entry.executions:
                (one,) = self.entry.executions
                self.side, self.held, self.closes = (1 if one.side == "buy" else -1), one.quantity, 0
                self.cash -= self.side * one.quantity * one.price + one.fee
                self.entered = at, one.price, one.fee
            self.entry = None if not self.entry.executions else self.entry

    def protect(self) -> None:
        """Rest stop and target for an entry that has just filled."""
        if self.entry is None or not self.side:
            return
        self.entry = None
        price, parts = self.entered[1], round(1.0 / self.costs.price_tick)
        stop, target = self.distances
        for name, kind, level in (
            ("stop", "stop", price - self.side * stop),
            ("target", "take_profit", price + self.side * target),
        ):
            if not math.isnan(level):
                level = math.floor(level / self.costs.price_tick + 0.5) / parts
                order = self.place(-self.side, kind, self.held, reduces=True, stop_price=level)
                self.resting.append((name, order))

    def decide(self, at: int) -> None:
        """Order for the next open."""
        wants, close = self.wants, float(self.bars.close[at])
        enters = {1: bool(wants.long_entry[at]), -1: bool(wants.short_entry[at])}
        leaves = {1: bool(wants.long_exit[at]), -1: bool(wants.short_exit[at])}
        equity, new = self.cash + self.side * self.held * close, 0
        if not self.side:
            wanted = [side for side in (1, -1) if enters[side] and not leaves[side]]
            new = wanted[0] if len(wanted) == 1 else 0
        else:
            self.closes += 1
            signal = leaves[self.side] or enters[-self.side]
            if signal or 0 < wants.max_hold <= self.closes:
                self.reason = "signal" if signal else "max_hold"
                if not self.linear:
                    for _, rest in self.resting:
                        self.venue.cancel(rest)
                    self.resting = []
                self.exit = self.place(-self.side, "market", self.held, reduces=True)
                if enters[-self.side] and not leaves[-self.side]:
                    new = -self.side
                    equity -= self.held * close * (self.costs.slippage + self.costs.fee)
        stop, target = (math.nan if d is None else float(d[at]) for d in (wants.stop, wants.target))
        known = (wants.stop is None or stop > 0.0) and (wants.target is None or target > 0.0)
        quantity = self.size(new, equity, close, stop) if new and known else 0.0
        if quantity:
            self.distances = stop, target
            self.entry = self.place(new, "market", quantity, reduces=False)

    def size(self, side: int, equity: float, close: float, stop: float) -> float:
        costs = self.costs
        if equity <= 0.0:
            return 0.0
        reference = close * (1.0 + side * costs.slippage)
        if self.sizing.kind == "atr_risk":
            quantity = self.sizing.number("risk") * equity / stop
        else:
            quantity = self.sizing.number("fraction") * equity / reference
        quantity = min(quantity, costs.leverage * equity / reference)
        step = costs.quantity_step * (costs.contract_size or 1.0)
        quantity = on_grid(math.floor(quantity / step + 1e-9), step)
        return quantity if quantity > 0.0 and quantity * reference >= costs.min_notional else 0.0


def trades_of(simulation: Any, reasons: tuple[str, ...]) -> list[Trade]:
    """Return the simulation's closed trades in the same form."""
    return [
        (
            int(one["entry_bar"]),
            int(one["exit_bar"]),
            int(one["side"]),
            reasons[int(one["reason"])],
            *(float(one[name]) for name in ("quantity", "entry_price", "exit_price", "fees", "profit")),
        )
        for one in np.atleast_1d(simulation.trades)
    ]
