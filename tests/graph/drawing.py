"""Bars, random graphs and a graph of everything, for the tests of the graph and of the live side."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from hypothesis import strategies as st

from engine.graph import Bar, Condition, Number, Program, Signals, Size, Strategy, bind, columns, ta
from engine.graph.drive import Advance
from pipelines import Bars
from tests.data import BAR_FILES, DATA

Floats = npt.NDArray[np.float64]
FIELDS = ("open", "high", "low", "close", "volume")


class Drawn(Strategy):
    """A strategy whose signals are given."""

    def __init__(self, made: Signals) -> None:
        self.made = made

    def signals(self, bar: Bar) -> Signals:
        return self.made


def program_of(entry: Any = True, **others: Any) -> Program:
    """Return the program of signals without parameters."""
    return bind(Drawn(Signals(entry=entry, **others)))


def read(program: Program, bars: Bars, role: str = "entry") -> Floats:
    """Return the values of a role over history."""
    found = columns(program, bars).role(role)
    assert found is not None
    return found


def values_of(number: Number, bars: Bars) -> Floats:
    """Return the values of a number of the bar over history."""
    return read(program_of(stop=number), bars, "stop")


def raw_bars(**fields: npt.ArrayLike) -> Bars:
    """Return bars that no check has seen, so that fields may be unknown; those not given are 1."""
    n = len(np.asarray(next(iter(fields.values()))))
    given = {name: np.array(fields.get(name, np.ones(n)), np.float64) for name in FIELDS}
    number = np.arange(n, dtype=np.int64)
    return Bars("made:UP:1m", "1m", number, number * 60_000, **given, bars_per_year=525_960.0, calendar="24/7")


@functools.cache
def made_bars(seed: int = 1, bars: int = 1_500) -> Bars:
    """Return bars with gaps in their numbers, flat stretches, jumps, bars without range and without volume."""
    random = np.random.default_rng(seed)
    moves = random.normal(0.0, 0.01, bars) * (random.random(bars) < 0.7)
    moves[random.random(bars) < 0.01] = 0.4
    moves[random.random(bars) < 0.01] = -0.4
    moves[bars // 3 : bars // 3 + 60] = 0.0
    close = np.round(np.exp(np.cumsum(moves)) * 50.0, 2) + 0.01
    open = np.concatenate([close[:1], close[:-1]]) * (1.0 + 0.01 * (random.random(bars) < 0.1))
    moved = random.random(bars) < 0.6
    high = np.maximum(open, close) * (1.0 + moved * random.exponential(0.003, bars))
    low = np.minimum(open, close) * (1.0 - moved * np.minimum(random.exponential(0.003, bars), 0.5))
    volume = random.exponential(1.0, bars) ** 4 * (random.random(bars) < 0.8)
    number = 700 + np.cumsum(1 + (random.random(bars) < 0.05) * random.integers(1, 60, bars))
    return Bars.from_arrays("made:UP/DOWN:1m", "1m", number * 60_000, open, high, low, close, volume)


@functools.cache
def real_bars(name: str, start: int = 0, rows: int | None = None) -> Bars:
    """Return some rows of a bar file of the test data."""
    venue, symbol, timeframe = BAR_FILES[name]
    frame = pl.read_parquet(DATA / name).slice(start, rows)
    time = frame["ts"].cast(pl.Datetime("ms", "UTC")).to_physical().to_numpy()
    fields = [frame[column].cast(pl.Float64).to_numpy() for column in FIELDS]
    return Bars.from_arrays(f"{venue}:{symbol}:{timeframe}", timeframe, time, *fields)


def indicators(bar: Bar, x: Number, n: int) -> list[Number]:
    """Return every indicator of ``ta`` with this length."""
    return [
        ta.sma(x, n),
        ta.ema(x, n),
        ta.wilder(x, n),
        ta.std(x, n),
        ta.zscore(x, n),
        *ta.bollinger(x, n, 1.5),
        ta.rsi(x, n),
        ta.roc(x, n),
        *ta.macd(x, n, 2 * n, n + 1),
        ta.true_range(bar),
        ta.atr(bar, n),
        *ta.adx(bar, n),
        ta.highest(x, n),
        ta.lowest(x, n),
        ta.vwap(bar, n),
        ta.obv(bar),
        ta.ibs(bar),
        ta.value_at_risk(x, n, 0.3),
        x.shift(n),
        ta.log(ta.abs(x - bar.open)),
        ta.min(x, bar.open) / (x - x.shift(1)),
        ta.where(ta.crossed_above(x, bar.open), -x, ta.max(x, 40)),
    ]


@functools.cache
def everything() -> Program:
    """Return one program with every step of the engine in it."""
    bar = Bar()
    numbers = [*indicators(bar, bar.close, 14), *indicators(bar, bar.volume + 1.0, 3)]
    seen = functools.reduce(lambda a, b: a | b, (x > 1.0 for x in numbers))
    few = (numbers[0] == numbers[1]).shift(2) | ((numbers[2] != 7) & (numbers[3] <= 90))
    return program_of(entry=seen, exit=few, short_entry=~few, short_exit=ta.crossed_below(bar.close, bar.open))


@st.composite
def random_signals(draw: st.DrawFn) -> Signals:
    """Draw signals: a pool of numbers and conditions grows by operators and indicators over its earlier members."""
    bar = Bar()
    numbers: list[Number] = [bar.close, bar.open, bar.high, bar.low, bar.volume]
    conditions: list[Condition] = [bar.close > bar.open]
    length = st.integers(1, 30)
    level = st.sampled_from([-1.0, 0.0, 0.5, 2.0, 30.0, 50.0])

    def number() -> Number:
        return draw(st.sampled_from(numbers))

    def condition() -> Condition:
        return draw(st.sampled_from(conditions))

    arithmetic: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        ta.min,
        ta.max,
        lambda a, b: ta.where(condition(), a, b),
    ]
    comparisons: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
        lambda a, b: a == b,
        lambda a, b: a != b,
        ta.crossed_above,
        ta.crossed_below,
    ]
    logic: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a & b,
        lambda a, b: a | b,
        lambda a, b: ~a,
        lambda a, b: a.shift(draw(length)),
    ]
    for kind in draw(
        st.lists(st.sampled_from(["indicator", "arithmetic", "compare", "logic"]), min_size=3, max_size=14)
    ):
        if kind == "indicator":
            numbers.append(draw(st.sampled_from(indicators(bar, number(), draw(length)))))
        elif kind == "arithmetic":
            other = draw(level) if draw(st.booleans()) else number()
            numbers.append(draw(st.sampled_from(arithmetic))(number(), other))
        elif kind == "compare":
            other = draw(level) if draw(st.booleans()) else number()
            conditions.append(draw(st.sampled_from(comparisons))(number(), other))
        else:
            conditions.append(draw(st.sampled_from(logic))(condition(), condition()))
    return Signals(
        entry=conditions[-1],
        exit=condition(),
        short_entry=condition(),
        short_exit=draw(st.sampled_from([True, False, condition()])),
        stop=draw(st.sampled_from([None, numbers[-1], ta.atr(bar, 5)])),
        target=draw(st.sampled_from([None, number()])),
        trailing=draw(st.booleans()),
        max_hold=draw(st.integers(0, 20)),
        size=draw(st.sampled_from([None, Size.kelly(0.5), Size.fixed_fraction(0.25), Size.fixed_ratio(100, 0.5)])),
    )


def advanced(live: Advance, bars: Bars, start: int, stop: int) -> Floats:
    """Return every output of a program after each of some bars, advanced one by one, shape (outputs, bars)."""
    out = np.empty((stop - start, live.values.size))
    fields = [getattr(bars, name).tolist() for name in FIELDS]
    numbers = bars.number.tolist()
    for t in range(start, stop):
        live.advance(numbers[t], *(field[t] for field in fields))
        out[t - start] = live.values
    return np.ascontiguousarray(out.T)


def same_bytes(a: Floats, b: Floats, program: Program) -> None:
    """Compare two tables of outputs byte by byte."""
    assert a.shape == b.shape
    differ = np.argwhere(np.ascontiguousarray(a).view(np.int64) != np.ascontiguousarray(b).view(np.int64))
    assert differ.size == 0, f"{len(differ)} values differ, first (output, bar) {differ[0]}: {program.as_json()}"
