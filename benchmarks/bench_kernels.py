"""Are indicator steps as fast as TA-Lib's loops, and a graph of seven faster than six of its calls?

``python -m benchmarks.bench_kernels``: a year of one-minute bars, one process, one thread, all contenders taking
turns, the best of several turns in processor time, output memory included on every side.  Answers are compared
first, from the middle of the series on: by then every way of seeding an average is forgotten.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import polars as pl

from benchmarks.kernel_peers import BAR, Call, pandas_calls, polars_calls, talib_calls, vectorbt_calls
from benchmarks.measure import keep, minute_bars
from engine.graph import columns
from engine.graph.program import Program, ProgramNode
from engine.kernels.column import column
from engine.kernels.step import find_step
from pipelines import Bars

BARS = 525_600
TURNS = 15
SLOW = 2  # turns of what takes seconds
SEVEN = (
    ProgramNode("ema", ("close",), (20.0,)),
    ProgramNode("rsi", ("close",), (14.0,)),
    ProgramNode("moments", ("close",), (20.0,)),
    ProgramNode("multiply", (2.0, (2, 1)), ()),
    ProgramNode("subtract", ((2, 0), (3, 0)), ()),
    ProgramNode("add", ((2, 0), (3, 0)), ()),
    ProgramNode("macd", ("close",), (12.0, 26.0, 9.0)),
    ProgramNode("atr", BAR, (14.0,)),
    ProgramNode("adx", BAR, (14.0,)),
    ProgramNode("vwap", (*BAR, "volume"), (20.0,)),
)
KEPT = ((0, 0), (1, 0), (5, 0), (2, 0), (4, 0), (6, 0), (6, 1), (6, 2), (7, 0), (8, 2), (9, 0))  # what the calls give
BANDS = (
    ProgramNode("moments", ("close",), (20.0,)),
    ProgramNode("multiply", (2.0, (0, 1)), ()),
    ProgramNode("subtract", ((0, 0), (1, 0)), ()),
    ProgramNode("add", ((0, 0), (1, 0)), ()),
)


def arrays(answer: Any) -> list[np.ndarray]:
    """Return what a contender answered as arrays, whatever it wraps them in."""
    if isinstance(answer, pl.DataFrame):
        if answer.width == 1 and answer.dtypes[0] == pl.Struct:
            answer = answer.unnest(answer.columns[0])
        return [answer[name].to_numpy() for name in answer.columns]
    if hasattr(answer, "to_numpy"):
        found = answer.to_numpy()
        return [found] if found.ndim == 1 else list(found.T)
    return [np.asarray(x).ravel() for x in answer] if isinstance(answer, tuple | list) else [np.asarray(answer).ravel()]


def agree(name: str, ours: list[np.ndarray], theirs: list[np.ndarray], scale: float) -> None:
    """Raise if two answers differ where both have forgotten how they began."""
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        half = slice(a.size // 2, None)
        # differences of sums of squares and of averages have the digits of the sums
        np.testing.assert_allclose(a[half], b[half], rtol=1e-6, atol=2e-6 * scale, err_msg=f"{name}, output {k}")


def contenders(bars: Bars) -> dict[str, dict[str, tuple[Call, tuple[int, ...] | None]]]:
    """Return, for each indicator, each contender's call and which of our outputs it answers; None: another formula."""
    h, l, c, v = bars.high, bars.low, bars.close, bars.volume
    fields = {"high": h, "low": l, "close": c, "volume": v}
    bands = Program(BANDS, ())

    def bollinger() -> list[np.ndarray]:
        found = columns(bands, bars, only=((2, 0), (0, 0), (3, 0)))
        return [found.read(ref) for ref in ((2, 0), (0, 0), (3, 0))]

    def ours(step: str, inputs: tuple[str, ...], *params: float) -> Call:
        made = find_step(step)
        return lambda: column(made, [fields[x] for x in inputs], params, bars.number)

    own: dict[str, tuple[Call, int]] = {
        "SMA 20": (ours("sma", ("close",), 20), 1),
        "EMA 20": (ours("ema", ("close",), 20), 1),
        "STDDEV 20": (ours("moments", ("close",), 20), 2),
        "RSI 14": (ours("rsi", ("close",), 14), 1),
        "BBANDS 20": (bollinger, 3),
        "MACD 12 26 9": (ours("macd", ("close",), 12, 26, 9), 3),
        "ATR 14": (ours("atr", BAR, 14), 1),
        "TRANGE": (ours("true_range", BAR), 1),
        "ADX 14": (ours("adx", BAR, 14), 3),
        "ROC 10": (ours("roc", ("close",), 10), 1),
        "OBV": (ours("obv", ("close", "volume")), 1),
        "MAX 20": (ours("highest", ("close",), 20), 1),
        "MIN 20": (ours("lowest", ("close",), 20), 1),
    }
    found = {name: {"ours": (call, tuple(range(count)))} for name, (call, count) in own.items()}

    def add(peer: str, calls: dict[str, tuple[Call, tuple[int, ...] | None]]) -> None:
        for name, entry in calls.items():
            found[name][peer] = entry

    for source in (talib_calls, polars_calls, pandas_calls, vectorbt_calls):
        try:
            for peer, calls in source(bars).items():
                add(peer, calls)
        except ImportError as error:
            print(f"{source.__name__}: skipped, {error}")
    return found  # type: ignore[return-value]


