"""What risk remembers of an account: records that compiled code reads and writes, and that a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled
from engine.risk.likeness import DEPTH, WIDE, keep_close

__all__ = ["BOOK", "DEPTH", "LEG", "History", "new_book", "new_legs"]


NEVER = -(2**62)

# one strategy on one symbol
LEG = np.dtype(
    [
        ("series", "i8"),  # whose bars it follows
        ("strategy", "i8"),  # legs of one strategy have one number
        ("mark", "f8"),  # its symbol's last close
        ("met", "f8"),  # price of its last fill since that close, NaN: none
        ("pending", "f8"),  # quantity of an entry that was approved and has not filled
        ("trades", "i8"),  # closed ones it has looked at
        ("losses", "i8"),  # the last ones in a row
        ("cool_until", "i8"),  # ms
        ("day", "i8"),  # of the last entry, days since 1970
        ("entries", "i8"),  # on that day
    ],
    align=True,
)
BOOK = np.dtype(
    [
        ("reserve", "f8"),  # quote currency that belongs to no leg
        ("equity", "f8"),  # at the last closes
        ("lowest", "f8"),  # the same, where fills since were at their prices
        ("peak", "f8"),
        ("day", "i8"),
        ("day_start", "f8"),
        ("day_over", "i8"),  # 1: the day's loss was too large
        ("week", "i8"),
        ("week_start", "f8"),
        ("paused", "i8"),  # 1: the week's loss was too large
        ("stopped", "i8"),  # 1: the drawdown was too large
    ],
    align=True,
)


class History:
    """The last closes of every series, each kept twice, ``DEPTH`` apart, so that any window lies side by side.

    Attributes
    ----------
    arrays : tuple of ndarray
        What compiled code takes: times (ms), closes and returns, shape (series, ``WIDE``); closes ever seen; the
        time between the last two closes, and for how many closes it has been that.
    """

    def __init__(self, series: int) -> None:
        wide = (series, WIDE)
        whole = [np.zeros(series, np.int64) for _ in range(3)]
        self.arrays: tuple[NDArray[Any], ...] = (
            np.zeros(wide, np.int64), np.zeros(wide), np.zeros(wide), *whole,
        )  # fmt: skip

    def fill(self, s: int, times: Sequence[int] | NDArray[Any], closes: Sequence[float] | NDArray[Any]) -> None:
        """Let a series have had these closes, oldest first."""
        fill_closes(self.arrays, s, np.asarray(times[-DEPTH:], np.int64), np.asarray(closes[-DEPTH:], np.float64))


@compiled
def fill_closes(history, s, times, closes):  # type: ignore[no-untyped-def]
    """Keep many closes of a series."""
    for k in range(times.size):
        keep_close(history, s, times[k], closes[k])


def new_legs(series: list[int], strategies: list[int]) -> NDArray[Any]:
    """Return legs that have done nothing."""
    made = np.zeros(len(series), LEG)
    made["series"], made["strategy"] = series, strategies
    made["mark"] = made["met"] = np.nan
    made["cool_until"] = made["day"] = NEVER
    return made


def new_book(equity: float, reserve: float) -> NDArray[Any]:
    """Return the book of an account that has done nothing."""
    made = np.zeros(1, BOOK)
    made["reserve"] = reserve
    made["equity"] = made["lowest"] = made["peak"] = made["day_start"] = made["week_start"] = equity
    made["day"] = made["week"] = NEVER
    return made
