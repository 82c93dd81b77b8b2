"""Whose an order is, and what the venue says of it given to the account it belongs to."""

from __future__ import annotations

from typing import Final

from engine.execution.orders import Fill
from engine.live.actions import Action, FindOrder, PlaceOrder, PlacePair, Said
from engine.live.events import (
    AccountStreamCut,
    CallFailed,
    Estimated,
    FillsSeen,
    OrderAbsent,
    OrderSeen,
    QuoteSeen,
)
from engine.live.subaccount import SubAccount
from engine.live.ticket import Ticket

__all__ = ["Owning"]

KNOWN: Final = 128  # orders of which it is known whose they are


class Owning:
    """The orders of several sub-accounts.

    Attributes
    ----------
    accounts : tuple of SubAccount
        In the order of the setup's placements.
    time_ns : int
        The venue's, of the latest event.
    """

    def __init__(self, accounts: tuple[SubAccount, ...]) -> None:
        self.accounts, self.time_ns = accounts, 0
        self._owner: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._unclaimed: dict[str, list[Fill]] = {}

    def owner(self, client_id: str) -> int:
        """Return which account an order belongs to, -1 if to none."""
        return self._owner.get(client_id, -1)

    def ticket(self, client_id: str) -> Ticket | None:
        """Return an order that is live."""
        k = self.owner(client_id)
        return None if k < 0 else self.accounts[k].tickets.get(client_id)

    def enters(self, client_id: str) -> bool:
        """Return whether an order opens a position."""
        ticket = self.ticket(client_id)
        return ticket is not None and ticket.leg == "entry"

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

    def _account_cut(self, event: AccountStreamCut) -> list[Action]:
        return [FindOrder(ticket.request) for account in self.accounts for ticket in account.tickets.values()]

    def _estimated(self, event: Estimated) -> list[Action]:
        ticket = self.ticket(event.client_id)
        if ticket is not None:
            ticket.best, ticket.estimate = event.best, event.share
        return []

    def _quoted(self, event: QuoteSeen) -> list[Action]:
        actions: list[Action] = []
        for k, account in enumerate(self.accounts):
            if account.symbol == event.symbol and account.waits:
                actions += self._own(k, account.quoted(event.bid, event.ask, event.time_ns))
        return actions
