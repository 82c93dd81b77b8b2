"""Faults of the venue's clock, by which it dates requests that are signed."""

from __future__ import annotations

from engine.venue.faults.armed import Armed
from engine.venue.faults.kinds import Kind, fault

__all__ = ["CLOCK"]

CLOCK: dict[str, Kind] = {}
_MEASURE = "measures the difference of the clocks, and refuses or waits while it is too large"


@fault(CLOCK, "clock", does="the venue's clock is ahead", client=_MEASURE, times=0, size=15_000.0, unit="ms")
def clock_ahead(now_ms: int, armed: Armed) -> int:
    return now_ms + int(armed.size)


@fault(CLOCK, "clock", does="the venue's clock is behind", client=_MEASURE, times=0, size=15_000.0, unit="ms")
def clock_behind(now_ms: int, armed: Armed) -> int:
    return now_ms - int(armed.size)


@fault(
    CLOCK,
    "clock",
    does="the venue's clock runs away, some ms more at each look",
    client=_MEASURE + ", again and again",
    times=0,
    size=2_000.0,
    unit="ms",
)
def clock_drifts(now_ms: int, armed: Armed) -> int:
    return now_ms + int(armed.size) * armed.acted
