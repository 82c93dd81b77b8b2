"""Orders as a state machine: bars, faults, restarts, cancels by the venue and kills in any sequence."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.graph import Program, bind
from engine.live.actions import PlaceOrder
from engine.live.approved import Approved
from engine.live.events import AccountStreamCut, Killed, Resumed, pack
from engine.live.journal import canonical
from engine.live.loop import Loop
from engine.live.subaccount import Terms
from engine.simulate import Costs
from pipelines import Bars
from tests.chaos.case import Both, Long
from tests.live.perfect import Played, Trouble
from tests.live.test_subaccount import FOLLOWS
from tests.venue.client import made_bars

COSTS = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001)
CHANCES = ("split", "repeat", "lose", "lost_answer", "lost_request", "refused", "busy", "lagging")


def program_of(*, spot: bool) -> Program:
    """Return a program that trades often."""
    return bind(Long() if spot else Both(), {"length": 3})


class Orders(RuleBasedStateMachine):
    """One sub-account beside a venue that fills by the simulation's rules."""

    @initialize(spot=st.booleans(), limit=st.sampled_from((None, "rests", *FOLLOWS)), seed=st.integers(0, 1000))
    def begin(self, *, spot: bool, limit: str | None, seed: int) -> None:
        bars: Bars = made_bars(90, seed)
        costs = dataclasses.replace(COSTS, short=not spot, leverage=1.0 if spot else 2.0)
        terms = Terms(spot=spot, limit=limit is not None, **FOLLOWS.get(limit or "", {}))
        self.played = Played(program_of(spot=spot), costs, bars, terms, Trouble(seed))
        self.k = 0
        self.killed = False
        self.before = 0

    @rule(bars=st.integers(1, 6))
    def go_on(self, bars: int) -> None:
        for _ in range(min(bars, len(self.played.bars) - self.k)):
            self.played.play_bar(self.k)
            self.k += 1

    @rule(name=st.sampled_from(CHANCES), chance=st.sampled_from((0.0, 0.1, 0.3)))
    def trouble(self, name: str, chance: float) -> None:
        setattr(self.played.trouble, name, chance)

    @rule()
    def mix(self) -> None:
        self.played.trouble.shuffle = not self.played.trouble.shuffle

    @rule()
    def lose_the_stream(self) -> None:
        self.played.step([AccountStreamCut(self.played.now_ns)])
        self.played.settle()

    @rule(which=st.integers(0, 3))
    def the_venue_cancels(self, which: int) -> None:
        live = self.played.venue.live("stop", "take_profit", "limit")
        if live:
            self.played.venue._end(live[which % len(live)], "canceled")
            self.played.settle()

    @rule()
    def start_again(self) -> None:
        """Take the state from the events alone, and ask for everything; after a kill a person has let it."""
        self.killed = False
        played = self.played
        loop = Loop(played.loop.setup)
        for events, actions in played.steps:
            assert packed(loop.step(events)) == packed(actions)
        played.loop, played.account = loop, loop.accounts[0]
        played.step([Resumed(played.now_ns)])
        played.settle()

    @precondition(lambda self: not self.killed)
    @rule()
    def kill(self) -> None:
        self.killed, self.before = True, len(self.played.actions)
        self.played.step([Killed("the test", self.played.now_ns)])
        self.played.settle()

    @invariant()
    def the_account_is_the_venues(self) -> None:
        if hasattr(self, "played"):
            self.played.check()

    @invariant()
    def what_was_sent_was_approved_and_nothing_is_entered_after_a_kill(self) -> None:
        if not hasattr(self, "played"):
            return
        for action in self.played.actions[self.before :]:
            if isinstance(action, PlaceOrder):
                assert isinstance(action.request, Approved)
                ticket = self.played.account.tickets.get(action.request.client_id)
                assert not (self.killed and ticket is not None and ticket.leg == "entry")


def packed(actions: list[Any]) -> bytes:
    """Return actions as the journal has them."""
    return canonical([pack(one) for one in actions])


Orders.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOrders = Orders.TestCase
