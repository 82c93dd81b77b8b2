"""Which closed bars are decided on together: all that close at one moment, so that nothing depends on who came first.

Where limits hold or cash is shared, what one program may do depends on the others.  A moment waits until every series
that closes a bar then has shown it, or a while after the close; who is later is decided on alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from parquet_store.timeframe import Timeframe
from pipelines.candles import Candle

__all__ = ["Moments"]

_MS: Final = 1_000_000


class Moments:
    """The series of a run, and what each has closed and not decided on.

    Parameters
    ----------
    frames : sequence of Timeframe
        Of each series, by its place.
    waiting : sequence of deque of Candle
        Closed bars of each, oldest first; kept by the caller.
    wait_ns : int
        How long after a close the last series is waited for.
    """

    def __init__(self, frames: Sequence[Timeframe], waiting: Sequence[deque[Candle]], wait_ns: int) -> None:
        self.frames, self.waiting, self.wait_ns = tuple(frames), waiting, wait_ns
        self._decided = [0] * len(self.frames)  # ns, the last moment of each series

    def ripe(self, due: set[int], time_ns: int) -> set[int]:
        """Return the series to decide on now: of the earliest moment among those due; none while it is waited for.

        Parameters
        ----------
        due : set of int
            Places of the series with closed bars that may be decided on.
        time_ns : int
            Venue time.
        """
        moments = {place: self._close_of(place) for place in due}
        first = min(moments.values())
        found = {place for place, close_ns in moments.items() if close_ns == first}
        if time_ns < first + self.wait_ns and len(found) < len(self.frames):
            for place, frame in enumerate(self.frames):
                if place not in found and self._decided[place] < first and closes_at(frame, first // _MS):
                    return set()
        for place in found:
            self._decided[place] = first
        return found

    def _close_of(self, place: int) -> int:
        frame = self.frames[place]
        return frame.close_ms(frame.number(self.waiting[place][0].open_ns // _MS)) * _MS


def closes_at(frame: Timeframe, moment_ms: int) -> bool:
    """Return whether a bar of a timeframe closes at a moment."""
    return frame.open_ms(frame.number(moment_ms)) == moment_ms
