"""Who may ask: the key, the HMAC signature, the age of a request and the weight used in a minute."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl

from engine.venue.account import Account
from engine.venue.binance.codes import Problem
from engine.venue.core import Venue

__all__ = ["Guard"]


class Guard:
    """Checks requests against the accounts of a venue.

    Parameters
    ----------
    venue : Venue
    clock : callable
        Returns the server's time, ms since the epoch: what signed requests are dated by.  It is not venue time, which
        jumps from bar to bar, and which no client's clock could follow.
    weight_limit : int
        Request weight a minute and address may use.
    """

    def __init__(self, venue: Venue, clock: Callable[[], int], weight_limit: int) -> None:
        self.venue = venue
        self.clock = clock
        self.weight_limit = weight_limit
        self._minute = 0
        self._used: dict[str, int] = {}
        self._orders: dict[tuple[str, str], tuple[int, int]] = {}

    def weigh(self, address: str, weight: int) -> int:
        """Count a request and return what the minute has used; above the limit is for the caller to refuse."""
        minute = self.clock() // 60_000
        if minute != self._minute:
            self._minute, self._used = minute, {}
        self._used[address] = used = self._used.get(address, 0) + weight
        return used

    def ordered(self, account: Account, count: int, windows: tuple[tuple[str, int], ...]) -> dict[str, int]:
        """Count new orders and return how many there were in each window.

        They are told and not limited: bars are played faster than any clock the limits were made for.
        """
        found = {}
        for name, length_ms in windows:
            window = self.clock() // length_ms
            began, before = self._orders.get((account.key, name), (window, 0))
            found[name] = count + (before if began == window else 0)
            self._orders[account.key, name] = window, found[name]
        return found

    def signed(self, key: str, query: str) -> tuple[Account, dict[str, str]]:
        """Return the account and the parameters of a signed request.

        Raises
        ------
        Problem
            Unknown key, wrong signature, or a timestamp outside the window.
        """
        account = self.account(key)
        body, mark, signature = query.rpartition("signature=")
        body = body.removesuffix("&")
        expected = hmac.new(account.secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        if not mark or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Problem("signature")
        params = dict(parse_qsl(body, keep_blank_values=True))
        self._fresh(params)
        return account, params

    def signed_message(self, params: dict[str, object]) -> Account:
        """Return the account of a signed WebSocket request, whose parameters are signed in the order of their names."""
        account = self.account(str(params.get("apiKey", "")))
        body = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        expected = hmac.new(account.secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), str(params.get("signature", "")).encode()):
            raise Problem("signature")
        self._fresh({name: str(value) for name, value in params.items()})
        return account

    def account(self, key: str) -> Account:
        """Return the account of a key."""
        if key not in self.venue.accounts:
            raise Problem("key")
        return self.venue.accounts[key]

    def _fresh(self, params: dict[str, str]) -> None:
        try:
            sent, window = int(params["timestamp"]), float(params.get("recvWindow", "5000"))
        except (KeyError, ValueError):
            raise Problem("parameter") from None
        now = self.clock()
        if sent >= now + 1000:
            raise Problem("ahead")
        if now - sent > window:
            raise Problem("timestamp")
