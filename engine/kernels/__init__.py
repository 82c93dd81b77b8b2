"""Indicator steps, one family a file; importing the package registers them all."""

from __future__ import annotations

from engine.kernels import average, extremes, momentum, operate, price, risk, trend, volatility, volume
from engine.kernels.step import STEPS, Step, find_step, step

__all__ = [
    "STEPS",
    "Step",
    "average",
    "extremes",
    "find_step",
    "momentum",
    "operate",
    "price",
    "risk",
    "step",
    "trend",
    "volatility",
    "volume",
]
