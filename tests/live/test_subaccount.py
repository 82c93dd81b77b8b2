"""A sub-account beside a venue without a wire: the simulation's trades by the bit, and sound while much goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.execution.orders import Fill, OrderRequest
from engine.graph import Bar, Program, Signals, Sizing, Strategy, bind, ta
from engine.live.actions import CancelOrder, Said, Traded
from engine.live.events import FillsSeen, Rearmed, pack, unpack
from engine.live.loop import Loop
from engine.live.setup import Setup
from engine.live.subaccount import Terms
from engine.live.ticket import Ticket
from engine.simulate import Costs, Simulation, simulate_program
from parquet_store.errors import Usage
from pipelines import Bars
from tests.live.perfect import Played, Trouble
from tests.simulate.drawn import made_bars

SIZINGS = (
    Sizing.of("all_in"),
    Sizing.of("fixed_fraction", fraction=0.3),
    Sizing.of("fixed_ratio", delta=50.0, unit=2.0),
    Sizing.of("atr_risk", risk=0.02),
    Sizing.of("kelly", fraction=0.5),
)
BARS = 150


def program_of(
    *, short: bool, stop: bool, target: bool, trailing: bool, max_hold: int = 0, sizing: Sizing = SIZINGS[0]
) -> Program:
    """Bind a strategy that is in and out often."""

    class Often(Strategy):
        def signals(self, bar: Bar) -> Signals:
            rsi, reach = ta.rsi(bar.close, 3), ta.atr(bar, 4)
            below, above = rsi < 40.0, rsi > 60.0
            more: dict[str, Any] = {}
            if short:
                more |= {"short_entry": above, "short_exit": below}
            if stop:
                more |= {"stop": 1.2 * reach, "trailing": trailing}
            if target:
                more |= {"target": 1.5 * reach}
            return Signals(entry=below, exit=above, max_hold=max_hold, **more)

    return bind(Often(), {}, sizing)


Case = tuple[Program, Costs, Bars, Terms]


@st.composite
def cases(draw: st.DrawFn, paper: bool | None = None) -> Case:
    """Draw a program, costs, bars with gaps, and a market."""
    spot = draw(st.booleans())
    sizing = draw(st.sampled_from(SIZINGS))
    stop = draw(st.booleans()) or sizing.kind == "atr_risk"
    program = program_of(
        short=not spot,
        stop=stop,
        target=draw(st.booleans()),
        trailing=stop and draw(st.booleans()),
        max_hold=draw(st.sampled_from((0, 0, 3))),
        sizing=sizing,
    )
    tick = draw(st.sampled_from((0.0, 0.01, 0.25)))
    costs = Costs(
        fee=draw(st.sampled_from((0.0, 0.001))),
        slippage=draw(st.sampled_from((0.0, 0.0007))),
        price_tick=tick,
        quantity_step=draw(st.sampled_from((0.0, 0.001, 1.0))),
        min_notional=draw(st.sampled_from((0.0, 50.0))),
        contract_size=0.0 if spot else draw(st.sampled_from((0.0, 0.1))),
        leverage=1.0 if spot else draw(st.sampled_from((1.0, 3.0))),
        short=not spot,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    bars = made_bars(rng, BARS, draw(st.sampled_from((0.003, 0.01, 0.03))), tick)
    return program, costs, bars, Terms(spot=spot, paper=draw(st.booleans()) if paper is None else paper)


EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = st.integers(0, 2**32)
HARMLESS: dict[str, dict[str, Any]] = {
    "repeated and mixed": {"repeat": 0.3, "shuffle": True},
    "lost, then asked for": {"lose": 0.3, "shuffle": True},
    "answers lost": {"lost_answer": 0.2, "lagging": 0.2},
}
HARMFUL: dict[str, dict[str, Any]] = {
    "split": {"split": 0.5, "repeat": 0.2, "shuffle": True, "lose": 0.2},
    "never arrived": {"lost_request": 0.15},
    "refused": {"refused": 0.1},
    "busy": {"busy": 0.3},
    "late": {"lose": 0.2, "late": True},
    "all of it": {
        "lost_request": 0.15, "lost_answer": 0.15, "refused": 0.1, "busy": 0.1, "lose": 0.2, "repeat": 0.2,
        "lagging": 0.2, "split": 0.3, "shuffle": True,
    },
}  # fmt: skip


def simulated(played: Played) -> Simulation:
    """Simulate the same bars."""
    placement = played.loop.setup.placements[0]
    return simulate_program(placement.program, played.bars, placement.costs)


def assert_simulated(played: Played) -> None:
    """Hold trades and equity against the simulation by the bit."""
    expected = simulated(played)
    assert played.account.trades.tobytes() == expected.trades.tobytes()
    found = np.array([one.equity for one in played.decided])
    assert found.tobytes() == expected.equity.tobytes()


@EXAMPLES
@given(cases())
def test_trades_and_equity_are_the_simulations_by_the_bit(case: Case) -> None:
    played = Played(*case)
    played.play()
    assert_simulated(played)


@pytest.mark.parametrize("name", HARMLESS)
@settings(EXAMPLES, max_examples=8)
@given(cases(paper=False), SEEDS)
def test_what_changes_nothing_in_the_end_leaves_the_simulations_trades(name: str, case: Case, seed: int) -> None:
    played = Played(*case, Trouble(seed, **HARMLESS[name]))
    played.play()
    assert_simulated(played)


@pytest.mark.parametrize("name", HARMFUL)
@settings(EXAMPLES, max_examples=8)
@given(cases(paper=False), SEEDS)
def test_an_account_holds_what_the_venue_filled_whatever_goes_wrong(name: str, case: Case, seed: int) -> None:
    Played(*case, Trouble(seed, **HARMFUL[name])).play()  # which checks after every half bar


@settings(EXAMPLES, max_examples=8)
@given(cases(paper=False), SEEDS)
def test_limit_orders_that_fill_in_part_or_expire_leave_no_position_unguarded(case: Case, seed: int) -> None:
    program, costs, bars, terms = case
    trouble = Trouble(seed, part=0.4, repeat=0.2, shuffle=True)
    Played(program, costs, bars, replace(terms, limit=True), trouble).play()


FOLLOWS: dict[str, dict[str, Any]] = {
    "moved": {"chase_ns": 10 * 10**9, "amends": True},
    "sent anew": {"chase_ns": 10 * 10**9},
    "crosses": {"chase_ns": 10 * 10**9, "cross": True, "amends": True},
    "only rests": {"chase_ns": 10 * 10**9, "cross": True, "post_only": True},
    "at once": {"time_in_force": "ioc", "cross": True},
    "all or nothing": {"time_in_force": "fok"},
    "stops with a limit": {"stop_limit": 0.002},
}


@pytest.mark.parametrize("name", FOLLOWS)
@settings(EXAMPLES, max_examples=8)
@given(cases(paper=False), SEEDS)
def test_limit_orders_of_every_kind_hold_what_the_venue_filled(name: str, case: Case, seed: int) -> None:
    program, costs, bars, terms = case
    trouble = Trouble(seed, part=0.4, repeat=0.2, shuffle=True, lost_answer=0.1, busy=0.1, lose=0.1)
    Played(program, costs, bars, replace(terms, limit=True, **FOLLOWS[name]), trouble).play()


def test_fills_in_parts_come_to_the_simulations_trades_but_for_rounding() -> None:
    program = program_of(short=True, stop=True, target=True, trailing=True)
    bars, costs = made_bars(np.random.default_rng(3), BARS), Costs(fee=0.001, slippage=0.0007, short=True)
    played = Played(program, costs, bars, Terms(spot=False), Trouble(1, split=0.6))
    played.play()
    expected = simulated(played).trades
    assert played.trouble.done["split"] > 20
    assert played.account.trades.size == expected.size > 20
    for name in expected.dtype.names:
        np.testing.assert_allclose(played.account.trades[name], expected[name], rtol=1e-9, atol=1e-6)


def test_a_stop_and_a_target_that_the_venue_cannot_rest_together_are_refused() -> None:
    program = program_of(short=False, stop=True, target=True, trailing=False)
    bars = made_bars(np.random.default_rng(3), 5)
    with pytest.raises(Usage, match="takes no pair"):
        Played(program, Costs(), bars, Terms(pairs=False))


def test_a_fill_of_an_order_that_had_ended_stops_all_entries() -> None:
    bars, costs = made_bars(np.random.default_rng(3), 60), Costs()
    played = Played(program_of(short=False, stop=True, target=False, trailing=False), costs, bars, Terms())
    for k in range(40):
        played.play_bar(k)
    ended = next(one for one in played.venue.orders.values() if one.fills)
    assert played.loop.step([FillsSeen((ended.fills[0],), played.now_ns)]) == []
    more = replace(ended.fills[0], trade_id="another")
    said = played.loop.step([FillsSeen((more,), played.now_ns)])
    assert [type(one) for one in said] == [Said]
    assert "had ended" in said[0].text
    assert played.loop.step([FillsSeen((more,), played.now_ns)]) == []
    played.play_bar(40)
    assert "had ended" in played.account.halted


def test_an_order_of_the_position_before_that_still_fills_closes_the_one_held() -> None:
    bars, costs = made_bars(np.random.default_rng(3), 60), Costs(short=True)
    played = Played(program_of(short=False, stop=True, target=True, trailing=False), costs, bars, Terms(spot=False))
    k = 0
    while played.account.quantity == 0.0 or played.account.trades.size < 2:
        played.play_bar(k)
        k += 1
    account, held = played.account, played.account.quantity
    old = Ticket(OrderRequest(played.symbol, "sell", "take_profit", held, "old", stop_price=1.0), "target", 0)
    old.position = account.ledger.positions - 1
    account.tickets["old"] = old
    fill = Fill("f", "old", "v", played.symbol, "sell", 1.0, held, 0.0, "USDT", False, played.now_ns)
    told = account.fills_seen(old, [fill], played.now_ns)
    assert (account.quantity, account.halted) == (0.0, "")
    assert sum(isinstance(one, Traded) for one in told) == 1
    assert {one.request.kind for one in told if isinstance(one, CancelOrder)} == {"stop", "take_profit"}
    again = replace(old.request, client_id="older")
    account.tickets["older"] = older = Ticket(again, "target", 0)
    more = account.fills_seen(older, [replace(fill, trade_id="g")], played.now_ns)
    assert "came where no position is held" in account.halted
    assert any(isinstance(one, Said) and one.level == "error" for one in more)
    assert played.loop.step([Rearmed("looked at it", played.now_ns)])
    assert account.halted == ""


def test_the_same_events_give_the_same_actions() -> None:
    bars, costs = made_bars(np.random.default_rng(4), 80), Costs(short=True)
    program = program_of(short=True, stop=True, target=True, trailing=False)
    played = Played(program, costs, bars, Terms(spot=False), Trouble(9, **HARMFUL["all of it"]))
    played.play()
    again = Loop(Setup.from_json(json.loads(json.dumps(played.loop.setup.as_json()))))
    for events, actions in played.steps:
        repeated = again.step([unpack(json.loads(json.dumps(pack(event)))) for event in events])
        assert repr(repeated) == repr(actions)
    assert again.accounts[0].account.tobytes() == played.account.account.tobytes()
