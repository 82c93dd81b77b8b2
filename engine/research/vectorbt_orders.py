"""The fill model said to VectorBT, many combinations as the columns of one call.

Owns how decisions become rows VectorBT understands, and how its records become trades again.  The order of fills, the
levels of stops and targets, gaps, slippage, fees, cash and profit are VectorBT's own; only what it has no word for is
handed to it as numbers.

A bar becomes four rows, because VectorBT knows one order a row and looks at stops before signals:

    exits    the open is the price; closes what a close decided to close
    entries  the open is the price; opens, and arms stop and target
    open     a bar that is nothing but the open: a gap beyond the stop or the target fills here
    bar      the bar itself: the stop, else the target, at its level

The first two rows have no bar (NaN), so that no stop can fire or trail there.  With the open in a row of its own a
target that gaps beats a stop touched later in that bar, and a trailing stop learns the open before the rest.

What VectorBT cannot say, and `orders` therefore refuses: a longest hold, ticks of resting levels, leverage, a trailing
stop where both sides enter at one close under slippage, and a close where one side's entry stands beside its own exit
while the other side enters (it opens that other side from flat but only closes it when held, and no row tells the two
apart).  What VectorBT says otherwise: a short that loses more than the account is covered only as far as the cash
goes.  Sizes other than all of the cash come in as ``quantities``.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.simulate import Costs, Decisions
from engine.simulate.account import TRADE
from parquet_store.errors import Usage
from pipelines import Bars

Floats = npt.NDArray[np.float64]
ROWS = 4
EXITS, ENTRIES, OPEN, BAR = range(ROWS)


class Unsayable(Usage):
    """A combination asks for what VectorBT has no words for."""


@dataclass(frozen=True)
class Outcome:
    """What VectorBT recorded of one combination.

    Attributes
    ----------
    trades : recarray of ``TRADE``
        In order, an open one last: ``exit_bar`` -1, the price then the last close and the exit not charged.  Bars are
        positions in the input, prices have their slippage, the profit is net; ``reason`` is 0, VectorBT keeps none.
    equity : ndarray of float64, shape (n,)
        At each close, quote currency.
    """

    trades: Any
    equity: Floats


@dataclass(frozen=True)
class _Column:
    """One combination, one value a bar, already moved from the deciding close to the open that fills."""

    leave_long: npt.NDArray[np.bool_]
    leave_short: npt.NDArray[np.bool_]
    buy: npt.NDArray[np.bool_]
    sell: npt.NDArray[np.bool_]
    stop: Floats  # fraction of the price the stop starts from
    target: Floats
    from_open: npt.NDArray[np.bool_]  # where that price is the open, not the fill
    size: Floats


def _late(values: npt.NDArray[Any], first: Any) -> npt.NDArray[Any]:
    """Move one bar on: decided at a close, due at the next open."""
    return np.concatenate((np.array([first], dtype=values.dtype), values[:-1]))


def _refuse_unsayable(decisions: Decisions, costs: Costs) -> None:
    resting = decisions.stop is not None or decisions.target is not None
    found = {
        "max_hold": decisions.max_hold > 0,
        "price_tick with a stop or target": costs.price_tick > 0.0 and resting,
        "leverage": costs.leverage != 1.0,
    }
    named = [name for name, here in found.items() if here]
    if named:
        raise Unsayable(f"VectorBT cannot say {' or '.join(named)}; the plain simulation checks these")


def _column(bars: Bars, d: Decisions, costs: Costs, quantity: Floats | None) -> _Column:
    """Translate one combination."""
    _refuse_unsayable(d, costs)
    n, slip = len(bars.close), costs.slippage
    short_entry, short_exit = d.short_entry, d.short_exit
    none = np.full(n, math.nan)
    stop = none if d.stop is None else d.stop
    target = none if d.target is None else d.target

    valid = np.ones(n, dtype=np.bool_)
    for required in (d.stop, d.target, quantity):
        if required is not None:
            valid &= required > 0.0
    fresh_long, fresh_short = d.long_entry & ~d.long_exit, short_entry & ~short_exit
    twofold = (d.long_entry & d.long_exit & fresh_short) | (short_entry & short_exit & fresh_long)
    if bool(twofold.any()):
        raise Unsayable(
            f"at the close of bar {int(np.flatnonzero(twofold)[0])} one side enters and the other has both entry and "
            "exit: VectorBT cannot say that; compare it with the plain simulation"
        )
    # Both sides at one close mean nothing to a flat account and a reversal to any other: one netted order, whose side
    # only VectorBT knows.  Its stop is therefore told from the open, where the fraction is the same for both sides.
    both = fresh_long & fresh_short & valid
    if d.trailing and slip > 0.0 and bool(both.any()):
        raise Unsayable(
            f"both sides enter at the close of bar {int(np.flatnonzero(both)[0])}: under slippage VectorBT cannot say "
            "a trailing stop there; compare it with the plain simulation"
        )
    buy, sell, from_open = (_late(x, False) for x in (fresh_long & valid, fresh_short & valid, both))
    fill = np.where(buy, bars.open * (1.0 + slip), bars.open * (1.0 - slip))
    stop, target = _late(stop, math.nan), _late(target, math.nan)
    return _Column(
        leave_long=_late(d.long_exit | (short_entry & ~both), False),
        leave_short=_late(short_exit | (d.long_entry & ~both), False),
        buy=buy,
        sell=sell,
        stop=np.where(from_open, np.maximum(stop / bars.open - slip, 0.0), stop / fill),
        target=np.where(from_open, target / bars.open + slip, target / fill),
        from_open=from_open,
        size=np.full(n, np.inf) if quantity is None else _late(np.where(valid, quantity, math.nan), math.nan),
    )


def _idle(n: int) -> _Column:
    """Return a column that never trades."""
    never, none = np.zeros(n, np.bool_), np.full(n, math.nan)
    return _Column(never, never, never, never, none, none, never, none)


def _rows(n: int, blank: Any, row: int, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Stack columns of one value a bar into one row of each bar; the other rows stay blank."""
    out = np.full((ROWS * n, len(columns)), blank, dtype=columns[0].dtype)
    for j, values in enumerate(columns):
        out[row::ROWS, j] = values
    return out


