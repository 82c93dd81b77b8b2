"""What the account holds at the venue against what its sub-accounts hold: whatever else is there is somebody's own.

What the first look finds besides is taken for a person's, and left alone.  After that a symbol whose holding is not
the sum of both, twice in a row and with nothing under way, is not entered any more: it was liquidated, a fill was
lost, or a person traded it.  Once they agree again it trades on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.live.actions import Action, FetchFills, FetchHoldings, FindOrder, Said
from engine.live.events import HoldingSeen
from engine.live.subaccount import SubAccount

__all__ = ["Holdings"]

_SECOND: Final = 1_000_000_000
AGAIN_NS: Final = 2 * _SECOND
PROTECTS: Final = ("stop", "target")


class Holdings:
    """The symbols of a run.

    Parameters
    ----------
    accounts : sequence of SubAccount

    Attributes
    ----------
    others : dict of str to float
        What is held besides, by symbol, base currency.
    odd : dict of str to str
        Symbols whose holding is another than expected, and in what.
    seen : dict of str to (float, float, int)
        The last look at each symbol: held at the venue, expected, when in ns.
    """

    def __init__(self, accounts: Sequence[SubAccount]) -> None:
        self.on: dict[str, list[SubAccount]] = {}
        for account in accounts:
            self.on.setdefault(account.symbol, []).append(account)
        self.others: dict[str, float] = {}
        self.odd: dict[str, str] = {}
        self.seen: dict[str, tuple[float, float, int]] = {}
        self._again: dict[str, int] = {}  # when to look again, ns
        self._once: set[str] = set()  # seen to differ by one look

    def take(self, event: HoldingSeen) -> list[Action]:
        """Take what a look found."""
        accounts = self.on.get(event.symbol, [])
        if not accounts or any(busy(account, event.sent_ns) for account in accounts):
            if accounts:
                self._again[event.symbol] = event.time_ns + AGAIN_NS
            return []
        ours = sum(account.quantity for account in accounts)
        expected = self.others.setdefault(event.symbol, event.quantity - ours) + ours
        self.seen[event.symbol] = event.quantity, expected, event.time_ns
        if abs(event.quantity - expected) <= tolerance(accounts, event.quantity):
            self._once.discard(event.symbol)
            if self.odd.pop(event.symbol, ""):
                return [Said("warning", event.symbol, f"the venue holds {event.quantity:g} again: it trades on")]
            return []
        text = f"the venue holds {event.quantity:.12g} of it, expected {expected:.12g}"
        if event.symbol not in self._once:  # a fill may be missing: ask for those of the last orders
            self._once.add(event.symbol)
            self._again[event.symbol] = event.time_ns + AGAIN_NS
            asks: list[Action] = [
                FetchFills(one.request, one.venue_id, one.sent_ns) if one.venue_id else FindOrder(one.request)
                for account in accounts
                for one in account.ended
            ]
            return [Said("warning", event.symbol, f"{text}; it is looked at again"), *asks]
        if event.symbol in self.odd:
            return []
        self.odd[event.symbol] = text
        return [Said("error", event.symbol, f"{text}; nothing is entered until they agree: look at the venue")]

    def clock(self, time_ns: int) -> list[Action]:
        """Take note of the time: symbols that are to be looked at again."""
        due = [symbol for symbol, at in self._again.items() if time_ns >= at]
        for symbol in due:
            del self._again[symbol]
        return [FetchHoldings(symbol) for symbol in due]

    def why(self, symbol: str, *, whole: bool = False) -> str:
        """Return why nothing may be entered on a symbol; empty if it may.

        With ``whole`` every symbol counts: what is held of another is not what the limits of the account count.
        """
        for name in (symbol, *(self.odd if whole else ())):
            if name in self.odd:
                return f"{name}: {self.odd[name]}"
        return "the venue holds another quantity than expected, and is asked again" if symbol in self._once else ""

    def as_json(self) -> Mapping[str, Any]:
        """Return the last look at each symbol as plain data."""
        return {
            symbol: {
                "venue": held,
                "expected": expected,
                "others": self.others[symbol],
                "agrees": symbol not in self._once and symbol not in self.odd,
                "time_ns": time_ns,
            }
            for symbol, (held, expected, time_ns) in self.seen.items()
        }


def busy(account: SubAccount, sent_ns: int) -> bool:
    """Whether what an account holds may have changed since a moment, or is about to."""
    moving = any(t.doubted or t.untold or t.leg not in PROTECTS for t in account.tickets.values())
    return moving or account.ledger.changed_ns >= sent_ns


def tolerance(accounts: Sequence[SubAccount], held: float) -> float:
    """Return what two quantities may differ by: half a step of the venue, or rounding."""
    return max(0.5 * max(account.costs.quantity_step for account in accounts), 1e-9 * abs(held), 1e-12)
