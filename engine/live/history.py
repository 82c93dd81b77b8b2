"""From stored history to programs that are up to date: by replay from the first bar, or from a checkpoint of it.

A checkpoint belongs to programs, kernels and the very bars it was made from (`Store.prefix`); one that does not fit
is not used, and replaced.  What the store does not have yet is asked of the venue.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.execution.exchange import Exchange
from engine.graph.together import Together
from engine.live.streaming import candles_of
from engine.risk.state import DEPTH
from parquet_store import Store, Timeframe
from parquet_store.errors import Failed, LockstepError, Usage
from parquet_store.write import telling_disk_errors, write_whole
from pipelines import Bars, load_bars
from pipelines.candles import Candle

__all__ = ["candle_at", "closes_of", "follow_store", "top_up"]

_MS: Final = 1_000_000
PAGE: Final = 1000


def follow_store(
    store: Store,
    together: Together,
    sources: Mapping[str, str],
    now_ms: int,
    check: Callable[[str, Bars], None] = lambda series, bars: None,
    made_for: str = "",
) -> tuple[dict[str, Candle], dict[str, Bars]]:
    """Advance programs by the stored bars that closed by now, from a checkpoint where one fits.

    Parameters
    ----------
    store : Store
    together : Together
        Before its first bar.
    sources : mapping of str to str
        Series of the run to the stored series of its bars.
    now_ms : int
        The venue's time.
    check : callable
        Called with each series that is followed from its first bar, before a checkpoint of it is kept.
    made_for : str
        What else a checkpoint belongs to, such as the manifests whose data ``check`` compares.

    Returns
    -------
    (dict of str to Candle, dict of str to Bars)
        The last bar of each series; and the whole history of those that were followed from the first bar.

    Raises
    ------
    Usage
        A series is not stored, or has no bar that is closed.
    """
    key = hashlib.sha256(together.digest + json.dumps([sorted(sources.items()), made_for]).encode()).hexdigest()
    path = store.root / "checkpoints" / f"{key}.state"
    lasts = _resume(path, store, together, sources, now_ms)
    whole: dict[str, Bars] = {}
    fresh = not lasts
    news = False
    stored = set() if fresh else {str(name) for name in store.series()}
    for series, source in sources.items():
        bar = Timeframe.parse(source.rpartition(":")[2])
        end = bar.open_ms(bar.number(now_ms))  # the bar that is forming
        start = None if fresh else lasts[series].open_ns // _MS + 1
        try:
            bars = load_bars(store, source, start, end)
        except Usage as error:
            if source in stored:  # nothing new since the checkpoint
                continue
            raise Usage(f"{error}; the bars before now are needed: import them, or lockstep data download") from None
        together.follow(series, bars)
        lasts[series] = candle_at(bars, len(bars) - 1)
        news = True
        if fresh:
            check(series, bars)
            whole[series] = bars
    if news:
        _keep(path, store, together, sources, lasts)
    return lasts, whole


def _resume(path: Path, store: Store, together: Together, sources: Mapping[str, str], now_ms: int) -> dict[str, Candle]:
    """Restore the programs from a checkpoint; return the last bars, none if it does not fit."""
    try:
        head, _, state = path.read_bytes().partition(b"\n")
        told: dict[str, Any] = json.loads(head)
        lasts = {series: Candle(*row) for series, row in told["lasts"].items()}
        for series, source in sources.items():
            last_ms = lasts[series].open_ns // _MS
            if last_ms >= now_ms or store.prefix(source, last_ms) != told["prefixes"][series]:
                return {}
        together.restore(state)
    except (OSError, ValueError, KeyError, TypeError, LockstepError):
        return {}
    return lasts


def _keep(
    path: Path, store: Store, together: Together, sources: Mapping[str, str], lasts: Mapping[str, Candle]
) -> None:
    rows = {series: [one.open_ns, one.open, one.high, one.low, one.close, one.volume] for series, one in lasts.items()}
    prefixes = {series: store.prefix(source, lasts[series].open_ns // _MS) for series, source in sources.items()}
    head = json.dumps({"lasts": rows, "prefixes": prefixes}).encode()
    body = head + b"\n" + together.checkpoint()
    with telling_disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(body))


def closes_of(
    store: Store, sources: Mapping[str, str], lasts: Mapping[str, Candle], newer: Mapping[str, Sequence[Candle]]
) -> dict[str, tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return the last closes of every series, times in ms: stored ones, then those the venue had besides."""
    found = {}
    for series, source in sources.items():
        bar = Timeframe.parse(source.rpartition(":")[2])
        last_ms = lasts[series].open_ns // _MS
        bars = load_bars(store, source, bar.open_ms(bar.number(last_ms) - 4 * DEPTH), last_ms + 1)
        numbers = [*bars.number.tolist(), *(bar.number(one.open_ns // _MS) for one in newer[series])]
        closes = [*bars.close.tolist(), *(one.close for one in newer[series])]
        found[series] = tuple(bar.close_ms(number) for number in numbers[-DEPTH:]), tuple(closes[-DEPTH:])
    return found


async def top_up(
    exchange: Exchange,
    together: Together,
    series: str,
    symbol: str,
    timeframe: str,
    last: Candle,
    now_ms: int,
) -> list[Candle]:
    """Advance programs of a series by what the venue has after the last bar, up to the last that is closed; return it.

    Raises
    ------
    Failed
        The venue answers with bars that are none.
    """
    bar = Timeframe.parse(timeframe)
    forming = bar.number(now_ms)
    newer: list[Candle] = []
    while bar.number(last.open_ns // _MS) + 1 < forming:
        rows = await exchange.candles(symbol, timeframe, last.open_ns // _MS + 1, PAGE)
        found = [
            one for one in candles_of(rows) if one.open_ns > last.open_ns and bar.number(one.open_ns // _MS) < forming
        ]
        if not found:
            break
        together.follow(series, bars_of(f"{exchange.venue}:{symbol}:{timeframe}", timeframe, found))
        newer += found
        last = found[-1]
        if len(rows) < PAGE:
            break
    return newer


def bars_of(source: str, timeframe: str, candles: list[Candle]) -> Bars:
    """Return candles as bars, checked."""
    columns = zip(*((c.open_ns // _MS, c.open, c.high, c.low, c.close, c.volume) for c in candles), strict=True)
    try:
        return Bars.from_arrays(source, timeframe, *map(list, columns), bars_per_year=1.0, calendar="24/7")
    except Failed as error:
        raise Failed(f"{error}; the venue's history cannot be used: start again, or look at the venue") from None


def candle_at(bars: Bars, at: int) -> Candle:
    """Return a bar as a candle."""
    fields = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Candle(int(bars.time[at]) * _MS, *(float(column[at]) for column in fields))