def _tape(series: Sequence[Bars], name: str) -> Floats:
    """Return open, high, low or close as rows: unknown where nothing may fire, then the open alone, then the bar."""
    out = np.full((ROWS * len(series[0].close), len(series)), math.nan)
    for j, bars in enumerate(series):
        out[OPEN::ROWS, j] = bars.open
        out[BAR::ROWS, j] = getattr(bars, name)
    return out


def orders(
    bars: Bars,
    decisions: Sequence[Decisions],
    costs: Costs | Sequence[Costs],
    quantities: Sequence[Floats | None] | None = None,
    engine: str | None = None,
) -> list[Outcome]:
    """Return what VectorBT trades for each combination; the arguments are those of ``simulated``."""
    if len(decisions) == 0:
        return []
    return outcomes_of(simulated(bars, decisions, costs, quantities, engine))[: len(decisions)]


def simulated(
    bars: Bars | Sequence[Bars],
    decisions: Sequence[Decisions],
    costs: Costs | Sequence[Costs],
    quantities: Sequence[Floats | None] | None = None,
    engine: str | None = None,
    *,
    together: bool = False,
) -> Any:
    """Return VectorBT's portfolio of the combinations, four rows a bar and a column each; an idle one beside a single.

    Parameters
    ----------
    bars : Bars or a sequence of them, one a combination
        n bars of the same times; about 0.45 kB a bar and combination is needed while it runs.
    decisions : sequence of Decisions
        One a combination, all as of the close.
    costs : Costs or a sequence of them, one a combination
        Fee, slippage and initial cash are used; steps and minimums act through ``quantities``.
    quantities : sequence, optional
        For each combination the base quantity of an entry decided at each close (NaN or 0: none), or None for all of
        the cash at the fill.  A quantity beyond the cash is cut to it, unrounded.
    engine : {"numba", "rust"}, optional
        Which of VectorBT's two engines computes; where it is installed that in Rust, which needs no compiling.
    together : bool
        Whether all share the cash of the first.

    Raises
    ------
    Unsayable
        A combination asks for what VectorBT cannot say (see the module).
    """
    import vectorbt as vbt

    series = [bars] if isinstance(bars, Bars) else list(bars)
    n = len(series[0].close)
    each = [costs] * len(decisions) if isinstance(costs, Costs) else list(costs)
    amounts = [None] * len(decisions) if quantities is None else list(quantities)
    own = series * len(decisions) if isinstance(bars, Bars) else series
    columns = [_column(*one) for one in zip(own, decisions, each, amounts, strict=True)]
    if len(columns) == 1:  # a single column has another layout in memory: VectorBT would compile for it anew
        columns, each, decisions = [*columns, _idle(n)], each * 2, [*decisions, *decisions]
    width = len(columns)

    def entries(name: str, blank: Any) -> npt.NDArray[Any]:
        return _rows(n, blank, ENTRIES, [getattr(column, name) for column in columns])

    def exits(name: str) -> npt.NDArray[Any]:
        return _rows(n, False, EXITS, [getattr(column, name) for column in columns])

    def per_column(values: list[Any]) -> npt.NDArray[Any]:
        return np.broadcast_to(np.array(values), (ROWS * n, width))

    kind = vbt.portfolio.enums.StopEntryPrice
    return vbt.Portfolio.from_signals(
        np.broadcast_to(_tape(series, "close"), (ROWS * n, width)),
        entries("buy", False),
        exits("leave_long"),
        short_entries=entries("sell", False),
        short_exits=exits("leave_short"),
        price=np.repeat(np.column_stack([one.open for one in series]), ROWS, axis=0),
        open=_tape(series, "open"),
        high=_tape(series, "high"),
        low=_tape(series, "low"),
        sl_stop=entries("stop", math.nan),
        tp_stop=entries("target", math.nan),
        sl_trail=per_column([one.trailing for one in decisions]),
        stop_entry_price=np.where(entries("from_open", False), kind.Price, kind.FillPrice),
        stop_exit_price="stopmarket",
        upon_stop_exit="close",
        upon_dir_conflict="opposite",
        upon_opposite_entry="reverse",
        accumulate=False,
        lock_cash=True,
        size=entries("size", math.nan),
        fees=per_column([one.fee for one in each]),
        slippage=per_column([one.slippage for one in each]),
        init_cash=each[0].initial_cash if together else np.array([one.initial_cash for one in each]),
        group_by=np.zeros(width, np.int64) if together else None,
        cash_sharing=together,
        min_size=0.0,
        use_stops=True,
        max_orders=sum(2 * int(column.buy.sum() + column.sell.sum()) for column in columns) + 1,  # each opens, closes
        engine=engine or ("rust" if importlib.util.find_spec("vectorbt_rust") else "numba"),
    )


