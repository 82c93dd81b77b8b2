"""Funding a venue paid or took on the run's perpetuals: booked once, to the accounts that hold the contract.

A payment is on what the account holds as a whole.  What a person holds besides bears its part; the rest is shared by
what each sub-account holds, and is the one's that traded last where none holds any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from engine.execution.orders import Payment
from engine.live.actions import Action, Said
from engine.live.subaccount import SubAccount

__all__ = ["FundingBook"]

KEPT: Final = 1024  # ids of payments that are known
_HOUR: Final = 3_600_000_000_000


class FundingBook:
    """What was paid.

    Parameters
    ----------
    on : mapping of str to list of SubAccount
        By symbol.
    others : mapping of str to float
        What a person holds besides, by symbol, base currency.

    Attributes
    ----------
    since_ns : int
        From when on payments are to be asked for, 0 before the run began.
    """

    def __init__(self, on: Mapping[str, Sequence[SubAccount]], others: Mapping[str, float]) -> None:
        self.on, self.others = on, others
        self.since_ns = self._began_ns = 0
        self._known: deque[str] = deque(maxlen=KEPT)

    def begins(self, time_ns: int) -> None:
        """Take note of when the run began: what was paid before is not its own."""
        if not self._began_ns:
            self.since_ns = self._began_ns = time_ns

    def take(self, payments: Sequence[Payment]) -> list[Action]:
        """Book payments, known ones once; quote currency, negative where it was taken."""
        actions: list[Action] = []
        for one in payments:
            name = f"{one.symbol} {one.payment_id} {one.time_ns}"
            accounts = self.on.get(one.symbol, ())
            if not accounts or name in self._known or one.time_ns < self._began_ns:
                continue
            if any(account.unknown or account.doubted for account in accounts):
                continue  # asked for again, when it is known what was held
            self._known.append(name)
            self.since_ns = max(self.since_ns, one.time_ns - _HOUR)
            held = [account.quantity for account in accounts]
            total = sum(held) + self.others.get(one.symbol, 0.0)
            if not any(held):
                held = [0.0] * len(held)
                last = max(range(len(held)), key=lambda k: accounts[k].ledger.changed_ns)
                if accounts[last].ledger.changed_ns == 0:
                    continue  # a person's
                held[last], total = 1.0, 1.0 if not total else total + 1.0
            for account, quantity in zip(accounts, held, strict=True):
                part = one.amount * quantity / total if total else 0.0
                if part:
                    account.ledger.fund(part)
                    actions.append(Said("info", account.name, f"funding of {part:+.4f}"))
        return actions
