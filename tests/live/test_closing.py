"""The rule of closed candles, case by case, and against every mangling of a series that is known."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.live.candle_actions import Absent, CandleAction, Closed, Corrected, Fetch, Rejected, Stale
from engine.live.closing import ClosingRule
from parquet_store.errors import Usage
from pipelines.candles import Candle
from tests.data import DATA, needs_data

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
Confirm = Literal["after", "before"]


def candle(minute: int, close: float = 10.0, volume: float = 1.0) -> Candle:
    return Candle(minute * MINUTE, 10.0, max(10.0, close), min(10.0, close), close, volume)


def rule(confirm: Confirm = "after", last: int = 0, **how: int) -> ClosingRule:
    return ClosingRule("1m", candle(last), confirm=confirm, **{"stale_ns": 10 * MINUTE, **how})


def clock(minute: int, second: float = 0.0) -> int:
    return minute * MINUTE + round(second * SECOND)


def fetch(first: int, last: int) -> Fetch:
    return Fetch(first * MINUTE, last * MINUTE)


def test_the_next_candle_closes_a_bar_and_rest_is_asked_when_the_bar_is_ripe() -> None:
    it = rule()
    assert it.stream([candle(1, 11.0)], clock(1, 5)) == []
    assert it.stream([candle(1, 12.0, 2.0)], clock(1, 59)) == []
    assert it.stream([candle(2)], clock(2, 0.2)) == [Closed(candle(1, 12.0, 2.0), "stream")]
    assert it.at(clock(2, 0.999)) == []
    assert it.at(clock(2, 1)) == [fetch(0, 1)]
    assert it.answered([candle(0), candle(1, 12.0, 2.0), candle(2)], fetch(0, 1), clock(2, 1)) == []
    assert it.at(clock(2, 30)) == []


def test_rest_closes_a_bar_when_no_next_candle_comes() -> None:
    it = rule()
    assert it.stream([candle(1, 11.0)], clock(1, 59)) == []
    assert it.at(clock(2, 0.5)) == []
    assert it.at(clock(2, 1)) == [fetch(0, 1)]
    assert it.answered([candle(0), candle(1, 12.0)], fetch(0, 1), clock(2, 1)) == [Closed(candle(1, 12.0), "rest")]


def test_with_confirm_before_only_rest_closes_a_bar() -> None:
    it = rule("before")
    assert it.stream([candle(1, 11.0), candle(2)], clock(2, 0.2)) == []
    assert it.waiting is not None
    assert it.waiting.reason == "REST has not confirmed it"
    assert it.at(clock(2, 1)) == [fetch(0, 1)]
    assert it.answered([candle(1, 11.5, 3.0), candle(2)], fetch(0, 1), clock(2, 1)) == [
        Closed(candle(1, 11.5, 3.0), "rest")
    ]
    assert it.waiting is None


def test_an_answer_that_left_before_the_bar_was_ripe_is_not_final() -> None:
    it = rule("before")
    assert it.answered([candle(1), candle(2)], fetch(0, 2), clock(2, 0.5)) == []
    assert it.at(clock(2, 1)) == [fetch(0, 1)]
    assert it.at(clock(2, 1.5)) == []
    assert it.at(clock(2, 2)) == [fetch(0, 1)], "asked again after a while without an answer"


def test_a_bar_the_stream_skipped_holds_up_the_others_until_rest_shows_it() -> None:
    it = rule()
    assert it.stream([candle(1)], clock(1, 5)) == []
    assert it.stream([candle(3)], clock(3, 0.1)) == [Closed(candle(1), "stream"), fetch(0, 1)]
    assert it.waiting is not None
    assert (it.waiting.open_ns, it.next_ns) == (2 * MINUTE, 2 * MINUTE)
    assert "the stream did not show it" in it.waiting.reason
    assert it.at(clock(3, 1)) == [fetch(1, 2)]
    assert it.stream([candle(4)], clock(4, 0.1)) == [fetch(0, 2)]
    found = it.answered([candle(n) if n != 2 else candle(2, 9.0) for n in range(5)], fetch(0, 2), clock(4, 0.1))
    assert found == [Closed(candle(2, 9.0), "rest"), Closed(candle(3), "stream")]


def test_a_bar_is_absent_when_two_late_answers_do_not_show_it() -> None:
    it = rule()
    it.stream([candle(1), candle(3)], clock(3, 0.1))
    it.at(clock(3, 9))
    shown = [candle(1), candle(3)]
    assert it.answered(shown, fetch(1, 3), clock(3, 9)) == [], "too early"
    assert it.answered(shown, fetch(1, 3), clock(3, 10)) == [fetch(1, 2)]
    assert it.answered(shown, fetch(1, 3), clock(3, 10)) == [], "the same answer"
    assert it.waiting is not None
    assert it.waiting.reason.startswith("REST does not show it")
    assert it.answered([], fetch(1, 3), clock(3, 10.5)) == [], "an empty answer proves nothing"
    assert it.answered(shown, fetch(1, 3), clock(3, 10.6)) == [Absent(2 * MINUTE)]
    assert it.stream([candle(4)], clock(4)) == [Closed(candle(3), "stream")]


def test_an_answer_cut_short_says_nothing_beyond_its_ends() -> None:
    it = rule("before", last=0)
    for sent in (30, 31):
        found = it.answered([candle(1)], fetch(0, 9), clock(9, sent), whole=False)
    assert it.next_ns == 2 * MINUTE
    assert not [one for one in found if isinstance(one, Absent)]


def test_a_bar_the_stream_showed_is_not_absent_because_rest_leaves_it_out() -> None:
    it = rule("before")
    it.stream([candle(1), candle(2)], clock(2, 0.1))
    for second in (20, 30, 40):
        found = it.answered([candle(0), candle(2)], fetch(0, 2), clock(2, second))
        assert not [one for one in found if isinstance(one, Absent)]
    assert it.waiting is not None


def test_repeated_and_disordered_candles_of_a_bar_leave_the_latest() -> None:
    it = rule()
    late, early = candle(1, 12.0, 5.0), candle(1, 11.0, 2.0)
    assert it.stream([early, late, early, late, early], clock(1, 30)) == []
    assert it.stream([candle(2)], clock(2)) == [Closed(late, "stream")]
    assert it.stream([early, late, candle(0)], clock(2, 0.5)) == []


def test_two_candles_that_cannot_be_put_in_order_wait_for_rest() -> None:
    it = rule()
    it.stream([candle(1, 12.0, 5.0), candle(1, 13.0, 5.0)], clock(1, 30))
    assert it.stream([candle(2)], clock(2)) == []
    assert it.waiting is not None
    assert "cannot be put in order" in it.waiting.reason
    assert it.at(clock(2, 1)) == [fetch(0, 1)]
    assert it.answered([candle(1, 13.0, 5.0)], fetch(0, 1), clock(2, 1)) == [Closed(candle(1, 13.0, 5.0), "rest")]


def test_a_bar_that_formed_over_a_cut_waits_for_rest_unless_it_grew_since() -> None:
    for renewed in (False, True):
        it = rule()
        it.stream([candle(1, 12.0, 5.0)], clock(1, 30))
        it.cut(clock(1, 40))
        it.stream([candle(1, 12.0, 6.0 if renewed else 5.0)], clock(1, 50))
        found = it.stream([candle(2)], clock(2))
        assert found == ([Closed(candle(1, 12.0, 6.0), "stream")] if renewed else [])


def test_a_correction_is_told_once_and_not_decided_again() -> None:
    it = rule()
    it.stream([candle(1, 12.0, 5.0), candle(2)], clock(2))
    old, new = candle(1, 12.0, 5.0), candle(1, 13.0, 6.0)
    assert it.answered([candle(0), new, candle(2)], fetch(0, 1), clock(2, 1)) == [Corrected(MINUTE, old, new)]
    assert it.answered([candle(0), new, candle(2)], fetch(0, 1), clock(2, 2)) == []
    assert it.answered([candle(0), old], fetch(0, 1), clock(2, 1.5)) == [], "an older answer"
    assert it.next_ns == 2 * MINUTE


def test_a_later_candle_of_a_bar_decided_on_makes_rest_be_asked() -> None:
    it = rule()
    it.stream([candle(1, 12.0, 5.0), candle(2)], clock(2))
    it.at(clock(2, 1))
    old, new = candle(1, 12.0, 5.0), candle(1, 13.0, 6.0)
    it.answered([candle(0), old], fetch(0, 1), clock(2, 1))
    assert it.stream([new], clock(2, 10)) == [fetch(0, 1)]
    assert it.answered([candle(0), new], fetch(0, 1), clock(2, 10)) == [Corrected(MINUTE, old, new)]
    assert it.stream([old], clock(2, 20)) == [], "an earlier one of it corrects nothing"


def test_a_bar_decided_on_that_two_answers_do_not_show_any_more_is_a_correction() -> None:
    it = rule()
    it.stream([candle(1), candle(2)], clock(2))
    assert it.answered([candle(0), candle(2)], fetch(0, 2), clock(2, 20)) == [fetch(0, 1)]
    assert it.answered([candle(0), candle(2)], fetch(0, 2), clock(2, 21)) == [Corrected(MINUTE, candle(1), None)]


def test_a_bar_found_absent_that_shows_up_is_a_correction() -> None:
    it = rule()
    for second in (20, 21):
        it.answered([candle(0), candle(2)], fetch(0, 2), clock(2, second))
    assert it.next_ns == 2 * MINUTE
    assert Corrected(MINUTE, None, candle(1)) in it.answered([candle(1)], fetch(0, 1), clock(2, 30))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (replace(candle(1), close=0.0), "price"),
        (replace(candle(1), close=math.nan), "price"),
        (replace(candle(1), volume=-1.0), "volume"),
        (replace(candle(1), volume=math.inf), "volume"),
        (replace(candle(1), high=9.0), "outside its range"),
        (replace(candle(1), open_ns=MINUTE + 1), "off the grid"),
        (candle(500), "future"),
    ],
)
def test_what_cannot_be_a_candle_was_not_seen(bad: Candle, said: str) -> None:
    it = rule("before")
    for found in (it.stream([bad], clock(1, 5)), it.answered([bad, candle(0)], fetch(0, 1), clock(1, 6))):
        (one,) = found
        assert isinstance(one, Rejected)
        assert said in one.reason
    assert it.waiting is None


def test_a_stream_without_news_is_stale_once_and_its_candle_in_doubt() -> None:
    it = rule(stale_ns=20 * SECOND)
    it.stream([candle(1)], clock(1))
    for second in range(1, 21):
        assert it.stream([candle(1)], clock(1, second)) == []
    assert it.stream([candle(1)], clock(1, 21)) == [Stale(21 * SECOND)]
    assert it.at(clock(1, 50)) == []
    assert it.stream([candle(2)], clock(2)) == []
    assert it.waiting is not None
    assert "stale" in it.waiting.reason
    assert it.at(clock(2, 21)) == [Stale(21 * SECOND), fetch(0, 1)]


def test_a_quiet_market_is_no_stale_stream() -> None:
    it = rule(stale_ns=20 * SECOND)
    it.stream([candle(1)], clock(1))
    it.answered([candle(0), candle(1)], fetch(0, 1), clock(1, 15))
    assert it.at(clock(1, 30)) == []
    assert it.at(clock(1, 36)) == [Stale(21 * SECOND)]


def test_a_long_absence_is_asked_for_in_parts() -> None:
    it = rule(most=10)
    assert it.at(clock(26, 30)) == [fetch(0, 10)]
    found = it.answered([candle(n) for n in range(11)], fetch(0, 10), clock(26, 30))
    assert found == [*(Closed(candle(n), "rest") for n in range(1, 11)), fetch(10, 20)]


def test_limits_that_make_no_sense_are_refused() -> None:
    for how in ({"grace_ns": 0}, {"absence_ns": 1}, {"stale_ns": 0}, {"most": 0}):
        with pytest.raises(Usage, match="expected 0 < grace <= absence"):
            rule(**how)
    with pytest.raises(Usage, match="off the grid"):
        ClosingRule("1h", candle(1))


class Venue:
    """A series that is known, as a stream without order and as a REST server that knows what was so far.

    ``bars`` holds what each bar was step by step, the last its final value; the steps are spread over its minute.
    """

    def __init__(self, bars: dict[int, list[Candle]]) -> None:
        self.bars = bars

    def so_far(self, minute: int, now: int) -> Candle | None:
        steps = self.bars.get(minute, [])
        seen = [one for k, one in enumerate(steps) if minute * MINUTE + (k + 1) * MINUTE // (len(steps) + 1) <= now]
        return seen[-1] if seen else None

    def messages(self) -> list[tuple[int, Candle]]:
        return [
            (minute * MINUTE + (k + 1) * MINUTE // (len(steps) + 1), one)
            for minute, steps in self.bars.items()
            for k, one in enumerate(steps)
        ]

    def rest(self, asked: Fetch, now: int) -> list[Candle]:
        minutes = range(asked.from_ns // MINUTE, max(asked.to_ns, now) // MINUTE + 1)
        return [one for minute in minutes if (one := self.so_far(minute, now)) is not None]


def play(
    it: ClosingRule, venue: Venue, messages: list[tuple[int, Candle]], last: int, draw: random.Random, healthy: bool
) -> list[CandleAction]:
    """Play mangled messages and a REST server that fails half of the time, then one that answers; return the log."""
    log: list[CandleAction] = []
    cuts = sorted(draw.randrange(last * MINUTE) for _ in range(draw.randrange(3)))
    events: list[tuple[int, Candle | None]] = [*messages, *((at, None) for at in cuts)]
    pending: list[tuple[int, int, Fetch]] = []
    events += [(second * SECOND, None) for second in range(60, last * 60 + 60 * (healthy * 2), 1)]
    ticks = {second * SECOND for second in range(60, last * 60 + 120)}
    for now, message in sorted(events, key=lambda event: (event[0], event[1] is not None)):
        ended = now >= last * MINUTE
        if message is not None:
            done = it.stream([message], now)
        elif now in ticks:
            done = it.at(now)
        else:
            done = it.cut(now)
        for answer in [one for one in pending if one[0] <= now]:
            pending.remove(answer)
            done += it.answered(venue.rest(answer[2], answer[1]), answer[2], answer[1])
        for one in done:
            if isinstance(one, Fetch) and healthy and (ended or draw.random() < 0.5):
                pending.append((now + (0 if ended else draw.randrange(20 * SECOND)), now, one))
        log += done
    return log


def decided(log: list[CandleAction]) -> dict[int, Candle | None]:
    """Return what every bar was decided to be, corrections made; each is decided once, in order."""
    found: dict[int, Candle | None] = {}
    for one in log:
        if isinstance(one, Closed | Absent):
            open_ns = one.candle.open_ns if isinstance(one, Closed) else one.open_ns
            assert open_ns == max(found, default=0) + MINUTE, "in order, each once, none skipped"
            found[open_ns] = one.candle if isinstance(one, Closed) else None
        elif isinstance(one, Corrected):
            assert one.open_ns in found
            assert found[one.open_ns] == one.old != one.new
            found[one.open_ns] = one.new
    return found


def grown(draw: random.Random, minute: int) -> list[Candle]:
    price = draw.choice([9.0, 10.0, 11.0])
    steps = [Candle(minute * MINUTE, price, price, price, price, 1.0)]
    for _ in range(draw.randrange(4)):
        price, one = draw.choice([8.0, 9.0, 10.0, 11.0, 12.0]), steps[-1]
        more = draw.choice([0.1, 0.5, 1.0])
        steps.append(
            replace(one, high=max(one.high, price), low=min(one.low, price), close=price, volume=one.volume + more)
        )
    return steps


def mangled(venue: Venue, draw: random.Random) -> list[tuple[int, Candle]]:
    sent = []
    for at, one in venue.messages():
        if draw.random() < 0.25:
            continue
        for _ in range(1 + (draw.random() < 0.2)):
            sent.append((at + (draw.randrange(150 * SECOND) if draw.random() < 0.3 else 0), one))
    return sent


@settings(max_examples=120, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["after", "before"]))
def test_whatever_happens_to_a_stream_the_bars_are_the_true_ones_once_rest_has_answered(
    draw: random.Random, confirm: Confirm
) -> None:
    last = draw.randrange(2, 9)
    bars = {0: [candle(0)]} | {n: grown(draw, n) for n in range(1, last) if draw.random() < 0.8}
    venue = Venue(bars)
    it = rule(confirm, stale_ns=45 * SECOND)
    log = play(it, venue, mangled(venue, draw), last, draw, healthy=True)
    found = decided(log)
    assert [found[n * MINUTE] for n in range(1, last)] == [bars[n][-1] if n in bars else None for n in range(1, last)]
    if confirm == "before":
        assert not [one for one in log if isinstance(one, Corrected)]
    for one in log:
        if isinstance(one, Closed) and one.by == "rest":
            assert one.candle == bars[one.candle.open_ns // MINUTE][-1]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["after", "before"]))
def test_without_rest_it_says_which_bar_it_waits_for(draw: random.Random, confirm: Confirm) -> None:
    last = draw.randrange(2, 7)
    bars = {0: [candle(0)]} | {n: grown(draw, n) for n in range(1, last) if draw.random() < 0.8}
    venue = Venue(bars)
    it = rule(confirm)
    sent = [one for one in mangled(venue, draw) if one[0] < last * MINUTE]
    log = play(it, venue, sent, last, draw, healthy=False)
    found = decided(log + it.at(clock(last, 30)))
    if confirm == "before":
        assert not found
    shown = {one for _, one in sent}
    assert {one for one in found.values()} <= shown, "nothing is made up"
    if len(found) < last - 1:
        assert it.waiting is not None
        assert it.waiting.open_ns == max(found, default=0) + MINUTE


@needs_data
@pytest.mark.parametrize("confirm", ["after", "before"])
def test_real_minutes_with_absent_ones_come_through_a_bad_stream(confirm: Confirm) -> None:
    frame = pl.read_parquet(DATA / "binance_XRP-ETH_1m.parquet")[:200]
    start = frame["ts"].dt.epoch("ns")[0]
    rows = frame.with_columns(pl.col("ts").dt.epoch("ns") - start).rows()
    bars = {row[0] // MINUTE: [Candle(*row)] for row in rows}
    last = max(bars)
    draw = random.Random(11)
    for minute, (final,) in bars.items():
        if final.volume > 1.0:
            bars[minute] = [Candle(final.open_ns, *[final.open] * 4, 1.0), final]
    it = ClosingRule("1m", bars[0][-1], confirm=confirm)
    venue = Venue(bars)
    log = play(it, venue, mangled(venue, draw), last, draw, healthy=True)
    found = decided(log)
    assert len([one for one in found.values() if one]) > 150
    assert [found[n * MINUTE] for n in range(1, last)] == [bars[n][-1] if n in bars else None for n in range(1, last)]
