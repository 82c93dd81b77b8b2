"""Indicators as anyone would write them on paper: one loop each, every window summed anew with `math.fsum`.

Owns the reference values the compiled steps are compared with.  Must not import the engine, nor be fast.

All functions take one-dimensional float sequences, one value a bar, and return a float64 array (or several) of the
same length.  NaN means unknown.  A bar with an unknown input gets NaN and is otherwise as if it had not been: every
length counts known values.  A result that is not finite (a division by zero) is unknown too, and there is no -0.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Series = Sequence[float] | Floats


def _known(*values: float) -> bool:
    return not any(math.isnan(value) for value in values)


def _column(values: list[float]) -> Floats:
    """Write infinities as NaN and -0.0 as 0.0."""
    return np.array([value + 0.0 if math.isfinite(value) else math.nan for value in values], dtype=np.float64)


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator != 0.0 else math.nan


def _rows(*series: Series) -> list[tuple[float, ...]]:
    if len({len(one) for one in series}) != 1:
        raise ValueError("the inputs have different lengths; give one value a bar in each")
    return [tuple(float(value) for value in row) for row in zip(*series, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    centre = _mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def _windows(x: Series, n: int) -> list[list[float] | None]:
    """For each bar the last n known values, oldest first, or None where the bar is unknown or there are fewer."""
    out: list[list[float] | None] = []
    seen: list[float] = []
    for value in map(float, x):
        if not _known(value):
            out.append(None)
            continue
        seen.append(value)
        out.append(seen[-n:] if len(seen) >= n else None)
    return out


def _smoothed(x: Series, n: int, weight: float) -> Floats:
    """Seed with the mean of the first n known values, then move by `weight` of the distance to each new one."""
    out: list[float] = []
    first: list[float] = []
    average = math.nan
    for value in map(float, x):
        if not _known(value):
            out.append(math.nan)
            continue
        if len(first) < n:
            first.append(value)
            if len(first) == n:
                average = _mean(first)
        else:
            average += (value - average) * weight
        out.append(average)
    return _column(out)


def sma(x: Series, n: int) -> Floats:
    """Return the mean of the last n known values."""
    return _column([_mean(w) if w else math.nan for w in _windows(x, n)])


def ema(x: Series, n: int) -> Floats:
    """Return the exponential average with weight 2 / (n + 1), seeded by the mean of the first n known values."""
    return _smoothed(x, n, 2.0 / (n + 1))


def wilder(x: Series, n: int) -> Floats:
    """Return Wilder's average: weight 1 / n, seeded by the mean of the first n known values."""
    return _smoothed(x, n, 1.0 / n)


def std(x: Series, n: int) -> Floats:
    """Return the population deviation (ddof 0) of the last n known values."""
    return _column([_deviation(w) if w else math.nan for w in _windows(x, n)])


def zscore(x: Series, n: int) -> Floats:
    """Return (x - mean) / deviation over the last n known values; NaN where the n values are one and the same."""
    out = [
        _divide(w[-1] - _mean(w), _deviation(w)) if w is not None and min(w) != max(w) else math.nan
        for w in _windows(x, n)
    ]
    return _column(out)


def bollinger(x: Series, n: int, width: float) -> tuple[Floats, Floats, Floats]:
    """Return the lower, middle and upper band: mean -/+ width population deviations."""
    middle, deviation = sma(x, n), std(x, n)
    return middle - width * deviation, middle, middle + width * deviation


def highest(x: Series, n: int) -> Floats:
    """Return the largest of the last n known values."""
    return _column([max(w) if w else math.nan for w in _windows(x, n)])


def lowest(x: Series, n: int) -> Floats:
    """Return the smallest of the last n known values."""
    return _column([min(w) if w else math.nan for w in _windows(x, n)])


def roc(x: Series, n: int) -> Floats:
    """Return the change over n known values as a fraction: x / (the value n known ago) - 1."""
    return _column([_divide(w[-1], w[0]) - 1.0 if w else math.nan for w in _windows(x, n + 1)])


def var(x: Series, n: int, level: float = 0.05) -> Floats:
    """Return the historical value at risk: minus the ceil(level n)-th smallest of the last n simple returns.

    A positive number is a loss.  The rank is that of the exact product: 0.05 x 140 is 7, although the product of the
    two floats is a little above it.
    """
    rank = max(1, math.ceil(level * n - 1e-9))
    out: list[float] = []
    for window in _windows(x, n + 1):
        if window is None:
            out.append(math.nan)
            continue
        returns = [_divide(window[i + 1], window[i]) - 1.0 for i in range(n)]
        out.append(-sorted(returns)[rank - 1] if _known(*returns) else math.nan)
    return _column(out)


def rsi(x: Series, n: int) -> Floats:
    """Return Wilder's relative strength index; 50 where nothing has moved (TA-Lib: 0 there)."""
    out: list[float] = []
    gains: list[float] = []
    losses: list[float] = []
    last = gain = loss = math.nan
    for value in map(float, x):
        if not _known(value):
            out.append(math.nan)
            continue
        change, last = value - last, value
        if not _known(change):  # the first known value
            out.append(math.nan)
            continue
        up, down = max(change, 0.0), max(-change, 0.0)
        if len(gains) < n:
            gains.append(up)
            losses.append(down)
            if len(gains) == n:
                gain, loss = _mean(gains), _mean(losses)
        else:
            gain += (up - gain) / n
            loss += (down - loss) / n
        if not _known(gain):
            out.append(math.nan)
        else:
            out.append(100.0 * gain / (gain + loss) if gain + loss > 0.0 else 50.0)
    return _column(out)


