"""The fill model one bar at a time, in dictionaries and floats: the oracle of every faster simulation.

Owns what a decision at a close becomes at the next open and after.  Must not import the engine, nor be fast.

The order of one bar: orders due fill at the open, then stop and target, then the account is marked at the close, then
the close decides.  Size rules live in `tests.naive.sizing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.naive.sizing import Costs, Reading, Sizing, affordable, on_grid, order_quantity

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bars:
    """Finite prices of the bars present, oldest first, and the number of each bar on its timeframe's grid."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    number: npt.NDArray[np.int64]
    bars_per_year: float
    timeframe_ms: int

    def __len__(self) -> int:
        return len(self.close)


@dataclass(frozen=True)
class Decisions:
    """What each close decides.

    Distances (quote currency, from the fill) are those known at that close; None: no such order; NaN or <= 0: no entry.
    """

    long_entry: Flags
    long_exit: Flags
    short_entry: Flags | None = None
    short_exit: Flags | None = None
    stop: Floats | None = None
    target: Floats | None = None
    trailing: bool = False
    max_hold: int = 0


@dataclass(frozen=True)
class Trade:
    """One position from fill to fill; prices with slippage, quantity in base, fees and profit in quote, profit net.

    ``reason`` is signal, stop, target or max_hold; an open trade has "open", exit_bar -1, the last close as its exit
    price and the profit it shows there, its exit not charged.
    """

    entry_bar: int
    exit_bar: int
    side: int
    quantity: float
    entry_price: float
    exit_price: float
    fees: float
    profit: float
    reason: str


@dataclass(frozen=True)
class Result:
    """Closed trades, the open one, equity at each close, bars with a position at any moment, all fees paid.

    ``shadows`` are the trades of size 0 that only a Kelly size follows; they are not in ``trades``.
    """

    trades: list[Trade]
    open_trade: Trade | None
    equity: Floats
    invested: Flags
    fees: float
    shadows: list[Trade] = field(default_factory=list)


def _gap_or_level(position: dict[str, float], bar: dict[str, float]) -> tuple[str, float] | None:
    """Tell which resting order this bar fills, and at what price before slippage."""
    side, stop, target = position["side"], position["stop"], position["target"]
    worst, best = (bar["low"], bar["high"]) if side > 0 else (bar["high"], bar["low"])
    if side * bar["open"] <= side * stop:
        return "stop", bar["open"]
    if side * bar["open"] >= side * target:
        return "target", bar["open"]
    if side * worst <= side * stop:
        return "stop", stop
    if side * best >= side * target:
        return "target", target
    return None


class _Account:
    """Cash, one position or none, and what has been closed."""

    def __init__(self, costs: Costs, sizing: Sizing, trailing: bool) -> None:
        self.costs, self.sizing, self.trailing = costs, sizing, trailing
        self.cash = costs.initial_cash
        self.position: dict[str, float] | None = None
        self.trades: list[Trade] = []
        self.shadows: list[Trade] = []
        self.returns: list[float] = []  # of every trade of the signal stream, as if its quantity were 1
        self.fees = 0.0

    def slipped(self, price: float, side: float) -> float:
        return price * (1.0 + side * self.costs.slippage)

    def equity(self, close: float) -> float:
        held = self.position["side"] * self.position["quantity"] * close if self.position else 0.0
        return self.cash + held

    def reading(self, close: float) -> Reading:
        """What a size may know at this close; a position still held is taken as sold, at its estimated cost."""
        equity = self.equity(close)
        if self.position:
            equity -= self.position["quantity"] * close * (self.costs.slippage + self.costs.fee)
        return Reading(equity, math.fsum(trade.profit for trade in self.trades), tuple(self.returns[-50:]))

    def on_tick(self, level: float) -> float:
        tick = self.costs.price_tick
        return on_grid(math.floor(level / tick + 0.5), tick) if tick > 0.0 else level

    def enter(self, t: int, side: int, quantity: float, price: float, stop: float, target: float) -> None:
        """Open at a fill price that has its slippage; NaN distance: no such order."""
        fee = self.costs.fee * quantity * price
        self.cash -= side * quantity * price + fee
        self.fees += fee
        # a trailing stop is a fraction of the best price from the start, the fill being the first best
        level = price * (1.0 - side * (stop / price)) if self.trailing else price - side * stop
        self.position = {
            "bar": t,
            "side": side,
            "quantity": quantity,
            "price": price,
            "best": price,
            "fraction": stop / price,
            "stop": -side * math.inf if math.isnan(stop) else self.on_tick(level),
            "target": side * math.inf if math.isnan(target) else self.on_tick(price + side * target),
        }

    def leave(self, t: int, price: float, reason: str) -> None:
        """Close at a raw price, to which slippage is still to be added."""
        assert self.position is not None
        p, rate = self.position, self.costs.fee
        side, quantity, entry = int(p["side"]), p["quantity"], p["price"]
        price = self.slipped(price, -side)
        fee = rate * quantity * price
        self.cash += side * quantity * price - fee
        self.fees += fee
        both = fee + rate * quantity * entry
        profit = side * quantity * (price - entry) - both
        trade = Trade(int(p["bar"]), t, side, quantity, entry, price, both, profit, reason)
        (self.trades if quantity > 0.0 else self.shadows).append(trade)
        self.returns.append((side * (price - entry) - rate * (price + entry)) / entry)
        self.position = None

    def trail(self, price: float) -> None:
        """Let one price count as the best so far."""
        p = self.position
        if p and self.trailing and p["side"] * price > p["side"] * p["best"]:
            p["best"] = price
            p["stop"] = self.on_tick(price * (1.0 - p["side"] * p["fraction"]))


