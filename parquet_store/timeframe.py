"""The length of a bar and the number every bar has: open time divided by timeframe, on one grid for all of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

from parquet_store.errors import Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_WEEK_ORIGIN_MS = 4 * 86_400_000  # Monday 1970-01-05
_EPOCH_MONTH = 12 * 1970
_WRITTEN = re.compile(r"([1-9][0-9]{0,4})([smhdwM])")


@dataclass(frozen=True)
class Timeframe:
    """A bar length such as ``1m``, ``4h``, ``1d``, ``1w`` or ``1M``.

    Attributes
    ----------
    count : int
        How many units a bar lasts, at least 1.
    unit : str
        One of ``s m h d w M`` (second, minute, hour, day, week, calendar month).
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Return the timeframe that ``text`` names.

        Raises
        ------
        Usage
            If the text is no timeframe, or is not its shortest spelling (``60m`` is written ``1h``), so that one
            bar length has one name.
        """
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise Usage(
                f'unknown timeframe "{text}": expected a number and one of s, m, h, d, w, M (month), as in 5m or 1d'
            )
        count, unit = int(match[1]), match[2]
        shortest = _shortest(count, unit)
        if shortest != text:
            raise Usage(f'timeframe "{text}" is written "{shortest}"')
        return cls(count, unit)

    @property
    def text(self) -> str:
        """The spelling ``parse`` reads."""
        return f"{self.count}{self.unit}"

    def __str__(self) -> str:
        return self.text

    @property
    def milliseconds(self) -> int | None:
        """Length of a bar in milliseconds; None for months, whose lengths differ."""
        return None if self.unit == "M" else self.count * _UNIT_MS[self.unit]

    @cached_property
    def _grid(self) -> tuple[int, int]:
        """Length of a bar and where bars are counted from, ms; not for months."""
        return self.count * _UNIT_MS[self.unit], _WEEK_ORIGIN_MS if self.unit == "w" else 0

    @cached_property
    def grid_ns(self) -> tuple[int, int] | None:
        """Length of a bar and where bars are counted from, ns; None for months, whose lengths differ."""
        return None if self.unit == "M" else (self._grid[0] * 1_000_000, self._grid[1] * 1_000_000)

    @property
    def is_session(self) -> bool:
        """Whether a bar stands for whole days, so that its time is a session's date at 00:00 UTC."""
        return self.unit == "d"

    @overload
    def number(self, open_time_ms: int) -> int: ...
    @overload
    def number(self, open_time_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]: ...
    def number(self, open_time_ms: int | npt.NDArray[np.int64]) -> int | npt.NDArray[np.int64]:
        """Return the bar number of an open time.

        Parameters
        ----------
        open_time_ms : int or int64 array
            Milliseconds since the Unix epoch, UTC.

        Returns
        -------
        int or int64 array
            ``floor(time / timeframe)``; weeks count from Monday 1970-01-05; months are ``12 * year + month - 1``,
            divided by the count.  Times inside a bar give the number of that bar.
        """
        if self.unit == "M":
            import numpy as np

            months = np.asarray(open_time_ms, dtype="datetime64[ms]").astype("datetime64[M]").astype(np.int64)
            numbers = (months + _EPOCH_MONTH) // self.count
            return numbers if isinstance(open_time_ms, np.ndarray) else int(numbers)
        length, origin = self._grid
        return (open_time_ms - origin) // length

    @overload
    def open_ms(self, number: int) -> int: ...
    @overload
    def open_ms(self, number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]: ...
    def open_ms(self, number: int | npt.NDArray[np.int64]) -> int | npt.NDArray[np.int64]:
        """Return the open time, in milliseconds since the Unix epoch, of the bar with a number."""
        if self.unit == "M":
            import numpy as np

            months = np.asarray(number, dtype=np.int64) * self.count - _EPOCH_MONTH
            times = months.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
            return times if isinstance(number, np.ndarray) else int(times)
        length, origin = self._grid
        return number * length + origin

    @overload
    def close_ms(self, number: int) -> int: ...
    @overload
    def close_ms(self, number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]: ...
    def close_ms(self, number: int | npt.NDArray[np.int64]) -> int | npt.NDArray[np.int64]:
        """Return the time at which the bar with a number is over: the open time of the next number."""
        return self.open_ms(number + 1)


def _shortest(count: int, unit: str) -> str:
    for larger, size, below in (("m", 60, "s"), ("h", 60, "m"), ("d", 24, "h")):
        if unit == below and count % size == 0:
            count, unit = count // size, larger
    return f"{count}{unit}"