def macd(x: Series, fast: int, slow: int, signal: int) -> tuple[Floats, Floats, Floats]:
    """Return line, signal line and histogram.

    Each average is seeded by its own first values.  TA-Lib instead starts the fast one so late that both have their
    first value on the same bar, hence its early values differ.
    """
    line = ema(x, fast) - ema(x, slow)
    average = ema(line, signal)
    return line, average, line - average


def true_range(h: Series, l: Series, c: Series) -> Floats:
    """Return the true range, NaN on the first known bar, which has no close before it (as TA-Lib)."""
    out: list[float] = []
    last = math.nan
    for high, low, close in _rows(h, l, c):
        if not _known(high, low, close):
            out.append(math.nan)
            continue
        out.append(max(high - low, abs(high - last), abs(low - last)) if _known(last) else math.nan)
        last = close
    return _column(out)


def atr(h: Series, l: Series, c: Series, n: int) -> Floats:
    """Return Wilder's average of the true range; the first value is on bar n, counted from 0."""
    return wilder(true_range(h, l, c), n)


def adx(h: Series, l: Series, c: Series, n: int) -> tuple[Floats, Floats, Floats]:
    """Return +DI, -DI and the average directional index, Wilder's, with TA-Lib's seeding.

    The movements and the true range are summed over the first n - 1 changes; from the n-th change on each sum loses
    its n-th part and gains the new value, and the two indicators exist.  The index is first the mean of n directional
    ratios (bar 2n - 1), then smoothed.  A bar whose ratio does not exist counts 0 in that mean and later leaves the
    index as it was; TA-Lib calls a sum below 1e-14 zero, here only zero is.
    """
    plus_out: list[float] = []
    minus_out: list[float] = []
    index_out: list[float] = []
    plus_sum = minus_sum = range_sum = 0.0
    changes = 0
    ratios: list[float] = []
    index = math.nan
    before: tuple[float, ...] | None = None
    for high, low, close in _rows(h, l, c):
        plus = minus = shown = math.nan
        if _known(high, low, close):
            if before is not None:
                rise, fall = high - before[0], before[1] - low
                up = rise if rise > 0.0 and rise > fall else 0.0
                down = fall if fall > 0.0 and fall > rise else 0.0
                width = max(high - low, abs(high - before[2]), abs(low - before[2]))
                changes += 1
                if changes >= n:
                    plus_sum, minus_sum, range_sum = (s - s / n for s in (plus_sum, minus_sum, range_sum))
                plus_sum, minus_sum, range_sum = plus_sum + up, minus_sum + down, range_sum + width
            if changes >= n:
                plus = 100.0 * plus_sum / range_sum if range_sum > 0.0 else 0.0
                minus = 100.0 * minus_sum / range_sum if range_sum > 0.0 else 0.0
                ratio = 100.0 * abs(plus - minus) / (plus + minus) if plus + minus > 0.0 else None
                if len(ratios) < n:
                    ratios.append(ratio or 0.0)
                    if len(ratios) == n:
                        index = _mean(ratios)
                elif ratio is not None:
                    index = (index * (n - 1) + ratio) / n
                shown = index
            before = (high, low, close)
        plus_out.append(plus)
        minus_out.append(minus)
        index_out.append(shown)
    return _column(plus_out), _column(minus_out), _column(index_out)


def vwap(h: Series, l: Series, c: Series, v: Series, n: int) -> Floats:
    """Return the mean typical price of the last n known bars weighted by volume; NaN where no volume was traded."""
    out: list[float] = []
    seen: list[tuple[float, float]] = []
    for high, low, close, volume in _rows(h, l, c, v):
        if not _known(high, low, close, volume):
            out.append(math.nan)
            continue
        seen.append(((high + low + close) / 3.0 * volume, volume))
        window = seen[-n:]
        money, traded = math.fsum(pair[0] for pair in window), math.fsum(pair[1] for pair in window)
        out.append(_divide(money, traded) if len(window) == n else math.nan)
    return _column(out)


def obv(c: Series, v: Series) -> Floats:
    """Return on-balance volume, 0 on the first known bar (TA-Lib starts at that bar's volume)."""
    out: list[float] = []
    total, last = 0.0, math.nan
    for close, volume in _rows(c, v):
        if not _known(close, volume):
            out.append(math.nan)
            continue
        if close > last:
            total += volume
        elif close < last:
            total -= volume
        last = close
        out.append(total)
    return _column(out)


def ibs(h: Series, l: Series, c: Series) -> Floats:
    """Return where in its range the bar closed, 0 (low) to 1 (high); NaN for a bar without a range."""
    return _column([_divide(close - low, high - low) for high, low, close in _rows(h, l, c)])


def shift(x: Series, n: int) -> Floats:
    """Return the value n bars earlier, counting bars present, known or not; NaN for the first n."""
    values = [float(value) for value in x]
    return _column([values[t - n] if t >= n else math.nan for t in range(len(values))])


def crossed_above(a: Series, b: Series) -> npt.NDArray[np.bool_]:
    """Return where a is above b and on the bar before was not; false unless all four values are known."""
    pairs = _rows(a, b)
    out = [False] * len(pairs)
    for t in range(1, len(pairs)):
        (a0, b0), (a1, b1) = pairs[t - 1], pairs[t]
        out[t] = _known(a0, b0, a1, b1) and a1 > b1 and a0 <= b0
    return np.array(out, dtype=np.bool_)


def crossed_below(a: Series, b: Series) -> npt.NDArray[np.bool_]:
    """Return where a is below b and on the bar before was not; false unless all four values are known."""
    return crossed_above(b, a)
