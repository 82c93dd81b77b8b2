"""What a bar corrected after its decision would have changed: the programs rebuilt, the decisions compared.

Of each series the state some bars back is kept, with the bars since and what the programs said at each.  A correction
puts that state back and advances it again over the corrected bars.  Nothing is decided again; whether something would
have been decided otherwise is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.graph.together import SymbolState, Together
from pipelines.candles import Candle

__all__ = ["Correcting"]

SPAN = 64  # bars of a stretch: so many at least can be corrected, and twice as many are kept


@dataclass
class Stretch:
    """The state before some bars, the bars, and the roles after each; None where there was no bar."""

    state: SymbolState
    bars: dict[int, Candle] = field(default_factory=dict)
    said: dict[int, list[list[float]]] = field(default_factory=dict)


class Correcting:
    """The recent past of every series.

    Parameters
    ----------
    together : Together
        The programs; they are advanced by the caller, and by `correct`.
    """

    def __init__(self, together: Together) -> None:
        self.together = together
        self._stretches = [[Stretch(together.take(symbol))] for symbol in together.symbols]
        self._programs = [
            np.array([p for p, (name, _) in enumerate(together.programs) if name == symbol], np.int64)
            for symbol in together.symbols
        ]
        self._spans = [SPAN + place % SPAN for place in range(len(together.symbols))]  # so that not all copy at once
        self._full: set[int] = set()

    def advanced(self, place: int, number: int, candle: Candle, said: list[list[float]]) -> None:
        """Take note of a bar the programs of a series were just advanced by, and of the roles of each after it."""
        latest = self._stretches[place][-1]
        latest.bars[number], latest.said[number] = candle, said
        if len(latest.bars) >= self._spans[place]:
            self._full.add(place)

    def renew(self) -> None:
        """Begin another stretch where the last one is long enough; it copies states, so call it between closes."""
        for place in self._full:
            stretches = self._stretches[place]
            stretches.append(Stretch(self.together.take(self.together.symbols[place])))
            del stretches[:-2]
            self._spans[place] = SPAN
        self._full.clear()

    def correct(self, place: int, number: int, candle: Candle | None) -> str:
        """Rebuild the programs of a series with one bar corrected.

        Parameters
        ----------
        place : int
            Of the series, in ``together.symbols``.
        number : int
            Of the bar.
        candle : Candle or None
            What it is now; None: there is none.

        Returns
        -------
        str
            What would have been decided otherwise; empty if nothing would.
        """
        stretches, programs = self._stretches[place], self._programs[place]
        first = next((k for k in reversed(range(len(stretches))) if stretches[k].state.last < number), -1)
        if first < 0:
            return "it lies too far back to say what would have been decided"
        together, symbol = self.together, self.together.symbols[place]
        if candle is None:
            stretches[first].bars.pop(number, None)
        else:
            stretches[first].bars[number] = candle
        together.put(symbol, stretches[first].state)
        told = ""
        for k in range(first, len(stretches)):
            stretch = stretches[k]
            if k > first:
                stretch.state = together.take(symbol)
            for at in sorted({*stretch.bars, *stretch.said}):
                bar = stretch.bars.get(at)
                if bar is not None:
                    row = (bar.open, bar.high, bar.low, bar.close, bar.volume)
                    together.advance(np.array([place]), np.array([at]), np.array([row]))
                said = stretch.said.get(at)
                before = None if said is None else np.array(said)
                after = together.roles[programs] if bar is not None else None
                if not told and at >= number and differ(before, after):
                    told = f"bar {at} would have been decided otherwise"
        return told


def differ(before: NDArray[np.float64] | None, after: NDArray[np.float64] | None) -> bool:
    """Return whether roles, shape (programs, 6), decide otherwise; None is a bar that was not there.

    Conditions are compared at every bar, distances only where an entry is wanted.
    """
    if before is None and after is None:
        return False
    one = blank(after) if before is None else before
    other = blank(before) if after is None else after
    wants, would = holds(one[:, :4]), holds(other[:, :4])
    entries = (wants[:, 0] | wants[:, 2])[:, None]
    same = (one[:, 4:] == other[:, 4:]) | (np.isnan(one[:, 4:]) & np.isnan(other[:, 4:]))
    return bool((wants != would).any() or (entries & ~same).any())


def holds(conditions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which conditions hold; what is unknown does not."""
    found: NDArray[np.bool_] = (conditions != 0.0) & ~np.isnan(conditions)
    return found


def blank(like: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return roles of which none is known."""
    assert like is not None
    return np.full_like(like, np.nan)
