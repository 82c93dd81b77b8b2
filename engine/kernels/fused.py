"""Multiply and add with one rounding: one instruction instead of two, and the same bits on every machine."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

import engine.jit  # noqa: F401  (this file is compiled code: its text belongs to the cache digest)

__all__ = ["fma"]


def fma(a, b, c):
    """Return a * b + c rounded once, as IEEE 754 defines fusedMultiplyAdd.

    In plain Python the sum is taken exactly, as a fraction, and rounded to the nearest float64.
    """
    a, b, c = float(a), float(b), float(c)
    if not (math.isfinite(a) and math.isfinite(b)):
        return np.float64(a) * np.float64(b) + np.float64(c)
    if not math.isfinite(c):
        return np.float64(c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return np.float64(a * b + c)  # two roundings of zero: right but for its sign, and that is what they give
    try:
        return np.float64(exact.numerator / exact.denominator)
    except OverflowError:
        return np.float64(math.inf if exact > 0 else -math.inf)


@intrinsic
def fused(typing, a, b, c):
    """Multiply and add in one instruction."""

    def code(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), code


@overload(fma, inline="never")
def _fma(a, b, c):
    if all(isinstance(kind, types.Number) for kind in (a, b, c)):
        return lambda a, b, c: fused(a, b, c)
