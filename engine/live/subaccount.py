"""The part of an account that one program has on one symbol: what is decided becomes orders, and what follows of them.

At each close the simulation's kernel marks the account and decides, with its sizes (`engine.live.deciding`).  What is
sent, watched, cancelled and sent again is said here; what fills do to cash and position, in `engine.live.ledger`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.graph.program import Program
from engine.kernels import grid
from engine.live.actions import (
    Action,
    CancelOrder,
    Decided,
    FetchFills,
    FindOrder,
    PlaceOrder,
    PlacePair,
    Said,
    Slipped,
)
from engine.live.approved import Approved, approve_entry, approve_exit
from engine.live.deciding import Noted
from engine.live.events import CallFailed
from engine.live.ledger import ClosedBar, Ledger
from engine.live.order_states import LIVE
from engine.live.ticket import Leg, Ticket, client_id_of
from engine.risk.words import refusal
from engine.simulate import Costs
from engine.simulate.formulas import SIGNAL, STOP, TARGET
from parquet_store.moments import to_text

__all__ = ["SubAccount", "Terms"]

_to_tick = grid.to_tick.py_func  # type: ignore[attr-defined]
REASON_OF: Final[dict[str, int]] = {"stop": STOP, "target": TARGET}
_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
MOST_ATTEMPTS: Final = 5
STANDS_NS: Final = _SECOND  # after which a part of an entry is protected, and the rest waited for
UNSENT: Final = ("not sent: ", "nothing was sent")  # what is refused on this side
SAME: Final = 1e-9  # of a quantity: what differs by less is rounding
PROTECTING: Final[tuple[Leg, ...]] = ("stop", "target")
MOST_STANDING: Final = 3  # how often an order may be seen that was to be cancelled, until that is asked again
NAN: Final = float("nan")


@dataclass(frozen=True)
class Terms:
    """How a sub-account trades.

    Attributes
    ----------
    spot : bool
        Whether what is held is bound by resting orders, so that they go before the position can be left.
    paper : bool
        Whether the simulation's kernel fills, and nothing is sent.
    limit : bool
        Whether positions are entered and left by limit orders at the last close.
    deadline_ns : int
        After which a limit order is cancelled; what was to be left then goes at market.
    pairs : bool
        Whether the venue takes a stop and a target of which one cancels the other.
    latency_ns : int
        On paper: how long after a bar's open an order of the close before it fills, at the price of then.
    slippage : float
        The most an entry at market may be estimated to pay beyond the best price, as a fraction; 0: not looked at.
    fills_ns : int
        How long the stream is waited for to tell the fills of an order that has filled, before they are asked for.
    """

    spot: bool = True
    paper: bool = False
    limit: bool = False
    deadline_ns: int = 20 * _SECOND
    pairs: bool = True
    latency_ns: int = 0
    fills_ns: int = 0
    slippage: float = 0.0


class SubAccount:
    """One program's account on one symbol.

    Parameters
    ----------
    name : str
        Of the sub-account, for people.
    symbol : str
    program : Program
    digest : str
        Of the manifest; part of every client id.
    costs : Costs
        The manifest's, with the venue's own steps.
    terms : Terms
    noted : Noted
        Where the account is kept: rows of `engine.live.deciding.Deciding`.
    recent : deque of ClosedBar
        The last bars of its series, kept by the caller.

    Attributes
    ----------
    ledger : Ledger
    tickets : dict of str to Ticket
        Orders by our id, as long as they are live.
    halted : str
        Why nothing is entered any more; empty while it trades.
    again_ns : int
        When an exit that failed again and again is tried once more; 0: none is.
    """

    def __init__(
        self,
        name: str,
        symbol: str,
        program: Program,
        digest: str,
        costs: Costs,
        terms: Terms,
        noted: Noted,
        recent: deque[ClosedBar],
    ) -> None:
        self.name, self.symbol, self.program, self.digest = name, symbol, program, digest
        self.base = symbol.partition("/")[0]
        self.costs, self.terms = costs, terms
        self.ledger = Ledger(name, costs, noted, recent)
        self._row = self.ledger.row
        self.tickets: dict[str, Ticket] = {}
        self.halted = ""
        self.again_ns = 0
        self._attempts: dict[tuple[int, Leg], int] = {}
        self._leaving = -1  # the reason of the exit under way
        self._due = (0.0, NAN, NAN)  # side and distances of the entry under way
        self._close = NAN  # the last one, where limit orders go
        self._let = 0.0  # what the review let of it, base currency
        self._turns = 0.0  # quantity of the entry that waits until the position before it is closed
        self._done: deque[Ticket] = deque(maxlen=24)  # whose late fills are known by
        self.peers: Sequence[SubAccount] = (self,)  # on the same symbol

    # --- what is known

    @property
    def account(self) -> NDArray[Any]:
        """The account, dtype ``ACCOUNT``, shape (1,)."""
        return self.ledger.account

    @property
    def bars(self) -> int:
        """Bars digested."""
        return self.ledger.bars

    @property
    def trades(self) -> NDArray[Any]:
        """Closed trades, dtype ``TRADE``; bars are counted from the first one digested."""
        return self.ledger.trades

    @property
    def quantity(self) -> float:
        """The position, base currency, negative when short."""
        return self.ledger.quantity

    @property
    def equity(self) -> float:
        """At the last close, quote currency."""
        return float(self._row["equity"])

    @property
    def ended(self) -> tuple[Ticket, ...]:
        """All orders that ended and are still known, oldest first."""
        return tuple(self._done)

    @property
    def recent(self) -> tuple[Ticket, ...]:
        """The last orders that ended, oldest first."""
        return tuple(self._done)[-8:]

    def live(self, leg: Leg) -> Ticket | None:
        """Return the live order of a leg."""
        return next((t for t in self.tickets.values() if t.leg == leg and t.live), None)

    @property
    def unknown(self) -> str:
        """The order of which nobody knows whether the venue has it, or how it stands; empty if there is none."""
        return next((name for name, t in self.tickets.items() if t.status == "unknown" or t.doubted), "")

    @property
    def doubted(self) -> bool:
        """Whether what became of an order while the run was interrupted is still unknown."""
        return any(ticket.doubted or ticket.untold for ticket in self.tickets.values())

    def resumed(self, time_ns: int) -> list[Action]:
        """Ask for every order, since the run was interrupted: one that was to be sent may never have left."""
        for ticket in self.tickets.values():
            ticket.doubted, ticket.cancel_sent, ticket.ask_ns, ticket.absent = True, False, 0, 0
            if ticket.status == "sent":
                ticket.becomes("unknown")
        if self.again_ns:
            self.again_ns = time_ns
        return [FindOrder(ticket.request) for ticket in self.tickets.values()]

    def kill(self, time_ns: int) -> list[Action]:
        """Cancel what rests and leave what is held, at market; a paper account has nobody to ask and stays."""
        row, self._turns = self._row, 0.0
        row["due_side"] = 0.0
        working = self.live("entry")
        if self.terms.paper or not (row["quantity"] or working):
            return []
        if self._leaving < 0:
            self._leaving = SIGNAL
        actions = self._cancel(working) if working else []
        return [*actions, *self._pursue_exit(time_ns)]

    # --- a bar closed

    def decided(self, bar: ClosedBar, out: Sequence[float], time_ns: int, late: str) -> list[Action]:
        """Take what was decided at a close, and return what to send.

        Parameters
        ----------
        bar : ClosedBar
        out : sequence of float
            A row of `engine.live.deciding.OUT`.
        time_ns : int
            Venue time.
        late : str
            Why no entry may follow from this bar; empty if one may.
        """
        (
            fresh, equity, quantity, _, side, size, due_close, due_stop, due_target, best, limit, asked, met,
            entry, leave, short_entry, short_leave, stop, target,
        ) = out  # fmt: skip
        actions: list[Action] = []
        if fresh:
            count = int(self._row["trades"])
            actions += [self.ledger.told(k) for k in range(count - int(fresh), count)]
        self.ledger.bars += 1
        if self._attempts:
            self._attempts.clear()
        wanted = side * size if side else 0.0
        leaves = due_close != 0.0 and quantity != 0.0
        why = ""
        if self._turns:
            self._turns = 0.0
            actions.append(Said("warning", self.name, "not reversed: the position was not left in time"))
        if wanted:
            why = self.halted or late
            if not why and self.tickets and self.live("entry"):
                why = "the entry before is not done yet"
            if why:
                self._row["due_side"], wanted = 0.0, 0.0
                if not self.live("entry"):
                    self.ledger.leg["pending"] = 0.0
        wants = entry != 0.0, leave != 0.0, short_entry != 0.0, short_leave != 0.0
        actions.append(
            Decided(self.name, bar.open_ns, bar.close_ns, *wants, stop, target, equity, quantity, wanted, leaves, why)
        )
        if why:
            actions.append(
                Said("warning", self.name, f"no entry at the close of the bar of {to_text(bar.open_ns // _MS)}: {why}")
            )
        if limit >= 0.0:
            actions.append(Said("warning", self.name, refusal(int(limit), asked, size, met)))
        if self.terms.paper:
            return actions
        if leaves and self._leaving < 0:
            self._leaving = int(due_close) - 1
            working = self.live("entry")
            if working:
                actions += self._cancel(working)
        if quantity != 0.0 and self._leaving >= 0:
            actions += self._pursue_exit(time_ns, bar.close)
        if wanted != 0.0:
            self._due = (side, due_stop, due_target)
            self._close, self._let = bar.close, size
            if quantity != 0.0:
                self._turns = abs(wanted)  # else a part of it could close what an exit was to close
            else:
                actions.append(self._place("entry", abs(wanted), time_ns, bar.close))
        if quantity != 0.0 and self._leaving < 0 and self.program.trailing:
            actions += self._follow(best, time_ns)
        return actions

    def bar_opened(self, price: float, time_ns: int) -> list[Action]:
        """Take note of the first price of a new bar: a trailing stop follows it."""
        row = self._row
        if self.terms.paper or row["quantity"] == 0.0 or self._leaving >= 0:
            return []
        best = max(row["best"], price) if row["side"] > 0.0 else min(row["best"], price)
        return self._follow(float(best), time_ns)

    # --- orders out

    def _request(self, leg: Leg, quantity: float, **more: Any) -> OrderRequest:
        number = self.ledger.number
        attempt = self._attempts[number, leg] = self._attempts.get((number, leg), 0) + 1
        side = self._due[0] if leg == "entry" else -float(self._row["side"])
        return OrderRequest(
            self.symbol,
            "buy" if side > 0.0 else "sell",
            more.pop("kind", "market"),
            quantity,
            client_id_of(self.digest, self.symbol, number, leg, attempt),
            reduce_only=leg != "entry",
            **more,
        )

    def _send(self, asked: OrderRequest, leg: Leg, time_ns: int, *, paired: bool = False) -> Approved:
        request = approve_entry(asked, self._let) if leg == "entry" else approve_exit(asked, self.quantity)
        deadline = time_ns + self.terms.deadline_ns if request.kind == "limit" and leg in ("entry", "exit") else 0
        made = Ticket(request, leg, time_ns, paired, deadline_ns=deadline, position=self.ledger.positions)
        self.tickets[request.client_id] = made
        return request

    def _place(self, leg: Leg, quantity: float, time_ns: int, close: float) -> PlaceOrder:
        more: dict[str, Any] = {}
        if self.terms.limit and close == close:
            more = {"kind": "limit", "price": float(_to_tick(close, self.costs.price_tick))}
        return PlaceOrder(self._send(self._request(leg, quantity, **more), leg, time_ns))

    def _pursue_exit(self, time_ns: int, close: float = NAN) -> list[Action]:
        """Leave the position: what binds it first, where it is bound."""
        if self._leaving < 0 or self._row["quantity"] == 0.0:
            return []
        if any(t.leg == "exit" and t.live and t.position == self.ledger.positions for t in self.tickets.values()):
            return []
        working = self.live("entry")
        if working and working.fills:  # what is held may still grow
            return self._cancel(working)
        resting = [t for t in self.tickets.values() if t.leg in ("stop", "target") and t.live]
        if self.terms.spot and resting:
            return [action for ticket in resting for action in self._cancel(ticket)]
        number = self.ledger.number
        if self._attempts.get((number, "exit"), 0) >= MOST_ATTEMPTS:
            if time_ns < self.again_ns or not self.again_ns:
                self.again_ns = self.again_ns or time_ns + 10 * _SECOND
                return [Said("error", self.name, f"the position was not left in {MOST_ATTEMPTS} attempts: look at it")]
            self.again_ns = 0
        return [self._place("exit", abs(self.quantity), time_ns, close)]

    def _cancel(self, ticket: Ticket) -> list[Action]:
        ticket.cancelling = True
        if ticket.cancel_sent or (ticket.paired and any(t.cancel_sent for t in self._pair_of(ticket))):
            return []
        if not ticket.venue_id:
            return [FindOrder(ticket.request)]
        ticket.cancel_sent = True
        return [CancelOrder(ticket.request, ticket.venue_id)]

    def _pair_of(self, ticket: Ticket) -> list[Ticket]:
        return [t for t in self.tickets.values() if t.paired and t is not ticket]

    def _protect(self, time_ns: int, legs: tuple[Leg, ...] = ("stop", "target")) -> list[Action]:
        """Rest a stop and a target for what is held."""
        row, held = self._row, abs(self.quantity)
        levels: dict[Leg, float] = {leg: float(row[leg]) for leg in legs if row[leg] == row[leg]}
        pair = len(levels) == 2 and self.terms.pairs and self.terms.spot
        made: list[Approved] = []
        for leg, level in levels.items():
            kind = "stop" if leg == "stop" else "take_profit"
            request = self._request(leg, held, kind=kind, stop_price=level)
            made.append(self._send(request, leg, time_ns, paired=pair))
        if pair:
            return [PlacePair(*made)]
        return [PlaceOrder(request) for request in made]

    def _protecting(self, leg: Leg) -> Ticket | None:
        """Return the live stop or target of the position that is held; one of the last may still be on its way out."""
        of = self.ledger.positions
        return next((t for t in self.tickets.values() if t.leg == leg and t.live and t.position == of), None)

    def _in_step(self, time_ns: int) -> list[Action]:
        """Keep stop and target in step with what is held: placed where none rests, replaced where one is for another.

        One that is replaced is cancelled here; its end places the next.
        """
        row, held, missing, actions = self._row, abs(self.quantity), [], []
        self.ledger.level(*self._due, trailing=self.program.trailing)
        for leg in PROTECTING:
            level, resting = float(row[leg]), self._protecting(leg)
            if level != level:
                continue
            if resting is None:
                missing.append(leg)
            elif abs(resting.request.quantity - resting.filled - held) > SAME * held or (
                resting.request.stop_price != level
            ):
                actions += [] if resting.cancelling else self._cancel(resting)
        return [*actions, *(self._protect(time_ns, tuple(missing)) if missing else [])]

    def _follow(self, best: float, time_ns: int) -> list[Action]:
        """Move a trailing stop to where the best price puts it."""
        level = self.ledger.follow(best)
        resting = self._protecting("stop")
        if level != level or resting is None or resting.cancelling or level == resting.request.stop_price:
            return []
        return self._cancel(resting)  # the new one is placed when the old one is gone

    # --- what the venue says

    def order_seen(self, report: OrderReport, time_ns: int) -> list[Action]:
        """Take a report of one of its orders."""
        ticket = self.tickets[report.client_id]
        ticket.reports(report)
        if ticket.untold:
            return self._untold(ticket, time_ns)
        if ticket.live and ticket.cancelling:
            ticket.standing += ticket.cancel_sent
            if not ticket.cancel_sent or ticket.standing >= MOST_STANDING:
                ticket.cancel_sent, ticket.standing = False, 0
                return self._cancel(ticket)
            ticket.ask_ns = ticket.ask_ns or time_ns + 2 * _SECOND
            return []
        return [*self._progress(ticket, time_ns), *self._turn(time_ns)]

    def _untold(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Ask for the fills of an order, unless the stream still has time to tell them."""
        ticket.untold_ns = ticket.untold_ns or time_ns
        if time_ns < ticket.untold_ns + self.terms.fills_ns:
            return []
        ticket.untold_ns = time_ns
        return [FetchFills(ticket.request, ticket.venue_id, ticket.sent_ns)]

    def _turn(self, time_ns: int) -> list[Action]:
        """Send the entry of a reversal, once the position before it is closed and nothing on its symbol is unknown."""
        if not self._turns or self._row["quantity"] != 0.0 or any(one.unknown for one in self.peers):
            return []
        quantity, self._turns = self._turns, 0.0
        if self.halted:
            return [Said("warning", self.name, f"not reversed: {self.halted}")]
        return [self._place("entry", quantity, time_ns, self._close)]

    def revived(self, client_id: str) -> Ticket | None:
        """Take an order back that was taken for refused or absent, and that the venue has after all; None if it cannot.

        An entry is taken back while nothing else is held or entered.
        """
        done = next((one for one in self._done if one.request.client_id == client_id), None)
        if done is None or done.status not in ("rejected", "canceled") or done.fills:
            return None
        if done.leg == "entry" and (self._row["quantity"] != 0.0 or self.live("entry")):
            return None
        self._done.remove(done)
        made = Ticket(done.request, done.leg, done.sent_ns, done.paired, position=done.position)
        self.tickets[client_id] = made
        return made

    def late_fills(self, client_id: str, fills: list[Fill]) -> list[Action]:
        """Take executions of an order that had ended: known ones again, or ones that contradict its end."""
        known = next((set(one.fills) for one in self._done if one.request.client_id == client_id), None)
        new = [] if known is None else [one for one in fills if one.trade_id not in known]
        if not new:
            return []
        for one in self._done:
            if one.request.client_id == client_id:
                one.fills.update(fill.trade_id for fill in new)
        return [
            self._contradicted(f"order {client_id} had ended, and filled {sum(one.quantity for one in new):g} more")
        ]

    def _contradicted(self, text: str) -> Said:
        """Enter nothing any more: what is held is not what is known."""
        self.halted = self.halted or text
        return Said("error", self.name, f"{text}; nothing is entered any more: look at the venue")

    def fills_seen(self, ticket: Ticket, fills: list[Fill], time_ns: int) -> list[Action]:
        """Take executions of one of its orders, known ones too."""
        actions: list[Action] = []
        for fill in fills:
            fees = ticket.takes(fill, self.base, self.costs.fee)
            if fees is None:
                continue
            if ticket.leg == "entry":
                if self.ledger.enter(ticket, self._due[0], fees[1], fill.time_ns):
                    ticket.position, self._leaving, self.again_ns = self.ledger.positions, -1, 0
            else:
                actions += self._leave(ticket, fill, fees[0])
        if not ticket.untold:
            ticket.untold_ns = 0
        if ticket.status in LIVE and ticket.filled >= ticket.request.quantity * (1.0 - 1e-9):
            ticket.becomes("filled")
        actions += self._progress(ticket, time_ns)
        return [*actions, *self._turn(time_ns)]

    def failed(self, event: CallFailed) -> list[Action]:
        """Take the failure of a call about one of its orders."""
        ticket = self.tickets[event.client_id]
        said = [Said("warning", self.name, event.message)]
        ticket.failures += 1
        if event.call == "place":
            return [*said, *self._not_placed(ticket, event)]
        if event.call == "cancel":
            ticket.cancel_sent = False
            if ticket.failures >= MOST_ATTEMPTS:
                ticket.ask_ns = event.time_ns + 2 * _SECOND
                return list(said)
            return [*said, *(self._cancel(ticket) if event.meaning == "retry" else [FindOrder(ticket.request)])]
        ticket.ask_ns = event.time_ns + _SECOND
        return list(said)

    def _not_placed(self, ticket: Ticket, event: CallFailed) -> list[Action]:
        """Send an order again only where it cannot exist, and is still wanted."""
        if event.meaning == "unknown" or ticket.venue_id or ticket.fills:
            if ticket.status == "sent":
                ticket.becomes("unknown")
            return [FindOrder(ticket.request)]
        if event.meaning == "retry" and not ticket.cancelling and ticket.failures < MOST_ATTEMPTS:
            if not ticket.paired:
                return [PlaceOrder(ticket.request)]
            pair = {one.leg: one.request for one in (ticket, *self._pair_of(ticket))}
            return (
                [PlacePair(pair["stop"], pair["target"])] if ticket.leg == "target" else []
            )  # told of both, stop first
        if event.meaning == "refuse" and not any(text in event.message for text in UNSENT):
            ticket.refused = True  # it is asked for before anything follows: some are taken all the same
            if ticket.status == "sent":
                ticket.becomes("unknown")
            return [FindOrder(ticket.request)]
        ticket.becomes("canceled" if ticket.cancelling else "rejected")
        if event.meaning == "halt":
            self.halted = event.message
        return self._progress(ticket, event.time_ns)

    def absent(self, client_id: str, time_ns: int) -> list[Action]:
        """Take note that the venue knows no such order; said twice, a little apart, there is none."""
        ticket = self.tickets[client_id]
        if ticket.status == "sent" or time_ns < ticket.ask_ns:  # it may not have left yet; or it is too early to tell
            return []
        ticket.absent += 1
        enough = 1 if ticket.refused else 2
        if ticket.absent < enough or ticket.venue_id:  # one the venue acknowledged is there: its copies lag behind
            ticket.ask_ns = time_ns + 2 * _SECOND
            return []
        ticket.becomes("canceled" if ticket.cancelling else "rejected")
        said = Said("warning", self.name, f"the venue has no order {client_id} ({ticket.leg}): it was not taken")
        return [said, *self._progress(ticket, time_ns)]

    def clock(self, time_ns: int) -> list[Action]:
        """Take note of the time: deadlines of limit orders, orders to be asked for again."""
        actions: list[Action] = []
        if self.again_ns and time_ns >= self.again_ns:
            actions += self._pursue_exit(time_ns)
        for ticket in list(self.tickets.values()):
            if ticket.deadline_ns and time_ns >= ticket.deadline_ns and ticket.live:
                ticket.deadline_ns = 0
                actions += self._cancel(ticket)
            if ticket.ask_ns and time_ns >= ticket.ask_ns:
                ticket.ask_ns = 0
                actions.append(FindOrder(ticket.request))
            if self.terms.fills_ns and ticket.untold:
                actions += self._untold(ticket, time_ns)
        working = self.live("entry") if self._row["quantity"] != 0.0 and self._leaving < 0 else None
        if working and working.fills and time_ns >= self.ledger.changed_ns + STANDS_NS:
            actions += self._in_step(time_ns)
        return actions

    # --- what follows

    def _progress(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Do what follows once an order is done."""
        if ticket.live or self.tickets.pop(ticket.request.client_id, None) is None:
            return []
        self._done.append(ticket)
        if ticket.leg == "entry":
            return self._entered_all(ticket, time_ns)
        pair = self._pair_of(ticket) if ticket.paired else []
        if pair:  # its end is told by the venue, or asked for
            return [FindOrder(other.request) for other in pair if not other.ask_ns]
        if self._row["quantity"] == 0.0 or ticket.position != self.ledger.positions:
            return []  # of a position that is closed
        if ticket.leg == "exit":
            text = f"the exit order ended {ticket.status} with {self.quantity:g} left; it is sent again"
            return [Said("warning", self.name, text), *self._pursue_exit(time_ns)]
        if self._leaving >= 0:
            return self._pursue_exit(time_ns)
        if ticket.status == "rejected" and not self._may_retry(ticket):  # a position without its stop is not held
            self._leaving = STOP if ticket.leg == "stop" else TARGET
            text = f"the venue did not take the {ticket.leg}: the position is left at market"
            return [Said("error", self.name, text), *self._pursue_exit(time_ns)]
        return self._protect(time_ns) if ticket.paired else self._protect(time_ns, (ticket.leg,))

    def _may_retry(self, ticket: Ticket) -> bool:
        """Whether a stop or a target that never reached the venue may be placed once more: it was not refused."""
        return ticket.absent > 1 and self._attempts.get((self.ledger.number, ticket.leg), 0) < MOST_ATTEMPTS

    def _entered_all(self, ticket: Ticket, time_ns: int) -> list[Action]:
        row = self._row
        side, stop, target = self._due
        self.ledger.leg["pending"] = 0.0
        if ticket.filled == 0.0:
            said: list[Action] = [Said("warning", self.name, f"the entry ended {ticket.status} with nothing filled")]
            if self.program.sizing.kind == "kelly" and ticket.status in ("expired", "canceled"):
                row["due_side"], row["due_quantity"] = side, 0.0  # followed as a shadow, as in the simulation
                row["due_stop"], row["due_target"] = stop, target
            else:
                row["due_side"] = 0.0
            return said
        noted: list[Action] = [slipped(self.name, ticket)] if ticket.best else []
        if row["quantity"] == 0.0:  # its stop has filled before it was done
            return noted
        return noted + (self._pursue_exit(time_ns) if self._leaving >= 0 else self._in_step(time_ns))

    def _leave(self, ticket: Ticket, fill: Fill, fee: float) -> list[Action]:
        side = float(self._row["side"])
        if side == 0.0 or (ticket.request.side == "buy") is (side > 0.0):
            return [self._contradicted(f"a fill of {fill.quantity:g} ({ticket.leg}) came where no position is held")]
        reason = REASON_OF.get(ticket.leg, self._leaving if self._leaving >= 0 else SIGNAL)
        at = self.ledger.leave(fill, fee, reason)
        if at < 0:
            return []
        self._leaving, self.again_ns = -1, 0
        working = self.live("entry")
        if working and working.fills:
            self.ledger.left_within(working)
        others = [t for t in self.tickets.values() if t is not ticket and t.live and not t.paired]
        rest = [t for t in others if t.leg != "entry" or t.fills]
        return [self.ledger.told(at), *(action for t in rest for action in self._cancel(t))]


def slipped(name: str, ticket: Ticket) -> Slipped:
    """Return what an entry paid beyond the best price of before, beside what was estimated."""
    side = 1.0 if ticket.request.side == "buy" else -1.0
    paid = side * (ticket.price / ticket.best - 1.0)
    return Slipped(name, ticket.request.client_id, ticket.best, ticket.estimate, paid)
