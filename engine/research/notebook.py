"""A combination of a sweep as a real ``vectorbt.Portfolio``, for a notebook: statistics, plots, records.

VectorBT trades it as the check of a sweep does, four rows a bar; its orders are then put on their bars and read by
VectorBT's own portfolio, one row a bar, with the bars' open times as index and their own bars a year.  What VectorBT
then computes is its own; these agree with the engine's figures: total return, Sharpe, Sortino, volatility, maximum
drawdown, final value, fees, every trade.  These do not, because VectorBT means something else:

    annualized_return, calmar_ratio   years are bars / bars a year, not elapsed time
    trades.win_rate, profit_factor    count an open trade; ``stats()`` does not
    position_coverage                 bars with a position after their close, not at any moment
    sharpe_ratio without a trade      infinite, not unknown
    benchmark                         buys the first close and pays nothing
    durations                         counted in bars, absent ones not among them
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.graph import Program, bind
from engine.research.export import load_swept
from engine.research.table import Run
from engine.research.vectorbt import require, trade_mismatches
from engine.research.vectorbt_orders import ROWS, outcomes_of, simulated
from engine.research.vectorbt_sizes import quantities_of
from engine.simulate import Costs, decide, simulate
from engine.strategies import find_strategy
from parquet_store import Store, Timeframe
from parquet_store.errors import Failed
from pipelines import Bars

__all__ = ["portfolio", "portfolio_of"]


def portfolio(run: Run, params: Mapping[str, float], source: str | None = None, store: Store | None = None) -> Any:
    """Return one combination of a run as a ``vectorbt.Portfolio``.

    Parameters
    ----------
    run : Run
        A finished sweep, as ``Run.open(store, name)`` gives it.
    params : mapping of str to float
        Values of the parameters; those not given must have one value in the run.
    source : str, optional
        One of the run's series; the best row's if not given.
    store : Store, optional
        Where the bars lie; the run's own store if not given.

    Returns
    -------
    vectorbt.Portfolio
        One column, one row a bar, indexed by open time (UTC); see the module for what its figures mean.

    Raises
    ------
    Usage
        VectorBT is not installed or cannot say what the strategy does (named); the run holds no such combination.
    Failed
        The stored bars changed since the sweep, or VectorBT trades otherwise than the engine.
    """
    row = run.find(params, source)
    strategy = find_strategy(run.plan["strategy"])
    program = bind(strategy(), {name: float(row[name]) for name in strategy.params}, run.sizing)
    bars = load_swept(store or Store(run.folder.parent.parent), run, str(row["source"]))
    return portfolio_of(program, bars, run.costs, name=run.name)


def portfolio_of(program: Program, bars: Bars, costs: Costs, *, name: str = "strategy") -> Any:
    """Return what a bound strategy does over bars as a ``vectorbt.Portfolio`` whose column has this name.

    Raises
    ------
    Usage
        VectorBT is not installed, or cannot say what the strategy does; the message names it.
    Failed
        VectorBT trades otherwise than the engine.
    """
    require()
    import pandas as pd
    import vectorbt as vbt

    decisions = decide(program, bars)
    plain = simulate(bars, decisions, costs, program.sizing)
    traded = simulated(bars, [decisions], costs, [quantities_of(plain, decisions, program.sizing, costs)])
    if differ := trade_mismatches(plain, outcomes_of(traded)[0]):
        raise Failed(f"{bars.source}: VectorBT trades otherwise than the engine: {differ[0]}")
    orders = traded.orders.values
    orders = orders[orders["col"] == 0].copy()
    orders["idx"] //= ROWS
    index = pd.DatetimeIndex(bars.time.astype("datetime64[ms]"), tz="UTC", name="time")
    length = _length(bars)
    close = pd.Series(bars.close, index, name=name)
    return _kind(length * bars.bars_per_year)(
        vbt.ArrayWrapper.from_obj(close, freq=length),
        close,
        orders,
        traded.logs.values[:0],
        np.array([costs.initial_cash]),
        False,
        engine=traded.engine,
    )


def _length(bars: Bars) -> Any:
    """Return the length of a bar; of bars whose length varies that of the first."""
    import pandas as pd

    step, number = Timeframe.parse(bars.timeframe), int(bars.number[0])
    return pd.Timedelta(step.close_ms(number) - step.open_ms(number), unit="ms")


@functools.cache
def _kind(year: Any) -> Any:
    """Return VectorBT's portfolio with a year of this length: annual figures are then those of the bars' calendar."""
    import vectorbt as vbt

    class Portfolio(vbt.Portfolio):  # type: ignore[misc]
        """A ``vectorbt.Portfolio`` whose year has as many bars as the series it was traded on."""

        def get_returns_acc(self, *arguments: Any, year_freq: Any = None, **named: Any) -> Any:
            return super().get_returns_acc(*arguments, year_freq=year if year_freq is None else year_freq, **named)

        @property
        def stats_defaults(self) -> Any:
            found = super().stats_defaults
            found["settings"]["year_freq"] = year
            return found

    return Portfolio
