"""The venue's time: the machine's clock set by the venue's, or the time of a venue that plays recorded bars."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "PlayedClock", "VenueClock"]


class Clock(Protocol):
    """What says the time."""

    def now_ns(self) -> int:
        """Return the venue's time, ns since the epoch."""
        ...


class VenueClock:
    """The machine's clock, moved by how far the venue's is ahead.

    Attributes
    ----------
    ahead_ns : int
        The venue's clock less the machine's.
    """

    def __init__(self, ahead_ns: int = 0) -> None:
        self.ahead_ns = ahead_ns

    def now_ns(self) -> int:
        """Return the venue's time."""
        return time.time_ns() + self.ahead_ns


class PlayedClock:
    """Time as a venue plays it: from ``set``, at ``speed`` seconds a second; it never goes back."""

    def __init__(self, now_ns: int = 0, speed: float = 0.0) -> None:
        self._at, self._since, self.speed = now_ns, time.perf_counter_ns(), speed

    def now_ns(self) -> int:
        """Return the venue's time."""
        if not self.speed:
            return self._at
        return self._at + int((time.perf_counter_ns() - self._since) * self.speed)

    def set(self, now_ns: int) -> None:
        """Move on to a time the venue told."""
        self._at, self._since = max(now_ns, self.now_ns()), time.perf_counter_ns()
