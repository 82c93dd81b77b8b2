"""A live run held against the batch run of the same bars: every decision, every node's value, every trade, bit for bit.

The batch run is the plain simulation over the bars that were played, with the costs the run traded with (the
manifest's, rounded to the venue's steps), its columns computed from the first bar of history on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import columns
from engine.live.actions import Action, Decided, Said
from engine.live.loop import Loop
from engine.live.replay import bar_differences, same, trade_differences
from engine.risk.review import NAMES
from engine.simulate import Decisions, decisions_of, simulate
from engine.simulate.portfolio import Leg, simulate_portfolio
from parquet_store import Timeframe
from pipelines import Bars
from pipelines.candles import Candle

__all__ = ["Parity", "Recorder", "compare", "compare_account"]

_MS = 1_000_000
SHOWN = 5


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    Attributes
    ----------
    bars, trades : int
        Decided on, and closed.
    decisions, values, equities, fills : int
        Decisions that differ or are missing, and by a bit: values of nodes, equity at a close, trades.
    details : tuple of str
        The first differences in words.
    """

    bars: int
    trades: int
    decisions: int
    values: int
    equities: int
    fills: int
    details: tuple[str, ...]

    @property
    def mismatches(self) -> int:
        """All of them."""
        return self.decisions + self.values + self.equities + self.fills

    def __add__(self, other: Parity) -> Parity:
        return Parity(
            *(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)),
        )


