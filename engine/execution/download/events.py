"""Funding rates and trades of one symbol: the spans that are not complete yet are asked for, oldest first."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

from engine.execution.download.ask import Asker
from engine.execution.download.told import Done
from parquet_store.errors import Failed, Usage
from parquet_store.events import Events, without
from parquet_store.schema import Dataset

__all__ = ["download_funding", "download_trades"]

GRACE_MS = 60_000
JITTER_MS = 5_000  # a payment is dated some ms after the full minute it belongs to
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LONGEST_INTERVAL_MS = 8 * HOUR_MS  # between two payments, at the venues CCXT has
FLUSH_ROWS = 50_000
ASCENDING = ("binance", "binancecoinm", "binanceus", "binanceusdm")  # give the first rows from a time on
ENDS = {"okx": "after"}  # give the last rows before a time, in words of their own that CCXT passes on
SIDES = {"buy": 1, "sell": -1}
Progress = Callable[[str, int, int], None]


async def download_funding(
    asker: Asker,
    events: Events,
    symbol: str,
    done: Done,
    since_ms: int,
    until_ms: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Bring the funding rates paid in [since, until) into the store.

    Notes
    -----
    A payment up to 5 s after a full minute is dated by that minute: venues stamp it some milliseconds late, and a bar
    opens at the minute.

    Raises
    ------
    Usage
        How the venue pages is not known here, so that a span could be taken for complete that is not.
    """
    client = asker.client
    ascending = client.id in ASCENDING
    if not ascending and client.id not in ENDS:
        known = ", ".join((*ASCENDING, *ENDS))
        raise Usage(f"funding rates of {asker.venue} cannot be asked for by time through CCXT here: use {known}")
    end = await _end(asker, symbol, until_ms)
    usual = 1000 if ascending else 100
    most = int(client.feature_value(symbol, "fetchFundingRateHistory", "limit", usual) or usual)
    for begin, stop in without((since_ms, end), events.covered()):
        cursor = begin
        while cursor < stop:
            # OKX gives the last rows of a span: no more is asked for than fits an answer, at most one an hour
            window = stop if ascending else min(stop, cursor + most * HOUR_MS)
            params = {} if ascending else {ENDS[client.id]: window}
            rows = await asker.ask(partial(client.fetch_funding_rate_history, symbol, cursor, most, params), symbol)
            done.questions += 1
            inside = [row for row in rows if cursor <= int(row["timestamp"]) < window]
            last = max((int(row["timestamp"]) for row in inside), default=cursor)
            after = last + 1 if len(rows) >= most and inside else window
            made = [(_minute(int(row["timestamp"])), row["fundingRate"]) for row in inside]
            done.new += await asyncio.to_thread(
                events.append,
                _frame(made, events.dataset),
                covered=(cursor, after),
                provenance=f"{asker.venue} by CCXT",
            )
            cursor = after
            if progress is not None:
                progress(done.source, cursor - since_ms, end - since_ms)
    _count(events, done, since_ms, end)
    times = events.read(since_ms, end)["ts"].to_physical().to_list() if done.stored else []
    steps = [(low, high) for low, high in itertools.pairwise(times) if high - low > LONGEST_INTERVAL_MS]
    usual = _usual(times)
    done.gaps = [(low, high, max(1, round((high - low) / usual) - 1)) for low, high in steps]


