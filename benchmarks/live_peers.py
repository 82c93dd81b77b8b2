"""A decision as bots make it: all indicators anew over the last 500 candles at every close, for `bench_live` alone.

The same decision by Lockstep's own columns, by TA-Lib and by pandas-ta-classic, each for `mean_reversion` with its
defaults.  Every decision is compared with the one the program makes bar by bar over the whole history.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks.live_stages import quantiles
from engine.graph import bind
from engine.graph.drive import columns
from engine.simulate import decisions_of
from engine.strategies import find_strategy
from pipelines import Bars

__all__ = ["windows_anew"]

WINDOW: Final = 500
RSI, BAND, WIDTH, ATR, RISK, LEVEL = 14, 20, 2.0, 14, 250, 0.05
OVERSOLD, OVERBOUGHT, LIMIT = 30.0, 70.0, 0.05
Decision = tuple[bool, bool]
Way = Callable[[Bars], Decision]


def windows_anew(bars: Bars, count: int) -> dict[str, Any]:
    """Time the last ``count`` decisions by each way.

    Raises
    ------
    SystemExit
        A decision differs.
    """
    batch = decisions_of(columns(bind(find_strategy("mean_reversion")()), bars))
    found: dict[str, Any] = {"closes": count}
    for name, way in ways().items():
        took = []
        for end in range(len(bars) - count, len(bars)):
            window = bars.slice(end - WINDOW + 1, end + 1)
            began = time.perf_counter_ns()
            decision = way(window)
            took.append(time.perf_counter_ns() - began)
            if decision != (bool(batch.long_entry[end]), bool(batch.long_exit[end])):
                raise SystemExit(f"{name}: another decision at bar {end}: {decision}")
        found[name] = quantiles(took)
    return found


def ways() -> dict[str, Way]:
    """Return what decides at the last bar of a window, by name."""
    import talib
    from pandas import DataFrame
    from pandas_ta_classic import atr, bbands, rsi

    program = bind(find_strategy("mean_reversion")())

    def own(bars: Bars) -> Decision:
        made = decisions_of(columns(program, bars))
        return bool(made.long_entry[-1]), bool(made.long_exit[-1])

    def decided(close: float, strength: float, lower: float, upper: float, risk: float) -> Decision:
        entry = strength < OVERSOLD and close < lower and risk < LIMIT
        return bool(entry), bool(strength > OVERBOUGHT or close > upper)

    def with_talib(bars: Bars) -> Decision:
        close = bars.close
        upper, _, lower = talib.BBANDS(close, BAND, WIDTH, WIDTH)
        talib.ATR(bars.high, bars.low, close, ATR)
        returns = close[-RISK:] / close[-RISK - 1 : -1] - 1.0
        rank = int(np.ceil(LEVEL * RISK)) - 1
        risk = -float(np.partition(returns, rank)[rank])
        return decided(float(close[-1]), talib.RSI(close, RSI)[-1], lower[-1], upper[-1], risk)

    def with_pandas(bars: Bars) -> Decision:
        frame = DataFrame({name: getattr(bars, name) for name in ("high", "low", "close")})
        close = frame["close"]
        bands = bbands(close, BAND, WIDTH, ddof=0)
        atr(frame["high"], frame["low"], close, ATR)
        returns = close.pct_change().iloc[-RISK:]
        risk = -returns.nsmallest(int(np.ceil(LEVEL * RISK))).iloc[-1]
        strength = rsi(close, RSI).iloc[-1]
        return decided(close.iloc[-1], strength, bands.iloc[-1, 0], bands.iloc[-1, 2], risk)

    return {
        "Lockstep's columns, 500 candles anew": own,
        "TA-Lib, 500 candles anew": with_talib,
        "pandas-ta-classic, 500 candles anew": with_pandas,
    }
