"""Trend: rolling extremes, the directional index."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.calm import entered, left
from engine.kernels.four import all4, all_of4, before4, fetch4, lane, load4, odd4, put4, smoothed4, store4, where4
from engine.kernels.fused import fma
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.volatility import reach, reach4
from engine.kernels.window import following

CHUNK = 512  # bars whose extremes are found together
LONGEST_WINDOW = 496  # longer ones go bar by bar; with CHUNK and both PADs twice it fills the room of a block
PAD = 8  # what loads before the first value may touch


@inlined
def larger(a, b):
    return a if a > b else b


@inlined
def smaller(a, b):
    return a if a < b else b


@inlined
def larger4(a, b):
    return where4(a > b, a, b)


@inlined
def smaller4(a, b):
    return where4(a < b, a, b)


@inlined
def not_less(a, b):
    return a >= b


@inlined
def not_more(a, b):
    return a <= b


@inlined
def newest(beats, ring, at, length):
    """Return the extreme of a full ring and how many bars ago it came last; ``at`` is the oldest value."""
    best = load(ring, at)
    age = length - 1
    for k in range(1, length):
        value = load(ring, at + k if at + k < length else at + k - length)
        if beats(value, best):
            best = value
            age = length - 1 - k
    return best, age


@inlined
def advanced(beats, state, ring, price, length):
    """Advance an extreme by one closed bar."""
    seen, at, age, best = state
    beaten = beats(price, best)
    age = 0 if beaten else age + 1
    best = price if beaten else best
    store(ring, at, price)
    at = following(at, length)
    seen = seen + 1 if seen < length else seen
    if age >= length:  # the extreme has left the window
        best, age = newest(beats, ring, at, length)
    return (seen, at, age, best), best if seen >= length else np.nan


@inlined
def extreme_block(pick, beats, state, ring, count, price, out, room, length):
    """Run an extreme over known bars: of 1, 2, 4, 8, ... values, then of two of those that cover the window."""
    seen, at, age, best = state
    if length > LONGEST_WINDOW or count < 4:
        return state, 0
    behind = length - 1
    tops = room + np.uintp(8 * (LONGEST_WINDOW + CHUNK + 2 * PAD))
    done = 0
    known = True
    while known and done + 4 <= count:
        chunk = min(CHUNK, (count - done) // 4 * 4)
        values = price + np.uintp(8) * np.uintp(done - behind)
        if done == 0:  # the window before the first bar is in the ring
            values = room + np.uintp(8 * PAD)
            for k in range(-PAD, behind):
                store(values, k, left(ring, at, length, price, max(k, 0) + 1))
            for k in range(0, chunk, 4):
                store4(values, behind + k, load4(price, k))
        last = behind + chunk
        k = -(-last % 4)
        fours = eights = eights_before = load4(values, k)
        width = 1
        while k < last:
            top = load4(values, k)
            fetch4(price, done + k)
            if odd4(top):
                known = False
                chunk = max(k - behind, 0) // 4 * 4
                break
            if length >= 2:
                width = 2
                two = pick(top, load4(values, k - 1))
                top = two
                if length >= 4:
                    width = 4
                    top = pick(two, pick(load4(values, k - 2), load4(values, k - 3)))
                    if length >= 8:
                        width = 8
                        eight = pick(top, fours)
                        fours = top
                        top = eight
                        if length >= 16:
                            width = 16
                            top = pick(eight, eights_before)
                            eights_before = eights
                            eights = eight
            store4(tops, k, top)
            k += 4
        last = behind + chunk
        while 2 * width <= length:
            k = last - 4
            while k >= 2 * width - 4:
                store4(tops, k, pick(load4(tops, k), load4(tops, k - width)))
                k -= 4
            width *= 2
        for k in range(behind, last, 4):
            put4(out, done + k - behind, pick(load4(tops, k), load4(tops, k - (length - width))))
        done += chunk
    if done == 0:
        return state, 0
    at = entered(ring, at, length, price, done)
    best, age = newest(beats, ring, at, length)
    return (seen, at, age, best), done


@step(
    outputs=("highest",),
    state=(0, 0, 0, -math.inf),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    block=lambda state, ring, count, price, out, room, length: extreme_block(
        larger4, not_less, state, ring, count, price, out, room, length
    ),
    ring=lambda length: length,
)
def highest_step(state, ring, price, *, length: int):
    """Advance the largest of the last ``length`` values by one closed bar.

    Parameters
    ----------
    state : 3 int, float
        Known values so far, at most ``length``; ring position; bars since the largest value; that value.
    ring : memory of ``length`` float
        The last values.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, float
        The next state; the largest value, NaN for the first ``length - 1`` values.

    Notes
    -----
    The extreme is kept until it leaves the window; only then the window is searched.
    """
    return advanced(not_less, state, ring, price, length)


@step(
    outputs=("lowest",),
    state=(0, 0, 0, math.inf),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    block=lambda state, ring, count, price, out, room, length: extreme_block(
        smaller4, not_more, state, ring, count, price, out, room, length
    ),
    ring=lambda length: length,
)
def lowest_step(state, ring, price, *, length: int):
    """Advance the smallest of the last ``length`` values by one closed bar.

    Parameters
    ----------
    state : 3 int, float
        Known values so far, at most ``length``; ring position; bars since the smallest value; that value.
    ring : memory of ``length`` float
        The last values.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, float
        The next state; the smallest value, NaN for the first ``length - 1`` values.

    Notes
    -----
    The mirror of `highest_step`.
    """
    return advanced(not_more, state, ring, price, length)


@inlined
def moves(high_before, low_before, close_before, high, low):
    """Return the upward and the downward movement of a bar and its true range."""
    rise, fall = high - high_before, low_before - low
    up = rise if rise > larger(fall, 0.0) else 0.0
    down = fall if fall > larger(rise, 0.0) else 0.0
    return up, down, reach(close_before, high, low)


@inlined
def adx_block(state, count, high, low, close, plus_di, minus_di, adx, room, length):
    """Run `adx_step` over bars with movement."""
    seen, ratios, high_before, low_before, close_before, plus, minus, width, index = state
    keep = 1.0 - 1.0 / length
    shares = all_of4(0.0)
    j = 0
    while j + 4 <= count:
        top, bottom, end = load4(high, j), load4(low, j), load4(close, j)
        fetch4(high, j)
        fetch4(low, j)
        fetch4(close, j)
        rise, fall = top - before4(high_before, top), before4(low_before, bottom) - bottom
        up = where4(rise > larger4(fall, 0.0), rise, 0.0)
        down = where4(fall > larger4(rise, 0.0), fall, 0.0)
        pluses, minuses = smoothed4(keep, plus, up), smoothed4(keep, minus, down)
        widths = smoothed4(keep, width, reach4(before4(close_before, end), top, bottom))
        moved = pluses + minuses
        scale = 100.0 / widths
        rising, falling = scale * pluses, scale * minuses
        if odd4(top + bottom + end + rising + falling) | (not all4((moved > 0.0) & (widths > 0.0))):
            break
        put4(plus_di, j, rising)
        put4(minus_di, j, falling)
        if j > 0:  # four bars late: beside the sums of the next four, not after those it needs
            indices = smoothed4(keep, index, shares)
            put4(adx, j - 4, indices)
            index = lane(indices, 3)
        shares = 1.0 / length * (100.0 * (abs(pluses - minuses) / moved))
        high_before, low_before, close_before = lane(top, 3), lane(bottom, 3), lane(end, 3)
        plus, minus, width = lane(pluses, 3), lane(minuses, 3), lane(widths, 3)
        j += 4
    if j > 0:
        indices = smoothed4(keep, index, shares)
        put4(adx, j - 4, indices)
        index = lane(indices, 3)
    return (seen, ratios, high_before, low_before, close_before, plus, minus, width, index), j


@step(
    outputs=("plus_di", "minus_di", "adx"),
    state=(0, 0, *(0.0,) * 7),
    counts=(0, 1),
    settled=lambda state, length: state[0] >= length and state[1] >= length,
    block=adx_block,
)
def adx_step(state, high, low, close, *, length: int):
    """Advance Wilder's directional indicators and their average index by one closed bar.

    Parameters
    ----------
    state : 2 int, 7 float
        Known bars so far and directional ratios so far, each at most ``length``; last high, low and close; sums of
        upward and downward movement and of the true range; the index.
    high, low, close : float
        The bar, quote currency.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, tuple of 3 float
        The next state; +DI and -DI in [0, 100], NaN for the first ``length`` known bars, and the index in
        [0, 100], NaN for the first ``2 * length - 1``.

    Notes
    -----
    TA-Lib's seeding: the first ``length - 1`` changes are summed, from then on each sum loses its ``length``-th part
    before it gains; the index starts as the mean of ``length`` ratios.  No range gives 0 for both indicators; no
    movement counts 0 in the first mean and later leaves the index as it was.  Source: J. W. Wilder, *New Concepts
    in Technical Trading Systems*, 1978, section IV.
    """
    seen, ratios, high_before, low_before, close_before, plus, minus, width, index = state
    if seen == 0:
        return (1, 0, high, low, close, 0.0, 0.0, 0.0, 0.0), (np.nan, np.nan, np.nan)
    up, down, span = moves(high_before, low_before, close_before, high, low)
    if seen < length:
        sums = plus + up, minus + down, width + span
        return (seen + 1, 0, high, low, close, *sums, 0.0), (np.nan, np.nan, np.nan)
    keep = 1.0 - 1.0 / length
    plus, minus, width = fma(keep, plus, up), fma(keep, minus, down), fma(keep, width, span)
    scale = 100.0 / width if width > 0.0 else 0.0
    moved = plus + minus if width > 0.0 else 0.0
    if ratios < length or moved > 0.0:
        ratio = 100.0 * (abs(plus - minus) / moved) if moved > 0.0 else 0.0
        ratios, index = seeded(ratios, index, ratio, length, 1.0 / length)
    shown = index if ratios >= length else np.nan
    return (seen, ratios, high, low, close, plus, minus, width, index), (scale * plus, scale * minus, shown)
