"""Bars of one symbol: what is missing is asked for, what an answer lacks is asked for again, the rest may be repaired.

The bar that is forming is never stored.  What is stored is whole at any moment, and a second call asks only for what
is neither stored nor known to be absent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.execution.download.ask import Asker
from engine.execution.download.coverage import ABSENT, Coverage
from engine.execution.download.told import Done
from parquet_store import Series, Store
from parquet_store.calendar import ALWAYS
from parquet_store.errors import LockstepError, Refuse
from parquet_store.moments import to_text
from parquet_store.schema import BARS
from parquet_store.timeframe import Timeframe

__all__ = ["Source", "closed_end", "download_bars", "repair_bars"]

GRACE_MS = 5_000  # after a close, before the bar counts as final
REMEMBERED_MS = 3_600_000  # an absence younger than this may still be made good
FLUSH_ROWS = 20_000
USUAL_PAGE = 100
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Source:
    """A symbol at a venue; ``local`` if the venue plays history, so that time proves no close."""

    asker: Asker
    symbol: str
    local: bool = False


async def closed_end(source: Source, bar: Timeframe) -> tuple[int, int]:
    """Return the number after that of the newest closed bar, and the venue's time in ms.

    Notes
    -----
    A bar is closed a grace after its end by the venue's clock.  Beyond the newest candle the venue shows, nothing is
    asked for.  A venue that plays history has no clock for it: there the newest candle counts as forming.
    """
    client, ask = source.asker.client, source.asker.ask
    now = int(await ask(client.fetch_time, source.symbol)) if client.has.get("fetchTime") else client.milliseconds()
    rows = await ask(partial(client.fetch_ohlcv, source.symbol, bar.text, None, 2), source.symbol)
    newest = max((int(bar.number(int(row[0]))) for row in rows), default=int(bar.number(0)) - 1)
    return (newest if source.local else min(int(bar.number(now - GRACE_MS)), newest + 1)), now


async def download_bars(
    source: Source,
    store: Store,
    series: Series,
    done: Done,
    first: int,
    end: int,
    now_ms: int,
    *,
    recheck: bool = False,
    progress: Progress | None = None,
) -> None:
    """Bring the bars [first, end) of a series into the store, as far as the venue has them.

    Parameters
    ----------
    source : Source
    store : Store
    series : Series
    done : Done
        Counts are added to it.
    first, end : int
        Bar numbers; all closed.
    now_ms : int
        The venue's time: absences of the last hour are not remembered.
    recheck : bool
        Ask again for what is remembered as absent, and for bars that another venue gave.
    progress : callable, optional
        Told (series, bars known, bars in the range).

    Raises
    ------
    LockstepError
        What came before is stored.
    """
    bar = series.bar
    coverage = Coverage(first, end, stored_numbers(store, series, repaired=not recheck))
    if not recheck:
        for low, high, asked in store.absent(series).iter_rows():
            state = min(int(asked), ABSENT)
            coverage.mark(int(bar.number(_ms(low))), int(bar.number(_ms(high))), state)
    remembered = int(bar.number(now_ms - REMEMBERED_MS))

    def put(frame: pl.DataFrame, numbers: npt.NDArray[np.int64]) -> None:
        if len(frame):
            found = store.append(series, frame, quarantine=True, provenance=f"{series.venue} by CCXT")
            done.new += found.rows - found.replaced - found.unchanged
            if found.quarantined:
                done.quarantined += found.quarantined
                bad = np.setdiff1d(numbers, stored_numbers(store, series))
                coverage.refuse(bad)
            meta = store.meta(series)
            if not meta.chosen and meta.calendar != ALWAYS:
                store.set_meta(series, calendar=ALWAYS)  # what CCXT trades never closes
        if series in store.series():
            store.note_absent(series, _runs(coverage, bar, remembered), bar.open_ms(first), bar.open_ms(end))

    if progress is not None:
        progress(str(series), coverage.known, len(coverage.state))
    await _fetch(
        source, bar, coverage, done, put, lambda: progress and progress(str(series), coverage.known, end - first)
    )


async def repair_bars(source: Source, store: Store, series: Series, done: Done, first: int, end: int) -> None:
    """Fill the gaps between stored bars of [first, end) with the bars of another venue, told apart from the others."""
    gaps = Coverage(first, end, stored_numbers(store, series)).gaps()
    if not gaps:
        return
    closed, _ = await closed_end(source, series.bar)
    wanted = Coverage.of_gaps([(low, min(high, closed - 1)) for low, high in gaps if low < closed])
    name = source.asker.venue

    def put(frame: pl.DataFrame, numbers: npt.NDArray[np.int64]) -> None:
        if len(frame):
            found = store.append(
                series, frame, quarantine=True, provenance=f"gaps repaired from {name}", repaired_from=name
            )
            done.repaired += found.rows

    await _fetch(source, series.bar, wanted, done, put, lambda: None)


def stored_numbers(store: Store, series: Series, *, repaired: bool = True) -> npt.NDArray[np.int64]:
    """Return the numbers of the stored bars; without ``repaired``, of those the venue itself gave."""
    if series not in store.series():
        return np.empty(0, np.int64)
    times = store.scan(series).select("ts").collect()["ts"]
    if not repaired:
        times = times.filter(~times.is_in(store.repairs(series)["ts"].implode()))
    return np.asarray(series.bar.number(times.to_physical().to_numpy()), np.int64)


@dataclass
class _Pending:
    rows: dict[int, list[Any]] = field(default_factory=dict)

    def taken(self) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
        numbers = np.array(sorted(self.rows), np.int64)
        columns: dict[str, list[Any]] = {name: [] for name in BARS.names}
        for number in numbers:
            for name, value in zip(BARS.names, self.rows[int(number)], strict=True):
                columns[name].append(value)
        types = {name: pl.Int64() if name == "ts" else pl.Float64() for name in BARS.names}
        frame = pl.DataFrame(columns, schema=types, strict=False)
        return frame.with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC"))), numbers


async def _fetch(
    source: Source,
    bar: Timeframe,
    coverage: Coverage,
    done: Done,
    put: Callable[[pl.DataFrame, npt.NDArray[np.int64]], None],
    moved: Callable[[], object],
) -> None:
    """Ask until nothing is left to ask for; ``put`` stores what came, also when this ends early."""
    client, symbol = source.asker.client, source.symbol
    most = int(client.feature_value(symbol, "fetchOHLCV", "limit", USUAL_PAGE) or USUAL_PAGE)
    pending = _Pending()
    try:
        while (question := coverage.next(most)) is not None:
            begin, count = question
            since = int(bar.open_ms(begin))
            rows = await source.asker.ask(partial(client.fetch_ohlcv, symbol, bar.text, since, count), symbol)
            done.questions += 1
            page = _page(rows, bar, symbol)
            new = coverage.answered(begin, count, np.array(sorted(page), np.int64))
            pending.rows |= {int(number): page[int(number)] for number in new}
            if len(pending.rows) >= FLUSH_ROWS:
                await asyncio.to_thread(put, *pending.taken())
                pending.rows.clear()
            moved()
    except BaseException:
        with contextlib.suppress(LockstepError):
            put(*pending.taken())
        raise
    await asyncio.to_thread(put, *pending.taken())


def _page(rows: list[list[Any]], bar: Timeframe, symbol: str) -> dict[int, list[Any]]:
    """Return the rows of an answer by bar number; of a bar that comes twice, the later row."""
    page = {}
    for row in rows:
        time = int(row[0])
        number = int(bar.number(time))
        if int(bar.open_ms(number)) != time:
            raise Refuse(
                f"{symbol} {bar.text}: the venue has a bar that opens at {to_text(time)} UTC, expected "
                f"{to_text(int(bar.open_ms(number)))}: download shorter bars and use lockstep data resample"
            )
        page[number] = list(row[:6])
    return page


def _runs(coverage: Coverage, bar: Timeframe, before: int) -> pl.DataFrame:
    runs = [(low, min(high, before - 1), asked) for low, high, asked in coverage.runs() if low < before]
    opens = {
        name: pl.Series(name, [int(bar.open_ms(run[at])) for run in runs], dtype=pl.Int64)
        for at, name in enumerate(("first", "last"))
    }
    times = pl.DataFrame(opens).cast(pl.Datetime("ms", "UTC"))
    return times.with_columns(pl.Series("asked", [run[2] for run in runs], dtype=pl.Int64))


def _ms(moment: Any) -> int:
    milliseconds: float = moment.timestamp() * 1_000
    return round(milliseconds)