def outcomes_of(portfolio: Any) -> list[Outcome]:
    """Return what a portfolio of ``simulated`` recorded, bars instead of rows."""
    equity = np.asarray(portfolio.value(), dtype=np.float64).reshape(portfolio.wrapper.shape_2d)[BAR::ROWS]
    return [Outcome(made, np.ascontiguousarray(equity[:, j])) for j, made in enumerate(trades_of(portfolio))]


def trades_of(portfolio: Any) -> list[Any]:
    """Return the trades of every column, as in ``Outcome``."""
    import vectorbt as vbt

    names = vbt.portfolio.enums
    records = portfolio.trades.values
    records = records[np.argsort(records["col"], kind="stable")]
    is_open = records["status"] == names.TradeStatus.Open
    trades = np.zeros(records.size, TRADE).view(np.recarray)
    trades.entry_bar = records["entry_idx"] // ROWS
    trades.exit_bar = np.where(is_open, -1, records["exit_idx"] // ROWS)
    trades.side = np.where(records["direction"] == names.TradeDirection.Long, 1, -1)
    trades.quantity, trades.profit = records["size"], records["pnl"]
    trades.entry_price, trades.exit_price = records["entry_price"], records["exit_price"]
    trades.fees = records["entry_fees"] + records["exit_fees"]
    ends = np.searchsorted(records["col"], np.arange(portfolio.wrapper.shape_2d[1] + 1))
    return [trades[first:last] for first, last in itertools.pairwise(ends.tolist())]
