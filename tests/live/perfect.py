"""A venue without a wire that fills by the simulation's rules, and a feed that shows it bars: for tests of the loop.

Every order is kept under the client's id and can never be sent twice.  ``Trouble`` says what goes wrong on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.graph import Program
from engine.graph.together import Together
from engine.live.actions import (
    Action,
    AmendOrder,
    CancelOrder,
    Decided,
    FetchCandles,
    FetchFills,
    FetchQuote,
    FindOrder,
    PlaceOrder,
    PlacePair,
)
from engine.live.events import (
    AccountStreamCut,
    CallFailed,
    CandlesAnswered,
    CandlesStreamed,
    ClockAdvanced,
    Event,
    FillsSeen,
    OrderAbsent,
    OrderSeen,
    QuoteSeen,
)
from engine.live.loop import Loop
from engine.live.setup import FeedRule, Placement, Setup, series_of
from engine.live.subaccount import SubAccount, Terms
from engine.simulate import Costs, formulas
from pipelines import Bars
from pipelines.candles import Candle

MS, SECOND = 1_000_000, 1_000_000_000
_fill_price = formulas.fill_price.py_func  # type: ignore[attr-defined]
_affordable = formulas.affordable_quantity.py_func  # type: ignore[attr-defined]


@dataclass
class Trouble:
    """Chances, each drawn anew for every event or call, from one seed; counts of what was done."""

    seed: int = 0
    split: float = 0.0  # a fill comes in parts
    repeat: float = 0.0  # an event comes twice
    shuffle: bool = False  # what the stream says comes in any order, before the answers too
    lose: float = 0.0  # the stream's word is lost; the account's stream is said to be cut
    late: bool = False  # and only after the next close
    lost_answer: float = 0.0  # an order or a cancellation is taken, and the answer is not heard
    lost_request: float = 0.0  # it is not taken, and no answer is heard
    refused: float = 0.0  # the venue says no
    busy: float = 0.0  # nothing happened: ask again
    lagging: float = 0.0  # a question for an order finds nothing although it is there
    part: float = 0.0  # a limit order fills in part and then rests
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw = np.random.default_rng(self.seed)

    def strikes(self, name: str) -> bool:
        """Draw one chance."""
        hit = bool(self.draw.random() < getattr(self, name))
        if hit:
            self.done[name] = self.done.get(name, 0) + 1
        return hit


@dataclass
class Resting:
    """An order at the venue."""

    request: OrderRequest
    venue_id: str
    status: str = "open"
    filled: float = 0.0
    sibling: str = ""
    asked: bool = False
    triggered: bool = False
    fills: list[Fill] = field(default_factory=list)


class Perfect:
    """The venue.

    Attributes
    ----------
    position, cash : float
        By what was filled.
    price : float
        The latest, NaN between a close and the next open.
    aside : float
        Where the best prices are, as a part of the latest.
    """

    def __init__(self, costs: Costs, trouble: Trouble, *, spot: bool) -> None:
        self.costs, self.trouble, self.spot = costs, trouble, spot
        self.position, self.cash = 0.0, costs.initial_cash
        self.orders: dict[str, Resting] = {}
        self.price, self.time_ns, self.aside = float("nan"), 0, 1.0
        self.told: list[Event] = []  # by the stream

    def live(self, *kinds: str) -> list[Resting]:
        """Return what rests, of some kinds."""
        return [one for one in self.orders.values() if one.status == "open" and one.request.kind in kinds]

    def report(self, one: Resting) -> OrderSeen:
        """Return how an order stands."""
        r = one.request
        return OrderSeen(
            OrderReport(
                r.client_id, one.venue_id, r.symbol, r.side, r.kind, one.status,  # type: ignore[arg-type]
                r.quantity, one.filled, float("nan"), r.price, self.time_ns,
            ),
            self.time_ns,
        )  # fmt: skip

    # --- what is asked of it

    def do(self, action: Action) -> list[Event]:
        """Do an action and return the answer; the stream's word goes to ``told``."""
        if isinstance(action, PlaceOrder):
            return self._call([action.request], "place")
        if isinstance(action, PlacePair):
            return self._call([action.stop, action.target], "place")
        if isinstance(action, CancelOrder):
            return self._call([action.request], "cancel")
        if isinstance(action, AmendOrder):
            return self._call([action.request], "amend")
        if isinstance(action, FetchQuote):
            bid = round(self.aside * self.price, 2)
            return [QuoteSeen(action.symbol, bid, bid + 0.02, self.time_ns)] if bid > 0.0 else []
        if isinstance(action, FindOrder):
            one = self.orders.get(action.request.client_id)
            if one is None or (not one.asked and self.trouble.strikes("lagging")):
                if one is not None:
                    one.asked = True
                return [OrderAbsent(action.request.client_id, self.time_ns)]
            return [self.report(one)]
        if isinstance(action, FetchFills):
            one = self.orders[action.request.client_id]
            assert one.venue_id == action.venue_id
            return [FillsSeen(tuple(one.fills), self.time_ns)]
        return []

    def _call(self, requests: list[OrderRequest], call: Any) -> list[Event]:
        meaning = next((name for name in ("lost_request", "refused", "busy") if self.trouble.strikes(name)), "")
        if call != "place" and meaning == "refused":
            meaning = ""
        if call == "place" and requests[0].post_only and not meaning and self._crosses(requests[0]):
            meaning = "refused"
        if not meaning:
            done = self._place(requests) if call == "place" else DOES[call](self, requests[0])
            if done and not self.trouble.strikes("lost_answer"):
                return done
        means: Any = {"refused": "refuse", "busy": "retry"}.get(meaning, "unknown")
        return [CallFailed(one.client_id, call, means, f"{call} {meaning}", self.time_ns) for one in requests]

    def _place(self, requests: list[OrderRequest]) -> list[Event]:
        for request in requests:
            assert request.client_id not in self.orders, f"sent twice: {request}"
            assert request.quantity > 0.0, request
            made = Resting(request, f"v{len(self.orders) + 1}")
            self.orders[request.client_id] = made
        if len(requests) == 2:
            one, two = (self.orders[request.client_id] for request in requests)
            one.sibling, two.sibling = two.request.client_id, one.request.client_id
        bound = sum(one.request.quantity for one in self.live("stop", "stop_limit", "take_profit", "market", "limit")
                    if one.request.side == "sell" and not (one.sibling and one.request.kind == "stop"))  # fmt: skip
        assert not self.spot or bound <= self.position * (1.0 + 1e-9), "more is bound than held"
        if self.price == self.price:  # while a bar forms
            self.match(self.price, self.price, self.price)
        return [self.report(self.orders[request.client_id]) for request in requests]

    def _crosses(self, request: OrderRequest) -> bool:
        side = 1.0 if request.side == "buy" else -1.0
        return side * (request.price - self.price) >= 0.0

    def _amend(self, request: OrderRequest) -> list[Event]:
        one = self.orders[request.client_id]
        if one.status != "open" or (request.post_only and self._crosses(request)):
            return []
        one.request = request
        return [self.report(one)]

    def _cancel(self, request: OrderRequest) -> list[Event]:
        one = self.orders[request.client_id]
        if one.status != "open":
            return []
        self._end(one, "canceled")
        return [self.report(one)]

    def _end(self, one: Resting, status: str) -> None:
        one.status = status
        self.told.append(self.report(one))
        sibling = self.orders.get(one.sibling)
        if sibling is not None and sibling.status == "open":
            self._end(sibling, "canceled")

    # --- bars

    def match(self, open: float, high: float, low: float) -> None:
        """Fill market and limit orders at a price, then what rests: at the open, then the stop, then the target."""
        for one in self.live("market", "limit"):
            self._fill(one, open)
            if one.status == "open" and one.request.time_in_force != "gtc":
                self._end(one, "expired")
        for kind in ("stop", "stop_limit", "take_profit"):
            for one in self.live(kind):
                if one.triggered or self._met(one, open, open):
                    self._fill(one, open)
        for kind in ("stop", "stop_limit", "take_profit"):
            for one in self.live(kind):
                if one.triggered or self._met(one, high, low):
                    level = one.request.price if one.triggered else one.request.stop_price
                    reached = low <= level if one.request.side == "buy" else high >= level
                    if not one.triggered or reached:
                        self._fill(one, level)

    def _met(self, one: Resting, high: float, low: float) -> bool:
        level, falls = one.request.stop_price, (one.request.side == "sell") == (one.request.kind != "take_profit")
        return low <= level if falls else high >= level

    def _fill(self, one: Resting, at: float) -> None:
        request = one.request
        side = 1.0 if request.side == "buy" else -1.0
        price = float(_fill_price(at, side, self.costs.slippage))
        if request.kind in ("limit", "stop_limit"):
            one.triggered = request.kind == "stop_limit"
            if side * (at - request.price) > 0.0:
                return
            price = at
        quantity = request.quantity - one.filled
        if request.reduce_only:
            quantity = min(quantity, max(-side * self.position, 0.0))
        else:
            quantity = float(_affordable(quantity, price, self.cash, self.costs))
        whole = quantity == request.quantity - one.filled
        if (
            request.kind == "limit"
            and one.filled == 0.0
            and request.time_in_force != "fok"
            and self.trouble.strikes("part")
        ):
            quantity, whole = 0.25 * quantity, False
        if quantity == 0.0:
            self._end(one, "expired")
            return
        parts = [0.25 * quantity, 0.5 * quantity, 0.25 * quantity] if self.trouble.strikes("split") else [quantity]
        fills = [
            Fill(
                f"{one.venue_id}-{len(one.fills) + k}", request.client_id, one.venue_id, request.symbol, request.side,
                price, part, self.costs.fee * (part * price), "USDT", False, self.time_ns,
            )
            for k, part in enumerate(parts)
        ]  # fmt: skip
        for fill in fills:
            one.fills.append(fill)
            one.filled += fill.quantity
            self.told.append(FillsSeen((fill,), self.time_ns))
        self.position += side * quantity
        if abs(self.position) < 1e-9 * request.quantity:
            self.position = 0.0
        self.cash -= side * quantity * price + self.costs.fee * (quantity * price)
        if whole:
            one.filled = request.quantity
            self._end(one, "filled")
        elif request.kind == "limit":
            self.told.append(self.report(one))
        else:
            self._end(one, "expired")


