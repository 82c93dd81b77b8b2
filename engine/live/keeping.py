"""The orders of one program on one symbol, each kept until the venue's last word on it and all its fills are known.

What nobody knows the state of is asked for by our id; nothing is sent again unless it cannot exist.  What follows once
an order is done is said by `engine.live.subaccount`.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.live.actions import Action, CancelOrder, FetchFills, FindOrder, PlaceOrder, PlacePair, Said
from engine.live.deciding import Noted
from engine.live.entry import Entry
from engine.live.events import CallFailed
from engine.live.ledger import ClosedBar, Ledger
from engine.live.terms import Terms
from engine.live.ticket import Leg, Ticket, client_id_of
from engine.simulate import Costs

__all__ = ["MOST_ATTEMPTS", "NAN", "SECOND", "Keeping"]

SECOND: Final = 1_000_000_000
NAN: Final = float("nan")
MOST_ATTEMPTS: Final = 5
MOST_STANDING: Final = 3  # how often an order may be seen that was to be cancelled, until that is asked again
UNSENT: Final = ("not sent: ", "nothing was sent")  # what is refused on this side


class Keeping:
    """The orders of a sub-account; its parameters are `engine.live.subaccount.SubAccount`'s."""

    def __init__(
        self, name: str, symbol: str, digest: str, costs: Costs, terms: Terms, noted: Noted, recent: deque[ClosedBar]
    ) -> None:
        self.name, self.symbol, self.digest, self.costs, self.terms = name, symbol, digest, costs, terms
        self.ledger = Ledger(name, costs, noted, recent)
        self._row = self.ledger.row
        self.tickets: dict[str, Ticket] = {}
        self.halted = ""
        self._attempts: dict[tuple[int, Leg], int] = {}
        self._done: deque[Ticket] = deque(maxlen=24)  # whose late fills are known by
        self.entry: Entry | None = None

    # --- what is known

    @property
    def quantity(self) -> float:
        """The position, base currency, negative when short."""
        return self.ledger.quantity

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
    def enters(self) -> bool:
        """Whether an entry is under way."""
        return self.entry is not None or self.live("entry") is not None

    @property
    def unknown(self) -> str:
        """The order of which nobody knows whether the venue has it, or how it stands; empty if there is none."""
        return next((name for name, t in self.tickets.items() if t.status == "unknown" or t.doubted), "")

    @property
    def doubted(self) -> bool:
        """Whether what became of an order while the run was interrupted is still unknown."""
        return any(ticket.doubted or ticket.untold for ticket in self.tickets.values())

    # --- out

    def _request(self, leg: Leg, side: float, quantity: float, **more: Any) -> OrderRequest:
        """Return an order with the next id of its leg: an entry's go by the bar it was decided at."""
        if leg == "entry" and self.entry is not None:
            self.entry.sent = attempt = self.entry.sent + 1
            number = self.entry.number
        else:
            number = self.ledger.number
            attempt = self._attempts[number, leg] = self._attempts.get((number, leg), 0) + 1
        return OrderRequest(
            self.symbol,
            "buy" if side > 0.0 else "sell",
            more.pop("kind", "market"),
            quantity,
            client_id_of(self.digest, self.symbol, number, leg, attempt),
            reduce_only=leg != "entry",
            **more,
        )

    def _keep(self, ticket: Ticket) -> None:
        """Keep an order that is about to leave."""
        ticket.position = self.ledger.positions
        ticket.at = ticket.request.price
        if self.terms.chase_ns and ticket.deadline_ns and ticket.request.time_in_force == "gtc":
            ticket.look_ns = ticket.sent_ns + self.terms.chase_ns
        self.tickets[ticket.request.client_id] = ticket

    def _cancel(self, ticket: Ticket, moves_to: float = NAN) -> list[Action]:
        """Have an order end: for good, or to go to another price."""
        ticket.cancelling, ticket.moves_to = True, moves_to
        if ticket.cancel_sent or (ticket.paired and any(t.cancel_sent for t in self._pair_of(ticket))):
            return []
        if not ticket.venue_id:
            return [FindOrder(ticket.request)]
        ticket.cancel_sent = True
        return [CancelOrder(ticket.request, ticket.venue_id)]

    def _pair_of(self, ticket: Ticket) -> list[Ticket]:
        return [t for t in self.tickets.values() if t.paired and t is not ticket]

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
                return self._cancel(ticket, ticket.moves_to)
            ticket.ask_ns = ticket.ask_ns or time_ns + 2 * SECOND
            return []
        return self._followed(ticket, time_ns)

    def _untold(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Ask for the fills of an order, unless the stream still has time to tell them."""
        ticket.untold_ns = ticket.untold_ns or time_ns
        if time_ns < ticket.untold_ns + self.terms.fills_ns:
            return []
        ticket.untold_ns = time_ns
        return [FetchFills(ticket.request, ticket.venue_id, ticket.sent_ns)]

    def _followed(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Do what follows of news of an order."""
        raise NotImplementedError

    def revived(self, client_id: str, *, filled: bool) -> Ticket | None:
        """Take an order back that was taken for refused or absent, and that the venue has after all; None if it cannot.

        One the venue has told the end of is not, unless it filled: what says that it rests is older.  An entry is taken
        back while nothing else is held or entered.
        """
        done = next((one for one in self._done if one.request.client_id == client_id), None)
        if done is None or done.status not in ("rejected", "canceled") or done.fills or (done.venue_id and not filled):
            return None
        if done.leg == "entry" and (self._row["quantity"] != 0.0 or self.enters):
            return None
        self._done.remove(done)
        made = Ticket(done.request, done.leg, done.sent_ns, done.paired, position=done.position, into=done.into)
        self.entry = done.into or self.entry
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

    def failed(self, event: CallFailed) -> list[Action]:
        """Take the failure of a call about one of its orders."""
        ticket = self.tickets[event.client_id]
        said = [Said("warning", self.name, event.message)]
        ticket.failures += 1
        if event.call == "place":
            return [*said, *self._not_placed(ticket, event)]
        if event.call == "amend":  # where it stands is asked
            if event.meaning != "unknown":
                ticket.amended = None
            return [*said, FindOrder(ticket.request)]
        if event.call == "cancel":
            ticket.cancel_sent = False
            if ticket.failures >= MOST_ATTEMPTS:
                ticket.ask_ns = event.time_ns + 2 * SECOND
                return list(said)
            again = self._cancel(ticket, ticket.moves_to) if event.meaning == "retry" else [FindOrder(ticket.request)]
            return [*said, *again]
        ticket.ask_ns = event.time_ns + SECOND
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

    def _progress(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Do what follows once an order is done."""
        raise NotImplementedError

    def absent(self, client_id: str, time_ns: int) -> list[Action]:
        """Take note that the venue knows no such order; said twice, a little apart, there is none."""
        ticket = self.tickets[client_id]
        if ticket.status == "sent" or time_ns < ticket.ask_ns:  # it may not have left yet; or it is too early to tell
            return []
        ticket.absent += 1
        enough = 1 if ticket.refused else 2
        if ticket.absent < enough or ticket.venue_id:  # one the venue acknowledged is there: its copies lag behind
            ticket.ask_ns = time_ns + 2 * SECOND
            return []
        ticket.becomes("canceled" if ticket.cancelling else "rejected")
        said = Said("warning", self.name, f"the venue has no order {client_id} ({ticket.leg}): it was not taken")
        return [said, *self._progress(ticket, time_ns)]

    # --- time

    def _asked_again(self, time_ns: int) -> list[Action]:
        """Cancel what is over its deadline, and ask for what is to be asked for again."""
        actions: list[Action] = []
        for ticket in list(self.tickets.values()):
            if ticket.deadline_ns and time_ns >= ticket.deadline_ns and ticket.live:
                ticket.deadline_ns, ticket.over = 0, True
                actions += self._cancel(ticket)
            if ticket.ask_ns and time_ns >= ticket.ask_ns:
                ticket.ask_ns = 0
                actions.append(FindOrder(ticket.request))
            if self.terms.fills_ns and ticket.untold:
                actions += self._untold(ticket, time_ns)
        return actions

    def _resumed(self) -> list[Action]:
        """Ask for every order, since the run was interrupted: one that was to be sent may never have left."""
        for ticket in self.tickets.values():
            ticket.doubted, ticket.cancel_sent, ticket.ask_ns, ticket.absent = True, False, 0, 0
            if ticket.status == "sent":
                ticket.becomes("unknown")
        return [FindOrder(ticket.request) for ticket in self.tickets.values()]
