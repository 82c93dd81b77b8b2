"""Indicators and functions as strategies call them: each builds nodes, none computes.

Lengths are bars; every indicator is NaN until it has seen enough known values.  What exactly is computed stands with
each step in ``engine.kernels``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from engine.graph.expression import Bar, Condition, Number, as_number, call, condition_node, number_node
from engine.graph.node import out
from engine.graph.scalar import Scalar
from parquet_store.errors import Usage, unknown

__all__ = [
    "ADX",
    "MACD",
    "Band",
    "abs",
    "adx",
    "atr",
    "bollinger",
    "crossed_above",
    "crossed_below",
    "ema",
    "highest",
    "ibs",
    "log",
    "lowest",
    "macd",
    "max",
    "min",
    "obv",
    "roc",
    "rsi",
    "sma",
    "std",
    "true_range",
    "value_at_risk",
    "vwap",
    "where",
    "wilder",
    "zscore",
]

Length = int | Scalar
Value = Number | Scalar | float


class Band(NamedTuple):
    """Bollinger's bands, quote currency."""

    lower: Number
    middle: Number
    upper: Number


class MACD(NamedTuple):
    """The line, its signal line and their difference."""

    line: Number
    signal: Number
    histogram: Number


class ADX(NamedTuple):
    """Wilder's directional indicators, 0 to 100."""

    plus: Number
    minus: Number
    adx: Number


def sma(price: Number, length: Length) -> Number:
    """Simple moving average of the last ``length`` values."""
    return call("sma", (price,), {"length": length})[0]


def ema(price: Number, length: Length) -> Number:
    """Exponential moving average, weight 2 / (length + 1), seeded by the mean of the first ``length`` values."""
    return call("ema", (price,), {"length": length})[0]


def wilder(price: Number, length: Length) -> Number:
    """Wilder's moving average, weight 1 / length, seeded by the mean of the first ``length`` values."""
    return call("wilder", (price,), {"length": length})[0]


def std(price: Number, length: Length) -> Number:
    """Population standard deviation of the last ``length`` values."""
    return call("moments", (price,), {"length": length})[1]


def zscore(price: Number, length: Length) -> Number:
    """Distance from the mean of the last ``length`` values in standard deviations; NaN where there is none."""
    mean, deviation = call("moments", (price,), {"length": length})
    return (price - mean) / deviation


def bollinger(price: Number, length: Length = 20, width: Scalar | float = 2.0) -> Band:
    """Mean of the last ``length`` values, and ``width`` population standard deviations to either side."""
    mean, deviation = call("moments", (price,), {"length": length})
    reach = width * deviation
    return Band(mean - reach, mean, mean + reach)


def rsi(price: Number, length: Length = 14) -> Number:
    """Wilder's relative strength index, 0 to 100."""
    return call("rsi", (price,), {"length": length})[0]


def roc(price: Number, length: Length) -> Number:
    """Rate of change over ``length`` values, a fraction."""
    return call("roc", (price,), {"length": length})[0]


def macd(price: Number, fast: Length = 12, slow: Length = 26, signal: Length = 9) -> MACD:
    """Moving average convergence and divergence: ema(fast) - ema(slow), its ema(signal), and their difference."""
    return MACD(*call("macd", (price,), {"fast": fast, "slow": slow, "signal": signal}))


def true_range(bar: Bar) -> Number:
    """The bar's range with the gap from the previous close; NaN on the first bar."""
    return call("true_range", (bar.high, bar.low, bar.close))[0]


def atr(bar: Bar, length: Length = 14) -> Number:
    """Average true range, Wilder's average."""
    return call("atr", (bar.high, bar.low, bar.close), {"length": length})[0]


def adx(bar: Bar, length: Length = 14) -> ADX:
    """Average directional index with +DI and -DI."""
    return ADX(*call("adx", (bar.high, bar.low, bar.close), {"length": length}))


def highest(price: Number, length: Length) -> Number:
    """The largest of the last ``length`` values."""
    return call("highest", (price,), {"length": length})[0]


def lowest(price: Number, length: Length) -> Number:
    """The smallest of the last ``length`` values."""
    return call("lowest", (price,), {"length": length})[0]


def vwap(bar: Bar, length: Length) -> Number:
    """Volume-weighted average of the typical price over ``length`` bars; NaN where no volume traded."""
    return call("vwap", (bar.high, bar.low, bar.close, bar.volume), {"length": length})[0]


def obv(bar: Bar) -> Number:
    """On-balance volume, 0 on the first bar."""
    return call("obv", (bar.close, bar.volume))[0]


def ibs(bar: Bar) -> Number:
    """Internal bar strength, (close - low) / (high - low); NaN for a bar without range."""
    return call("ibs", (bar.high, bar.low, bar.close))[0]


def value_at_risk(price: Number, length: Length = 250, level: Scalar | float = 0.05) -> Number:
    """Historical value at risk of one bar: minus the ceil(level * length)-th smallest of the last returns."""
    return call("var", (price,), {"length": length, "level": level})[0]


def crossed_above(a: Value, b: Value) -> Condition:
    """Whether ``a`` is above ``b`` now and was not a bar ago."""
    return as_number(a).crossed_above(b)


def crossed_below(a: Value, b: Value) -> Condition:
    """Whether ``a`` is below ``b`` now and was not a bar ago."""
    return as_number(a).crossed_below(b)


def where(condition: Condition, a: Value, b: Value) -> Number:
    """``a`` where the condition is true, else ``b``; NaN only if the one taken is."""
    test, left, right = condition_node(condition), number_node(a), number_node(b)
    if test is None or left is None or right is None:
        raise Usage(f"where({condition!r}, {a!r}, {b!r}): expected a condition and two numbers")
    return Number(out("where", (test, left, right)))


def min(a: Value, b: Value) -> Number:
    """The smaller; NaN if either is."""
    return call("minimum", (a, b))[0]


def max(a: Value, b: Value) -> Number:
    """The larger; NaN if either is."""
    return call("maximum", (a, b))[0]


def abs(a: Number) -> Number:
    """The absolute value."""
    return call("absolute", (a,))[0]


def log(a: Number) -> Number:
    """The natural logarithm; NaN for 0 and below."""
    return call("logarithm", (a,))[0]


def indicator(**declared: Any) -> Any:
    """Declare an indicator of your own: a step that can be called in a strategy like those above.

    Takes the arguments of ``engine.kernels.step.step``.  The decorated function becomes a callable: inputs first,
    parameters by name; it returns a number, or a named tuple of numbers if the step has several outputs.  It is
    tried at once, as plain Python and compiled, on real-looking prices: a difference, a write outside its ring or an
    error is reported with the name of the step.
    """
    from collections import namedtuple

    from engine.kernels.step import STEPS, step
    from engine.kernels.trial import try_step

    def register(function: Any) -> Any:
        made = step(**declared)(function)
        try:
            try_step(made)
        except BaseException:
            del STEPS[made.name]
            raise
        shape = namedtuple(function.__name__, made.outputs) if len(made.outputs) > 1 else None

        def build(*inputs: Value, **params: Scalar | float) -> Any:
            numbers = call(made.name, inputs, params)
            return shape(*numbers) if shape else numbers[0]

        build.__name__, build.__doc__, build.__module__ = function.__name__, function.__doc__, function.__module__
        build.step = made  # type: ignore[attr-defined]
        return build

    return register


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise unknown("indicator", name, __all__)
