"""The live loop's core: events in, actions out, nothing else.

``Loop.step`` asks nobody, knows no clock and no chance: the same setup and the same events give the same actions and
the same state, byte for byte.  Whoever runs it (``engine.live.node``) journals events and actions, and does them.

Within one step all events are taken first, then the bars they closed: every series advances by its next closed bar in
one compiled call, the sub-accounts decide, and so on until no closed bar is left.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from numpy.typing import NDArray

from engine.execution.orders import Fill
from engine.graph.together import Together
from engine.live.actions import Action, FetchCandles, FindOrder, PlaceOrder, PlacePair, Reconnect, Said
from engine.live.candle_actions import Absent, CandleAction, Closed, Corrected, Fetch, Rejected, Stale
from engine.live.closing import ClosingRule
from engine.live.correcting import Correcting
from engine.live.deciding import OUT, Deciding
from engine.live.events import (
    AccountStreamCut,
    BalanceSeen,
    CallFailed,
    CandlesAnswered,
    CandlesStreamed,
    ClockAdvanced,
    Estimated,
    Event,
    FillsSeen,
    FundingSeen,
    HoldingSeen,
    Killed,
    Limited,
    OrderAbsent,
    OrderSeen,
    QuoteSeen,
    Rearmed,
    Resumed,
    Stopping,
    StreamCut,
)
from engine.live.funding import FundingBook
from engine.live.holdings import Holdings
from engine.live.ledger import ClosedBar
from engine.live.moments import Moments
from engine.live.money import Money
from engine.live.setup import Setup
from engine.live.subaccount import SubAccount
from engine.risk import Limits
from parquet_store.errors import Usage
from parquet_store.moments import to_text
from parquet_store.timeframe import Timeframe
from pipelines.candles import Candle

__all__ = ["Loop"]

_MS: Final = 1_000_000
KNOWN: Final = 128  # orders of which it is known whose they are
RECENT: Final = 8  # closed bars of a series that fills are dated by
ROLES_AT: Final = OUT.index("entry")


class Loop:
    """The state of a run.

    Parameters
    ----------
    setup : Setup

    Raises
    ------
    Usage
        A program has a stop and a target, and the venue cannot rest both; programs of both sides share a contract.

    Attributes
    ----------
    together : Together
        All programs.
    accounts : tuple of SubAccount
        In the order of the setup's placements.
    time_ns : int
        The venue's, of the latest event.
    halted : dict of str to str
        Series no entry is decided on any more, and why.
    killed : str
        Why everything was left; empty while it trades.
    limits : Limits, optional
        Those in force.
    holdings : Holdings
        What the venue holds against what the accounts do.
    money : Money
        What the account has to trade with.
    funding : FundingBook
        What funding brought.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.together = Together.resume([(one.series, one.program) for one in setup.placements], setup.state)
        terms = setup.terms
        if terms.spot and not (terms.pairs or terms.paper):
            refuse_pairs(setup)
        if not (terms.spot or terms.paper):
            refuse_netting(setup)
        held = [
            (self.together.place[one.series], one.program, one.costs, one.share, one.digest) for one in setup.placements
        ]
        self._correcting = Correcting(self.together)
        self._delayed = terms.paper and terms.latency_ns > 0
        self._deciding = Deciding(self.together, held, setup.risk, paper=terms.paper, delayed=self._delayed)
        feed = setup.feed
        frames = {one.series: Timeframe.parse(one.timeframe) for one in setup.placements}
        self._recent: dict[str, deque[ClosedBar]] = {series: deque(maxlen=RECENT) for series in frames}
        self.accounts = tuple(
            SubAccount(
                one.name,
                one.symbol,
                one.program,
                one.digest,
                one.costs,
                terms,
                self._deciding.noted(k),
                self._recent[one.series],
            )
            for k, one in enumerate(setup.placements)
        )
        self.rules = {
            series: ClosingRule(
                frame,
                setup.lasts[series],
                confirm=feed.confirm,
                grace_ns=feed.grace_ns,
                absence_ns=feed.absence_ns,
                stale_ns=feed.stale_ns,
            )
            for series, frame in frames.items()
        }
        self.time_ns = 0
        self.halted: dict[str, str] = {}
        self.killed = ""
        self.limits = setup.risk.limits
        self._told_state = (0, 0)
        self._before = (1 << 62, 0.0)  # the day, and the equity, as a run that was interrupted left them
        self.bars = 0
        self._frames = frames
        self._symbols = {one.series: one.symbol for one in setup.placements}
        self._on: dict[str, list[int]] = {series: [] for series in frames}
        for k, one in enumerate(setup.placements):
            self._on[one.series].append(k)
        self._trails = {one.series for one in setup.placements if one.program.trailing}
        self._closed: dict[str, deque[Candle]] = {series: deque() for series in frames}
        self._waiting = [self._closed[series] for series in self.together.symbols]
        self._due: set[int] = set()  # places of the series with closed bars
        self._forming = {series: candle.open_ns for series, candle in setup.lasts.items()}
        self._opened: dict[str, float] = {}
        self._reached: dict[str, dict[int, float]] = {series: {} for series in frames}  # by the open of a bar
        self._owner: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._unclaimed: dict[str, list[Fill]] = {}
        self.holdings = Holdings(self.accounts)
        for account in self.accounts:
            account.peers = self.holdings.on[account.symbol]
        self.money = Money(self.accounts)
        self.funding = FundingBook(self.holdings.on, self.holdings.others)
        self._stopping = False
        symbols = self.together.symbols
        self._moments = (
            Moments([frames[series] for series in symbols], self._waiting, setup.risk.wait_ns)
            if setup.risk.guards
            else None
        )
        self._doubted: set[int] = set()  # places of the series that wait for what became of their orders
        self._take: dict[type[Any], Callable[[Any], list[Action]]] = {
            CandlesStreamed: self._streamed,
            CandlesAnswered: self._answered,
            StreamCut: self._cut,
            AccountStreamCut: self._account_cut,
            ClockAdvanced: self._clock,
            OrderSeen: self._order,
            FillsSeen: self._fills,
            OrderAbsent: self._absent,
            CallFailed: self._failed,
            HoldingSeen: self._holding,
            BalanceSeen: self._balance,
            FundingSeen: self._funded,
            Estimated: self._estimated,
            QuoteSeen: self._quoted,
            Killed: self._kill,
            Limited: self._limited,
            Rearmed: self._rearmed,
            Resumed: self._resumed,
            Stopping: self._stop,
        }

    def step(self, events: Iterable[Event]) -> list[Action]:
        """Take events and return what to do, in order."""
        actions: list[Action] = []
        for event in events:
            self.time_ns = max(self.time_ns, event.time_ns)
            self.funding.begins(event.time_ns)
            actions += self._take[type(event)](event)
        if not self._due:
            self._correcting.renew()
        while self._due:
            places = self._due
            if self._doubted and not (places := places - self._still_doubted()):
                break
            if self._moments is not None and not (places := self._moments.ripe(places, self.time_ns)):
                break
            actions += self._advance(places)
        for series, price in self._opened.items():
            for k in self._on[series]:
                actions += self._own(k, self.accounts[k].bar_opened(price))
        self._opened.clear()
        return actions

    @property
    def rows(self) -> NDArray[Any]:
        """The accounts as one array of ``engine.simulate.account.ACCOUNT``, in the order of ``accounts``."""
        return self._deciding.accounts

    @property
    def marks(self) -> NDArray[Any]:
        """The last close of each account's symbol, NaN before the first."""
        return self._deciding.legs["mark"]

    @property
    def book(self) -> Any:
        """What the limits remember of the account, of ``engine.risk.state.BOOK``."""
        return self._deciding.book[0]

    @property
    def flat(self) -> bool:
        """Whether nothing is held and no order is under way; on paper always: nothing is at a venue."""
        return self.setup.terms.paper or not (any(one.tickets for one in self.accounts) or self.rows["quantity"].any())

    def owner(self, client_id: str) -> int:
        """Return which account an order belongs to, -1 if to none."""
        return self._owner.get(client_id, -1)

    def enters(self, client_id: str) -> bool:
        """Return whether an order opens a position."""
        k = self.owner(client_id)
        ticket = None if k < 0 else self.accounts[k].tickets.get(client_id)
        return ticket is not None and ticket.leg == "entry"

    def close_of(self, client_id: str) -> float:
        """Return the last close of an order's symbol, NaN before the first."""
        k = self.owner(client_id)
        return float(self.marks[k]) if k >= 0 else math.nan

    def unwanted(self, client_id: str) -> str:
        """Return why an order that was to be sent is not to be sent any more; empty if it is."""
        k = self.owner(client_id)
        ticket = None if k < 0 else self.accounts[k].tickets.get(client_id)
        if ticket is None or ticket.leg != "entry":
            return ""
        book = self.book
        if self.killed or book["day_over"] or book["paused"] or book["stopped"]:
            return f"not sent: {self.killed or 'a loss that ends trading was reached since'}"
        found = next((name for one in self.accounts[k].peers if (name := one.unknown)), "")
        return f"not sent: what became of order {found} is not known yet" if found else ""

    # --- candles

    def _streamed(self, event: CandlesStreamed) -> list[Action]:
        series = event.series
        told = self.rules[series].stream(event.candles, event.time_ns)
        actions = self._candles(series, told)
        if series in self._trails and event.candles:
            newest = max(event.candles, key=lambda candle: candle.open_ns)
            if newest.open_ns > self._forming[series]:
                self._forming[series] = newest.open_ns
                self._opened[series] = newest.open
        if self.setup.terms.latency_ns:
            unfit = [one.candle for one in told if isinstance(one, Rejected)]
            for candle in event.candles:
                if candle not in unfit and event.time_ns >= candle.open_ns + self.setup.terms.latency_ns:
                    self._reached[series].setdefault(candle.open_ns, candle.close)
        return actions

    def _answered(self, event: CandlesAnswered) -> list[Action]:
        asked = Fetch(event.from_ns, event.to_ns)
        told = self.rules[event.series].answered(event.candles, asked, event.sent_ns, whole=event.whole)
        return self._candles(event.series, told)

    def _cut(self, event: StreamCut) -> list[Action]:
        return self._candles(event.series, self.rules[event.series].cut(event.time_ns))

    def _account_cut(self, event: AccountStreamCut) -> list[Action]:
        return [FindOrder(ticket.request) for account in self.accounts for ticket in account.tickets.values()]

    def _clock(self, event: ClockAdvanced) -> list[Action]:
        actions: list[Action] = []
        for series, rule in self.rules.items():
            actions += self._candles(series, rule.at(event.time_ns))
        for k, account in enumerate(self.accounts):
            if account.waits:
                actions += self._own(k, account.clock(event.time_ns))
        return [*actions, *self.holdings.clock(event.time_ns)]

    def _candles(self, series: str, told: list[CandleAction]) -> list[Action]:
        """Keep the bars that closed, and turn the rest of what the rule says into actions."""
        actions: list[Action] = []
        for one in told:
            if isinstance(one, Closed):
                self._closed[series].append(one.candle)
                self._due.add(self.together.place[series])
            elif isinstance(one, Fetch):
                actions.append(FetchCandles(series, one.from_ns, one.to_ns))
            elif isinstance(one, Stale):
                actions.append(Said("warning", series, f"the stream said nothing new for {one.silent_ns / 1e9:.1f} s"))
                actions.append(Reconnect(series))
            elif isinstance(one, Rejected):
                text = f"a candle of {moment(one.candle.open_ns)} {one.reason}: taken for not seen"
                actions.append(Said("warning", series, text))
            elif isinstance(one, Absent):
                actions.append(Said("info", series, f"the venue has no bar at {moment(one.open_ns)}"))
            elif isinstance(one, Corrected):
                actions.append(self._corrected(series, one))
        return actions

    def _corrected(self, series: str, one: Corrected) -> Said:
        """Rebuild the programs with a bar that became another one after it was closed; nothing is un-decided.

        Where a decision since would have been another one, nothing is entered any more.
        """
        what = f"bar {moment(one.open_ns)} was {prices(one.old)}, and is {prices(one.new)}"
        place, number = self.together.place[series], self._frames[series].number(one.open_ns // _MS)
        if number > self.together.last[place]:  # closed in this step, and not decided on yet
            kept = [candle for candle in self._closed[series] if candle.open_ns != one.open_ns]
            kept += [] if one.new is None else [one.new]
            self._closed[series].clear()
            self._closed[series].extend(sorted(kept, key=lambda candle: candle.open_ns))
            (self._due.add if kept else self._due.discard)(place)
            return Said("warning", series, f"{what}: it is decided on as it is now")
        why = self._correcting.correct(place, number, one.new)
        if not why:
            return Said("warning", series, f"{what}: nothing would have been decided otherwise")
        self.halted[series] = f"{what}: {why}; lockstep kill --rearm lets it trade on"
        return Said("error", series, f"{what}: {why}, so nothing is entered from here on")

    def _advance(self, places: set[int]) -> list[Action]:
        """Advance some series by their next closed bar, and decide for all their accounts, in one call."""
        deciding, accounts, symbols = self._deciding, self.accounts, self.together.symbols
        closed: list[tuple[int, Candle, ClosedBar, str]] = []
        count, met = 0, math.nan
        for k, place in enumerate(sorted(places)):
            waiting, series = self._waiting[place], symbols[place]
            candle = waiting.popleft()
            if not waiting:
                self._due.discard(place)
            frame, open_ns = self._frames[series], candle.open_ns
            number = frame.number(open_ns // _MS)
            bar = ClosedBar(number, open_ns, frame.close_ms(number) * _MS, candle.close)
            if self._delayed:
                met = self._met(series, open_ns)
            deciding.put(k, place, number, candle, met)
            closed.append((place, candle, bar, self._late(series, bar)))
            for p in deciding.owners[place]:
                count += 1
                if accounts[p].waits:
                    deciding.working[p] = accounts[p].enters
        decided = deciding(len(closed), count, closed[0][2].close_ns // _MS)
        if self.book["day"] > self._before[0]:
            self._day_began()
        self.bars += len(closed)
        actions: list[Action] = [] if self._moments is None else self._tripped()
        j = 0
        time_ns = self.time_ns
        for place, candle, bar, late in closed:
            first = j
            self._recent[symbols[place]].append(bar)
            for p in deciding.owners[place]:
                out = decided[j]
                if out[0]:
                    accounts[p].ledger.keep(deciding.fresh[j, : int(out[0])])
                made = accounts[p].decided(bar, out, time_ns, late)
                actions += made if len(made) == 1 else self._own(p, made)
                j += 1
            self._correcting.advanced(place, bar.number, candle, [out[ROLES_AT:] for out in decided[first:j]])
        return actions

    def _day_began(self) -> None:
        """Let a day that began while the run was interrupted lose no more than from what it had before.

        Fills of the meantime are known by now, also those from after midnight: the equity of then is not.
        """
        book, (day, equity) = self.book, self._before
        book["day_start"] = max(book["day_start"], equity)
        if (book["day"] + 3) // 7 > (day + 3) // 7:
            book["week_start"] = max(book["week_start"], equity)
        if not self._late_bars():
            self._before = (1 << 62, 0.0)

    def _late_bars(self) -> bool:
        """Whether bars that closed are still to be decided on."""
        return bool(self._due)

    def _tripped(self) -> list[Action]:
        """Tell when a loss ends trading until somebody looks."""
        book, before = self.book, self._told_state
        self._told_state = state = int(book["paused"]), int(book["stopped"])
        actions: list[Action] = []
        if state[0] > before[0]:
            text = "account.weekly_loss was reached: nothing is entered until lockstep kill --rearm"
            actions.append(Said("error", "run", text))
        if state[1] > before[1]:
            text = "account.drawdown was reached: everything is left, nothing entered until lockstep kill --rearm"
            actions.append(Said("error", "run", text))
        return actions

    def _met(self, series: str, open_ns: int) -> float:
        """Return the price that orders due at a bar's open met late, NaN if none was shown; forget earlier ones."""
        shown = self._reached[series]
        if not shown:
            return math.nan
        self._reached[series] = {at: price for at, price in shown.items() if at > open_ns}
        return shown.get(open_ns, math.nan)

    def _late(self, series: str, bar: ClosedBar) -> str:
        """Return why no entry may follow from a bar; empty if one may."""
        if self.killed:
            return f"it was killed: {self.killed}"
        if self._stopping:
            return "the run is ending"
        if series in self.halted:
            return self.halted[series]
        symbol = self._symbols[series]
        if why := self.holdings.why(symbol, whole=self.setup.risk.guards) or self.money.why(symbol):
            return why
        for account in self.holdings.on[symbol]:
            if name := account.unknown:
                return f"what became of order {name} is not known yet"
        if self._closed[series] or self.time_ns >= 2 * bar.close_ns - bar.open_ns:
            return (
                f"it came {(self.time_ns - bar.close_ns) / 1e9:.1f} s after its close, when the next bar was over too"
            )
        return ""

    def _still_doubted(self) -> set[int]:
        """Return the places of the series on which nothing is decided yet, as the run was interrupted."""
        on, symbols = self._on, self.together.symbols
        self._doubted = {p for p in self._doubted if any(self.accounts[k].doubted for k in on[symbols[p]])}
        return self._doubted

    # --- orders

    def _forget(self) -> None:
        """Forget whose the oldest orders were, but for those that live."""
        for name in list(self._owner)[: KNOWN // 2]:
            if name not in self.accounts[self._owner[name]].tickets:
                del self._owner[name]
        self._ids = {venue_id: name for venue_id, name in self._ids.items() if name in self._owner}

    def _own(self, k: int, actions: list[Action]) -> list[Action]:
        if len(self._owner) > KNOWN:
            self._forget()
        for action in actions:
            if isinstance(action, PlaceOrder):
                self._owner[action.request.client_id] = k
            elif isinstance(action, PlacePair):
                self._owner[action.stop.client_id] = self._owner[action.target.client_id] = k
        return actions

    def _order(self, event: OrderSeen) -> list[Action]:
        report = event.report
        k = self._owner.get(report.client_id)
        if k is None:
            return []  # a person's
        account = self.accounts[k]
        actions: list[Action] = []
        if report.client_id not in account.tickets:
            there = report.status == "open" or report.filled > 0.0
            if not there or account.revived(report.client_id, filled=report.filled > 0.0) is None:
                return []  # one that is done
            actions.append(Said("warning", account.name, f"the venue has order {report.client_id} after all"))
        if report.venue_id:
            self._ids[report.venue_id] = report.client_id
            early = self._unclaimed.pop(report.venue_id, None)
            if early:
                actions += account.fills_seen(account.tickets[report.client_id], early, self.time_ns)
        if report.client_id in account.tickets:
            actions += account.order_seen(report, self.time_ns)
        return self._own(k, actions)

    def _fills(self, event: FillsSeen) -> list[Action]:
        actions: list[Action] = []
        found: dict[str, list[Fill]] = {}
        for fill in event.fills:
            client_id = fill.client_id if fill.client_id in self._owner else self._ids.get(fill.venue_id, "")
            if client_id:
                found.setdefault(client_id, []).append(fill)
            else:
                self._unclaimed.setdefault(fill.venue_id, []).append(fill)
        while len(self._unclaimed) > 256:  # of a person's orders
            self._unclaimed.pop(next(iter(self._unclaimed)))
        for client_id, fills in found.items():
            k = self._owner[client_id]
            ticket = self.accounts[k].tickets.get(client_id) or self.accounts[k].revived(client_id, filled=True)
            if ticket is None:
                actions += self.accounts[k].late_fills(client_id, fills)
            else:
                actions += self._own(k, self.accounts[k].fills_seen(ticket, fills, self.time_ns))
        return actions

    def _absent(self, event: OrderAbsent) -> list[Action]:
        k = self._owner.get(event.client_id)
        if k is None or event.client_id not in self.accounts[k].tickets:
            return []
        return self._own(k, self.accounts[k].absent(event.client_id, self.time_ns))

    def _failed(self, event: CallFailed) -> list[Action]:
        k = self._owner.get(event.client_id)
        if k is None or event.client_id not in self.accounts[k].tickets:
            return [Said("warning", event.client_id, event.message)]
        return self._own(k, self.accounts[k].failed(event))

    def _resumed(self, event: Resumed) -> list[Action]:
        self._stopping, self.killed = False, ""
        actions: list[Action] = [Said("info", "run", f"goes on after {self.bars} bars")]
        for account in self.accounts:
            actions += account.resumed(event.time_ns)
        self._doubted = set(range(len(self.together.symbols)))
        self._before = int(self.book["day"]), float(self.book["equity"])
        for series, rule in self.rules.items():
            actions += self._candles(series, rule.resumed(event.time_ns))
        return actions

    def _kill(self, event: Killed) -> list[Action]:
        self.killed = event.reason
        text = f"killed: {event.reason}: orders are cancelled, positions left at market"
        actions: list[Action] = [Said("error", "run", text)]
        for k, account in enumerate(self.accounts):
            actions += self._own(k, account.kill(event.time_ns))
        return actions

    def _holding(self, event: HoldingSeen) -> list[Action]:
        return self.holdings.take(event)

    def _balance(self, event: BalanceSeen) -> list[Action]:
        return self.money.take(event)

    def _estimated(self, event: Estimated) -> list[Action]:
        k = self.owner(event.client_id)
        ticket = None if k < 0 else self.accounts[k].tickets.get(event.client_id)
        if ticket is not None:
            ticket.best, ticket.estimate = event.best, event.share
        return []

    def _quoted(self, event: QuoteSeen) -> list[Action]:
        actions: list[Action] = []
        for k, account in enumerate(self.accounts):
            if account.symbol == event.symbol and account.waits:
                actions += self._own(k, account.quoted(event.bid, event.ask, event.time_ns))
        return actions

    def _funded(self, event: FundingSeen) -> list[Action]:
        return self.funding.take(event.payments)

    def _limited(self, event: Limited) -> list[Action]:
        self.limits = Limits(**orjson.loads(event.limits))
        self._deciding.limit(self.limits)
        return [Said("warning", "run", "other limits hold from here on")]

    def _rearmed(self, event: Rearmed) -> list[Action]:
        book = self.book
        actions: list[Action] = []
        for account in self.accounts:
            if account.halted:
                actions.append(Said("warning", account.name, f"rearmed: {event.reason}; it enters again"))
                account.halted = ""
        for series in self.halted:
            actions.append(Said("warning", series, f"rearmed: {event.reason}; entries follow from it again"))
        self.halted.clear()
        if book["paused"] or book["stopped"]:
            book["paused"] = book["stopped"] = 0
            book["peak"] = book["week_start"] = book["equity"]
            text = f"rearmed: {event.reason}; losses count from {book['equity']:,.2f}"
            actions.append(Said("warning", "run", text))
        return actions or [Said("info", "run", "nothing was stopped: nothing to rearm")]

    def _stop(self, event: Stopping) -> list[Action]:
        self._stopping = True
        return [Said("info", "run", "ending: nothing is entered any more; what rests at the venue stays there")]


def refuse_pairs(setup: Setup) -> None:
    """Refuse programs with a stop and a target where each would bind all that is held."""
    for one in setup.placements:
        if one.program.role("stop") is not None and one.program.role("target") is not None:
            raise Usage(
                f"{one.name}: a stop and a target at once, and this venue's spot market takes no pair of which "
                "one cancels the other; trade it on perpetuals, or leave out one of the two"
            )


def refuse_netting(setup: Setup) -> None:
    """Refuse programs of both sides on one contract, of which a venue holds one position for all of them.

    Their orders would close each other's positions, and a stop of one would find nothing to reduce.
    """
    sides: dict[str, dict[str, str]] = {}
    for one in setup.placements:
        for role, side in (("entry", "long"), ("short_entry", "short")):
            if one.program.role(role) is not None:
                sides.setdefault(one.symbol, {}).setdefault(side, one.name)
    placed = [one.symbol for one in setup.placements]
    for symbol, found in sides.items():
        if len(found) == 2 and placed.count(symbol) > 1:
            raise Usage(
                f"{symbol}: {found['long']} may be long and {found['short']} short, and the venue holds one position "
                "for both; trade them on symbols or accounts of their own"
            )


def moment(time_ns: int) -> str:
    """Return a time as text."""
    return to_text(time_ns // _MS)


def prices(candle: Candle | None) -> str:
    """Return a bar in words."""
    if candle is None:
        return "no bar"
    return f"{candle.open:g} {candle.high:g} {candle.low:g} {candle.close:g} x {candle.volume:g}"
