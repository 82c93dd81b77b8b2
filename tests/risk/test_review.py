"""Every limit at its edge: what reaches it passes, what crosses it by one unit does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.jit import compiled
from engine.risk import Limits
from engine.risk.review import NAMES, closed_trade, observe, review
from engine.risk.state import History, new_book, new_legs
from engine.simulate import Costs
from engine.simulate.account import new_account

HOUR, DAY = 3_600_000, 86_400_000
MONDAY = 4 * DAY  # 5 January 1970
NAN = math.nan


@compiled
def run_review(limits, accounts, legs, books, k, order, kelly, costs, history, time):  # type: ignore[no-untyped-def]
    room = np.empty((2, 250))
    quantity, reference, stop, target = order
    return review(
        limits, accounts, legs, books[0], k, quantity, reference, stop, target, kelly, costs, history, room, time
    )


@compiled
def run_observe(limits, accounts, legs, books, time):  # type: ignore[no-untyped-def]
    observe(limits, accounts, legs, books[0], time)


@compiled
def run_closed(limits, legs, k, profit, time):  # type: ignore[no-untyped-def]
    closed_trade(limits, legs[k], profit, time)


class Account:
    """An account of some legs, each on a symbol of its own at price 100, and the limits that are not off."""

    def __init__(self, cash: float = 10_000.0, legs: int = 3, **limits: dict[str, Any]) -> None:
        off = Limits.none().model_dump()
        self.limits = Limits(**{layer: off[layer] | limits.get(layer, {}) for layer in off}).numbers()
        self.accounts = np.concatenate([new_account(cash if k == 0 else 0.0) for k in range(legs)])
        self.legs = new_legs(list(range(legs)), [0] * legs)
        self.legs["mark"] = 100.0
        self.book, self.history = new_book(cash, 0.0), History(legs)
        self.costs = Costs(fee=0.0, slippage=0.0, quantity_step=0.001)
        self.time = MONDAY + HOUR

    def hold(self, k: int, quantity: float) -> None:
        self.accounts[k]["quantity"], self.accounts[k]["side"] = quantity, math.copysign(1.0, quantity)
        self.accounts[k]["cash"] -= quantity * 100.0

    def move(self, to: float, *, hours: float = 1.0) -> None:
        """Let every symbol close at a price."""
        self.legs["mark"] = to
        self.time += int(hours * HOUR)
        run_observe(self.limits, self.accounts, self.legs, self.book, self.time)

    def ask(
        self, quantity: float = 1.0, *, stop: float = NAN, target: float = NAN, k: int = 0, kelly: bool = False
    ) -> tuple[float, str]:
        order = (quantity, float(self.legs[k]["mark"]), stop, target)
        let, limit, _ = run_review(
            self.limits, self.accounts, self.legs, self.book, k, order, kelly, self.costs.numbers(),
            self.history.arrays, self.time,
        )  # fmt: skip
        return float(let), NAMES[limit] if limit >= 0 else ""

    def closes(self, k: int, prices: np.ndarray[Any, Any], start: int = 0) -> None:
        self.history.fill(k, (start + np.arange(len(prices))) * HOUR, prices)


def test_without_limits_everything_passes() -> None:
    account = Account()
    assert account.ask(1e6, stop=50.0, target=0.1) == (1e6, "")


def test_risk_per_trade_makes_an_entry_smaller() -> None:
    account = Account(position={"risk_per_trade": 0.02})
    assert account.ask(40.0, stop=5.0) == (40.0, "")
    assert account.ask(40.001, stop=5.0) == (40.0, "position.risk_per_trade")
    assert account.ask(2.001) == (2.0, "position.risk_per_trade")  # without a stop the whole price is at risk
    account.costs = Costs(fee=0.01, slippage=0.005, quantity_step=0.001)
    assert account.ask(40.0, stop=5.0) == (26.666, "position.risk_per_trade")  # 200 / (5 + 0.5 + 2)
    account.costs = Costs(fee=0.0, slippage=0.0, quantity_step=0.001, min_notional=201.0)
    assert account.ask(2.001) == (0.0, "position.risk_per_trade")


def test_kelly_is_capped_where_kelly_sizes() -> None:
    account = Account(position={"kelly": 0.25})
    assert account.ask(25.0, kelly=True) == (25.0, "")
    assert account.ask(25.001, kelly=True) == (25.0, "position.kelly")
    assert account.ask(25.001) == (25.001, "")


def test_one_entry_is_no_larger_than_its_limit() -> None:
    account = Account(position={"notional": 1000.0})
    assert account.ask(10.0) == (10.0, "")
    assert account.ask(10.001) == (10.0, "position.notional")


def test_a_close_far_from_the_one_before_is_not_believed() -> None:
    for last, told in (
        (129.999, ""),
        (130.001, "operation.price_band"),
        (69.999, "operation.price_band"),
        (70.001, ""),
    ):
        account = Account(operation={"price_band": 0.3})
        assert account.ask()[1] == ""
        account.closes(0, np.array([100.0, last]))
        assert account.ask(k=1)[1] == ""
        assert account.ask()[1] == told


def test_leverage_makes_an_entry_smaller() -> None:
    account = Account(account={"leverage": 2.0})
    assert account.ask(200.0) == (200.0, "")
    account = Account(account={"leverage": 2.0})
    account.hold(1, -50.0)
    account.move(100.0)
    assert account.ask(150.001) == (150.0, "account.leverage")


def test_exposure_counts_what_is_held_and_what_is_on_its_way() -> None:
    account = Account(portfolio={"exposure": 0.5})
    account.hold(1, -20.0)
    account.move(100.0)
    assert account.ask(30.001) == (0.0, "portfolio.exposure")
    assert account.ask(20.0, k=2) == (20.0, "")
    assert account.ask(10.001) == (0.0, "portfolio.exposure")
    assert account.ask(10.0) == (10.0, "")
    assert account.ask(50.0, k=1) == (0.0, "portfolio.exposure")  # its own position is left first, the others count
    assert account.ask(20.0, k=1) == (20.0, "")


def test_margin_and_the_distance_to_liquidation() -> None:
    account = Account(account={"margin": 0.02, "maintenance_rate": 0.01})
    assert account.ask(200.001) == (0.0, "account.margin")
    assert account.ask(200.0) == (200.0, "")
    account = Account(account={"liquidation_distance": 0.24, "maintenance_rate": 0.01})
    assert account.ask(400.001) == (0.0, "account.liquidation_distance")  # (1 - 0.04) / 4
    assert account.ask(400.0) == (400.0, "")


def test_reward_to_risk_asks_where_there_is_a_target() -> None:
    account = Account(strategy={"reward_to_risk": 2.0})
    assert account.ask(stop=5.0, target=9.999) == (0.0, "strategy.reward_to_risk")
    assert account.ask(stop=5.0, target=10.0) == (1.0, "")
    assert account.ask(stop=5.0) == (1.0, "")
    assert account.ask(target=1.0) == (1.0, "")


def test_trades_per_day_are_those_of_the_strategy() -> None:
    account = Account(strategy={"trades_per_day": 2})
    account.legs["strategy"] = [0, 0, 1]
    assert account.ask()[1] == account.ask(k=1)[1] == ""
    assert account.ask(k=1) == (0.0, "strategy.trades_per_day")
    assert account.ask(k=2) == (1.0, "")
    account.time = MONDAY + DAY - 1
    assert account.ask() == (0.0, "strategy.trades_per_day")
    account.time = MONDAY + DAY
    assert account.ask() == (1.0, "")


def test_losses_in_a_row_are_followed_by_a_pause() -> None:
    account = Account(strategy={"losses_in_a_row": 2, "cool_down_hours": 3})
    for profit in (-1.0, 1.0, 0.0):  # what comes out even has lost
        run_closed(account.limits, account.legs, 0, profit, account.time)
    assert account.ask() == (1.0, "")
    run_closed(account.limits, account.legs, 0, -1.0, account.time)
    assert account.ask() == (0.0, "strategy.losses_in_a_row")
    assert account.ask(k=1) == (1.0, "")
    account.time += 3 * HOUR - 1
    assert account.ask() == (0.0, "strategy.losses_in_a_row")
    account.time += 1
    assert account.ask() == (1.0, "")


def test_the_daily_loss_ends_the_day_and_no_more() -> None:
    account = Account(portfolio={"daily_loss": 0.05})
    account.hold(0, 100.0)
    account.move(95.01)
    assert account.ask(k=1) == (1.0, "")
    account.move(95.0)
    assert account.ask(k=1) == (0.0, "portfolio.daily_loss")
    account.move(105.0)
    assert account.ask(k=1) == (0.0, "portfolio.daily_loss")  # the day is over, whatever comes
    account.move(90.0, hours=20.0)  # 24:00: the next day starts from here
    assert account.time == MONDAY + DAY
    assert account.ask(k=1) == (1.0, "")
    account.move(85.51)
    assert account.ask(k=1) == (1.0, "")
    account.move(85.5)
    assert account.ask(k=1) == (0.0, "portfolio.daily_loss")


def test_a_day_without_a_close_at_midnight_starts_from_the_last_close_before() -> None:
    account = Account(portfolio={"daily_loss": 0.05})
    account.hold(0, 100.0)
    account.move(98.0, hours=10.0)
    account.move(93.1, hours=20.0)
    assert account.ask(k=1) == (0.0, "portfolio.daily_loss")


def test_a_fill_counts_at_its_price_until_the_next_close() -> None:
    account = Account(portfolio={"daily_loss": 0.05})
    account.hold(0, 100.0)
    account.legs["met"][0] = 95.0
    account.move(99.0)
    assert account.ask(k=1) == (0.0, "portfolio.daily_loss")
    assert account.book[0]["equity"] == 9_900.0
    assert math.isnan(account.legs["met"][0])


def test_the_weekly_loss_pauses_until_somebody_looks() -> None:
    account = Account(account={"weekly_loss": 0.1})
    account.hold(0, 100.0)
    account.move(90.01, hours=100.0)
    assert account.ask(k=1) == (1.0, "")
    account.move(90.0)
    assert account.ask(k=1) == (0.0, "account.weekly_loss")
    account.move(100.0, hours=24 * 7.0)
    assert account.ask(k=1) == (0.0, "account.weekly_loss")


def test_a_new_week_starts_on_monday() -> None:
    account = Account(account={"weekly_loss": 0.1})
    account.hold(0, 100.0)
    account.move(91.0, hours=24 * 7.0 - 1)  # 24:00 on Sunday
    assert account.time == MONDAY + 7 * DAY
    account.move(82.0)
    assert account.ask(k=1) == (1.0, "")
    account.move(81.89)
    assert account.ask(k=1) == (0.0, "account.weekly_loss")


def test_the_drawdown_stops_everything() -> None:
    account = Account(account={"drawdown": 0.2})
    account.hold(0, 100.0)
    account.move(120.0)
    account.move(96.01)
    assert account.ask(k=1) == (1.0, "")
    account.move(96.0)
    assert account.ask(k=1) == (0.0, "account.drawdown")
    account.move(130.0)
    assert account.ask(k=1) == (0.0, "account.drawdown")


def walks(seed: int, count: int, likeness: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    common, own = rng.normal(0, 0.01, (2, count))
    return 100 * np.cumprod(1 + common), 50 * np.cumprod(1 + likeness * common + (1 - likeness) * own)


@pytest.mark.parametrize("count", [100, 251, 700])
def test_the_correlation_is_pearsons_over_the_last_250_returns(count: int) -> None:
    a, b = walks(3, count, 0.5)
    kept = min(count, 251)
    x, y = (np.diff(p[-kept:]) / p[-kept:-1] for p in (a, b))
    found = float(np.corrcoef(x, y)[0, 1])
    for limit, told in ((found + 1e-12, ""), (found - 1e-12, "strategy.correlation")):
        account = Account(strategy={"correlation": limit})
        account.closes(0, a)
        account.closes(1, b)
        account.hold(1, 1.0)
        assert account.ask()[1] == told


def test_only_common_bars_are_compared() -> None:
    a, b = walks(5, 300, 0.9)
    account = Account(strategy={"correlation": 0.5})
    account.closes(0, a)
    account.closes(1, b, start=3)
    account.hold(1, 1.0)
    assert account.ask() == (1.0, "")  # three bars apart they have nothing to do with each other


def test_what_cannot_be_compared_counts_as_alike() -> None:
    a, b = walks(5, 61, 0.0)
    for count, told in ((61, ""), (60, "portfolio.correlated_positions")):
        account = Account(portfolio={"correlated_positions": 1, "correlation": 0.7})
        account.closes(0, a[:count])
        account.closes(1, b[:count])
        account.hold(1, 1.0)
        assert account.ask()[1] == told


@pytest.mark.parametrize("growth", [1.0, 1.01, 1.0 + 1e-5])
def test_a_series_whose_returns_are_all_the_same_counts_as_alike(growth: float) -> None:
    a, _ = walks(5, 300, 0.0)
    for pair in ((a, growth ** np.arange(300.0)), (growth ** np.arange(300.0), a)):
        account = Account(strategy={"correlation": 0.5})
        account.closes(0, pair[0])
        account.closes(1, pair[1])
        account.hold(1, 1.0)
        assert account.ask()[1] == "strategy.correlation"


def test_so_many_positions_may_be_alike() -> None:
    account = Account(portfolio={"correlated_positions": 3, "correlation": 0.7}, legs=5)
    a, b = walks(7, 300, 0.0)
    for k in range(4):
        account.closes(k, a)
    account.closes(4, b)
    account.hold(1, 1.0)
    account.hold(2, -1.0)
    assert account.ask(k=3) == (1.0, "")  # the third
    assert account.ask(k=0) == (0.0, "portfolio.correlated_positions")  # on its way counts
    assert account.ask(k=4) == (1.0, "")


def test_the_value_at_risk_is_that_of_the_symbol() -> None:
    a, _ = walks(11, 251, 0.0)
    found = -sorted(a[1:] / a[:-1] - 1.0)[12]  # the 13th of 250
    for limit, told in ((found, ""), (np.nextafter(found, 0.0), "strategy.value_at_risk")):
        account = Account(strategy={"value_at_risk": limit})
        account.closes(0, a)
        assert account.ask()[1] == told
    account = Account(strategy={"value_at_risk": 0.9})
    account.closes(0, a[:60])
    assert account.ask()[1] == "strategy.value_at_risk"  # too little is known


def test_a_refused_entry_leaves_no_trace() -> None:
    account = Account(portfolio={"exposure": 0.5}, strategy={"trades_per_day": 1})
    assert account.ask(50.001)[0] == 0.0
    assert account.legs["pending"][0] == 0.0
    assert account.ask(50.0) == (50.0, "")
    assert account.legs["pending"][0] == 50.0
