"""Funding of a perpetual: when it is paid, at which recorded rate, and what of it is known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parquet_store.errors import Usage

__all__ = ["Funding", "Rates", "Schedule"]

Moments = Sequence[int] | NDArray[np.int64]
Numbers = Sequence[float] | NDArray[np.float64]
Rates = tuple[Moments, Numbers]
HOURS_8_MS = 28_800_000


@dataclass(frozen=True)
class Funding:
    """What is known of a contract's funding: the last rate paid (0 before the first), the next time, the interval."""

    rate: float
    next_ms: int
    interval_ms: int


class Schedule:
    """Recorded payments of one contract.

    Parameters
    ----------
    symbol : str
    times_ms : sequence of int
        Strictly increasing, ms since the epoch.
    rates : sequence of float
        Fractions of the notional; if positive, who is long pays.
    now_ms : int
        What lies before is history; what is at it or after, due.

    Raises
    ------
    Usage
        If times and rates do not match.
    """

    def __init__(self, symbol: str, times_ms: Moments, rates: Numbers, now_ms: int) -> None:
        times, values = np.asarray(times_ms, np.int64), np.asarray(rates, np.float64)
        if (
            times.shape != values.shape
            or times.ndim != 1
            or np.any(np.diff(times) <= 0)
            or not np.isfinite(values).all()
        ):
            raise Usage(
                f"venue: funding of {symbol}: found {times.size} times and {values.size} rates, expected as many "
                "finite rates as strictly increasing times"
            )
        self.times, self.rates = times, values
        self.interval_ms = int(np.median(np.diff(times))) if times.size > 1 else HOURS_8_MS
        self.at = int(times.searchsorted(now_ms))

    def due(self, now_ms: int) -> list[tuple[int, float]]:
        """Return (time, rate) of what became due until now, and count it as paid."""
        begin, self.at = self.at, max(self.at, int(self.times.searchsorted(now_ms, side="right")))
        return [(int(self.times[k]), float(self.rates[k])) for k in range(begin, self.at)]

    def flip(self) -> None:
        """Turn the sign of what is not paid yet."""
        self.rates = np.concatenate((self.rates[: self.at], -self.rates[self.at :]))

    def known(self, now_ms: int) -> Funding:
        """Return what is known now."""
        if self.at < self.times.size:
            following = int(self.times[self.at])
        else:
            last = int(self.times[-1]) if self.times.size else 0
            following = last + ((now_ms - last) // self.interval_ms + 1) * self.interval_ms
        return Funding(float(self.rates[self.at - 1]) if self.at else 0.0, following, self.interval_ms)

    def history(self) -> list[tuple[int, float]]:
        """Return (time, rate) of all that was paid, oldest first."""
        return [(int(t), float(r)) for t, r in zip(self.times[: self.at], self.rates[: self.at], strict=True)]
