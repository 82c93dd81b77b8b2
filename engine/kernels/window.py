"""Rolling windows in a ring: the next position, and sums taken afresh from the oldest value to the newest."""

from engine.jit import inlined
from engine.kernels.memory import load

LOSS = 4096.0  # a value this many times what remains has eaten 12 bits of the sum it leaves: sum afresh


@inlined
def following(at, length):
    """Return the ring position after ``at``."""
    at += 1
    return at if at < length else 0


@inlined
def centred_sums(ring, first, length):
    """Sum the whole ring about its newest value: return that value, the sum of distances and of their squares.

    Goes from the oldest value, at ``first``, to the newest, so the bits do not depend on the ring's rotation.
    """
    centre = load(ring, first - 1 if first > 0 else length - 1)
    total = 0.0
    square = 0.0
    at = first
    for _ in range(length):  # one loop with a wrap: two loops over the parts cost three times as much
        distance = load(ring, at) - centre
        total += distance
        square += distance * distance
        at = at + 1 if at + 1 < length else 0
    return centre, total, square
