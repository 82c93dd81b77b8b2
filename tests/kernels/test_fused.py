"""Multiply and add with one rounding: compiled code and plain Python against exact fractions and each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.jit import compiled
from engine.kernels.fused import fma

numbers = st.floats(allow_nan=False)


@compiled
def fused(a, b, c):
    return fma(a, b, c)


@settings(max_examples=500, deadline=None)
@given(numbers, numbers, numbers)
@example(0.1, 10.0, -1.0)  # two roundings give 0
@example(1e308, 10.0, -1e308)  # the product alone is too large
@example(1e200, 1e200, 0.0)
@example(1e-200, 1e-200, -5e-324)
@example(-0.0, 1.0, 0.0)
@example(-0.0, 1.0, -0.0)
@example(1.0, 1.0, -1.0)
@example(math.inf, 0.0, 1.0)
@example(math.inf, 1.0, -math.inf)
def test_plain_python_gives_the_bits_of_the_instruction(a: float, b: float, c: float) -> None:
    with np.errstate(all="ignore"):
        slow = float(fma(a, b, c))
    fast = fused(a, b, c)
    assert (math.isnan(slow) and math.isnan(fast)) or np.float64(slow).tobytes() == np.float64(fast).tobytes()


def test_there_is_one_rounding() -> None:
    exact = Fraction(0.1) * 10 - 1
    assert float(fma(0.1, 10.0, -1.0)) == float(exact) != 0.1 * 10.0 - 1.0 == 0.0
