"""The hours a venue trades, and which session a moment belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parquet_store.errors import Usage

_WRITTEN = re.compile(r"(\S+) (\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True)
class Session:
    """Trading hours in local time, written ``America/New_York 09:30-16:00``.

    Attributes
    ----------
    zone : str
        A time zone's name.
    opens, closes : int
        Minutes after local midnight, 0 to 1,440.  If ``closes`` is not after ``opens``, the session runs over midnight
        and has the date of its close.
    """

    zone: str
    opens: int
    closes: int

    @classmethod
    def parse(cls, text: str) -> Session:
        """Return the session that ``text`` names, or raise ``Usage``."""
        match = _WRITTEN.fullmatch(text.strip())
        expected = 'expected zone and hours, as in "America/New_York 09:30-16:00"'
        if match is None:
            raise Usage(f'unknown session "{text}": {expected}')
        zone, *clock = match.groups()
        opens, closes = (60 * int(clock[i]) + int(clock[i + 1]) for i in (0, 2))
        if opens >= 1440 or closes > 1440 or int(clock[1]) > 59 or int(clock[3]) > 59:
            raise Usage(f'session "{text}": no such time of day; {expected}')
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Usage(f'session "{text}": unknown time zone "{zone}"; {expected}') from None
        return cls(zone, opens, closes)

    def __str__(self) -> str:
        hours = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (self.opens, self.closes))
        return f"{self.zone} {'-'.join(hours)}"

    @property
    def minutes(self) -> int:
        """Length of a session in minutes."""
        return (self.closes - self.opens) % 1440 or 1440
