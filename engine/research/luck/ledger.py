"""The ledger of every trial a store has ever seen: one SQLite file, a row for each plan and series.

How many were tried decides what the best of them is worth, and that count runs over all sweeps of the same data.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parquet_store import Series
from parquet_store.errors import Failed, Retry
from parquet_store.write import make_folder, telling_disk_errors

__all__ = ["Entry", "Ledger", "Trials"]

FORMAT = 1
PATIENCE = 60.0  # seconds to wait for another process
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
TABLE = """
create table plans (
    plan text not null, source text not null, venue text not null, symbol text not null, timeframe text not null,
    first integer not null, last integer not null, strategy text not null,
    trials integer not null, known integer not null, mean real not null, square real not null,
    primary key (plan, source)
) without rowid
"""


@dataclass(frozen=True)
class Entry:
    """What one plan tried on one series.

    Attributes
    ----------
    plan : str
        Digest of the plan: the same plan again is the same entry.
    source : str
        ``venue:SYMBOL:timeframe``.
    first, last : int
        Open times of the first and last bar, milliseconds since the Unix epoch, UTC.
    strategy : str
    trials : int
        Combinations tried.
    known : int
        Those with a known Sharpe ratio.
    mean, square : float
        Mean of their per-bar Sharpe ratios, and sum of the squared differences from it.
    """

    plan: str
    source: str
    first: int
    last: int
    strategy: str
    trials: int
    known: int
    mean: float
    square: float

    @classmethod
    def of(cls, plan: str, source: str, first: int, last: int, strategy: str, sharpe: NDArray[np.float64]) -> Entry:
        """Return the entry for these per-bar Sharpe ratios, one a trial, NaN where unknown."""
        known = sharpe[np.isfinite(sharpe)]
        mean = float(known.mean()) if known.size else 0.0
        square = float(np.sum((known - mean) ** 2))
        return cls(plan, source, first, last, strategy, sharpe.size, known.size, mean, square)


@dataclass(frozen=True)
class Trials:
    """All that was tried on one stretch of data.

    Attributes
    ----------
    plans, trials, known : int
        Plans, combinations of them all, those with a known Sharpe ratio.
    mean, variance : float
        Of the known per-bar Sharpe ratios (ddof 1); 0 with fewer than two.
    """

    plans: int
    trials: int
    known: int
    mean: float
    variance: float

    @classmethod
    def pooled(cls, parts: list[tuple[int, int, float, float]]) -> Trials:
        """Return the sum of parts, each (trials, known, mean, sum of squared differences from the mean)."""
        trials = known = 0
        mean = square = 0.0
        for tried, count, centre, spread in parts:
            trials += tried
            if count == 0:
                continue
            away, known = centre - mean, known + count
            mean += away * count / known
            square += spread + away * away * count * (known - count) / known
        return cls(len(parts), trials, known, mean, square / (known - 1) if known > 1 else 0.0)


class Ledger:
    """The trials of a store, in ``ledger.sqlite`` in its folder; several processes may write at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite"

    def record(self, entry: Entry) -> None:
        """Add a plan's trials on one series; a plan that is there already is not counted twice.

        A plan that has grown since (a search that went on) replaces what it said before.

        Raises
        ------
        Failed
            The file is damaged, or the disk full or read-only; what it holds is left as it is.
        """
        series = Series.parse(entry.source)
        row = (
            *(entry.plan, entry.source, series.venue, series.symbol, series.timeframe),
            *(entry.first, entry.last, entry.strategy, entry.trials, entry.known, entry.mean, entry.square),
        )
        with self._opened(writing=True) as connection:
            connection.execute(
                f"insert into plans values ({', '.join('?' * len(row))}) on conflict (plan, source) do update set "
                "trials = excluded.trials, known = excluded.known, mean = excluded.mean, square = excluded.square "
                "where excluded.trials > trials",
                row,
            )

    def trials(self, source: str, first: int, last: int) -> Trials:
        """Return all that was tried on bars of this series between two open times, both included.

        A plan belongs to it whole where one of its bars lies between them: same venue, symbol and timeframe.

        Raises
        ------
        Failed
            The file is damaged or cannot be read.
        """
        if not self.path.exists():
            return Trials.pooled([])
        series = Series.parse(source)
        with self._opened() as connection:
            return Trials.pooled(
                connection.execute(
                    "select trials, known, mean, square from plans where venue = ? and symbol = ? and timeframe = ? "
                    "and first <= ? and last >= ? order by plan, source",
                    (series.venue, series.symbol, series.timeframe, last, first),
                ).fetchall()
            )

    @contextmanager
    def _opened(self, writing: bool = False) -> Iterator[sqlite3.Connection]:
        with telling_disk_errors(self.path):
            make_folder(self.path.parent)
        connection = None
        try:
            connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            connection.execute("begin immediate" if writing else "begin")
            self._check(connection, writing)
            yield connection
            connection.execute("commit")
        except sqlite3.Error as error:
            raise self._said(error) from error
        finally:
            if connection is not None:
                connection.close()  # takes back what was not committed

    def _check(self, connection: sqlite3.Connection, writing: bool) -> None:
        found = connection.execute("pragma quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Failed(self._damaged(str(found).splitlines()[-1]))
        format = connection.execute("pragma user_version").fetchone()[0]
        made = connection.execute("select count(*) from sqlite_master where name = 'plans'").fetchone()[0]
        if not made and format == 0:
            if writing:
                connection.execute(TABLE)
                connection.execute(f"pragma user_version = {FORMAT}")
            else:  # another process has only begun it
                connection.execute(TABLE.replace("create table", "create temporary table"))
        elif format != FORMAT:
            raise Failed(
                f"{self.path}: ledger format {format}, this release reads {FORMAT}; use the release that wrote it"
            )

    def _damaged(self, found: object) -> str:
        return (
            f"{self.path}: the ledger of trials is damaged ({found}); nothing was changed: restore the file, or "
            "move it away and sweep again, so that every trial is counted"
        )

    def _said(self, error: sqlite3.Error) -> Failed:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in BROKEN or not code:
            return Failed(self._damaged(error))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Retry(f"{self.path}: another process has held the ledger of trials for {PATIENCE:.0f} s; try again")
        if code == sqlite3.SQLITE_FULL:
            return Failed(f"no space left on the disk of {self.path}: nothing was changed; free some space, try again")
        return Failed(f"{self.path}: the ledger of trials cannot be used ({error}); check the folder's permissions")
