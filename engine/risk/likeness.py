"""How much two series move together, and how much one loses: from the closes that are kept.

A series keeps its last closes twice, one half behind the other, so that those of any window lie side by side.
"""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.four import four, lane, load4
from engine.kernels.fused import fma
from engine.kernels.memory import load_float

DEPTH = 512  # closes kept of a series
STILL = 1e-12  # of the sum of squares: a variance below is rounding
WIDE = 2 * DEPTH + 40  # of a row: rows of a whole power of two would share sets of the caches
WINDOW = 250  # returns
WHOLE = WINDOW // 8
FEWEST = 60
TAIL = 0.05


@inlined
def keep_close(history, s, time, close):
    """Keep a close of a series; ``history`` is ``History.arrays``."""
    times, closes, returns, counts, steps, runs = history
    at, before = counts[s] % DEPTH, (counts[s] - 1) % DEPTH
    change = 0.0
    if counts[s] > 0:
        change = close / closes[s, before] - 1.0
        step = time - times[s, before]
        runs[s] = runs[s] + 1 if step == steps[s] else 1
        steps[s] = step
    for place in (at, at + DEPTH):
        times[s, place], closes[s, place], returns[s, place] = time, close, change
    counts[s] += 1


@inlined
def aligned(history, a, b):
    """Return whether the last ``WINDOW`` + 1 closes of two series were at the same times."""
    times, _, _, counts, steps, runs = history
    if min(counts[a], counts[b]) <= WINDOW:
        return False
    i, j = (counts[a] - 1) % DEPTH + DEPTH, (counts[b] - 1) % DEPTH + DEPTH
    if times[a, i] != times[b, j]:
        return False
    if runs[a] >= WINDOW and runs[b] >= WINDOW:
        return steps[a] == steps[b]
    same = True
    for k in range(WINDOW + 1):
        same &= times[a, i - k] == times[b, j - k]
    return same


@inlined
def window_of(history, s):
    """Return where the last ``WINDOW`` returns of a series begin in memory."""
    returns, counts = history[2], history[3]
    at = np.uintp((counts[s] - 1) % DEPTH + DEPTH - WINDOW + 1)
    return np.uintp(returns.ctypes.data) + np.uintp(8) * (np.uintp(WIDE) * np.uintp(s) + at)


@inlined
def lanes(value):
    return (lane(value, 0) + lane(value, 1)) + (lane(value, 2) + lane(value, 3))


@inlined
def side_by_side(history, a, b):
    """Return the covariance and both variances of the last ``WINDOW`` returns of two series, times their number.

    Sums are added in eight lanes, all in one pass: what takes time is fetching the returns.
    """
    first, second = window_of(history, a), window_of(history, b)
    x = y = xx = yy = xy = four(0.0, 0.0, 0.0, 0.0)
    u = v = uu = vv = uv = four(0.0, 0.0, 0.0, 0.0)
    for k in range(WHOLE):
        p, q = load4(first, 8 * k), load4(second, 8 * k)
        r, s = load4(first, 8 * k + 4), load4(second, 8 * k + 4)
        x, y, xx, yy, xy = x + p, y + q, fma(p, p, xx), fma(q, q, yy), fma(p, q, xy)
        u, v, uu, vv, uv = u + r, v + s, fma(r, r, uu), fma(s, s, vv), fma(r, s, uv)
    sx, sy, sxx, syy, sxy = lanes(x + u), lanes(y + v), lanes(xx + uu), lanes(yy + vv), lanes(xy + uv)
    for k in range(8 * WHOLE, WINDOW):
        p, q = load_float(first, k), load_float(second, k)
        sx, sy, sxx, syy, sxy = sx + p, sy + q, fma(p, p, sxx), fma(q, q, syy), fma(p, q, sxy)
    aa, bb = sxx - sx * sx / WINDOW, syy - sy * sy / WINDOW
    # what rounding leaves of returns that are all the same is no variance
    return sxy - sx * sy / WINDOW, aa if aa > STILL * sxx else 0.0, bb if bb > STILL * syy else 0.0


@inlined
def common_returns(history, a, b, room):
    """Write the returns of both over the last common closes into ``room`` (2, ``WINDOW``), newest first; count them."""
    times, closes, _, counts, _, _ = history
    found = 0
    i, j = counts[a] - 1, counts[b] - 1
    first, second = max(counts[a] - DEPTH, 0), max(counts[b] - DEPTH, 0)
    later_a = later_b = np.nan
    seen = 0
    while i >= first and j >= second and seen <= WINDOW:
        at, bt = times[a, i % DEPTH], times[b, j % DEPTH]
        if at > bt:
            i -= 1
        elif bt > at:
            j -= 1
        else:
            x, y = closes[a, i % DEPTH], closes[b, j % DEPTH]
            if seen > 0:
                room[0, found], room[1, found] = later_a / x - 1.0, later_b / y - 1.0
                found += 1
            later_a, later_b = x, y
            seen += 1
            i -= 1
            j -= 1
    return found


@inlined
def correlation(history, a, b, room):
    """Return Pearson's correlation of the returns of two series over their last 250 common closes.

    1 where it cannot be told: the same series, fewer than 60 common returns, or one that never moves.
    """
    if a == b:
        return 1.0
    if aligned(history, a, b):
        ab, aa, bb = side_by_side(history, a, b)
    else:
        found = common_returns(history, a, b, room)
        if found < FEWEST:
            return 1.0
        mean_a = mean_b = 0.0
        for k in range(found):
            mean_a += room[0, k]
            mean_b += room[1, k]
        mean_a /= found
        mean_b /= found
        aa = bb = ab = 0.0
        for k in range(found):
            x, y = room[0, k] - mean_a, room[1, k] - mean_b
            aa += x * x
            bb += y * y
            ab += x * y
    return ab / (math.sqrt(aa) * math.sqrt(bb)) if aa > 1e-30 and bb > 1e-30 else 1.0


@inlined
def value_at_risk(history, a, room):
    """Return minus the 5% worst of the last 250 returns, by rank ceil(0.05 n); infinite with fewer than 60."""
    n = common_returns(history, a, a, room)
    if n < FEWEST:
        return np.inf
    rank = math.ceil(TAIL * n - 1e-9)
    kept = 0
    for k in range(n):
        value = room[0, k]
        if kept < rank or value < room[1, kept - 1]:
            at = kept if kept < rank else rank - 1
            while at > 0 and room[1, at - 1] > value:
                room[1, at] = room[1, at - 1]
                at -= 1
            room[1, at] = value
            kept = min(kept + 1, rank)
    return -room[1, rank - 1]