DOES: dict[str, Any] = {"cancel": Perfect._cancel, "amend": Perfect._amend}


class Played:
    """A loop beside the venue, bar by bar."""

    def __init__(
        self, program: Program, costs: Costs, bars: Bars, terms: Terms | None = None, trouble: Trouble | None = None
    ) -> None:
        self.terms, self.trouble = terms or Terms(), trouble or Trouble()
        self.symbol = "A/USDT" if self.terms.spot else "A/USDT:USDT"
        self.series, self.bars = series_of(self.symbol, "1h"), bars
        self.hour = 3_600 * SECOND
        last = Candle(int(bars.time[0]) * MS - self.hour, 1.0, 1.0, 1.0, 1.0, 1.0)
        placement = Placement("one", "d" * 64, self.symbol, "1h", program, costs)
        state = Together([(self.series, program)]).checkpoint()
        self.loop = Loop(Setup((placement,), state, {self.series: last}, FeedRule(), self.terms))
        self.venue = Perfect(costs, self.trouble, spot=self.terms.spot)
        self.account: SubAccount = self.loop.accounts[0]
        self.now_ns, self.shown = last.open_ns + self.hour, [last]
        self.decided: list[Decided] = []
        self.actions: list[Action] = []
        self.held_back: list[Event] = []
        self.steps: list[tuple[tuple[Event, ...], list[Action]]] = []

    def candle(self, k: int) -> Candle:
        """Return a bar whole."""
        b = self.bars
        values = (float(getattr(b, name)[k]) for name in ("open", "high", "low", "close", "volume"))
        return Candle(int(b.time[k]) * MS, *values)

    def play(self) -> None:
        """Play all bars."""
        for k in range(len(self.bars)):
            self.play_bar(k)

    def play_bar(self, k: int) -> None:
        """Show the open, the extremes, the close; wait for all that follows from each."""
        whole = self.candle(k)
        while self.now_ns < whole.open_ns:  # bars the venue has not
            self.at(max(self.now_ns, self.shown[-1].open_ns + 2 * self.hour) + 11 * SECOND)
            self.at(self.now_ns + 2 * SECOND)
            self.at(min(whole.open_ns, self.now_ns + self.hour))
        self.venue.price = whole.open
        self.venue.time_ns = self.now_ns = max(self.now_ns, whole.open_ns) + SECOND
        self.venue.match(whole.open, whole.open, whole.open)
        first = replace(whole, high=whole.open, low=whole.open, close=whole.open, volume=0.0)
        self.settle()
        self.step([CandlesStreamed(self.series, (first,), self.now_ns)])
        self.settle()
        self.check()
        if self.terms.chase_ns:
            for k in range(1, 4):  # the best prices wander, and the last price with them
                self.venue.aside = 1.0 + 0.002 * float(self.trouble.draw.uniform(-1.0, 1.0))
                self.at(self.now_ns + self.terms.chase_ns)
                if k == 2:
                    self.venue.match(whole.open, whole.open, whole.open)
                    self.settle()
            self.at(self.now_ns + self.terms.deadline_ns)
            self.check()
        self.venue.match(whole.open, whole.high, whole.low)
        self.settle()
        self.venue.price = float("nan")
        self.shown.append(whole)
        if not self.trouble.late:
            self.check()
        self.at(whole.open_ns + self.hour)
        self.step([CandlesStreamed(self.series, (whole,), self.now_ns)])
        self.at(whole.open_ns + self.hour + SECOND)
        late, self.held_back = self.held_back, []
        if late:
            self.step([AccountStreamCut(self.now_ns)])
        self.settle()
        self.check()

    def at(self, now_ns: int) -> None:
        """Let time pass."""
        self.venue.time_ns = self.now_ns = max(self.now_ns, now_ns)
        self.step([ClockAdvanced(self.now_ns)])
        self.settle()

    def step(self, events: Sequence[Event]) -> None:
        """Step the loop and do what it says, at once and in order; answers come back before the stream's word."""
        actions = self.loop.step(events)
        self.steps.append((tuple(events), actions))
        self.actions += actions
        answers: list[Event] = []
        for action in actions:
            if isinstance(action, Decided):
                self.decided.append(action)
            elif isinstance(action, FetchCandles):
                found = tuple(c for c in self.shown if action.from_ns <= c.open_ns <= action.to_ns)
                asked = (action.from_ns, action.to_ns, self.now_ns)
                answers.append(CandlesAnswered(action.series, found, *asked, whole=True, time_ns=self.now_ns))
            else:
                answers += self.venue.do(action)
        if answers:
            if self.trouble.shuffle:
                told, self.venue.told = self.venue.told, []
                answers = self.mixed([*self.disturbed(told), *answers])
            self.step(answers)

    def disturbed(self, events: list[Event]) -> list[Event]:
        """Lose, repeat and mix the stream's words."""
        kept: list[Event] = []
        lost = False
        for event in events:
            said = isinstance(event, OrderSeen | FillsSeen)
            if said and self.trouble.strikes("lose"):
                lost = True
                continue
            kept += [event, event] if said and self.trouble.strikes("repeat") else [event]
        kept = self.mixed(kept)
        if lost:
            cut = AccountStreamCut(self.now_ns)
            (self.held_back if self.trouble.late else kept).append(cut)
        return kept

    def mixed(self, events: list[Event]) -> list[Event]:
        """Return events in any order."""
        if not self.trouble.shuffle:
            return events
        return [events[k] for k in self.trouble.draw.permutation(len(events))]

    def settle(self) -> None:
        """Deliver what the stream says until nothing follows; let time pass while something is to be asked again."""
        for _ in range(60):
            if self.venue.told:
                told, self.venue.told = self.venue.told, []
                self.step(self.disturbed(told))
            elif self.account.again_ns or any(one.ask_ns for one in self.account.tickets.values()):
                self.now_ns += 2_100_000_000
                self.venue.time_ns = self.now_ns
                self.step([ClockAdvanced(self.now_ns)])
            else:
                return
        raise AssertionError(f"no end of it: {self.actions[-6:]}")

    def check(self) -> None:
        """Hold the account against the venue."""
        if self.held_back or self.terms.paper:
            return
        account, venue = self.account, self.venue
        near = 1e-9 * max(abs(venue.position), 1e-6)
        assert abs(account.quantity - venue.position) <= near, (account.quantity, venue.position)
        assert abs(float(account.account[0]["cash"]) - venue.cash) <= 1e-9 * self.venue.costs.initial_cash
        live = {
            one.request.client_id: one for one in venue.live("market", "limit", "stop", "stop_limit", "take_profit")
        }
        assert set(live) <= set(account.tickets), "an order rests that nobody knows of"
        legs = [account.tickets[name].leg for name in live]
        assert len(set(legs)) == len(legs), legs
        if venue.position != 0.0 and account.program.role("stop") is not None and not account.live("entry"):
            stops = [one for one in live.values() if one.request.kind.startswith("stop") and one.request.reduce_only]
            leaves = "exit" in legs
            assert leaves or any(abs(one.request.quantity - abs(venue.position)) <= near for one in stops), legs
