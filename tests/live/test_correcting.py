"""A corrected bar: the programs as if it had always been so, and a halt only where a decision would have differed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Bar, Program, Signals, Strategy, bind, ta
from engine.graph.together import Together
from engine.live.actions import Decided, Said
from engine.live.correcting import Correcting, differ
from engine.live.events import CandlesAnswered, Rearmed
from engine.live.setup import series_of
from engine.live.subaccount import Terms
from engine.simulate import Costs
from pipelines import Bars
from pipelines.candles import Candle
from tests.live.perfect import MS, SECOND, Played
from tests.live.test_subaccount import program_of
from tests.simulate.drawn import made_bars

PROGRAMS = (
    ("A", program_of(short=True, stop=True, target=True, trailing=False)),
    ("B", program_of(short=True, stop=True, target=False, trailing=False)),
    ("A", program_of(short=False, stop=False, target=False, trailing=False)),
)


def candles_of(bars: Bars) -> list[Candle]:
    """Return bars as candles."""
    columns = [getattr(bars, name).tolist() for name in ("open", "high", "low", "close", "volume")]
    return [Candle(time * MS, *row) for time, row in zip(bars.time.tolist(), zip(*columns, strict=True), strict=True)]


def run(together: Together, bars: dict[int, Candle], place: int, correcting: Correcting | None = None) -> list[Any]:
    """Advance one series by bars and return what its programs said at each."""
    said = []
    own = [p for p, (symbol, _) in enumerate(together.programs) if symbol == together.symbols[place]]
    for number, bar in sorted(bars.items()):
        row = np.array([(bar.open, bar.high, bar.low, bar.close, bar.volume)])
        together.advance(np.array([place]), np.array([number]), row)
        said.append(together.roles.copy())
        if correcting is not None:
            correcting.advanced(place, number, bar, together.roles[own].tolist())
            correcting.renew()
    return said


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(10, 300), st.integers(1, 60), st.sampled_from(("changed", "gone", "new")))
def test_programs_go_on_as_if_the_bar_had_always_been_as_corrected(seed: int, count: int, back: int, what: str) -> None:
    rng = np.random.default_rng(seed)
    bars = made_bars(rng, count)
    numbers = bars.number.tolist()
    played: dict[int, Candle] = dict(zip(numbers, candles_of(bars), strict=True))
    at = numbers[max(len(numbers) - back, 0)]
    right = dict(played)
    if what == "gone":
        del right[at]
    else:
        bar = played[at]
        right[at] = replace(bar, high=bar.high * 1.02, close=bar.close * 1.01)
        if what == "new":
            del played[at]
    together = Together(PROGRAMS)
    correcting = Correcting(together)
    other = run(together, played, 1, correcting)  # B sees the same bars, and is not corrected
    before = run(together, played, 0, correcting)
    kept = together.take("B")
    told = correcting.correct(0, at, right.get(at))
    expected = Together(PROGRAMS)
    after = run(expected, right, 0)
    one, two = together.take("A"), expected.take("A")
    assert one.last == two.last
    for name in ("memory", "cells", "roles"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
        assert getattr(kept, name).tobytes() == getattr(together.take("B"), name).tobytes()
    assert len(other) == len(played)
    mine = np.array([0, 2])
    was = dict(zip(sorted(played), (roles[mine] for roles in before), strict=True))
    now = dict(zip(sorted(right), (roles[mine] for roles in after), strict=True))
    wanted = any(differ(was.get(n), now.get(n)) for n in sorted({*was, *now}) if n >= at)
    assert bool(told) == wanted
    more = {max(numbers) + 1: Candle(0, 100.0, 101.0, 99.0, 100.5, 1.0)}
    assert run(together, more, 0, correcting)[-1][mine].tobytes() == run(expected, more, 0)[-1][mine].tobytes()


def test_a_bar_further_back_than_what_is_kept_cannot_be_judged() -> None:
    together = Together(PROGRAMS)
    correcting = Correcting(together)
    bars = made_bars(np.random.default_rng(1), 400)
    played: dict[int, Candle] = dict(zip(bars.number.tolist(), candles_of(bars), strict=True))
    run(together, played, 0, correcting)
    before = together.checkpoint()
    assert "too far back" in correcting.correct(0, int(bars.number[3]), None)
    assert together.checkpoint() == before


def test_distances_count_only_where_an_entry_is_wanted() -> None:
    nan = np.nan
    quiet, other = np.array([[0.0, 1.0, nan, 0.0, 2.0, nan]]), np.array([[nan, 1.0, 0.0, 0.0, 3.0, nan]])
    assert not differ(quiet, other)
    assert not differ(None, np.array([[0.0, 0.0, nan, 0.0, 2.0, nan]]))
    assert differ(None, quiet)
    wanted, moved = quiet.copy(), other.copy()
    wanted[0, 0] = moved[0, 0] = 1.0
    assert differ(wanted, moved)
    moved[0, 4] = 2.0
    assert not differ(wanted, moved)


class Closes(Strategy):
    """Closes alone count."""

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, 3)
        return Signals(entry=rsi < 40.0, exit=rsi > 60.0)


def corrected(program: Program, **changes: float) -> Played:
    """Play 80 bars, the 60th corrected after the 62nd."""
    played = Played(program, Costs(), made_bars(np.random.default_rng(8), 80), Terms())
    for k in range(62):
        played.play_bar(k)
    whole = played.shown[60]
    values = {name: getattr(whole, name) for name in ("open", "high", "low", "close", "volume")}
    played.shown[60] = Candle(whole.open_ns, **(values | changes))
    asked = (whole.open_ns, whole.open_ns, played.now_ns + SECOND)
    event = CandlesAnswered(series_of("A/USDT", "1h"), (played.shown[60],), *asked, True, played.now_ns + SECOND)
    played.step([event])
    for k in range(62, 80):
        played.play_bar(k)
    return played


@pytest.mark.parametrize(("changes", "halts"), [({"volume": 7.0}, False), ({"high": 500.0, "close": 400.0}, True)])
def test_a_run_goes_on_where_nothing_would_have_been_decided_otherwise(changes: dict[str, float], halts: bool) -> None:
    played = corrected(bind(Closes()), **changes)
    said = [
        one.text
        for one in played.actions
        if isinstance(one, Said) and one.about == played.series and " was " in one.text
    ]
    assert len(said) == 1
    assert ("nothing is entered" in said[0]) is halts
    later = [one for one in played.actions if isinstance(one, Decided) and one.open_ns > played.shown[63].open_ns]
    assert bool(played.loop.halted) is halts
    assert any(one.entry and one.quantity == 0.0 for one in later)
    assert any(one.ordered != 0.0 for one in later) is not halts
    fresh = Together(played.loop.together.programs)
    number = played.loop.rules[played.series].bar.number
    run(fresh, {number(candle.open_ns // MS): candle for candle in played.shown[1:]}, 0)
    assert fresh.checkpoint() == played.loop.together.checkpoint()


def test_a_person_who_looked_lets_a_corrected_series_trade_on() -> None:
    played = corrected(bind(Closes()), high=500.0, close=400.0)
    assert played.loop.halted
    told = played.loop.step([Rearmed("looked at it", played.now_ns)])
    assert [one.text for one in told if isinstance(one, Said)] == [
        "rearmed: looked at it; entries follow from it again"
    ]
    assert not played.loop.halted
    assert played.loop.step([Rearmed("again", played.now_ns)]) == [
        Said("info", "run", "nothing was stopped: nothing to rearm")
    ]
