"""Stretches of calm bars, many at once: what the rolling steps share to run over a block without a loop-carried chain.

A calm bar is one on which a step only adds what came and takes off what left.  The block form of a step computes
what does not depend on the bar before for all bars first, then the few sums that do, then the rest, with the same
operations in the same order as the step itself, and stops before the first bar that is not calm.
"""

from engine.jit import inlined
from engine.kernels.memory import load, store


@inlined
def leaving(ring, at, length, price, count, gone):
    """Write to ``gone`` the value that leaves the window on each of the next ``count`` bars; the ring stays."""
    first = min(length - at, count)
    for j in range(first):
        store(gone, j, load(ring, at + j))
    second = min(length, count)
    for j in range(first, second):
        store(gone, j, load(ring, at + j - length))
    for j in range(second, count):
        store(gone, j, load(price, j - length))


@inlined
def entered(ring, at, length, price, count):
    """Put the prices of ``count`` bars into the ring; return the next position."""
    skipped = max(count - length, 0)
    at = (at + skipped) % length
    first = min(length - at, count - skipped)
    for j in range(first):
        store(ring, at + j, load(price, skipped + j))
    second = count - skipped - first
    for j in range(second):
        store(ring, j, load(price, skipped + first + j))
    return second if second > 0 else (at + first) % length


@inlined
def until_equal(price, last, same, length, count):
    """Return the first bar on which the last ``length`` values are equal, ``count`` if there is none.

    ``same`` values before the first bar equal ``last``.  Looks back from where a run could be complete, so that most
    bars are not looked at.  Lengths below 2 are left to the step.
    """
    if length < 2:
        return 0
    start = 0
    while start < count and load(price, start) == last:
        start += 1
        if same + start == length:
            return start - 1
    at = start + length - 1
    while at < count:
        first = at
        while first > start and load(price, first - 1) == load(price, at):
            first -= 1
            if at - first == length - 1:
                return at
        at = first + length - 1
    return count


@inlined
def equal_values(price, last, same, count):
    """Return how many of the values up to bar ``count`` are equal in a row."""
    j = count - 1
    while j > 0 and load(price, j) == load(price, j - 1):
        j -= 1
    if j > 0 or load(price, 0) != last:
        return count - j
    return count + same
