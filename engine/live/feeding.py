"""Candles of all series, as streams and answers tell them, become closed bars that wait to be decided on."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from engine.graph.together import Together
from engine.live.actions import Action, FetchCandles, Reconnect, Said
from engine.live.candle_actions import Absent, CandleAction, Closed, Corrected, Fetch, Rejected, Stale
from engine.live.closing import ClosingRule
from engine.live.correcting import Correcting
from engine.live.events import CandlesAnswered, CandlesStreamed, StreamCut
from engine.live.setup import Setup
from parquet_store.moments import to_text
from parquet_store.timeframe import Timeframe
from pipelines.candles import Candle

__all__ = ["Feeding", "moment"]

_MS: Final = 1_000_000


class Feeding:
    """The series of a run.

    Parameters
    ----------
    setup : Setup

    Attributes
    ----------
    together : Together
        All programs.
    rules : dict of str to ClosingRule
        By series.
    halted : dict of str to str
        Series no entry is decided on any more, and why.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.together = Together.resume([(one.series, one.program) for one in setup.placements], setup.state)
        self._correcting = Correcting(self.together)
        feed = setup.feed
        frames = {one.series: Timeframe.parse(one.timeframe) for one in setup.placements}
        self._frames = frames
        self.rules = {
            series: ClosingRule(
                frame,
                setup.lasts[series],
                confirm=feed.confirm,
                grace_ns=feed.grace_ns,
                absence_ns=feed.absence_ns,
                stale_ns=feed.stale_ns,
            )
            for series, frame in frames.items()
        }
        self.halted: dict[str, str] = {}
        self._trails = {one.series for one in setup.placements if one.program.trailing}
        self._closed: dict[str, deque[Candle]] = {series: deque() for series in frames}
        self._waiting = [self._closed[series] for series in self.together.symbols]
        self._due: set[int] = set()  # places of the series with closed bars
        self._forming = {series: candle.open_ns for series, candle in setup.lasts.items()}
        self._opened: dict[str, float] = {}
        self._reached: dict[str, dict[int, float]] = {series: {} for series in frames}  # by the open of a bar

    def _streamed(self, event: CandlesStreamed) -> list[Action]:
        series = event.series
        told = self.rules[series].stream(event.candles, event.time_ns)
        actions = self._candles(series, told)
        if series in self._trails and event.candles:
            newest = max(event.candles, key=lambda candle: candle.open_ns)
            if newest.open_ns > self._forming[series]:
                self._forming[series] = newest.open_ns
                self._opened[series] = newest.open
        if self.setup.terms.latency_ns:
            unfit = [one.candle for one in told if isinstance(one, Rejected)]
            for candle in event.candles:
                if candle not in unfit and event.time_ns >= candle.open_ns + self.setup.terms.latency_ns:
                    self._reached[series].setdefault(candle.open_ns, candle.close)
        return actions

    def _answered(self, event: CandlesAnswered) -> list[Action]:
        asked = Fetch(event.from_ns, event.to_ns)
        told = self.rules[event.series].answered(event.candles, asked, event.sent_ns, whole=event.whole)
        return self._candles(event.series, told)

    def _cut(self, event: StreamCut) -> list[Action]:
        return self._candles(event.series, self.rules[event.series].cut(event.time_ns))

    def _candles(self, series: str, told: list[CandleAction]) -> list[Action]:
        """Keep the bars that closed, and turn the rest of what the rule says into actions."""
        actions: list[Action] = []
        for one in told:
            if isinstance(one, Closed):
                self._closed[series].append(one.candle)
                self._due.add(self.together.place[series])
            elif isinstance(one, Fetch):
                actions.append(FetchCandles(series, one.from_ns, one.to_ns))
            elif isinstance(one, Stale):
                actions.append(Said("warning", series, f"the stream said nothing new for {one.silent_ns / 1e9:.1f} s"))
                actions.append(Reconnect(series))
            elif isinstance(one, Rejected):
                text = f"a candle of {moment(one.candle.open_ns)} {one.reason}: taken for not seen"
                actions.append(Said("warning", series, text))
            elif isinstance(one, Absent):
                actions.append(Said("info", series, f"the venue has no bar at {moment(one.open_ns)}"))
            elif isinstance(one, Corrected):
                actions.append(self._corrected(series, one))
        return actions

    def _corrected(self, series: str, one: Corrected) -> Said:
        """Rebuild the programs with a bar that became another one after it was closed; nothing is un-decided.

        Where a decision since would have been another one, nothing is entered any more.
        """
        what = f"bar {moment(one.open_ns)} was {prices(one.old)}, and is {prices(one.new)}"
        place, number = self.together.place[series], self._frames[series].number(one.open_ns // _MS)
        if number > self.together.last[place]:  # closed in this step, and not decided on yet
            kept = [candle for candle in self._closed[series] if candle.open_ns != one.open_ns]
            kept += [] if one.new is None else [one.new]
            self._closed[series].clear()
            self._closed[series].extend(sorted(kept, key=lambda candle: candle.open_ns))
            (self._due.add if kept else self._due.discard)(place)
            return Said("warning", series, f"{what}: it is decided on as it is now")
        why = self._correcting.correct(place, number, one.new)
        if not why:
            return Said("warning", series, f"{what}: nothing would have been decided otherwise")
        self.halted[series] = f"{what}: {why}; lockstep kill --rearm lets it trade on"
        return Said("error", series, f"{what}: {why}, so nothing is entered from here on")

    def _met(self, series: str, open_ns: int) -> float:
        """Return the price that orders due at a bar's open met late, NaN if none was shown; forget earlier ones."""
        shown = self._reached[series]
        if not shown:
            return math.nan
        self._reached[series] = {at: price for at, price in shown.items() if at > open_ns}
        return shown.get(open_ns, math.nan)


def moment(time_ns: int) -> str:
    """Return a time as text."""
    return to_text(time_ns // _MS)


def prices(candle: Candle | None) -> str:
    """Return a bar in words."""
    if candle is None:
        return "no bar"
    return f"{candle.open:g} {candle.high:g} {candle.low:g} {candle.close:g} x {candle.volume:g}"
