"""What is to be downloaded, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Done", "Kind", "Wanted"]

Kind = Literal["bars", "funding", "trades"]


@dataclass(frozen=True)
class Wanted:
    """A request for history.

    Attributes
    ----------
    venue : str
        As CCXT names it.
    symbols : tuple of str
        ``BTC/USDT``; for a perpetual ``BTC/USDT:USDT``, or ``BTC/USDT`` with ``market``.
    timeframe : str
        Length of a bar; empty for funding rates and trades.
    since_ms, until_ms : int or None
        What opens, is paid or traded in [since, until), ms since the epoch.  None: what is stored is gone on from;
        until now.
    market : str
        ``spot`` or ``perpetual``; empty: as the symbols say.
    kind : str
        ``bars``, ``funding`` or ``trades``.
    repair_from : str
        The venue whose bars fill what stays absent; empty: nothing is filled.
    recheck : bool
        Whether bars are asked for again that the venue was asked for twice and did not have, or that came from
        another venue.
    url, repair_url : str
        Of a venue on this machine, in place of the venue's own; empty: the venue's own.
    """

    venue: str
    symbols: tuple[str, ...]
    timeframe: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    market: str = ""
    kind: Kind = "bars"
    repair_from: str = ""
    recheck: bool = False
    url: str = ""
    repair_url: str = ""


@dataclass
class Done:
    """What came of one symbol.

    Attributes
    ----------
    source : str
        The series, such as ``binance:BTC/USDT:1h``; of funding rates and trades ``binance:BTC/USDT:USDT``.
    kind : str
    new : int
        Rows stored now that were not there before, from the venue itself.
    stored : int
        Rows that are stored of the whole series.
    first_ms, last_ms : int or None
        Times of the first and last stored row of the range asked for.
    quarantined : int
        Bars of the venue that are impossible; set aside with the reason.
    repaired : int
        Bars put in from another venue now.
    gaps : list of (int, int, int)
        Open times, ms, of the first and the last bar absent, and how many; between the first and the last stored
        bar of the range.  For funding rates: times of the two payments and how many are missing between them.
    questions : int
        How often the venue was asked.
    notes : list of str
    error : str
        Why this symbol was not finished; empty if it was.
    """

    source: str
    kind: Kind = "bars"
    new: int = 0
    stored: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    quarantined: int = 0
    repaired: int = 0
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    questions: int = 0
    notes: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def absent(self) -> int:
        """How many rows the gaps lack."""
        return sum(missing for _, _, missing in self.gaps)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON can carry it, times as ISO text."""
        from parquet_store.moments import to_datetime

        def text(ms: int | None) -> str | None:
            return None if ms is None else to_datetime(ms).isoformat()

        gaps = [{"first": text(low), "last": text(high), "missing": missing} for low, high, missing in self.gaps]
        counts = {
            name: getattr(self, name)
            for name in ("source", "kind", "new", "stored", "quarantined", "repaired", "notes")
        }
        ends = {"first": text(self.first_ms), "last": text(self.last_ms)}
        return counts | ends | {"gaps": gaps, "questions": self.questions, "error": self.error or None}
