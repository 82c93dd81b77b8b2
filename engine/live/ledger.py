"""The simulation's own account, moved by real fills.

A fill moves cash, quantity and levels by the simulation's own formulas, so that the same fills leave the same bytes.
What has no order, on paper or as the shadow that Kelly's rule follows, is filled by the simulation's kernel instead
(`engine.live.deciding`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.execution.orders import Fill
from engine.kernels import grid
from engine.live.actions import Traded
from engine.live.deciding import Noted
from engine.live.entry import Entry
from engine.simulate import REASONS, Costs, formulas
from engine.simulate.account import TRADE
from engine.simulate.formulas import KELLY_WINDOW

__all__ = ["ClosedBar", "Ledger"]

_to_tick = grid.to_tick.py_func  # type: ignore[attr-defined]
_unit_return = formulas.unit_return.py_func  # type: ignore[attr-defined]
NAN: Final = float("nan")
_FULL: Final = 1e-9  # of an entry: what is left below this part is rounding


@dataclass(slots=True)
class ClosedBar:
    """A bar that was decided on: its number, open and close time in ns, and its close."""

    number: int
    open_ns: int
    close_ns: int
    close: float


class Ledger:
    """What one program has on one symbol, and its closed trades.

    Parameters
    ----------
    name : str
        Of the sub-account.
    costs : Costs
    noted : Noted
        Where the account is kept: rows of `engine.live.deciding.Deciding`.
    recent : deque of ClosedBar
        The last bars of its series, kept by the caller.

    Attributes
    ----------
    account : ndarray of ``ACCOUNT``, shape (1,)
    row : void of ``ACCOUNT``
        The account itself.
    leg : void of ``LEG``
        What the limits remember of it.
    bars : int
        Bars digested, counted by the caller.
    positions : int
        How many were entered.
    changed_ns : int
        When the last fill was, by the venue.
    recent : deque of ClosedBar
    """

    def __init__(self, name: str, costs: Costs, noted: Noted, recent: deque[ClosedBar]) -> None:
        self.name, self.costs, self.account, self.recent = name, costs, noted.account, recent
        self.row: Any = noted.account[0]
        self.leg, self._profits = noted.leg, noted.profits
        self.bars = self.positions = self.changed_ns = 0
        self._trades = np.zeros(64, TRADE)
        self._entered = 0.0  # quantity of the entry, also while it is left in parts
        self._exit = (0.0, 0.0, 0.0)  # quantity, notional, fee of the exit so far
        self._cash_before = self._base_fee = 0.0
        self.funding = 0.0  # quote currency, paid to the account so far
        self._closed = (0.0, 0.0, 0.0)  # quantity, notional, fee of the entry's fills that are left already

    @property
    def trades(self) -> NDArray[Any]:
        """Closed trades, dtype ``TRADE``; bars are counted from the first one digested."""
        return self._trades[: int(self.row["trades"])]

    @property
    def kept_bytes(self) -> int:
        """What the closed trades take in memory."""
        return self._trades.nbytes

    @property
    def quantity(self) -> float:
        """The position, base currency, negative when short."""
        return float(self.row["quantity"])

    @property
    def number(self) -> int:
        """The number of the last closed bar, 0 before the first."""
        return self.recent[-1].number if self.recent else 0

    def keep(self, trades: NDArray[Any]) -> None:
        """Keep trades the simulation's kernel closed; the account has counted them."""
        count = int(self.row["trades"])
        self._room_for(count)
        self._trades[count - trades.size : count] = trades

    def enter(self, entry: Entry, base_fee: float, time_ns: int) -> bool:
        """Take a fill of an entry, which the entry has counted; return whether it is the position's first.

        Parameters
        ----------
        entry : Entry
        base_fee : float
            What the venue kept of the fill, base currency.
        time_ns : int
        """
        row, side = self.row, entry.side
        first = entry.fills == 1
        if first:
            self._closed = (0.0, 0.0, 0.0)
            if row["side"] != 0.0:  # a shadow that was to be left at this open
                self._leave_shadow(entry.price)
        if first or row["side"] == 0.0:  # of an entry whose first part was left before it was done
            first = True
            self._cash_before = float(row["cash"])
            row["held"], row["entry_bar"] = 0, self._index(time_ns)
            self.positions += 1
            self._base_fee, self._exit = 0.0, (0.0, 0.0, 0.0)
        self._base_fee += base_fee
        quantity, price, fee = entry.filled, entry.price, entry.fee
        if self._closed[0]:
            quantity, fee = quantity - self._closed[0], fee - self._closed[2]
            price = (entry.notional - self._closed[1]) / quantity
        paid = fee - self._base_fee * price if self._base_fee else fee
        self._entered = quantity - self._base_fee if self._base_fee else quantity
        row["side"], row["quantity"] = side, side * self._entered
        row["entry_price"], row["entry_fee"], row["best"] = price, fee, price
        row["cash"] = self._cash_before - (side * quantity * price + paid)
        sold, notional, fees = self._exit
        if sold:  # a stop for the part before it has begun to fill
            row["quantity"] = side * (self._entered - sold)
            row["cash"] += side * notional - fees
        row["due_side"] = 0.0
        self.changed_ns = max(self.changed_ns, time_ns)
        self.leg["met"], self.leg["pending"] = price, entry.left
        return first

    def fund(self, amount: float) -> None:
        """Book funding: quote currency, negative where it is paid; trades do not count it."""
        self.funding += amount
        self.row["cash"] += amount
        self._cash_before += amount

    def left_within(self, entry: Entry) -> None:
        """Take note that what an entry filled so far is left, while it may fill more."""
        self._closed = entry.filled, entry.notional, entry.fee

    def level(self, side: float, stop: float, target: float, *, trailing: bool) -> None:
        """Set the levels of a position from its entry price so far and the distances of its decision."""
        row, tick = self.row, self.costs.price_tick
        price = float(row["entry_price"])
        row["stop"], row["target"] = _to_tick(price - side * stop, tick), _to_tick(price + side * target, tick)
        if trailing:
            row["trail"] = stop / price
            row["stop"] = _to_tick(price * (1.0 - side * float(row["trail"])), tick)

    def follow(self, best: float) -> float:
        """Move a trailing stop to where the best price puts it, and return the level; NaN if it does not trail."""
        row = self.row
        trail = float(row["trail"])
        if trail != trail:
            return NAN
        level = float(_to_tick(best * (1.0 - float(row["side"]) * trail), self.costs.price_tick))
        row["stop"] = level
        return level

    def leave(self, fill: Fill, fee: float, reason: int) -> int:
        """Take a fill that leaves the position, or a part of it.

        Parameters
        ----------
        fill : Fill
        fee : float
            In quote currency.
        reason : int
            Of ``engine.simulate.REASONS``, if it is left in full.

        Returns
        -------
        int
            The place of the closed trade, -1 while something is left.
        """
        row = self.row
        side = float(row["side"])
        quantity = min(fill.quantity, abs(self.quantity))
        done, notional, fees = self._exit
        one = done == 0.0
        self._exit = done, notional, fees = done + quantity, notional + quantity * fill.price, fees + fee
        row["cash"] += side * quantity * fill.price - fee
        self.changed_ns = max(self.changed_ns, fill.time_ns)
        self.leg["met"] = fill.price
        left = abs(self.quantity) - quantity
        if left > _FULL * self._entered:
            row["quantity"] = side * left
            return -1
        price = fill.price if one else notional / done
        held, entry_price = self._entered, float(row["entry_price"])
        self._returned(side, entry_price, price)
        at = int(row["trades"])
        self._room_for(at + 1)
        total = float(row["entry_fee"]) + fees
        profit = side * held * (price - entry_price) - total
        self._trades[at] = (
            int(row["entry_bar"]), self._index(fill.time_ns), int(side), reason, held, entry_price, price, total, profit
        )  # fmt: skip
        self.leg["met"], self._profits[at % self._profits.size] = price, profit
        row["closed_profit"] += profit
        row["trades"] += 1
        row["quantity"] = row["side"] = 0.0
        row["stop"] = row["target"] = row["trail"] = NAN
        return at

    def told(self, at: int) -> Traded:
        """Return a closed trade as an action."""
        trade = self._trades[at]
        return Traded(
            self.name, int(trade["entry_bar"]), int(trade["exit_bar"]), int(trade["side"]),
            REASONS[int(trade["reason"])], float(trade["quantity"]), float(trade["entry_price"]),
            float(trade["exit_price"]), float(trade["fees"]), float(trade["profit"]),
        )  # fmt: skip

    def _leave_shadow(self, price: float) -> None:
        row = self.row
        self._returned(float(row["side"]), float(row["entry_price"]), price)
        row["side"], row["due_close"] = 0.0, 0
        row["stop"] = row["target"] = row["trail"] = NAN

    def _returned(self, side: float, entry_price: float, price: float) -> None:
        """Note the return of a trade, which Kelly's rule looks back at."""
        row = self.row
        row["returns"][int(row["closed"]) % KELLY_WINDOW] = _unit_return(side, entry_price, price, self.costs.fee)
        row["closed"] += 1

    def _room_for(self, count: int) -> None:
        while self._trades.size < count:
            self._trades = np.concatenate([self._trades, np.zeros(self._trades.size, TRADE)])

    def _index(self, time_ns: int) -> int:
        """Return the bar a moment lies in, as counted here: the one that forms, or one digested that closed later."""
        return self.bars - sum(1 for bar in self.recent if bar.close_ns > time_ns)
