"""How a position is entered: at market, or by limit orders that rest, follow the best price, and cross at the end.

An order goes to another price by an amendment where the venue takes one, else another one is sent once the venue has
said that the one before is over; one that merely cannot be found is followed by none.  What is sent at a worse price
is less, so that the notional stays what was decided on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from engine.execution.orders import OrderRequest
from engine.kernels import grid
from engine.live.actions import Action, AmendOrder, FetchQuote, FindOrder, PlaceOrder, Said, Slipped
from engine.live.approved import approve_entry, approve_exit
from engine.live.entry import Entry
from engine.live.keeping import NAN, SECOND
from engine.live.leaving import Leaving
from engine.live.ticket import Ticket

__all__ = ["Entering"]

_to_tick = grid.to_tick.py_func  # type: ignore[attr-defined]
_to_step = grid.to_step.py_func  # type: ignore[attr-defined]
SAME: Final = 1e-9


class Entering(Leaving):
    """A sub-account's entries, and the limit orders of its exits."""

    _let = 0.0  # what the review let of it, base currency

    def _enter(self, quantity: float, close: float, time_ns: int) -> list[Action]:
        """Begin to enter."""
        terms = self.terms
        self.entry = Entry(quantity, self._due[0], close, self.ledger.number)
        if not terms.limit or close != close:
            return [self._entry_order(self.entry, quantity, time_ns)]
        self.entry.until_ns = time_ns + terms.deadline_ns
        if terms.post_only:  # where the best prices are is asked first: the close may be across
            return self._look(self.entry, time_ns)
        return [self._entry_order(self.entry, quantity, time_ns, close)]

    def _look(self, entry: Entry, time_ns: int) -> list[Action]:
        """Ask for the best prices, at which the entry's next order is sent."""
        entry.look_ns = time_ns + self._pause_ns
        return [FetchQuote(self.symbol)]

    @property
    def _pause_ns(self) -> int:
        return max(self.terms.chase_ns, SECOND)

    def _entry_order(self, entry: Entry, quantity: float, time_ns: int, price: float = NAN) -> PlaceOrder:
        terms, more, entry.look_ns = self.terms, dict[str, Any](), 0
        if price == price:
            more = {"kind": "limit", "price": float(_to_tick(price, self.costs.price_tick))}
            more |= {"post_only": terms.post_only, "time_in_force": terms.time_in_force}
        request = approve_entry(self._request("entry", entry.side, quantity, **more), self._let)
        until_ns = entry.until_ns if price == price else 0
        self._keep(Ticket(request, "entry", time_ns, deadline_ns=until_ns, into=entry))
        return PlaceOrder(request)

    # --- what rests

    def _looked(self, time_ns: int) -> list[Action]:
        """Ask for the best prices where an order should perhaps be moved, or none could be sent yet."""
        entry, due = self.entry, False
        actions: list[Action] = []
        for ticket in self.tickets.values():
            if ticket.look_ns and time_ns >= ticket.look_ns and ticket.status == "open" and not ticket.cancelling:
                ticket.look_ns, due = time_ns + self.terms.chase_ns, True
                if ticket.amended is not None:  # whether it has moved was not told
                    actions.append(FindOrder(ticket.request))
        if entry is not None and entry.look_ns and time_ns >= entry.look_ns:
            if time_ns >= entry.until_ns:
                crosses = self.terms.cross and not self.halted and self._leaving < 0
                return self._next(entry, time_ns) if crosses else self._ended(entry, "expired", time_ns)
            return [*actions, *self._look(entry, time_ns)]
        return [*actions, FetchQuote(self.symbol)] if due else actions

    def quoted(self, bid: float, ask: float, time_ns: int) -> list[Action]:
        """Take the best prices of the symbol: limit orders follow those of their own side."""
        if not 0.0 < bid < ask < math.inf:
            return []
        entry = self.entry
        if entry is not None and entry.look_ns:
            own = bid if entry.side > 0.0 else ask
            price = entry.side * min(entry.side * own, entry.side * entry.close)
            if self.halted or not self._within_reach(price, entry.close):
                return []
            entry.look_ns = 0
            return self._next(entry, time_ns, price)
        actions: list[Action] = []
        for ticket in list(self.tickets.values()):
            if not ticket.look_ns or ticket.status != "open" or ticket.cancelling or ticket.amended is not None:
                continue
            side = 1.0 if ticket.request.side == "buy" else -1.0
            price = float(_to_tick(bid if side > 0.0 else ask, self.costs.price_tick))
            if side * (price - ticket.at) > SAME * price and self._within_reach(price, self._close):
                actions += self._move(ticket, price)
        return actions

    _close = NAN  # the last one, where limit orders begin

    def _within_reach(self, price: float, close: float) -> bool:
        return abs(price / close - 1.0) <= self.terms.reach

    def _move(self, ticket: Ticket, price: float) -> list[Action]:
        """Have a limit order rest at another price."""
        entry = ticket.into
        if not self.terms.amends or ticket.filled:  # what is left of it is another quantity at another price
            return self._cancel(ticket, price)
        quantity = ticket.request.quantity if entry is None else self._sendable(entry.within(price), price)
        if not quantity:
            return []
        asked = replace(OrderRequest(**vars(ticket.request)), quantity=quantity, price=price)
        request = approve_exit(asked, self.quantity) if entry is None else approve_entry(asked, self._let)
        ticket.amended = request
        return [AmendOrder(request, ticket.venue_id)]

    # --- what follows of an order that is done

    def _entry_over(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Go on entering once an order of the entry is done, or end it."""
        noted: list[Action] = [slipped(self.name, ticket)] if ticket.best else []
        entry = ticket.into
        if entry is None or entry is not self.entry:
            return noted
        if self._goes_on(ticket, entry):
            if ticket.moves_to == ticket.moves_to:
                return [*noted, *self._next(entry, time_ns, ticket.moves_to)]
            if self._crossing(ticket):  # it would not have rested: after a pause it is tried again
                entry.look_ns = time_ns + self._pause_ns
                return noted
            if self.terms.cross and (ticket.over or ticket.status == "expired"):
                return [*noted, *self._next(entry, time_ns)]
        return [*noted, *self._ended(entry, ticket.status, time_ns)]

    def _goes_on(self, ticket: Ticket, entry: Entry) -> bool:
        """Whether another order may follow: the venue itself has ended this one, and the entry is still wanted."""
        told = ticket.status in ("canceled", "expired") and bool(ticket.venue_id)
        wanted = not self.halted and self._leaving < 0 and ticket.request.kind == "limit"
        flat = entry.filled == 0.0 or self._row["quantity"] != 0.0
        return (told or self._crossing(ticket)) and wanted and flat and entry.left > SAME * entry.wanted

    def _crossing(self, ticket: Ticket) -> bool:
        """Whether the venue refused an order as it would not have rested; some take it first, and cancel it."""
        if not ticket.request.post_only or ticket.filled:
            return False
        ended = ticket.status in ("canceled", "expired") and bool(ticket.venue_id) and not ticket.cancelling
        return ended or (ticket.status == "rejected" and ticket.refused)

    def _next(self, entry: Entry, time_ns: int, price: float = NAN) -> list[Action]:
        """Send another order for what is left: at a limit where a price is given, else at market."""
        worst = entry.close * (1.0 + entry.side * self.terms.reach)
        quantity = self._sendable(entry.within(price if price == price else worst), entry.close)
        if not quantity:
            return self._ended(entry, "canceled", time_ns)
        return [self._entry_order(entry, quantity, time_ns, price)]

    def _sendable(self, quantity: float, price: float) -> float:
        """Return a quantity as the market takes it, 0 where it takes none so small."""
        found = float(_to_step(quantity, self.costs.quantity_step, self.costs.contract_size))
        return found if found * price >= self.costs.min_notional else 0.0

    def _given_up(self, time_ns: int) -> list[Action]:
        """End an entry: its order is cancelled, and where none is there, nothing is sent."""
        working = self.live("entry")
        if working is not None:
            return self._cancel(working)
        return [] if self.entry is None else self._ended(self.entry, "canceled", time_ns)

    def _ended(self, entry: Entry, status: str, time_ns: int) -> list[Action]:
        """Do what follows once nothing more is entered."""
        row, self.entry = self._row, None
        side, stop, target = self._due
        self.ledger.leg["pending"] = 0.0
        if entry.filled == 0.0:
            if self.kelly and status in ("expired", "canceled"):
                row["due_side"], row["due_quantity"] = side, 0.0  # followed as a shadow, as in the simulation
                row["due_stop"], row["due_target"] = stop, target
            else:
                row["due_side"] = 0.0
            return [Said("warning", self.name, f"the entry ended {status} with nothing filled")]
        if row["quantity"] == 0.0:  # its stop has filled before it was done
            return []
        return self._pursue_exit(time_ns) if self._leaving >= 0 else self._in_step(time_ns)

    kelly = False  # whether the program is sized by Kelly's rule

    def _left_within(self) -> list[Ticket]:
        if self.entry is None or not self.entry.fills:
            return []
        self.ledger.left_within(self.entry)
        working = self.live("entry")
        return [] if working is None else [working]


def slipped(name: str, ticket: Ticket) -> Slipped:
    """Return what an entry paid beyond the best price of before, beside what was estimated."""
    side = 1.0 if ticket.request.side == "buy" else -1.0
    paid = side * (ticket.price / ticket.best - 1.0)
    return Slipped(name, ticket.request.client_id, ticket.best, ticket.estimate, paid)
