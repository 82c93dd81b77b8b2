"""How a position is left: what binds it is taken away first, what was to be left is sent until nothing is held."""

from __future__ import annotations

from typing import Any, Final

from engine.execution.orders import Fill
from engine.kernels import grid
from engine.live.actions import Action, PlaceOrder, Said
from engine.live.approved import approve_exit
from engine.live.keeping import MOST_ATTEMPTS, NAN, SECOND
from engine.live.protecting import Protecting
from engine.live.ticket import Ticket
from engine.simulate.formulas import SIGNAL, STOP, TARGET

__all__ = ["Leaving"]

_to_tick = grid.to_tick.py_func  # type: ignore[attr-defined]
REASON_OF: Final[dict[str, int]] = {"stop": STOP, "target": TARGET}


class Leaving(Protecting):
    """A sub-account's exits."""

    _leaving = -1  # the reason of the exit under way
    _until_ns = 0  # until when it rests
    _moved = 0  # orders of it that ended as they went to another price, since the last close
    again_ns = 0  # when an exit that failed again and again is tried once more; 0: none is

    def _pursue_exit(self, time_ns: int, price: float = NAN) -> list[Action]:
        """Leave the position: what binds it first, where it is bound."""
        if self._leaving < 0 or self._row["quantity"] == 0.0:
            return []
        if any(t.leg == "exit" and t.live and t.position == self.ledger.positions for t in self.tickets.values()):
            return []
        if self.entry is not None and self.entry.fills:  # what is held may still grow
            return self._given_up(time_ns)
        resting = [t for t in self.tickets.values() if t.leg in ("stop", "target") and t.live]
        if self.terms.spot and resting:
            return [action for ticket in resting for action in self._cancel(ticket)]
        often = self._attempts.get((self.ledger.number, "exit"), 0) - self._moved >= MOST_ATTEMPTS
        if often and (time_ns < self.again_ns or not self.again_ns):
            self.again_ns = self.again_ns or time_ns + 10 * SECOND
            return [Said("error", self.name, f"the position was not left in {MOST_ATTEMPTS} attempts: look at it")]
        self.again_ns = 0
        return [self._exit(time_ns, price)]

    def _exit(self, time_ns: int, price: float) -> PlaceOrder:
        """Send an exit for all that is held: at a limit where a price is given, else at market."""
        more: dict[str, Any] = {}
        until_ns = 0
        if self.terms.limit and price == price:
            more = {"kind": "limit", "price": float(_to_tick(price, self.costs.price_tick))}
            until_ns = self._until_ns = self._until_ns or time_ns + self.terms.deadline_ns
        asked = self._request("exit", -float(self._row["side"]), abs(self.quantity), **more)
        request = approve_exit(asked, self.quantity)
        self._keep(Ticket(request, "exit", time_ns, deadline_ns=until_ns))
        return PlaceOrder(request)

    def _exit_over(self, ticket: Ticket, time_ns: int) -> list[Action]:
        """Go on leaving once an exit is done and something is left."""
        if ticket.moves_to == ticket.moves_to:
            self._moved += 1
            return self._pursue_exit(time_ns, ticket.moves_to)
        text = f"the exit order ended {ticket.status} with {self.quantity:g} left; it is sent again"
        return [Said("warning", self.name, text), *self._pursue_exit(time_ns)]

    def _leave(self, ticket: Ticket, fill: Fill, fee: float) -> list[Action]:
        """Take a fill that makes the position smaller."""
        side = float(self._row["side"])
        if side == 0.0 or (ticket.request.side == "buy") is (side > 0.0):
            return [self._contradicted(f"a fill of {fill.quantity:g} ({ticket.leg}) came where no position is held")]
        reason = REASON_OF.get(ticket.leg, self._leaving if self._leaving >= 0 else SIGNAL)
        at = self.ledger.leave(fill, fee, reason)
        if at < 0:
            return []
        self._leaving, self.again_ns, self._until_ns = -1, 0, 0
        others = [t for t in self.tickets.values() if t is not ticket and t.live and not t.paired]
        rest = [t for t in others if t.leg != "entry"] + self._left_within()
        return [self.ledger.told(at), *(action for t in rest for action in self._cancel(t))]

    def _given_up(self, time_ns: int) -> list[Action]:
        """End the entry that is under way."""
        raise NotImplementedError

    def _left_within(self) -> list[Ticket]:
        """Take note that the position was closed while its entry may fill more; return what has to end of it."""
        raise NotImplementedError
