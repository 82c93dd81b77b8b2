"""The naive simulation against examples worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.naive.simulation import Bars, Decisions, Result, simulate
from tests.naive.sizing import Costs, Reading, Sizing, affordable, floor_to_step, kelly_fraction, order_quantity

nan = math.nan
QUIET = (100.0, 101.0, 99.0, 100.0)
FREE = Costs(initial_cash=1_000.0, size_at="fill")
WHOLE = Sizing("all_in", fraction=1.0)


def bars(*rows: tuple[float, float, float, float]) -> Bars:
    o, h, l, c = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return Bars(o, h, l, c, np.arange(len(rows)), 365.25, 86_400_000)


def flags(n: int, *at: int) -> np.ndarray:
    out = np.zeros(n, dtype=np.bool_)
    out[list(at)] = True
    return out


def decide(n: int, long: tuple[int, ...] = (), exit: tuple[int, ...] = (), **more: object) -> Decisions:
    short, cover = more.pop("short", ()), more.pop("cover", ())
    for name in ("stop", "target"):
        if isinstance(more.get(name), float):
            more[name] = np.full(n, more[name])
    return Decisions(flags(n, *long), flags(n, *exit), flags(n, *short), flags(n, *cover), **more)  # type: ignore


def brief(result: Result) -> list[tuple[object, ...]]:
    return [(t.entry_bar, t.exit_bar, t.side, t.entry_price, t.exit_price, t.reason) for t in result.trades]


def test_a_decision_fills_at_the_next_open_and_the_last_one_never() -> None:
    market = bars(QUIET, (102, 103, 101, 102), (104, 105, 103, 104), QUIET)
    result = simulate(market, decide(4, long=(0, 3), exit=(1,)), FREE, WHOLE)
    assert brief(result) == [(1, 2, 1, 102.0, 104.0, "signal")]
    assert result.open_trade is None
    assert result.equity.tolist() == pytest.approx([1_000, 1_000, 1_000 * 104 / 102, 1_000 * 104 / 102])
    assert result.invested.tolist() == [False, True, True, False]


def test_costs_are_taken_on_both_fills() -> None:
    costs = replace(FREE, fee=0.001, slippage=0.01)
    result = simulate(bars(QUIET, QUIET, QUIET), decide(3, long=(0,), exit=(1,)), costs, WHOLE)
    quantity = 1_000 / (101 * 1.001)
    (trade,) = result.trades
    assert brief(result) == [(1, 2, 1, 101.0, 99.0, "signal")]
    assert trade.quantity == pytest.approx(quantity)
    assert trade.fees == pytest.approx(quantity * 0.2)
    assert trade.profit == pytest.approx(-quantity * 2.2)
    assert result.fees == pytest.approx(trade.fees)
    assert result.equity[-1] == pytest.approx(1_000 + trade.profit)


def test_a_stop_is_alive_in_the_fill_bar_and_the_close_may_decide_anew() -> None:
    market = bars(QUIET, (100, 101, 90, 98), QUIET, QUIET)
    result = simulate(market, decide(4, long=(0, 1), stop=5.0), FREE, WHOLE)
    assert brief(result) == [(1, 1, 1, 100.0, 95.0, "stop")]
    assert result.open_trade is not None
    assert result.open_trade.entry_bar == 2


def test_an_exit_at_the_open_comes_before_the_stop_inside_the_bar() -> None:
    market = bars(QUIET, QUIET, QUIET, (100, 101, 90, 98))
    result = simulate(market, decide(4, long=(0,), exit=(2,), stop=5.0), FREE, WHOLE)
    assert brief(result) == [(1, 3, 1, 100.0, 100.0, "signal")]
    result = simulate(market, decide(4, long=(0,), exit=(2,), short=(2,), stop=5.0), FREE, WHOLE)
    assert brief(result) == [(1, 3, 1, 100.0, 100.0, "signal")]
    assert result.open_trade is not None
    assert result.open_trade.side == -1


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((94, 96, 93, 95), (94.0, "stop")),  # gap below the stop
        ((112, 113, 90, 95), (112.0, "target")),  # gap above the target, the stop touched later
        ((100, 111, 94, 100), (95.0, "stop")),  # both touched
        ((100, 111, 96, 100), (110.0, "target")),
        ((100, 110, 99, 100), (110.0, "target")),  # a touch is enough
        ((95, 96, 95, 96), (95.0, "stop")),
    ],
)
def test_the_open_beyond_a_level_comes_first_then_the_stop_then_the_target(
    bar: tuple[float, float, float, float], expected: tuple[float, str]
) -> None:
    market = bars(QUIET, QUIET, bar)
    result = simulate(market, decide(3, long=(0,), stop=5.0, target=10.0), FREE, WHOLE)
    assert brief(result) == [(1, 2, 1, 100.0, *expected)]


def test_a_short_mirrors_a_long_and_pays_slippage_on_its_stop() -> None:
    costs = replace(FREE, slippage=0.01)
    market = bars(QUIET, QUIET, (100, 106, 100, 100))
    result = simulate(market, decide(3, short=(0,), stop=5.0, target=10.0), costs, WHOLE)
    assert brief(result) == [(1, 2, -1, 99.0, pytest.approx(104 * 1.01), "stop")]
    assert result.equity[-1] == pytest.approx(1_000 + result.trades[0].profit)
    market = bars(QUIET, QUIET, (100, 100, 88, 90))
    result = simulate(market, decide(3, short=(0,), stop=5.0, target=10.0), costs, WHOLE)
    assert brief(result) == [(1, 2, -1, 99.0, pytest.approx(89 * 1.01), "target")]


@pytest.mark.parametrize(
    ("long", "exit", "short", "cover", "trades", "open_side"),
    [
        ((0,), (0,), (), (), [], 0),  # exit beside the entry: nothing
        ((0,), (), (0,), (), [], 0),  # both sides: nothing
        ((0,), (0,), (0,), (), [], -1),  # only the short counts
        ((0, 2), (2,), (), (), [(1, 3)], 0),  # exit and entry of the same side: exit
        ((0, 2), (), (), (), [], 1),  # another entry is ignored
        ((0,), (), (2,), (), [(1, 3)], -1),  # the short entry alone reverses
        ((0,), (), (2,), (2,), [(1, 3)], 0),  # its own exit keeps it from reversing
        ((0,), (2,), (2,), (2,), [(1, 3)], 0),
        ((2,), (2,), (0, 2), (), [(1, 3)], 0),  # closed by the long entry, no new short at the same close
        ((2,), (), (0, 2), (), [(1, 3)], 1),  # both sides while short: it reverses
    ],
)
def test_what_a_close_decides(long, exit, short, cover, trades, open_side) -> None:  # type: ignore[no-untyped-def]
    market = bars(*[QUIET] * 5)
    result = simulate(market, decide(5, long=long, exit=exit, short=short, cover=cover), FREE, WHOLE)
    assert [(t.entry_bar, t.exit_bar) for t in result.trades] == trades
    assert (result.open_trade.side if result.open_trade else 0) == open_side


def test_an_unknown_or_empty_distance_is_no_entry_but_still_closes() -> None:
    market = bars(*[QUIET] * 5)
    for distance in (nan, 0.0, -1.0):
        stop = np.array([5.0, 5.0, distance, 5.0, 5.0])
        result = simulate(market, decide(5, long=(0,), short=(2,), stop=stop), FREE, WHOLE)
        assert brief(result) == [(1, 3, 1, 100.0, 100.0, "signal")]
        assert result.open_trade is None


def test_the_longest_hold_counts_the_fill_bar_as_its_first_close() -> None:
    market = bars(*[QUIET] * 6)
    result = simulate(market, decide(6, long=(0, 1, 2), max_hold=2), FREE, WHOLE)
    assert brief(result) == [(1, 3, 1, 100.0, 100.0, "max_hold")]
    result = simulate(market, decide(6, long=(0, 3), max_hold=1), FREE, WHOLE)
    assert [(t.entry_bar, t.exit_bar) for t in result.trades] == [(1, 2), (4, 5)]


def test_a_trailing_stop_takes_this_bars_high_from_the_next_bar_on() -> None:
    # fill 100, distance 10: a tenth; bar 2 makes the best 120, so bar 3 stops at 108
    market = bars(QUIET, QUIET, (100, 120, 91, 110), (110, 112, 107, 110))
    result = simulate(market, decide(4, long=(0,), stop=10.0, trailing=True), FREE, WHOLE)
    assert brief(result) == [(1, 3, 1, 100.0, pytest.approx(108), "stop")]
    # the open of bar 3 is the best of all and counts at once: 130, so 117
    market = bars(QUIET, QUIET, (100, 120, 91, 110), (130, 131, 116, 120))
    result = simulate(market, decide(4, long=(0,), stop=10.0, trailing=True), FREE, WHOLE)
    assert brief(result) == [(1, 3, 1, 100.0, pytest.approx(117), "stop")]
    market = bars(QUIET, QUIET, (100, 105, 80, 90), (90, 90, 86, 88), (92, 93, 90, 90))
    result = simulate(market, decide(5, short=(0,), stop=10.0, trailing=True), FREE, WHOLE)
    assert brief(result) == [(1, 3, -1, 100.0, pytest.approx(90), "stop")]


def test_levels_rest_on_ticks_and_market_fills_do_not() -> None:
    costs = replace(FREE, price_tick=0.5, slippage=0.001)
    market = bars(QUIET, QUIET, (100, 103, 94, 100))
    result = simulate(market, decide(3, long=(0,), stop=5.0, target=50.0), costs, WHOLE)
    assert brief(result) == [(1, 2, 1, pytest.approx(100.1), pytest.approx(95 * 0.999), "stop")]
    # 100.1 - 5 = 95.1 rests at 95.0; 100.1 + 2.3 = 102.4 at 102.5
    result = simulate(bars(QUIET, QUIET, (100, 103, 99, 100)), decide(3, long=(0,), stop=5.0, target=2.3), costs, WHOLE)
    assert result.trades[0].exit_price == pytest.approx(102.5 * 0.999)


def test_size_is_fixed_at_the_decision_and_shrinks_to_what_cash_covers() -> None:
    costs = Costs(initial_cash=1_000.0, fee=0.001, quantity_step=0.01)
    market = bars(QUIET, (110, 111, 109, 110), QUIET)
    result = simulate(market, decide(3, long=(0,)), costs, Sizing("all_in"))
    assert result.open_trade is not None
    assert result.open_trade.quantity == pytest.approx(9.08)  # 9.95 decided, 1000 / 110.11 = 9.0818 affordable
    result = simulate(market, decide(3, long=(0,)), costs, Sizing("fixed_fraction", fraction=0.5))
    assert result.open_trade is not None
    assert result.open_trade.quantity == pytest.approx(5.0)
    refused = replace(costs, min_notional=600.0)
    result = simulate(market, decide(3, long=(0,)), refused, Sizing("fixed_fraction", fraction=0.5))
    assert result.open_trade is None
    assert result.fees == 0.0


def test_a_reversal_is_sized_after_the_cost_of_closing() -> None:
    costs = Costs(initial_cash=1_000.0, fee=0.01, slippage=0.02)
    result = simulate(bars(*[QUIET] * 4), decide(4, long=(0,), short=(1,)), costs, Sizing("fixed_fraction", 0.5))
    first = 0.5 * 1_000 / 102
    equity = 1_000 - first * 102 * 1.01 + first * 100 - first * 100 * 0.03
    assert result.open_trade is not None
    assert result.open_trade.quantity == pytest.approx(0.5 * equity / 98)


def test_every_size_rule_by_hand() -> None:
    costs = Costs(leverage=2.0)
    reading = Reading(1_000.0, 0.0, ())
    assert order_quantity(reading, 10.0, nan, costs, Sizing("all_in")) == pytest.approx(99.5)
    assert order_quantity(reading, 10.0, nan, costs, Sizing("fixed_fraction", fraction=3.0)) == pytest.approx(200.0)
    assert order_quantity(reading, 10.0, 4.0, costs, Sizing("atr_risk", risk=0.02)) == pytest.approx(5.0)
    ratio = Sizing("fixed_ratio", delta=100.0, unit=0.5)
    units = [order_quantity(replace(reading, closed_profit=p), 10.0, nan, costs, ratio) for p in (-50, 99, 100, 300)]
    assert units == [0.5, 0.5, 1.0, 1.5]
    assert order_quantity(Reading(0.0, 0.0, ()), 10.0, nan, costs, ratio) == 0.0
    with pytest.raises(ValueError, match="not one of"):
        order_quantity(reading, 10.0, nan, costs, Sizing("all"))


def test_kelly_by_hand() -> None:
    few, wins, losses = (0.1,) * 19, (0.1,) * 20, (-0.1,) * 20
    assert [kelly_fraction(r, 0.5, 0.25) for r in (few, wins, losses)] == [0.02, 0.25, 0.0]
    assert kelly_fraction((*few, 0.0), 0.5, 0.25) == 0.25  # one break-even: nothing was lost
    even = (0.03,) * 10 + (-0.02,) * 10
    assert kelly_fraction(even, 1.0, 0.25) == pytest.approx(0.5 - 0.5 / 1.5)
    assert kelly_fraction(even, 0.5, 0.25) == pytest.approx(0.25 - 0.25 / 1.5)


def test_kelly_follows_shadows_until_the_stream_earns_again() -> None:
    rows, losing, winning = [], (100.0, 100.0, 90.0, 90.0), (100.0, 110.0, 100.0, 110.0)
    for price in [losing] * 22 + [winning] * 60:
        rows += [(100.0, 100.0, 100.0, 100.0), price]
    n = len(rows)
    # bought at the open of a price bar, sold at the open after it: shift the profit into that open
    market = bars(*rows)
    moved = market.open.copy()
    moved[2::2] = market.close[1:-1:2]
    low, high = np.minimum(market.low, moved), np.maximum(market.high, moved)
    market = replace(market, open=moved, low=low, high=high)
    decisions = decide(n, long=tuple(range(0, n, 2)), exit=tuple(range(1, n, 2)))
    result = simulate(market, decisions, Costs(initial_cash=1_000.0), Sizing("kelly", fraction=0.5, cap=0.25))
    assert len(result.trades) + len(result.shadows) == 81
    assert [t.quantity for t in result.trades[:1]] == [pytest.approx(0.2)]
    assert all(t.profit < 0 for t in result.trades[:20])
    assert {t.quantity for t in result.shadows} == {0.0}
    assert result.shadows[0].entry_bar == 41  # the 21st: twenty losses are known
    shadowed = [t.entry_bar for t in result.shadows]
    assert not result.invested[shadowed].any()
    # it trades again when p - (1 - p) / 1 > 0 over the last fifty: 22 losses, 23 wins
    assert result.trades[20].entry_bar == 2 * 45 + 1


def test_steps_contracts_and_margin() -> None:
    assert floor_to_step(0.3, 0.1) == pytest.approx(0.3)
    assert floor_to_step(0.2999, 0.1) == pytest.approx(0.2)
    assert floor_to_step(0.1234, 0.0) == 0.1234
    contracts = Costs(contract_size=0.01, quantity_step=1.0)
    assert order_quantity(Reading(100.0, 0.0, ()), 1_000.0, nan, contracts, Sizing()) == pytest.approx(0.09)
    margin = Costs(fee=0.001, leverage=4.0)
    assert affordable(39.0, 10.0, 100.0, margin) == 39.0  # margin 97.5, fee 0.39
    assert affordable(40.0, 10.0, 100.0, margin) == pytest.approx(100.0 / (10.0 * 0.251))
    assert affordable(1.0, 10.0, 0.0, margin) == 0.0


def test_a_short_may_lose_all_and_then_trades_no_more() -> None:
    market = bars(QUIET, QUIET, (300, 300, 300, 300), (300, 300, 300, 300), (300, 300, 300, 300))
    result = simulate(market, decide(5, short=(0, 3), cover=(1,)), Costs(initial_cash=1_000.0), Sizing())
    assert [(t.entry_bar, t.exit_bar) for t in result.trades] == [(1, 2)]
    assert result.equity[-1] == pytest.approx(1_000 - 9.95 * 200)
    assert result.open_trade is None


def test_a_trailing_stop_without_a_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="give stop"):
        simulate(bars(QUIET, QUIET), decide(2, trailing=True), FREE, WHOLE)
