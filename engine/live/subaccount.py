"""The part of an account that one program has on one symbol: what is decided becomes orders, and what follows of them.

At each close the simulation's kernel marks the account and decides, with its sizes (`engine.live.deciding`).  How
orders are kept until their end is said in `engine.live.keeping`, and, one above the other, how a position is
protected, left and entered; what fills do to cash and position, in `engine.live.ledger`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from numpy.typing import NDArray

from engine.execution.orders import Fill
from engine.graph.program import Program
from engine.live.actions import Action, Decided, FindOrder, Said
from engine.live.deciding import Noted
from engine.live.entering import Entering
from engine.live.keeping import SECOND
from engine.live.ledger import ClosedBar
from engine.live.order_states import LIVE
from engine.live.terms import Terms
from engine.live.ticket import Ticket
from engine.risk.words import refusal
from engine.simulate import Costs
from engine.simulate.formulas import SIGNAL, STOP, TARGET
from parquet_store.moments import to_text

__all__ = ["SubAccount", "Terms"]

_MS: Final = 1_000_000
STANDS_NS: Final = SECOND  # after which a part of an entry is protected, and the rest waited for


class SubAccount(Entering):
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
    entry : Entry, optional
        The entry under way.
    halted : str
        Why nothing is entered any more; empty while it trades.
    again_ns : int
        When an exit that failed again and again is tried once more; 0: none is.
    peers : sequence of SubAccount
        All on the same symbol.
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
        super().__init__(name, symbol, digest, costs, terms, noted, recent)
        self.program, self.base = program, symbol.partition("/")[0]
        self.trailing, self.kelly = program.trailing, program.sizing.kind == "kelly"
        self._turns = 0.0  # quantity of the entry that waits until the position before it is closed
        self.peers: Sequence[SubAccount] = (self,)

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
    def equity(self) -> float:
        """At the last close, quote currency."""
        return float(self._row["equity"])

    @property
    def waits(self) -> bool:
        """Whether something is to be looked at as time passes."""
        return bool(self.tickets or self.again_ns or self.entry is not None)

    def resumed(self, time_ns: int) -> list[Action]:
        """Ask for every order, since the run was interrupted."""
        if self.again_ns:
            self.again_ns = time_ns
        return self._resumed()

    def kill(self, time_ns: int) -> list[Action]:
        """Cancel what rests and leave what is held, at market; a paper account has nobody to ask and stays."""
        row, self._turns = self._row, 0.0
        row["due_side"] = 0.0
        if self.terms.paper or not (row["quantity"] or self.enters):
            return []
        if self._leaving < 0:
            self._leaving = SIGNAL
        return [*self._given_up(time_ns), *self._pursue_exit(time_ns)]

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
            self._moved = 0
        wanted = side * size if side else 0.0
        leaves = due_close != 0.0 and quantity != 0.0
        why = ""
        if self._turns:
            self._turns = 0.0
            actions.append(Said("warning", self.name, "not reversed: the position was not left in time"))
        if wanted:
            why = self.halted or late
            if not why and self.enters:
                why = "the entry before is not done yet"
            if why:
                self._row["due_side"], wanted = 0.0, 0.0
                if not self.enters:
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
        self._close = bar.close
        if quantity != 0.0:
            actions += self._held_on(bar.close, int(due_close) - 1 if leaves else -1, time_ns)
        if wanted != 0.0:
            self._due, self._let = (side, due_stop, due_target), size
            if quantity != 0.0:
                self._turns = abs(wanted)  # else a part of it could close what an exit was to close
            else:
                actions += self._enter(abs(wanted), bar.close, time_ns)
        if quantity != 0.0 and self._leaving < 0 and self.trailing:
            actions += self._follow(best)
        return actions

    def _held_on(self, close: float, reason: int, time_ns: int) -> list[Action]:
        """Leave what is held, where that was decided before or now, or its stop was passed and has not traded."""
        actions: list[Action] = []
        if reason >= 0 and self._leaving < 0:
            self._leaving = reason
            actions += self._given_up(time_ns)
        elif self._leaving < 0 and self.terms.stop_limit and self._passed(close):
            self._leaving = STOP
            text = f"the close of {close:g} is beyond the limit of its stop: the position is left at market"
            return [Said("warning", self.name, text), *self._pursue_exit(time_ns)]
        if self._leaving >= 0:
            if not self.live("exit"):
                self._until_ns = 0
            actions += self._pursue_exit(time_ns, close)
        return actions

    def bar_opened(self, price: float) -> list[Action]:
        """Take note of the first price of a new bar: a trailing stop follows it."""
        row = self._row
        if self.terms.paper or row["quantity"] == 0.0 or self._leaving >= 0:
            return []
        return self._follow(float(max(row["best"], price) if row["side"] > 0.0 else min(row["best"], price)))

    # --- what the venue says

    def _followed(self, ticket: Ticket, time_ns: int) -> list[Action]:
        return [*self._progress(ticket, time_ns), *self._turn(time_ns)]

    def _turn(self, time_ns: int) -> list[Action]:
        """Send the entry of a reversal, once the position before it is closed and nothing on its symbol is unknown."""
        if not self._turns or self._row["quantity"] != 0.0 or any(one.unknown for one in self.peers):
            return []
        quantity, self._turns = self._turns, 0.0
        if self.halted:
            return [Said("warning", self.name, f"not reversed: {self.halted}")]
        return self._enter(quantity, self._close, time_ns)

    def fills_seen(self, ticket: Ticket, fills: list[Fill], time_ns: int) -> list[Action]:
        """Take executions of one of its orders, known ones too."""
        actions: list[Action] = []
        for fill in fills:
            fees = ticket.takes(fill, self.base, self.costs.fee)
            if fees is None:
                continue
            if ticket.into is None:
                actions += self._leave(ticket, fill, fees[0])
            elif self.ledger.enter(ticket.into, fees[1], fill.time_ns):
                self._leaving, self.again_ns, self._until_ns = -1, 0, 0
        if not ticket.untold:
            ticket.untold_ns = 0
        if ticket.status in LIVE and ticket.filled >= ticket.request.quantity * (1.0 - 1e-9):
            ticket.becomes("filled")
        return [*actions, *self._followed(ticket, time_ns)]

    def clock(self, time_ns: int) -> list[Action]:
        """Take note of the time: deadlines of limit orders, orders to be asked for again or moved."""
        actions: list[Action] = []
        if self.again_ns and time_ns >= self.again_ns:
            actions += self._pursue_exit(time_ns)
        actions += self._asked_again(time_ns)
        if self.terms.limit:
            actions += self._looked(time_ns)
        growing = self.entry is not None and self.entry.fills and self._row["quantity"] != 0.0 and self._leaving < 0
        if growing and time_ns >= self.ledger.changed_ns + STANDS_NS:
            actions += self._in_step(time_ns)
        return actions

    # --- what follows

    def _progress(self, ticket: Ticket, time_ns: int) -> list[Action]:
        if ticket.live or self.tickets.pop(ticket.request.client_id, None) is None:
            return []
        self._done.append(ticket)
        if ticket.leg == "entry":
            return self._entry_over(ticket, time_ns)
        pair = self._pair_of(ticket) if ticket.paired else []
        if pair:  # its end is told by the venue, or asked for
            return [FindOrder(other.request) for other in pair if not other.ask_ns]
        if self._row["quantity"] == 0.0 or ticket.position != self.ledger.positions:
            return []  # of a position that is closed
        if ticket.leg == "exit":
            return self._exit_over(ticket, time_ns)
        if self._leaving >= 0:
            return self._pursue_exit(time_ns)
        if ticket.status == "rejected" and not self._may_retry(ticket):  # a position without its stop is not held
            self._leaving = STOP if ticket.leg == "stop" else TARGET
            text = f"the venue did not take the {ticket.leg}: the position is left at market"
            return [Said("error", self.name, text), *self._pursue_exit(time_ns)]
        return self._protect(time_ns) if ticket.paired else self._protect(time_ns, (ticket.leg,))