def timed(
    calls: dict[str, Call], bars: int, turns: int = TURNS, clock: Callable[[], int] = time.process_time_ns
) -> dict[str, float]:
    """Return each call's nanoseconds a bar, taking turns; what needs over half a second gets fewer."""
    best = {name: math.inf for name in calls}
    for turn in range(turns):
        # there and back: who comes after another finds the inputs in the cache
        for name, call in list(calls.items())[:: 1 if turn % 2 else -1]:
            if turn >= SLOW and best[name] * bars > 5e8:
                continue
            # thrice: the first finds the caches and the memory as the contender before it left them
            for _ in range(1 if best[name] * bars > 5e8 else 3):
                start = clock()
                answer = call()
                best[name] = min(best[name], (clock() - start) / bars)
                del answer
    return best


def seven_against_six(bars: Bars) -> dict[str, Any]:
    """Time a graph of seven indicators, on one thread and on two, against TA-Lib's calls for six, by the clock."""
    import talib as t

    h, l, c = bars.high, bars.low, bars.close
    program = Program(SEVEN, ())

    def six() -> Any:
        bands, lines = t.BBANDS(c, 20, 2.0, 2.0), t.MACD(c, 12, 26, 9)
        return t.EMA(c, 20), t.RSI(c, 14), *bands, *lines, t.ATR(h, l, c, 14), t.ADX(h, l, c, 14)

    found, expected = columns(program, bars, only=KEPT), six()
    agree("graph", [found.read(ref) for ref in KEPT[:-1]], list(expected), float(c.max()))
    del found, expected
    gc.collect()
    calls = {f"{n} threads": lambda n=n: columns(program, bars, only=KEPT, threads=n) for n in (1, 2)}
    best = timed(calls | {"six": six}, len(bars), clock=time.perf_counter_ns)
    ratios = {name: best["six"] / best[name] for name in calls}
    return {"ours_ns": {name: best[name] for name in calls}, "talib_ns": best["six"], "ratio": ratios}


def value_at_risk(bars: Bars) -> dict[str, float]:
    """Time value at risk over 250 bars against Polars' rolling quantile of returns already taken."""
    made, close = find_step("var"), bars.close
    returns = pl.Series(close[1:] / close[:-1] - 1.0)

    def polars() -> pl.Series:
        return returns.rolling_quantile(0.05, interpolation="lower", window_size=250)

    def ours() -> Any:
        return column(made, [close], (250, 0.05), bars.number)

    np.testing.assert_array_equal(ours()[0][250:], -polars().to_numpy()[249:])
    best = timed({"ours": ours, "polars": polars}, len(bars), 5)
    return {"ours_ns": best["ours"], "polars_ns": best["polars"], "ratio": best["polars"] / best["ours"]}


def main() -> None:
    """Check, time, print and keep."""
    bars, what = minute_bars(BARS)
    scale = float(bars.close.max())
    graph: dict[str, Any] = {}
    if find_spec("talib"):  # before and after other libraries made the allocator keep the memory that is freed
        graph["fresh memory"] = seven_against_six(bars)
    results: dict[str, dict[str, float]] = {}
    unlike: dict[str, list[str]] = {}
    print(f"{len(bars):,} bars, {what}; ns a bar, best of {TURNS}; * another formula, not compared")
    for name, calls in contenders(bars).items():
        mine = arrays(calls["ours"][0]())
        for peer, (call, places) in calls.items():
            answer = arrays(call()) if places is not None else []
            if places is None:
                unlike.setdefault(name, []).append(peer)
            elif peer != "ours":
                agree(f"{name} of {peer}", [mine[k] for k in places], answer, scale)
        results[name] = timed({peer: call for peer, (call, _) in calls.items()}, len(bars))
        line = "  ".join(
            f"{peer}{'*' if peer in unlike.get(name, []) else ''} {ns:.2f}" for peer, ns in results[name].items()
        )
        print(f"{name:13} {line}", flush=True)
    ratios = {name: best["TA-Lib"] / best["ours"] for name, best in results.items() if "TA-Lib" in best}
    summary: dict[str, Any] = {"bars": len(bars), "data": what, "ns": results, "not_compared": unlike}
    if ratios:
        summary["talib_ratio"] = ratios
        summary["talib_geometric_mean"] = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        worst = min(ratios, key=lambda name: ratios[name])
        graph["memory used before"] = seven_against_six(bars)
        summary["graph"] = graph
        print(f"TA-Lib's time / ours: {', '.join(f'{name} {x:.2f}' for name, x in ratios.items())}")
        print(f"  geometric mean {summary['talib_geometric_mean']:.2f} (wanted 1.3), least {worst} {ratios[worst]:.2f}")
        for memory, found in graph.items():
            told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found["ratio"].items())
            print(f"  a graph of seven against six calls, {memory}: {told} (wanted 2.5)")
    summary["value_at_risk"] = value_at_risk(bars)
    print(f"  value at risk against Polars' quantile: {summary['value_at_risk']['ratio']:.2f} (wanted 3.5)")
    keep("bench_kernels", summary)


if __name__ == "__main__":
    main()
