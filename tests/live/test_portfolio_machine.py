"""A portfolio as a state machine: bars of any series in any order, late or missing; limits, stops, rearming."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.graph.together import Together
from engine.live.actions import Action, Decided, FetchCandles
from engine.live.events import CandlesAnswered, CandlesStreamed, ClockAdvanced, Event, Limited, Rearmed, pack
from engine.live.journal import canonical
from engine.live.loop import Loop
from engine.live.risk_rule import RiskRule
from engine.live.setup import FeedRule, Placement, Setup, series_of
from engine.live.subaccount import Terms
from engine.risk import Limits
from pipelines.candles import Candle
from tests.chaos.case import CASH, LIMITS, costs_of, programs

SECOND, MINUTE = 1_000_000_000, 60_000_000_000
START = 1_700_006_400_000_000_000 - 5 * MINUTE
SYMBOLS = ("AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT")


class Portfolio(RuleBasedStateMachine):
    """A loop on paper; every bar is shown by its stream and proven by REST."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        costs = dataclasses.replace(costs_of(spot=False), leverage=3.0)
        program = programs(spot=False)[0]
        placements = tuple(
            Placement(symbol[0].lower(), f"{k}".ljust(64, "d"), symbol, "1m", program, costs, 0.33)
            for k, symbol in enumerate(SYMBOLS)
        )
        state = Together([(one.series, one.program) for one in placements]).checkpoint()
        last = Candle(START - MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0)
        portfolio = {**LIMITS["portfolio"], "daily_loss": 0.05}
        strategy = {**LIMITS["strategy"], "trades_per_day": 30}
        self.limits = Limits(**{**LIMITS, "portfolio": portfolio, "strategy": strategy})
        self.setup = Setup(
            placements, state, {one.series: last for one in placements}, FeedRule(), Terms(spot=False, paper=True),
            RiskRule(self.limits, shared=True),
        )  # fmt: skip
        self.loop = Loop(self.setup)
        self.now = START
        self.prices = dict.fromkeys(SYMBOLS, 100.0)
        self.shown: dict[str, list[Candle]] = {series_of(symbol, "1m"): [last] for symbol in SYMBOLS}
        self.steps: list[tuple[list[Event], list[Action]]] = []
        self.entries: dict[tuple[str, int], int] = {}
        self.stopped = False

    # --- what happens

    @rule(count=st.integers(1, 25), missing=st.sets(st.sampled_from(SYMBOLS), max_size=2),
          late=st.sampled_from((0, 1, 5, 90)), move=st.sampled_from((0.001, 0.003, 0.02)))  # fmt: skip
    def bars_close(self, count: int, missing: set[str], late: int, move: float) -> None:
        for _ in range(count):
            odd = self.draw.random() < 0.2
            self.bar_closes(missing if odd else set(), late if odd else 0, move)

    def bar_closes(self, missing: set[str], late: int, move: float) -> None:
        opens = self.now
        self.now += MINUTE
        order = list(self.draw.permutation(len(SYMBOLS)))
        for k in order:
            symbol = SYMBOLS[k]
            open_ = self.prices[symbol]
            close = round(open_ * float(np.exp(self.draw.normal(0.0, move))), 2)
            if symbol in missing:
                continue
            self.prices[symbol] = close
            high, low = round(max(open_, close) * 1.001, 2), round(min(open_, close) * 0.999, 2)
            candle = Candle(opens, open_, high, low, close, 5.0)
            series = series_of(symbol, "1m")
            self.shown[series].append(candle)
            self.step([CandlesStreamed(series, (candle,), self.now)])
            self.time(SECOND * (late // 3))
        for seconds in (2, 10, 2, 2):
            self.time(SECOND * seconds)
        self.now = opens + MINUTE if self.now < opens + 2 * MINUTE else (self.now // MINUTE) * MINUTE

    @rule(minutes=st.integers(1, 3))
    def nothing_trades(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.time(15 * SECOND)
        self.now = (self.now // MINUTE) * MINUTE

    @rule(days=st.integers(1, 8))
    def days_pass(self, days: int) -> None:
        self.now += days * 1440 * MINUTE
        self.time(15 * SECOND)
        self.now = (self.now // MINUTE) * MINUTE

    @rule(exposure=st.sampled_from((0.5, 0.4, 0.3, 0.2)), trades=st.sampled_from((30.0, 10.0, 4.0)))
    def tighten(self, exposure: float, trades: float) -> None:
        made = self.limits.model_copy(
            update={
                "portfolio": self.limits.portfolio.model_copy(update={"exposure": exposure}),
                "strategy": self.limits.strategy.model_copy(update={"trades_per_day": trades}),
            }
        )
        if not made.looser_than(self.limits):
            self.limits = made
            self.step([Limited(made.model_dump_json(), self.now)])

    @rule()
    def rearm(self) -> None:
        self.step([Rearmed("looked at", self.now)])
        self.stopped = False

    @rule()
    def repeat(self) -> None:
        """The same events give the same actions and the same account."""
        loop = Loop(self.setup)
        for events, actions in self.steps:
            assert packed(loop.step(events)) == packed(actions)
        assert loop.rows.tobytes() == self.loop.rows.tobytes()
        assert loop.book.tobytes() == self.loop.book.tobytes()

    def time(self, ns: int) -> None:
        self.now += ns
        self.step([ClockAdvanced(self.now)])

    def step(self, events: list[Event]) -> None:
        actions = self.loop.step(events)
        self.steps.append((events, actions))
        decided = [one for one in actions if isinstance(one, Decided)]
        for one in decided:
            self.decide(one)
        for action in actions:
            if isinstance(action, FetchCandles):
                found = tuple(c for c in self.shown[action.series] if action.from_ns <= c.open_ns <= action.to_ns)
                asked = (action.from_ns, action.to_ns, self.now)
                self.step([CandlesAnswered(action.series, found, *asked, whole=True, time_ns=self.now)])

    # --- what must hold

    def decide(self, one: Decided) -> None:
        """Hold an entry against the limits that hold now, counted from outside."""
        if not one.ordered:
            return
        assert not self.stopped
        day = one.close_ns // (1440 * MINUTE)
        self.entries[one.account, day] = self.entries.get((one.account, day), 0) + 1
        assert self.entries[one.account, day] <= self.limits.strategy.trades_per_day
        legs, rows = self.loop._deciding.legs, self.loop.rows
        notional = float(((abs(rows["quantity"]) + legs["pending"]) * legs["mark"]).sum())
        own = next(k for k, account in enumerate(self.loop.accounts) if account.name == one.account)
        notional -= abs(float(rows[own]["quantity"])) * float(legs[own]["mark"])  # what it leaves first
        assert notional <= float(self.limits.portfolio.exposure) * float(self.loop.book["equity"]) * (1 + 1e-3)

    @invariant()
    def the_account_is_its_cash_and_what_it_holds(self) -> None:
        if not hasattr(self, "loop"):
            return
        rows, marks, book = self.loop.rows, self.loop._deciding.legs["mark"], self.loop.book
        self.stopped |= bool(book["stopped"])
        worth = float((rows["cash"] + rows["quantity"] * np.where(np.isnan(marks), 0.0, marks)).sum())
        if self.loop.bars:
            assert abs(worth - float(book["equity"])) <= 1e-6 * CASH
        earned = sum(float(account.trades["profit"].sum()) for account in self.loop.accounts)
        flat = not rows["quantity"].any()
        assert not flat or abs(worth - CASH - earned) <= 1e-6 * CASH


def packed(actions: list[Any]) -> bytes:
    """Return actions as the journal has them."""
    return canonical([pack(one) for one in actions])


Portfolio.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPortfolio = Portfolio.TestCase
