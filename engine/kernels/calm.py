"""Stretches of calm bars: what the block forms of the rolling steps share.

A calm bar is one on which a step only adds what came and takes off what left.  A block form takes calm bars four at
a time, with the operations of the step itself, and stops before the first four of which one is not calm.
"""

from engine.jit import inlined
from engine.kernels.four import four, load4
from engine.kernels.memory import load, store

# by four flags, the last bar's highest: how many in a row are set up to the last bar
RUNS = sum((4 - len(f"{bits:04b}".lstrip("1"))) << (4 * bits) for bits in range(16))


@inlined
def leaving4(ring, at, length, price, j):
    """Return the values that leave the window on bars ``j`` to ``j + 3`` of a block that began with this ring."""
    if j >= length:
        return load4(price, j - length)
    place = at + j if at + j < length else at + j - length
    if j + 4 <= length and place + 4 <= length:
        return load4(ring, place)
    return four(
        left(ring, at, length, price, j),
        left(ring, at, length, price, j + 1),
        left(ring, at, length, price, j + 2),
        left(ring, at, length, price, j + 3),
    )


@inlined
def left(ring, at, length, price, j):
    if j >= length:
        return load(price, j - length)
    return load(ring, at + j if at + j < length else at + j - length)


@inlined
def entered(ring, at, length, price, count):
    """Put the prices of ``count`` bars into the ring; return the next position."""
    if count >= length:
        for j in range(length):
            store(ring, j, load(price, count - length + j))
        return 0
    first = min(length - at, count)
    for j in range(first):
        store(ring, at + j, load(price, j))
    for j in range(first, count):
        store(ring, j - first, load(price, j))
    return at + count if at + count < length else at + count - length


@inlined
def run4(before, bits):
    """Return how many bars in a row, up to the last of four, have their flag set; ``before``: up to the first."""
    return ((RUNS >> (4 * bits)) & 15) + (before if bits == 15 else 0)


@inlined
def may_reach(before, bits, length):
    """Return whether a run of ``length`` flags may end within these four."""
    return (bits != 0) & ((length <= 4) | ((before < length) & (length <= before + 4)))  # no branch: flags are noise
