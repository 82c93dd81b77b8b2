"""Risk: historical value at risk."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import following

SPARE = 8


@inlined
def rank_of(level, length):
    """Return ceil(level * length), 1 to length, of the exact product: 0.05 x 140 is 7 though the floats give more."""
    return min(max(math.ceil(level * length - 1e-9), 1), length)


@inlined
def insert(ring, first, count, limit, value):
    """Put a value into the sorted list that starts at ``first``, at most ``limit`` long; return its size."""
    at = first + (count if count < limit else count - 1)
    while at > first and load(ring, at - 1) > value:
        store(ring, at, load(ring, at - 1))
        at -= 1
    store(ring, at, value)
    return count + 1 if count < limit else count


@inlined
def remove(ring, first, count, value):
    """Take one value, known to be there, out of the sorted list; return its size."""
    at = first + count - 1
    carried = load(ring, at)
    while at > first and carried > value:
        at -= 1
        held = load(ring, at)
        store(ring, at, carried)
        carried = held
    return count - 1


@step(
    outputs=("var",),
    state=(0, 0, 0, 0, 0.0),
    counts=(0, 1, 2, 3),
    settled=lambda state, length, level: state[0] >= length,
    ring=lambda length, level: 2 * length,
)
def var_step(state, ring, price, *, length: int, level):
    """Advance the historical value at risk of one bar by one closed bar.

    Parameters
    ----------
    state : 4 int, float
        Known prices so far, at most ``length + 1``; ring position; known returns in a row, at most ``length``; size
        of the sorted list; last price.
    ring : memory of 2 * ``length`` float
        The last returns, then some of the smallest of them, sorted.
    price : float
        Quote currency.
    length : int
        Returns in the window.
    level : float
        Share of the returns that are worse, in (0, 1]; the rank is held between 1 and ``length``.

    Returns
    -------
    tuple, float
        The next state; minus the ceil(level * length)-th smallest of the last simple returns, a fraction, positive
        for a loss.  NaN for the first ``length`` prices and while the window has a return from a price of 0.

    Notes
    -----
    The list holds between rank and 2 * rank + 8 of the smallest returns, and no return outside it is smaller than its
    largest.  It gains and loses one at a time; only when fewer than rank are left is the window read again.
    """
    seen, at, good, count, before = state
    if seen == 0:
        return (1, 0, 0, 0, price), np.nan
    rank = rank_of(level, length)
    limit = min(2 * rank + SPARE, length)
    change = price / before - 1.0
    if abs(change) < np.inf:
        good = min(good + 1, length)
    else:
        change, good = np.inf, 0
    gone = load(ring, at)
    store(ring, at, change)
    at = following(at, length)
    if seen < length:
        return (seen + 1, at, good, 0, price), np.nan
    if count > 0 and gone <= load(ring, length + count - 1):
        count = remove(ring, length, count, gone)
    if count > 0 and change <= load(ring, length + count - 1):
        count = insert(ring, length, count, limit, change)
    if count < rank:
        count = 0
        for i in range(length):
            value = load(ring, i)
            if count < limit or value < load(ring, length + limit - 1):
                count = insert(ring, length, count, limit, value)
    value = -load(ring, length + rank - 1) if good >= length else np.nan
    return (seen, at, good, count, price), value
