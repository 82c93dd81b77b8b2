"""Operators as steps: arithmetic, comparison, logic, shifts.

A condition is 1.0 (true) or 0.0; whatever is unknown is false.
"""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.four import fetch4, load4, odd4, put4
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import following


def in_fours(operation):
    """Return the block form of an operator of two numbers that makes what is unknown of what is unknown."""
    operation = inlined(operation)

    def block(state, count, a, b, value, room):
        j = 0
        while j + 4 <= count:
            found = operation(load4(a, j), load4(b, j))
            fetch4(a, j)
            fetch4(b, j)
            if odd4(found):
                break
            put4(value, j, found)
            j += 4
        return state, j

    return block


@step(outputs=("value",), block=in_fours(lambda a, b: a + b))
def add_step(state, a, b):
    """Return a + b."""
    return state, a + b


@step(outputs=("value",), block=in_fours(lambda a, b: a - b))
def subtract_step(state, a, b):
    """Return a - b."""
    return state, a - b


@step(outputs=("value",), block=in_fours(lambda a, b: a * b))
def multiply_step(state, a, b):
    """Return a * b."""
    return state, a * b


@step(outputs=("value",), block=in_fours(lambda a, b: a / b))
def divide_step(state, a, b):
    """Return a / b, NaN for a division by 0."""
    return state, a / b


@step(outputs=("value",))
def negate_step(state, a):
    """Return -a."""
    return state, -a


@step(outputs=("value",))
def absolute_step(state, a):
    """Return the absolute value of a."""
    return state, abs(a)


@step(outputs=("value",))
def logarithm_step(state, a):
    """Return the natural logarithm of a, NaN for 0 and below."""
    return state, math.log(a) if a > 0.0 else np.nan


@step(outputs=("value",))
def minimum_step(state, a, b):
    """Return the smaller of two known values; NaN if either is unknown."""
    return state, a if a < b else b


@step(outputs=("value",))
def maximum_step(state, a, b):
    """Return the larger of two known values; NaN if either is unknown."""
    return state, a if a > b else b


@step(outputs=("value",), sees_unknown=True)
def where_step(state, condition, a, b):
    """Return a where the condition is true, else b; NaN only if the one taken is unknown."""
    return state, a if condition > 0.0 else b


@step(outputs=("value",), sees_unknown=True)
def less_step(state, a, b):
    """Return whether a < b; false if either is unknown."""
    return state, 1.0 if a < b else 0.0


@step(outputs=("value",), sees_unknown=True)
def less_equal_step(state, a, b):
    """Return whether a <= b; false if either is unknown."""
    return state, 1.0 if a <= b else 0.0


@step(outputs=("value",), sees_unknown=True)
def equal_step(state, a, b):
    """Return whether a == b; false if either is unknown."""
    return state, 1.0 if a == b else 0.0


@step(outputs=("value",), sees_unknown=True)
def not_equal_step(state, a, b):
    """Return whether a and b are known and differ."""
    return state, 1.0 if a < b or a > b else 0.0


@step(outputs=("value",), sees_unknown=True)
def both_step(state, a, b):
    """Return whether both conditions are true."""
    return state, 1.0 if a > 0.0 and b > 0.0 else 0.0


@step(outputs=("value",), sees_unknown=True)
def either_step(state, a, b):
    """Return whether a condition is true."""
    return state, 1.0 if a > 0.0 or b > 0.0 else 0.0


@step(
    outputs=("value",),
    state=(0, 0),
    counts=(0, 1),
    settled=lambda state, length: state[0] >= length,
    ring=lambda length: length,
    sees_unknown=True,
)
def shift_step(state, ring, a, *, length: int):
    """Return the value ``length`` bars ago, known or not, counting bars present; NaN for the first ``length``.

    The state holds bars so far, at most ``length``, and the ring position, the ring the last ``length`` values.
    """
    seen, at = state
    earlier = load(ring, at)
    store(ring, at, a)
    at = following(at, length)
    if seen < length:
        return (seen + 1, at), np.nan
    return (seen, at), earlier


@step(
    outputs=("value",),
    state=(0, 0),
    counts=(0, 1),
    settled=lambda state, length: state[0] >= length,
    ring=lambda length: length,
    sees_unknown=True,
)
def shift_condition_step(state, ring, a, *, length: int):
    """Return the condition ``length`` bars ago, counting bars present; false for the first ``length``.

    State and ring as for `shift_step`.
    """
    seen, at = state
    earlier = load(ring, at)
    store(ring, at, a)
    at = following(at, length)
    if seen < length:
        return (seen + 1, at), 0.0
    return (seen, at), 1.0 if earlier > 0.0 else 0.0
