"""What the account has of the money it trades with, against what its sub-accounts count on.

More may be there, and be a person's.  Less, twice in a row and with nothing under way, means that money left the
account, or that an answer is wrong: nothing is entered until it is there again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.live.actions import Action, Said
from engine.live.events import BalanceSeen
from engine.live.holdings import busy
from engine.live.subaccount import SubAccount

__all__ = ["Money", "quote_of"]

SHARE: Final = 0.01  # of what is counted on, that may be missing: fees in other coins, interest, rounding


def quote_of(symbol: str) -> str:
    """Return the currency a symbol is paid in."""
    return symbol.partition("/")[2].partition(":")[0]


class Money:
    """The currencies of a run.

    Parameters
    ----------
    accounts : sequence of SubAccount

    Attributes
    ----------
    missing : dict of str to str
        Currencies of which less is there than is counted on, and how much.
    """

    def __init__(self, accounts: Sequence[SubAccount]) -> None:
        self.missing: dict[str, str] = {}
        self._on: dict[str, list[SubAccount]] = {}
        self._once: set[str] = set()
        for account in accounts:
            self._on.setdefault(quote_of(account.symbol), []).append(account)

    def counted_on(self, currency: str) -> float:
        """Return the least that must be there."""
        return sum(least(account) for account in self._on.get(currency, ()))

    def take(self, event: BalanceSeen) -> list[Action]:
        """Take what a look found."""
        name, accounts = event.currency, self._on.get(event.currency, [])
        if not accounts or any(busy(account, event.sent_ns) for account in accounts):
            return []
        wanted = self.counted_on(name)
        if event.total >= wanted * (1.0 - SHARE):
            self._once.discard(name)
            if self.missing.pop(name, ""):
                return [Said("warning", name, f"the account has {event.total:,.2f} again: it trades on")]
            return []
        text = f"the account has {event.total:,.2f} {name}, the run counts on {wanted:,.2f}"
        if name not in self._once:
            self._once.add(name)
            return [Said("warning", name, f"{text}; nothing is entered until it was looked at again")]
        if name in self.missing:
            return []
        self.missing[name] = text
        return [Said("error", name, f"{text}; nothing is entered until it is there: look at the venue")]

    def why(self, symbol: str) -> str:
        """Return why nothing may be entered; empty if it may."""
        name = quote_of(symbol)
        if name in self.missing:
            return self.missing[name]
        return f"the account had less {name} than counted on, and is asked again" if name in self._once else ""


def least(account: SubAccount) -> float:
    """Return what a sub-account counts on: its cash; of a contract, what its wallet holds, or is worth if that is less.

    Venues tell the one or the other as the balance of a currency.
    """
    row = account.account[0]
    cash, quantity = float(row["cash"]), float(row["quantity"])
    if account.terms.spot or not quantity:
        return cash
    wallet = cash + quantity * float(row["entry_price"])
    return min(wallet, float(row["equity"]))
