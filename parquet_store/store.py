"""The store: a folder of Parquet files, one a month, and everything that may be done with it."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from parquet_store import meta as series_meta
from parquet_store.absent import read_absent, write_absent
from parquet_store.append import Appended, check, merge_month, months_of, set_aside
from parquet_store.digest import fingerprint
from parquet_store.errors import unknown
from parquet_store.gaps import Gap, find_gaps
from parquet_store.layout import month_files, resolve_root, series_folder, stored_series
from parquet_store.meta import SeriesMeta
from parquet_store.moments import Moment, moment_ms, to_datetime
from parquet_store.read import naming_broken_files, scan_files
from parquet_store.repairs import add_repairs, drop_repairs, read_repairs, standing
from parquet_store.schema import BARS
from parquet_store.series import Series
from parquet_store.write import sole_writer

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Span:
    """Open times (UTC) of the first and the last bar of a series, and how many bars there are."""

    first: dt.datetime
    last: dt.datetime
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return the span as JSON can carry it."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat(), "rows": self.rows}


class Store:
    """Bars on disk: appended with checks, read as frames, arrays or SQL.

    Parameters
    ----------
    root : Path or str
        The store's folder; it is created by the first append.

    Notes
    -----
    A range is given as ``start`` and ``end``: milliseconds since the Unix epoch, ISO text, datetimes or dates (without
    a zone: UTC).  It holds the bars that open at ``start`` or later and before ``end``; None is open.
    Methods that take a series raise ``Usage``, with the nearest name, if it is not stored.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = resolve_root(root)

    @classmethod
    def open(cls, path: Path | str | None = None) -> Store:
        """Return the store at ``path``, else at ``$LOCKSTEP_STORE``, else at ``./.lockstep``."""
        return cls(resolve_root(path))

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def append(
        self,
        series: Series | str,
        frame: pl.DataFrame,
        *,
        quarantine: bool = False,
        provenance: str = "",
        repaired_from: str = "",
    ) -> Appended:
        """Add bars to a series; a bar that is there already is replaced.

        Parameters
        ----------
        series : Series or str
            The series, which need not exist.
        frame : DataFrame
            Columns ts (open time), open, high, low, close, volume; any order of rows.
        quarantine : bool
            Set bad rows aside, in a file with the reason, and store the rest, rather than refuse them all.
        provenance : str
            Where the rows came from; kept with the series.
        repaired_from : str
            The venue these bars are of, where it is not that of the series: such bars only fill gaps, never replace
            a stored one, and ``repairs`` tells them from the others.

        Returns
        -------
        Appended
            What was done.  Each month is written whole or not at all, oldest first.

        Raises
        ------
        Refuse
            If there are bad rows and ``quarantine`` is false; nothing is stored then.
        Failed
            If a column is missing, the disk is full or may not be written, or a stored file is damaged.
        """
        series = _series(series)
        checked = check(series, frame, quarantine=quarantine)
        aside = None if checked.bad.is_empty() else set_aside(self.root, series, checked.bad, provenance)
        rows = checked.rows
        if rows.is_empty():
            return Appended(0, 0, 0, len(checked.bad), 0, aside, checked.notes)
        folder = series_folder(self.root, BARS.name, series)
        written = replaced = unchanged = 0
        with sole_writer(folder):
            if repaired_from:
                if month_files(folder):
                    rows = rows.join(self.scan(series).select("ts").collect(), on="ts", how="anti")
                if rows.is_empty():
                    return Appended(0, 0, 0, len(checked.bad), 0, aside, checked.notes)
                add_repairs(folder, rows, repaired_from, time.time_ns() // 1_000_000)
            before = series_meta.read_meta(folder)
            sources = series_meta.read_provenance(folder)
            if provenance and provenance not in sources:
                sources = (*sources, provenance)
            pending = before or SeriesMeta(0.0, "")
            series_meta.write_meta(folder, replace(pending, provenance=sources), stale=not pending.chosen)
            for month, part in months_of(rows):
                wrote, over, same = merge_month(series, folder, month, part)
                written, replaced, unchanged = written + wrote, replaced + over, unchanged + same
            if not repaired_from:
                drop_repairs(folder, rows)
            if not pending.chosen:
                derived = series_meta.derive(self._times(series), series.bar)
                series_meta.write_meta(folder, replace(derived, provenance=sources))
        return Appended(len(rows), replaced, written, len(checked.bad), unchanged, aside, checked.notes)

    def scan(self, series: Series | str, start: Moment | None = None, end: Moment | None = None) -> pl.LazyFrame:
        """Return the bars of a range, sorted by time, as a LazyFrame with the columns of the schema."""
        return scan_files(self._files(series), moment_ms(start), moment_ms(end))

    def read(
        self,
        series: Series | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        repaired: bool = True,
    ) -> pl.DataFrame:
        """Return the bars of a range as a frame; a damaged file is named (``Failed``).

        Without ``repaired``, bars that came from another venue are left out.
        """
        files = self._files(series)
        with naming_broken_files(files):
            rows = scan_files(files, moment_ms(start), moment_ms(end)).collect()
        return rows if repaired else rows.join(self._repairs(series, rows), on="ts", how="anti")

    def repairs(self, series: Series | str) -> pl.DataFrame:
        """Return the stored bars that came from another venue: ``ts``, ``source`` (which), ``repaired_at`` (when)."""
        return self._repairs(series, self.read(series))

    def _repairs(self, series: Series | str, rows: pl.DataFrame) -> pl.DataFrame:
        return standing(read_repairs(series_folder(self.root, BARS.name, _series(series))), rows)

    def absent(self, series: Series | str) -> pl.DataFrame:
        """Return what a venue was asked for and did not have: ``first`` and ``last`` open time of a run, ``asked``."""
        return read_absent(series_folder(self.root, BARS.name, _series(series)))

    def note_absent(self, series: Series | str, runs: pl.DataFrame, start: Moment, end: Moment) -> None:
        """Put runs of absent bars in the place of those known of [start, end); see ``absent``."""
        low, high = moment_ms(start), moment_ms(end)
        assert low is not None
        assert high is not None
        folder = series_folder(self.root, BARS.name, _series(series))
        with sole_writer(folder):
            write_absent(folder, runs, low, high)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Return the DuckDB relation of a query over the views ``bars``, ``repairs``, ``funding`` and ``trades``.

        The view holds every stored bar with the columns venue, symbol, timeframe and month:
        ``select * from bars where venue = 'binance' and symbol = 'BTC/USDT' and timeframe = '1h'``.

        Raises
        ------
        Usage
            If the query cannot be run or does more than read.
        """
        from parquet_store.query import connect, run

        return run(connect(self.root), query)

    def series(self) -> list[Series]:
        """Return every stored series, sorted by name."""
        return stored_series(self.root, BARS)

    def span(self, series: Series | str) -> Span:
        """Return the first and the last open time of a series and its number of bars."""
        times = self._times(series)
        return Span(to_datetime(int(times[0])), to_datetime(int(times[-1])), len(times))

    def gaps(self, series: Series | str) -> list[Gap]:
        """Return the runs of absent bars of a series, oldest first, under its calendar."""
        series = _series(series)
        return find_gaps(self._times(series), series.bar, self.meta(series).calendar)

    def fingerprint(self, series: Series | str, start: Moment | None = None, end: Moment | None = None) -> str:
        """Return the content digest of a range: the same rows give the same digest, however they are stored."""
        rows = self.read(series, start, end)
        return fingerprint([rows[name].to_physical().to_numpy() for name in BARS.names])

    def prefix(self, series: Series | str, last_ms: int) -> str:
        """Return a digest of the bars that open at ``last_ms`` or before, without reading all of them.

        Files of whole months stand for themselves by name, size and time of change; the rows of the last month are
        read.  So it changes with any change of the data, and with a copy of the store, but not when bars are added.
        """
        files = self._files(series)
        month = f"{to_datetime(last_ms):%Y-%m}"
        digest = hashlib.sha256()
        for name, path in sorted(files.items()):
            if name < month:
                told = path.stat()
                digest.update(f"{name} {told.st_size} {told.st_mtime_ns}\n".encode())
        if month in files:
            with naming_broken_files({month: files[month]}):
                rows = scan_files({month: files[month]}, None, last_ms + 1).collect()
            digest.update(fingerprint([rows[name].to_physical().to_numpy() for name in BARS.names]).encode())
        return digest.hexdigest()

    def meta(self, series: Series | str) -> SeriesMeta:
        """Return the calendar of a series and its bars per year, as set or as the bars show."""
        series = _series(series)
        self._files(series)
        folder = series_folder(self.root, BARS.name, series)
        stored = series_meta.read_meta(folder)
        if stored is not None:
            return stored
        derived = series_meta.derive(self._times(series), series.bar)
        return replace(derived, provenance=series_meta.read_provenance(folder))

    def set_meta(
        self, series: Series | str, *, bars_per_year: float | None = None, calendar: str | None = None
    ) -> SeriesMeta:
        """Set what annual figures are built on; with neither given, return to what the bars show.

        Raises
        ------
        Usage
            If the calendar is neither ``24/7`` nor ``sessions``, or the figure is not positive.
        """
        series = _series(series)
        times = self._times(series)
        chosen = series_meta.choose(self.meta(series), times, series.bar, bars_per_year, calendar)
        folder = series_folder(self.root, BARS.name, series)
        with sole_writer(folder):
            series_meta.write_meta(folder, chosen)
        return chosen

    def _files(self, series: Series | str) -> dict[str, Path]:
        series = _series(series)
        files = month_files(series_folder(self.root, BARS.name, series))
        if not files:
            raise unknown("series", str(series), [str(known) for known in self.series()])
        return files

    def _times(self, series: Series | str) -> npt.NDArray[np.int64]:
        files = self._files(series)
        with naming_broken_files(files):
            return scan_files(files).select(BARS.key).collect().to_series().to_physical().to_numpy()


def _series(series: Series | str) -> Series:
    return series if isinstance(series, Series) else Series.parse(series)
