"""The other libraries' calls for the indicators of `bench_kernels`: a call, and which of our outputs it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from pipelines import Bars

BAR = ("high", "low", "close")
Call = Callable[[], Any]


def talib_calls(bars: Bars) -> dict[str, Any]:
    """TA-Lib by its Python wrapper."""
    import talib as t

    h, l, c, v = bars.high, bars.low, bars.close, bars.volume
    return {
        "TA-Lib": {
            "SMA 20": (lambda: t.SMA(c, 20), (0,)),
            "EMA 20": (lambda: t.EMA(c, 20), (0,)),
            "STDDEV 20": (lambda: t.STDDEV(c, 20), (1,)),
            "RSI 14": (lambda: t.RSI(c, 14), (0,)),
            "BBANDS 20": (lambda: t.BBANDS(c, 20, 2.0, 2.0), (2, 1, 0)),
            "MACD 12 26 9": (lambda: t.MACD(c, 12, 26, 9), (0, 1, 2)),
            "ATR 14": (lambda: t.ATR(h, l, c, 14), (0,)),
            "TRANGE": (lambda: t.TRANGE(h, l, c), (0,)),
            "ADX 14": (lambda: t.ADX(h, l, c, 14), (2,)),
            "ROC 10": (lambda: t.ROCP(c, 10), (0,)),
            "OBV": (lambda: t.OBV(c, v), None),  # begins with the first volume
            "MAX 20": (lambda: t.MAX(c, 20), (0,)),
            "MIN 20": (lambda: t.MIN(c, 20), (0,)),
        }
    }


def polars_calls(bars: Bars) -> dict[str, Any]:
    """TA-Lib by Polars' expressions."""
    import polars_talib as t

    frame = pl.DataFrame({name: getattr(bars, name) for name in (*BAR, "volume")})
    h, l, c, v = (pl.col(name) for name in (*BAR, "volume"))

    def run(made: Any, places: tuple[int, ...] | None) -> tuple[Call, Any]:
        return lambda: frame.select(made), places

    return {
        "polars-talib": {
            "SMA 20": run(t.sma(c, 20), (0,)),
            "EMA 20": run(t.ema(c, 20), (0,)),
            "STDDEV 20": run(t.stddev(c, 20, 1.0), (1,)),
            "RSI 14": run(t.rsi(c, 14), (0,)),
            "BBANDS 20": run(t.bbands(c, 20, 2.0, 2.0, 0), (2, 1, 0)),
            "MACD 12 26 9": run(t.macd(c, 12, 26, 9), (0, 1, 2)),
            "ATR 14": run(t.atr(h, l, c, 14), (0,)),
            "TRANGE": run(t.trange(h, l, c), (0,)),
            "ADX 14": run(t.adx(h, l, c, 14), (2,)),
            "ROC 10": run(t.rocp(c, 10), (0,)),
            "OBV": run(t.obv(c, v), None),
            "MAX 20": run(t.max(c, 20), (0,)),
            "MIN 20": run(t.min(c, 20), (0,)),
        }
    }


def pandas_calls(bars: Bars) -> dict[str, Any]:
    """pandas-ta-classic's own loops, without TA-Lib."""
    import pandas as pd
    import pandas_ta_classic as t

    h, l, c, v = (pd.Series(getattr(bars, name)) for name in (*BAR, "volume"))
    return {
        "pandas-ta-classic": {
            "SMA 20": (lambda: t.sma(c, 20, talib=False), (0,)),
            "EMA 20": (lambda: t.ema(c, 20, talib=False), (0,)),
            "STDDEV 20": (lambda: t.stdev(c, 20, ddof=0, talib=False), (1,)),
            "RSI 14": (lambda: t.rsi(c, 14, talib=False), (0,)),
            "BBANDS 20": (lambda: t.bbands(c, 20, 2.0, ddof=0, talib=False).iloc[:, :3], (0, 1, 2)),
            "ATR 14": (lambda: t.atr(h, l, c, 14, talib=False), None),  # seeded and smoothed by its own rules
            "TRANGE": (lambda: t.true_range(h, l, c, talib=False), (0,)),
            "ADX 14": (lambda: t.adx(h, l, c, 14, talib=False), None),
            "ROC 10": (lambda: t.roc(c, 10, scalar=1.0, talib=False), (0,)),
            "OBV": (lambda: t.obv(c, v, talib=False), None),
        }
    }


def vectorbt_calls(bars: Bars) -> dict[str, Any]:
    """VectorBT's indicators on both engines."""
    import pandas as pd
    import vectorbt as vbt

    h, l, c, v = (pd.Series(getattr(bars, name)) for name in (*BAR, "volume"))

    def run(engine: str, made: Callable[[], Any]) -> Call:
        def call() -> Any:
            vbt.settings["engine"] = engine
            return made()

        return call

    def calls(engine: str) -> dict[str, Any]:
        return {
            "SMA 20": (run(engine, lambda: vbt.MA.run(c, 20).ma), (0,)),
            "EMA 20": (run(engine, lambda: vbt.MA.run(c, 20, ewm=True).ma), (0,)),
            "STDDEV 20": (run(engine, lambda: vbt.MSTD.run(c, 20).mstd), (1,)),
            "RSI 14": (run(engine, lambda: vbt.RSI.run(c, 14).rsi), None),  # not Wilder's average
            "BBANDS 20": (run(engine, lambda: vbt.BBANDS.run(c, 20)), None),
            "MACD 12 26 9": (run(engine, lambda: vbt.MACD.run(c, 12, 26, 9, macd_ewm=True, signal_ewm=True)), None),
            "ATR 14": (run(engine, lambda: vbt.ATR.run(h, l, c, 14)), None),
            "OBV": (run(engine, lambda: vbt.OBV.run(c, v)), None),
        }

    return {f"VectorBT {engine}": calls(engine) for engine in ("numba", "rust")}