async def download_trades(
    asker: Asker,
    events: Events,
    symbol: str,
    done: Done,
    since_ms: int,
    until_ms: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Bring the trades of [since, until) into the store (Binance: aggregated trades).

    Notes
    -----
    Asked for hour by hour.  An answer that is full is gone on from its last millisecond, whose trades come twice and
    are stored once; if it is full of one millisecond, from its last number.  Binance numbers a symbol's trades
    without gaps: numbers left out are told.

    Raises
    ------
    Usage
        The venue does not give the first trades from a time on, so that their history cannot be read through CCXT.
    """
    client, end = asker.client, await _end(asker, symbol, until_ms)
    if client.id not in ASCENDING:
        raise Usage(f"trades of {asker.venue} cannot be asked for by time through CCXT: use {', '.join(ASCENDING)}")
    most, left_out = 1000, 0
    for begin, stop in without((since_ms, end), events.covered()):
        cursor = flushed = begin
        last_id = 0
        pending: dict[int, dict[str, Any]] = {}
        while cursor < stop:
            window = min(stop, cursor + HOUR_MS)
            rows = await asker.ask(partial(client.fetch_trades, symbol, cursor, most, {"until": window - 1}), symbol)
            done.questions += 1
            inside = [row for row in rows if cursor <= int(row["timestamp"]) < window]
            after = window
            if len(rows) >= most and inside:
                after = int(inside[-1]["timestamp"])
                while after == cursor:  # a whole answer of one millisecond
                    number = int(inside[-1]["id"]) + 1
                    rows = await asker.ask(partial(client.fetch_trades, symbol, None, most, {"fromId": number}), symbol)
                    done.questions += 1
                    if not rows or int(rows[-1]["timestamp"]) > cursor:
                        after = cursor + 1
                    inside += [row for row in rows if int(row["timestamp"]) == cursor]
            for row in inside:
                pending[int(row["id"])] = row
            cursor = after
            if len(pending) >= FLUSH_ROWS or cursor >= stop:
                numbers = sorted(pending)
                if numbers and last_id:
                    left_out += max(0, numbers[0] - last_id - 1)
                left_out += numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
                last_id = numbers[-1] if numbers else last_id
                made = [_trade(pending[number], symbol) for number in numbers]
                done.new += await asyncio.to_thread(
                    events.append,
                    _frame(made, events.dataset),
                    covered=(flushed, cursor),
                    provenance=f"{asker.venue} by CCXT",
                )
                flushed, pending = cursor, {}
            if progress is not None:
                progress(done.source, cursor - since_ms, end - since_ms)
    if left_out:
        done.notes.append(f"{left_out:,} trade numbers were left out by the venue")
    _count(events, done, since_ms, end)


async def _end(asker: Asker, symbol: str, until_ms: int | None) -> int:
    client = asker.client
    now = int(await asker.ask(client.fetch_time, symbol)) if client.has.get("fetchTime") else client.milliseconds()
    return now - GRACE_MS if until_ms is None else min(until_ms, now - GRACE_MS)


def _frame(rows: list[tuple[Any, ...]], dataset: Dataset) -> pl.DataFrame:
    types = {"time": pl.Int64(), "number": pl.Float64(), "whole": pl.Int64()}
    schema = {field.name: types[field.kind] for field in dataset.fields}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))


def _trade(row: dict[str, Any], symbol: str) -> tuple[int, int, float, float, int]:
    try:
        number = int(row["id"])
    except (TypeError, ValueError):
        raise Failed(f"{symbol}: the trade {row.get('id')!r} has no number: it cannot be stored") from None
    side = SIDES.get(str(row.get("side")), 0)
    return int(row["timestamp"]), number, float(row["price"]), float(row["amount"]), side


def _minute(ms: int) -> int:
    return ms - ms % MINUTE_MS if ms % MINUTE_MS <= JITTER_MS else ms


def _usual(times: list[int]) -> int:
    """Return the usual time between two payments, at most eight hours."""
    steps = sorted(high - low for low, high in itertools.pairwise(times))
    return min(LONGEST_INTERVAL_MS, steps[len(steps) // 2]) if steps else LONGEST_INTERVAL_MS


def _count(events: Events, done: Done, since_ms: int, end_ms: int) -> None:
    done.stored = events.count()
    if done.stored:
        times = events.read(since_ms, end_ms)["ts"].to_physical()
        if len(times):
            done.first_ms, done.last_ms = times[0], times[-1]
