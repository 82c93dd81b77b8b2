"""Rows that lie on no grid of bars, funding rates and trades: appended, read, and which spans of time are complete.

ROOT/funding/venue=V/symbol=S/month=YYYY-MM/part.parquet
ROOT/trades/venue=V/symbol=S/day=YYYY-MM-DD/part.parquet
.../covered.json                                              spans that are complete, and where they came from
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import polars as pl

from parquet_store.errors import Failed, Refuse, unknown
from parquet_store.layout import PART
from parquet_store.moments import Moment, moment_ms, to_datetime
from parquet_store.schema import FUNDING, TRADES, Dataset
from parquet_store.write import sole_writer, write_rows, write_whole

NAME = "covered.json"
DATASETS = {dataset.name: dataset for dataset in (FUNDING, TRADES)}
Span = tuple[int, int]


class Events:
    """The funding rates or the trades of one market of one venue.

    Parameters
    ----------
    root : Path
        The store's (``Store.root``).
    dataset : Dataset
        ``FUNDING`` or ``TRADES``.
    venue, symbol : str
    """

    def __init__(self, root: Path, dataset: Dataset, venue: str, symbol: str) -> None:
        self.root, self.dataset, self.venue, self.symbol = root, dataset, venue, symbol
        self.folder = root / dataset.name / f"venue={quote(venue, safe='')}" / f"symbol={quote(symbol, safe='')}"

    def __str__(self) -> str:
        return f"{self.dataset.name} of {self.venue}:{self.symbol}"

    def append(self, frame: pl.DataFrame, *, covered: Span | None = None, provenance: str = "") -> int:
        """Add rows; one with the key of a stored one takes its place.

        Parameters
        ----------
        frame : DataFrame
            The dataset's columns, in any order of rows.
        covered : (int, int), optional
            The span [start, end), milliseconds since the Unix epoch, that is complete once these rows are stored.
        provenance : str
            Where the rows came from.

        Returns
        -------
        int
            How many rows are new.

        Raises
        ------
        Refuse
            A row lacks a value or holds an impossible one; nothing is stored then.
        Failed
            The disk is full or may not be written, or a stored file is damaged.
        """
        rows = self._checked(frame)
        new = 0
        with sole_writer(self.folder):
            for period, part in self._by_period(rows):
                path = self.folder / f"{self.dataset.period}={period}" / PART
                stored = self._read_file(path) if path.is_file() else part.clear()
                merged = pl.concat([stored.join(part, on=self.dataset.keys, how="anti"), part])
                new += len(merged) - len(stored)
                if len(merged) > len(stored) or not merged.sort(self.dataset.keys).equals(stored):
                    write_rows(path, merged.sort(self.dataset.keys), self.dataset, of=str(self))
            about = self._about()
            sources = about["provenance"]
            spans = joined([*about["covered"], *([covered] if covered and covered[0] < covered[1] else [])])
            text = {"schema_version": 1, "covered": spans, "provenance": list(dict.fromkeys([*sources, provenance]))}
            if provenance not in sources or spans != about["covered"]:
                write_whole(self.folder / NAME, lambda file: file.write((json.dumps(text) + "\n").encode()))
        return new

    def read(self, start: Moment | None = None, end: Moment | None = None) -> pl.DataFrame:
        """Return the rows of [start, end), sorted by their key.

        Raises
        ------
        Usage
            Nothing of this market is stored.
        """
        files = self._files()
        if not files:
            raise unknown(f"{self.dataset.name} series", f"{self.venue}:{self.symbol}", map(str, stored_names(self)))
        low, high = moment_ms(start), moment_ms(end)
        first = "" if low is None else self._period(low)
        last = "9999-99-99" if high is None else self._period(high - 1)
        parts = [self._read_file(path) for period, path in files.items() if first <= period <= last]
        rows = pl.concat(parts) if parts else pl.DataFrame(schema=self.dataset.polars())
        times = rows["ts"].to_physical()
        keep = pl.Series(np.ones(len(rows), bool))
        keep = keep if low is None else keep & (times >= low)
        return rows.filter(keep if high is None else keep & (times < high))

    def covered(self) -> list[Span]:
        """Return the spans [start, end) that are complete, milliseconds since the Unix epoch, sorted, disjoint."""
        return joined(self._about()["covered"])

    def provenance(self) -> list[str]:
        """Return where the rows came from, oldest first."""
        return [str(source) for source in self._about()["provenance"]]

    def count(self) -> int:
        """Return how many rows are stored."""
        return sum(self._read_file(path).height for path in self._files().values())

    def _files(self) -> dict[str, Path]:
        found = sorted(self.folder.glob(f"{self.dataset.period}=*/{PART}"))
        return {path.parent.name.partition("=")[2]: path for path in found}

    def _about(self) -> dict[str, list]:  # type: ignore[type-arg]
        try:
            said = json.loads((self.folder / NAME).read_text(encoding="utf-8"))
            spans = [(int(begin), int(end)) for begin, end in said["covered"]]
            return {"covered": spans, "provenance": list(said["provenance"])}
        except FileNotFoundError:
            return {"covered": [], "provenance": []}
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(
                f"{self.folder / NAME} cannot be read ({error}): remove it; the venue is asked anew"
            ) from error

    def _period(self, ms: int) -> str:
        return f"{to_datetime(ms):%Y-%m}" if self.dataset.period == "month" else f"{to_datetime(ms):%Y-%m-%d}"

    def _by_period(self, rows: pl.DataFrame) -> Iterable[tuple[str, pl.DataFrame]]:
        unit = "M" if self.dataset.period == "month" else "D"
        times = rows["ts"].to_physical().to_numpy().astype("datetime64[ms]").astype(f"datetime64[{unit}]")
        starts = np.concatenate(([0], np.flatnonzero(times[1:] != times[:-1]) + 1, [len(rows)]))
        for begin, end in itertools.pairwise(starts):
            if begin < end:
                yield str(times[begin]), rows.slice(int(begin), int(end - begin))

    def _checked(self, frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame.select(self.dataset.names).cast(self.dataset.polars())
        good = pl.all_horizontal(
            *(pl.col(name).is_not_null() for name in self.dataset.names),
            *(pl.col(name).is_finite() for name in self.dataset.numbers),
            *(pl.col(name) > 0 for name in ("price", "quantity") if name in self.dataset.names),
        )
        bad = rows.filter(~good.fill_null(False))
        if len(bad):
            row = bad.row(0, named=True)
            raise Refuse(f"{self}: {len(bad):,} of {len(rows):,} rows are bad, so nothing was stored; first: {row}")
        return rows.unique(self.dataset.keys, keep="last").sort(self.dataset.keys)

    def _read_file(self, path: Path) -> pl.DataFrame:
        try:
            return pl.read_parquet(path, schema=self.dataset.polars(), glob=False, hive_partitioning=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Failed(
                f"{path} cannot be read ({str(error).splitlines()[0]}): move it and {self.folder / NAME} away, then "
                "download again"
            ) from error


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans [start, end) sorted, those that touch made one."""
    found: list[Span] = []
    for begin, end in sorted((int(begin), int(end)) for begin, end in spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def without(span: Span, covered: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that are in none of others, oldest first."""
    begin, end = span
    left: list[Span] = []
    for low, high in joined(covered):
        if low > begin:
            left.append((begin, min(low, end)))
        begin = max(begin, high)
        if begin >= end:
            break
    else:
        left.append((begin, end))
    return [(low, high) for low, high in left if low < high]


def stored_events(root: Path) -> list[Events]:
    """Return all funding rates and trades of a store, sorted by kind, venue and symbol."""
    found = []
    for name, dataset in sorted(DATASETS.items()):
        for folder in sorted((root / name).glob("venue=*/symbol=*")):
            venue, symbol = (unquote(part.partition("=")[2]) for part in folder.parts[-2:])
            events = Events(root, dataset, venue, symbol)
            if events._files():
                found.append(events)
    return found


def stored_names(like: Events) -> list[str]:
    """Return the markets of which the same kind of rows is stored, as ``venue:SYMBOL``."""
    return [f"{one.venue}:{one.symbol}" for one in stored_events(like.root) if one.dataset == like.dataset]