class Recorder:
    """Listens to a run and keeps what each program decided and every value of its nodes, bar by bar.

    Parameters
    ----------
    loop : Loop
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._places = {one.name: k for k, one in enumerate(loop.setup.placements)}
        self.decided: list[list[Decided]] = [[] for _ in loop.accounts]
        self.values: list[list[NDArray[np.float64]]] = [[] for _ in loop.accounts]
        self.corrections: list[str] = []  # what the loop said of bars that became others
        self.refusals: list[str] = []  # what it said of limits

    def __call__(self, actions: Sequence[Action], time_ns: int) -> None:
        """Take the actions of a step."""
        for action in actions:
            if isinstance(action, Decided):
                k = self._places[action.account]
                self.decided[k].append(action)
                self.values[k].append(self.loop.together.values(k).copy())
            elif isinstance(action, Said) and action.text.startswith("bar "):
                self.corrections.append(action.text)
            elif isinstance(action, Said) and action.text.startswith(NAMES):
                self.refusals.append(action.text)


def compare(recorder: Recorder, bars: Mapping[str, Bars]) -> Parity:
    """Compare a run with the batch run.

    Parameters
    ----------
    recorder : Recorder
    bars : mapping of str to Bars
        By series of the run: history and what was played, up to at least the last bar decided on.
    """
    total = Parity(0, 0, 0, 0, 0, 0, ())
    for k, placement in enumerate(recorder.loop.setup.placements):
        total += _compare_one(recorder, k, bars[placement.series])
    return replace(total, details=total.details[: 4 * SHOWN])


def compare_account(recorder: Recorder, bars: Mapping[str, Bars]) -> Parity:
    """Compare a run with limits or one cash with the simulation of its portfolio; arguments as for ``compare``."""
    setup = recorder.loop.setup
    firsts = {series: _after(bars[series], candle) for series, candle in setup.lasts.items()}
    last_ns = max(one[-1].close_ns for one in recorder.decided if one)
    parts, legs = {}, []
    for series, whole in bars.items():
        closes = Timeframe.parse(whole.timeframe).close_ms(whole.number)
        parts[series] = whole.slice(0, int(np.searchsorted(closes, last_ns // _MS, side="right")))
    played = {series: part.slice(firsts[series]) for series, part in parts.items()}
    for one in setup.placements:
        wanted = cut(decisions_of(columns(one.program, parts[one.series])), firsts[one.series])
        past = parts[one.series].slice(0, firsts[one.series])
        made = (one.name, played[one.series], wanted, one.costs, one.program.sizing, one.share, one.digest, past)
        legs.append(Leg(*made))
    cash = sum(one.costs.initial_cash for one in setup.placements) + setup.risk.reserve
    simulated = simulate_portfolio(legs, initial_cash=cash, limits=setup.risk.limits, shared=setup.risk.shared)
    total = Parity(0, 0, 0, 0, 0, 0, ())
    for k, course in enumerate(simulated.legs):
        decided, account = recorder.decided[k], recorder.loop.accounts[k]
        details = [] if len(decided) == len(course.bars) else [f"{len(decided)} bars, expected {len(course.bars)}"]
        common = min(len(decided), len(course.bars))
        told = np.array([abs(one.ordered) for one in decided[:common]])
        ordered = np.nan_to_num(course.ordered[:common])
        ordered = np.where(_held_by_name(decided[:common]), told, ordered)
        wrong, lines = bar_differences(f"{account.name}: ordered", ordered, told)
        equity = np.array([one.equity for one in decided[:common]])
        equities, more = bar_differences(f"{account.name}: equity", course.equity[:common], equity)
        fills, last = trade_differences(f"{account.name}: trade", course.trades, account.trades)
        details += [*lines[:SHOWN], *more[:SHOWN], *last[:SHOWN]]
        missing = abs(len(decided) - len(course.bars))
        total += Parity(len(decided), len(account.trades), missing + wrong, 0, equities, fills, tuple(details))
    return replace(total, details=total.details[: 4 * SHOWN])


def _held_by_name(decided: Sequence[Decided]) -> NDArray[np.bool_]:
    """Return at which closes the run says itself why it sent nothing."""
    return np.array([bool(one.why) for one in decided], np.bool_)


def _after(bars: Bars, candle: Candle) -> int:
    return int(np.searchsorted(bars.time, candle.open_ns // _MS, side="right"))


def _compare_one(recorder: Recorder, k: int, bars: Bars) -> Parity:
    placement, account = recorder.loop.setup.placements[k], recorder.loop.accounts[k]
    decided = recorder.decided[k]
    first = _after(bars, recorder.loop.setup.lasts[placement.series])
    last = int(np.searchsorted(bars.time, decided[-1].open_ns // _MS, side="right")) if decided else first
    whole = bars.slice(0, last)
    batch = columns(placement.program, whole)
    wanted = cut(decisions_of(batch), first)
    part = whole.slice(first)
    simulated = simulate(part, wanted, placement.costs, placement.program.sizing)
    details: list[str] = []
    decisions = abs(len(decided) - len(part))
    if decisions:
        details.append(f"{account.name}: {len(decided)} bars decided on, expected {len(part)}")
    nan = np.full(len(part), np.nan)
    stop = nan if wanted.stop is None else wanted.stop
    target = nan if wanted.target is None else wanted.target
    for t, one in enumerate(decided[: len(part)]):
        flags = (one.entry, one.exit, one.short_entry, one.short_exit)
        expected = (wanted.long_entry[t], wanted.long_exit[t], wanted.short_entry[t], wanted.short_exit[t])
        levels, wanted_levels = np.array([one.stop, one.target]), np.array([stop[t], target[t]])
        right = one.open_ns == int(part.time[t]) * _MS and flags == tuple(map(bool, expected))
        if not (right and bool(same(levels, wanted_levels).all())):
            decisions += 1
            details.append(f"{account.name}: bar {t} was decided as {one}, expected {expected}, {wanted_levels}")
    common = min(len(decided), len(part))
    equity = np.array([one.equity for one in decided[:common]])
    equities, lines = bar_differences(f"{account.name}: equity", simulated.equity[:common], equity)
    details += lines
    live = np.array(recorder.values[k][: len(part)]).T if decided else np.empty((0, 0))
    values = 0
    if live.size:
        values = int((~same(batch.values[:, first : first + live.shape[1]], live)).sum())
        if values:
            details.append(f"{account.name}: {values} values of nodes differ")
    fills, lines = trade_differences(f"{account.name}: trade", simulated.trades, account.trades)
    told = (*details[:SHOWN], *lines[:SHOWN])
    return Parity(len(decided), len(account.trades), decisions, values, equities, fills, told)


def cut(found: Decisions, first: int) -> Decisions:
    """Return decisions from a bar on."""
    parts = {item.name: getattr(found, item.name) for item in fields(found)}
    changed: dict[str, Any] = {name: one[first:] for name, one in parts.items() if isinstance(one, np.ndarray)}
    return replace(found, **changed)