def simulate(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> Result:
    """Follow one series of decisions over the bars.

    Raises
    ------
    ValueError
        A trailing stop or a size by risk without a stop distance, or an unknown size rule.
    """
    if decisions.stop is None and (decisions.trailing or sizing.kind == "atr_risk"):
        raise ValueError("a trailing stop and a size by risk need a stop distance at every entry; give stop")
    n = len(bars)
    never = np.zeros(n, dtype=np.bool_)
    short_entry = never if decisions.short_entry is None else decisions.short_entry
    short_exit = never if decisions.short_exit is None else decisions.short_exit
    account = _Account(costs, sizing, decisions.trailing)
    equity = np.empty(n)
    invested = np.zeros(n, dtype=np.bool_)
    close_due: str = ""
    entry_due: dict[str, float] | None = None

    for t in range(n):
        bar = {name: float(getattr(bars, name)[t]) for name in ("open", "high", "low", "close")}
        held = account.position is not None and account.position["quantity"] > 0.0

        # 1. orders due
        if close_due:
            account.leave(t, bar["open"], close_due)
        if entry_due:
            side = int(entry_due["side"])
            price = account.slipped(bar["open"], side)
            quantity = entry_due["quantity"]
            if costs.size_at == "fill":
                quantity = order_quantity(account.reading(bar["open"]), price, entry_due["stop"], costs, sizing)
            quantity = affordable(quantity, price, account.cash, costs)
            if quantity > 0.0 or sizing.kind == "kelly":
                account.enter(t, side, quantity, price, entry_due["stop"], entry_due["target"])
        close_due, entry_due = "", None

        # 2. resting orders; of a bar before this one the high counts already, of this one only the open
        held = held or (account.position is not None and account.position["quantity"] > 0.0)
        if account.position:
            if account.position["bar"] < t:
                account.trail(bar["open"])
            hit = _gap_or_level(account.position, bar)
            if hit:
                account.leave(t, hit[1], hit[0])
            else:
                account.trail(bar["high"] if account.position["side"] > 0 else bar["low"])

        # 3. the mark
        equity[t] = account.equity(bar["close"])
        invested[t] = held

        # 4. the decision, due at the open of the next bar present
        entry = {+1: bool(decisions.long_entry[t]), -1: bool(short_entry[t])}
        leave = {+1: bool(decisions.long_exit[t]), -1: bool(short_exit[t])}
        fresh = {side: entry[side] and not leave[side] for side in (+1, -1)}
        wanted = 0
        if account.position:
            side = int(account.position["side"])
            if leave[side] or entry[-side]:
                close_due = "signal"
            elif decisions.max_hold > 0 and t - int(account.position["bar"]) + 1 >= decisions.max_hold:
                close_due = "max_hold"
            if close_due and fresh[-side]:
                wanted = -side
        elif fresh[+1] != fresh[-1]:
            wanted = +1 if fresh[+1] else -1
        if wanted:
            entry_due = _order(t, wanted, bar["close"], account, decisions)

    return Result(account.trades, _marked(account, bars), equity, invested, account.fees, account.shadows)


def _order(t: int, side: int, close: float, account: _Account, decisions: Decisions) -> dict[str, float] | None:
    """Size the entry decided at close t; None where there is no order."""
    distances = {}
    for name, series in (("stop", decisions.stop), ("target", decisions.target)):
        distances[name] = math.nan if series is None else float(series[t])
        if series is not None and not distances[name] > 0.0:
            return None
    costs, sizing = account.costs, account.sizing
    quantity = math.inf
    if costs.size_at == "decision":
        reference = account.slipped(close, side)
        quantity = order_quantity(account.reading(close), reference, distances["stop"], costs, sizing)
        if quantity <= 0.0 and sizing.kind != "kelly":
            return None
    return {"side": side, "quantity": quantity, **distances}


def _marked(account: _Account, bars: Bars) -> Trade | None:
    p = account.position
    if p is None or p["quantity"] <= 0.0:
        return None
    last, fee = float(bars.close[-1]), account.costs.fee * p["quantity"] * p["price"]
    side, quantity, entry = int(p["side"]), p["quantity"], p["price"]
    profit = side * quantity * (last - entry) - fee
    return Trade(int(p["bar"]), -1, side, quantity, entry, last, fee, profit, "open")
