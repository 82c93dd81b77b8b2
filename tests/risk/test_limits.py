"""Limits as they are written, and what they add to a program."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from engine.graph import Bar, Signals, Strategy, bind, columns, ta
from engine.risk import Limits
from engine.risk.guard import guarded
from engine.risk.limits import PositionLimits
from parquet_store.errors import Usage
from tests.graph.drawing import made_bars


def test_the_defaults_are_those_of_the_readme() -> None:
    numbers = Limits().numbers()
    assert (numbers.risk_per_trade, numbers.kelly, numbers.exposure, numbers.alike_positions) == (0.02, 0.25, 0.5, 3.0)
    assert (numbers.daily_loss, numbers.weekly_loss, numbers.drawdown, numbers.leverage) == (0.05, 0.1, 0.2, 2.0)
    assert (numbers.reward_to_risk, numbers.alike) == (2.0, 0.7)
    assert math.isinf(numbers.value_at_risk)


def test_none_is_off_everywhere() -> None:
    numbers = Limits.none().numbers()._asdict()
    low = {"reward_to_risk", "cool_down_ms", "liquidation_distance", "maintenance"}
    assert all(value == (0.0 if name in low else math.inf) for name, value in numbers.items())


@pytest.mark.parametrize("wrong", ["of", 0, -0.1, 1.5, True, math.nan, math.inf, None, "0.5"])
def test_what_is_no_limit_is_refused_with_what_was_found(wrong: object) -> None:
    with pytest.raises(ValidationError) as told:
        Limits(portfolio={"daily_loss": wrong})
    assert f'found {wrong!r}, expected a number above 0, at most 1, or "off"' in str(told.value)
    with pytest.raises(ValidationError, match="a whole number"):
        Limits(strategy={"trades_per_day": 2.5})


class Plain(Strategy):
    """No stop of its own."""

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close > ta.sma(bar.close, 5), exit=bar.close < ta.sma(bar.close, 5), max_hold=50)


class Stopped(Strategy):
    """A stop of its own, and the very range the limit would take."""

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close > bar.open, exit=bar.close < bar.open, stop=3 * ta.atr(bar, 14))


def test_a_program_without_a_stop_gets_one_at_two_ranges() -> None:
    program, bars = bind(Plain()), made_bars(3, 200)
    made = guarded(program, PositionLimits(), "1h")
    found = columns(made, bars)
    wide = columns(guarded(bind(Stopped()), PositionLimits(), "1h"), bars)
    stop, three = found.role("stop"), wide.role("stop")
    assert stop is not None
    assert three is not None
    assert stop[50:] == pytest.approx(2 / 3 * three[50:])
    for role in ("entry", "exit"):
        before, after = columns(program, bars).role(role), found.role(role)
        assert before is not None
        assert after is not None
        assert before.tobytes() == after.tobytes()


def test_a_program_with_a_stop_keeps_it() -> None:
    program = bind(Stopped())
    assert guarded(program, PositionLimits(), "1h") is program
    assert guarded(bind(Plain()), PositionLimits(stop_atr="off"), "1h").role("stop") is None


def test_the_longest_holding_is_counted_in_bars() -> None:
    for hours, timeframe, bars in ((10, "1h", 10), (10, "4h", 3), (1, "1d", 1), (60, "1h", 50), ("off", "1h", 50)):
        limits = PositionLimits(holding_hours=hours)
        assert guarded(bind(Plain()), limits, timeframe).max_hold == bars
    with pytest.raises(Usage, match="no fixed length"):
        guarded(bind(Plain()), PositionLimits(holding_hours=10), "1M")
