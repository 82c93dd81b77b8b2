"""Replay finds nothing where nothing is wrong, and finds what was made wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.execution import PaperBroker
from engine.graph import Advance, Bar, Param, Program, Signals, Size, Sizing, Strategy, bind, columns, ta, when
from engine.live import ReplayReport, replay_program
from engine.simulate import Costs, simulate_program
from engine.strategies import STRATEGIES
from parquet_store.errors import Usage
from pipelines import Bars
from tests.data import BAR_FILES, needs_data
from tests.graph.drawing import Drawn, made_bars, program_of, random_signals, real_bars

COSTS = Costs(fee=0.001, slippage=0.0007, price_tick=0.01, quantity_step=0.001, min_notional=5.0, short=True)


class Swing(Strategy):
    """Both sides, a stop, a target, a limit on time: every kind of exit."""

    length = Param(6, low=2, high=50)
    trail = Param(0, low=1, high=1, off=True)
    hold = Param(9, low=1, high=99, off=True)

    def signals(self, bar: Bar) -> Signals:
        fast, slow = ta.ema(bar.close, self.length), ta.sma(bar.close, 3 * self.length)
        return Signals(
            entry=fast.crossed_above(slow),
            exit=fast.crossed_below(slow) | (ta.rsi(bar.close, 4) > 95),
            short_entry=fast.crossed_below(slow),
            short_exit=fast.crossed_above(slow),
            stop=1.5 * ta.atr(bar, 10),
            target=when(self.trail, 6.0 * ta.atr(bar, 10), 2.0 * ta.atr(bar, 10)),
            trailing=self.trail,
            max_hold=self.hold,
            size=Size.kelly(0.5),
        )


SIZINGS = [
    None,
    Sizing.of("all_in"),
    Sizing.of("fixed_fraction", fraction=0.3),
    Sizing.of("fixed_ratio", delta=200.0, unit=0.5),
    Sizing.of("atr_risk", risk=0.01),
]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_sample_replays_without_a_mismatch(name: str, sample: Bars) -> None:
    program = bind(STRATEGIES[name]())
    report = replay_program(program, Costs(), sample)
    assert report.mismatches == 0, report.details
    assert report.bars == len(sample)
    assert report.trades == simulate_program(program, sample, Costs()).trades.size


@pytest.mark.parametrize("sizing", SIZINGS, ids=lambda s: s.kind if s else "own")
@pytest.mark.parametrize("trail", [0, 1])
def test_both_sides_with_every_exit_and_size_replay_without_a_mismatch(sizing: Sizing | None, trail: int) -> None:
    program, bars = bind(Swing(), {"trail": trail}, sizing), made_bars(7, 1_400)
    report = replay_program(program, COSTS, bars)
    assert report.mismatches == 0, report.details
    trades = simulate_program(program, bars, COSTS).trades
    assert set(trades["side"].tolist()) == {1, -1}
    assert len(set(trades["reason"].tolist())) >= 3
    assert report.trades == trades.size > 30


@needs_data
@pytest.mark.parametrize("name", sorted(BAR_FILES)[::4])
def test_real_bars_replay_without_a_mismatch(name: str) -> None:
    bars = real_bars(name, 0, 2_000)
    for program in (bind(Swing(), {"trail": 1}), bind(STRATEGIES["mean_reversion"](), {"var_length": 50})):
        report = replay_program(program, Costs(short=True), bars)
        assert report.mismatches == 0, report.details
        assert report.bars == len(bars)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(random_signals(), st.integers(0, 3))
def test_random_strategies_replay_without_a_mismatch(made: Signals, seed: int) -> None:
    report = replay_program(bind(Drawn(made)), COSTS, made_bars(seed, 300))
    assert report.mismatches == 0, report.details


def swing(**changes: Any) -> ReplayReport:
    return replay_program(bind(Swing(), {"trail": 1}), COSTS, made_bars(7, 600))


def test_a_node_that_is_wrong_on_one_bar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Advance.advance

    def wrong(self: Advance, number: int, *bar: float) -> None:
        right(self, number, *bar)
        if number == int(made_bars(7, 600).number[411]):
            self.values[2] = np.nextafter(self.values[2], np.inf)

    monkeypatch.setattr(Advance, "advance", wrong)
    report = swing()
    assert report.mismatches == 1
    assert "differs at bar 411" in report.details[0]


def test_a_kernel_with_another_length_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Advance.__init__

    def wrong(self: Advance, program: Program) -> None:
        right(self, program)
        self.machine.params[self.machine.params == 10.0] = 11.0

    monkeypatch.setattr(Advance, "__init__", wrong)
    report = swing()
    assert report.mismatches > 500
    assert len(report.details) <= 20
    assert "(atr).atr differs at bar 10" in report.details[0]


def test_a_broker_with_another_fee_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PaperBroker.__init__

    def wrong(self: PaperBroker, program: Program, costs: Costs) -> None:
        right(self, program, Costs(fee=0.0011, slippage=0.0007, short=True))

    monkeypatch.setattr(PaperBroker, "__init__", wrong)
    report = swing()
    assert report.mismatches > 100
    assert any("equity" in line for line in report.details)
    assert any("trade 0 differs" in line for line in report.details)


def test_a_broker_that_loses_a_decision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PaperBroker.close

    def wrong(self: PaperBroker, close: float, signals: Any, stop: float, target: float) -> None:
        right(self, close, (False,) * 4 if self.bars > 100 else signals, stop, target)

    monkeypatch.setattr(PaperBroker, "close", wrong)
    report = swing()
    assert report.mismatches > 0
    assert any("missing" in line or "equity" in line for line in report.details)


def test_a_state_lost_half_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Advance, "resume", classmethod(lambda cls, program, data: cls(program)))
    assert swing().mismatches > 10


def test_the_open_position_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, right = made_bars(1, 100), PaperBroker.close
    program = program_of(entry=Bar().close > 0)

    def wrong(self: PaperBroker, *given: Any) -> None:
        right(self, *given)
        self.account["entry_bar"] = 7

    monkeypatch.setattr(PaperBroker, "close", wrong)
    report = replay_program(program, COSTS, bars)
    assert (report.mismatches, report.details) == (1, ("open trade 0 differs",))


def test_a_strategy_that_goes_short_where_none_may_is_refused() -> None:
    with pytest.raises(Usage, match="spot market"):
        replay_program(bind(Swing()), Costs(), made_bars(7, 600))


def test_a_report_is_plain_data_and_progress_counts_bars() -> None:
    seen: list[int] = []
    report = replay_program(bind(STRATEGIES["buy_and_hold"]()), Costs(), made_bars(1, 1_500), seen.append)
    assert json.loads(json.dumps(report.as_json())) == {"bars": 1_500, "trades": 0, "mismatches": 0, "details": []}
    assert 0 < sum(seen) <= 1_500


def test_a_program_without_nodes_and_no_bars_replay(sample: Bars) -> None:
    assert replay_program(program_of(entry=True), Costs(), sample.slice(0, 50)).mismatches == 0
    assert replay_program(bind(Swing()), COSTS, sample.slice(0, 1)).as_json()["bars"] == 1
    assert columns(program_of(entry=True), sample.slice(0, 50)).values.shape == (0, 50)
