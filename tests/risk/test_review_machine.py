"""The review as a state machine: entries, exits, moves of prices, days and rearming in any sequence."""

from __future__ import annotations

import math

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.simulate import Costs
from tests.risk.test_review import DAY, Account, run_closed, run_observe

STEP = 0.001
STRATEGY = {"reward_to_risk": 2.0, "trades_per_day": 3, "losses_in_a_row": 2, "cool_down_hours": 6.0}
POSITION = {"risk_per_trade": 0.02, "notional": 4000.0}
PORTFOLIO = {"exposure": 0.7, "daily_loss": 0.05}
ACCOUNT = {"weekly_loss": 0.1, "drawdown": 0.2, "leverage": 1.5}


class Review(RuleBasedStateMachine):
    """Three legs of one strategy over one account, and what was seen of it, in plain Python."""

    @initialize()
    def begin(self) -> None:
        self.account = Account(strategy=STRATEGY, position=POSITION, portfolio=PORTFOLIO, account=ACCOUNT)
        self.account.costs = Costs(fee=0.001, slippage=0.0005, quantity_step=STEP)
        self.entries: dict[int, int] = {}
        self.losses, self.cool_until = [0, 0, 0], [0, 0, 0]
        self.stopped = self.paused = False
        self.over = -1  # the day on which trading ended
        self._look()

    def _look(self) -> None:
        made = self.account
        run_observe(made.limits, made.accounts, made.legs, made.book, made.time)
        book, self.known = made.book[0], self.equity
        self.stopped |= bool(book["stopped"])
        self.paused |= bool(book["paused"])
        if book["day_over"]:
            self.over = made.time // DAY

    @property
    def equity(self) -> float:
        rows, marks = self.account.accounts, self.account.legs["mark"]
        return float((rows["cash"] + rows["quantity"] * marks).sum())

    @property
    def notional(self) -> float:
        return float((abs(self.account.accounts["quantity"]) * self.account.legs["mark"]).sum())

    @rule(k=st.integers(0, 2), quantity=st.floats(0.001, 100.0), stop=st.sampled_from((math.nan, 1.0, 3.0, 20.0)),
          reward=st.sampled_from((math.nan, 1.0, 2.0, 3.0)), fills=st.booleans())  # fmt: skip
    def ask(self, k: int, quantity: float, stop: float, reward: float, *, fills: bool) -> None:
        made = self.account
        if made.accounts[k]["quantity"] != 0.0:
            return
        before, price = self.notional, float(made.legs[k]["mark"])
        pending = float((made.legs["pending"] * made.legs["mark"]).sum()) - float(made.legs[k]["pending"]) * price
        target, today = reward * stop, made.time // DAY
        let, limit = made.ask(quantity, stop=stop, target=target, k=k)
        assert 0.0 <= let <= quantity
        assert (limit == "") == (let == quantity)
        if let == 0.0:
            return
        equity = self.known
        assert (self.stopped, self.paused, self.over == today) == (False, False, False)
        assert made.time >= self.cool_until[k]
        assert not target < 2.0 * stop
        assert self.entries.get(today, 0) < 3
        assert let * ((stop if stop == stop else price) + price * 0.0025) <= 0.02 * equity * (1 + 1e-9)
        assert let * price <= 4000.0 * (1 + 1e-9)
        assert before + pending + let * price <= 0.7 * equity * (1 + 1e-9)
        self.entries[today] = self.entries.get(today, 0) + 1
        if fills:
            made.accounts[k]["quantity"], made.accounts[k]["side"] = let, 1.0
            made.accounts[k]["entry_price"] = price
            made.accounts[k]["cash"] -= let * price * 1.001
        made.legs[k]["pending"] = 0.0

    @rule(k=st.integers(0, 2))
    def leave(self, k: int) -> None:
        made = self.account
        quantity = float(made.accounts[k]["quantity"])
        if quantity == 0.0:
            return
        price = float(made.legs[k]["mark"])
        profit = quantity * (price - float(made.accounts[k]["entry_price"])) - 0.002 * quantity * price
        made.accounts[k]["cash"] += quantity * price * 0.999
        made.accounts[k]["quantity"] = made.accounts[k]["side"] = 0.0
        run_closed(made.limits, made.legs, k, profit, made.time)
        self.losses[k] = 0 if profit > 0.0 else self.losses[k] + 1
        if self.losses[k] >= 2:
            self.cool_until[k] = made.time + 6 * 3_600_000

    @rule(change=st.floats(-0.12, 0.12), hours=st.sampled_from((1, 5, 24, 24 * 8)))
    def move(self, change: float, hours: int) -> None:
        self.account.legs["mark"] *= 1.0 + change
        self.account.time += hours * 3_600_000
        self._look()

    @rule()
    def rearm(self) -> None:
        book = self.account.book[0]
        book["paused"] = book["stopped"] = 0
        book["peak"] = book["week_start"] = book["equity"]
        self.stopped = self.paused = False

    @invariant()
    def what_stopped_stays_stopped_until_somebody_rearms_it(self) -> None:
        if hasattr(self, "account"):
            book = self.account.book[0]
            assert bool(book["stopped"]) == self.stopped
            assert bool(book["paused"]) == self.paused
            assert book["lowest"] <= book["equity"] * (1 + 1e-12)
            assert book["peak"] >= book["equity"] * (1 - 1e-12)


Review.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReview = Review.TestCase
