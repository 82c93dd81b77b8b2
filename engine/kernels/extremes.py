"""Rolling extremes: the largest and the smallest of the last values."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.calm import entered, left
from engine.kernels.four import fetch4, load4, odd4, put4, store4, where4
from engine.kernels.memory import load, store
from engine.kernels.step import step
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
