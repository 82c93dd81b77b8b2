"""All symbols of one request, several at once, through one client a venue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from engine.execution.download.ask import Asker, Sleep
from engine.execution.download.bars import Source, closed_end, download_bars, repair_bars, stored_numbers
from engine.execution.download.coverage import Coverage
from engine.execution.download.events import download_funding, download_trades
from engine.execution.download.told import Done, Wanted
from engine.execution.download.venues import market_of, public_client, symbols_of
from parquet_store import FUNDING, TRADES, Events, Series, Store
from parquet_store.errors import LockstepError, Usage, unknown
from parquet_store.timeframe import Timeframe

__all__ = ["download"]

AT_ONCE = 8
FIRST_TRIES = 4
HAVE = {"bars": "fetchOHLCV", "funding": "fetchFundingRateHistory", "trades": "fetchTrades"}
Progress = Callable[[str, int, int], None]


async def download(
    wanted: Wanted,
    store: Store,
    *,
    progress: Progress | None = None,
    sleep: Sleep = asyncio.sleep,
    adjust: Callable[[Any], None] | None = None,
) -> list[Done]:
    """Bring history into the store.

    Parameters
    ----------
    wanted : Wanted
    store : Store
    progress : callable, optional
        Told (series, how much of its range is known, how much there is to know).
    sleep : callable
        How delays between questions are waited for.
    adjust : callable, optional
        Given each client before it asks.

    Returns
    -------
    list of Done
        In the order of the symbols.  What went wrong with one is its ``error``; the others go on.

    Raises
    ------
    Usage
        Unknown venue, symbol, timeframe or market; nothing was downloaded.
    Failed
        The venue cannot be reached.
    """
    market = market_of(wanted.symbols, wanted.market, wanted.kind)
    symbols = symbols_of(wanted.symbols, market)
    if not symbols:
        raise Usage("no symbol given: expected BASE/QUOTE such as BTC/USDT, several separated by commas")
    if wanted.kind == "bars" and not wanted.timeframe:
        raise Usage("bars need a timeframe, as in: lockstep data download binance BTC/USDT 1h --since 2018-01-01")
    if wanted.repair_from and wanted.kind != "bars":
        raise Usage("--repair-from fills gaps between bars: funding rates and trades of two venues are not the same")
    if wanted.repair_from == wanted.venue:
        raise Usage(f"--repair-from {wanted.venue}: expected another venue than the one that has the gaps")
    if wanted.timeframe:
        Timeframe.parse(wanted.timeframe)

    async with contextlib.AsyncExitStack() as stack:

        async def reached(venue: str, url: str) -> Asker:
            return await stack.enter_async_context(_reached(venue, market, url, wanted, symbols, sleep, adjust))

        asker = await reached(wanted.venue, wanted.url)
        second = await reached(wanted.repair_from, wanted.repair_url) if wanted.repair_from else None
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(symbol: str) -> Done:
            name = f"{wanted.venue}:{symbol}"
            done = Done(f"{name}:{wanted.timeframe}" if wanted.kind == "bars" else name, wanted.kind)
            async with gate:
                try:
                    if wanted.kind == "bars":
                        await _bars(asker, second, symbol, wanted, store, done, progress)
                    else:
                        await _events(asker, symbol, wanted, store, done, progress)
                except Usage:
                    raise
                except LockstepError as error:
                    done.error = str(error)
            return done

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(symbol)) for symbol in symbols]
        except* Usage as errors:
            problem = errors.exceptions[0]
        else:
            return [task.result() for task in tasks]
        raise problem


@contextlib.asynccontextmanager
async def _reached(
    venue: str,
    market: str,
    url: str,
    wanted: Wanted,
    symbols: list[str],
    sleep: Sleep,
    adjust: Callable[[Any], None] | None,
) -> AsyncIterator[Asker]:
    """Yield an asker of a venue that has answered, and has what is wanted of it."""
    client = public_client(venue, market, url)
    try:
        if adjust is not None:
            adjust(client)
        if client.has.get(HAVE[wanted.kind]) is not True:
            raise Usage(f"{venue} has no {wanted.kind} to download: choose another venue")
        if wanted.kind == "bars" and wanted.timeframe not in client.timeframes:
            raise unknown(f"timeframe of {venue}", wanted.timeframe, client.timeframes)
        asker = Asker(client, sleep)
        asker.venue = venue
        await asker.ask(client.load_markets, tries=FIRST_TRIES)
        for symbol in symbols:
            if symbol not in client.markets:
                raise unknown(f"symbol of {venue}", symbol, client.markets)
        yield asker
    finally:
        await client.close()


async def _bars(
    asker: Asker,
    second: Asker | None,
    symbol: str,
    wanted: Wanted,
    store: Store,
    done: Done,
    progress: Progress | None,
) -> None:
    series = Series(wanted.venue, symbol, wanted.timeframe)
    bar, source = series.bar, Source(asker, symbol, bool(wanted.url))
    end, now_ms = await closed_end(source, bar)
    if wanted.until_ms is not None:
        end = min(end, int(bar.number(wanted.until_ms - 1)) + 1)
    if wanted.since_ms is not None:
        first = int(bar.number(wanted.since_ms - 1)) + 1
    elif series in store.series():
        first = int(stored_numbers(store, series)[0])
    else:
        raise Usage(f"{series} is not stored yet: say from when, as in --since 2018-01-01")
    end = max(first, end)
    try:
        await download_bars(source, store, series, done, first, end, now_ms, recheck=wanted.recheck, progress=progress)
        if second is not None and series in store.series():
            await repair_bars(Source(second, symbol, bool(wanted.repair_url)), store, series, done, first, end)
    finally:
        if series in store.series():
            numbers = stored_numbers(store, series)
            inside = numbers[(numbers >= first) & (numbers < end)]
            done.stored = len(numbers)
            if len(inside):
                done.first_ms, done.last_ms = int(bar.open_ms(int(inside[0]))), int(bar.open_ms(int(inside[-1])))
            gaps = Coverage(first, end, numbers).gaps()
            done.gaps = [(int(bar.open_ms(a)), int(bar.open_ms(b)), b - a + 1) for a, b in gaps]


async def _events(
    asker: Asker, symbol: str, wanted: Wanted, store: Store, done: Done, progress: Progress | None
) -> None:
    events = Events(store.root, FUNDING if wanted.kind == "funding" else TRADES, wanted.venue, symbol)
    covered = events.covered()
    since = wanted.since_ms
    if since is None:
        if not covered:
            raise Usage(f"{events}: nothing is stored yet: say from when, as in --since 2024-01-01")
        since = covered[0][0]
    fetch = download_funding if wanted.kind == "funding" else download_trades
    await fetch(asker, events, symbol, done, since, wanted.until_ms, progress)
