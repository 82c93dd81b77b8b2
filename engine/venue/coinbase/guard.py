"""Who may ask Coinbase: a token or an HMAC signature, and how many requests in a second."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from aiohttp import web

from engine.venue.account import Account
from engine.venue.coinbase.token import PublicKey, Refusal, claimed, public_key, verify
from engine.venue.core import Venue

__all__ = ["Guard", "Unauthorized"]

STALE_S = 30


class Unauthorized(Exception):
    """A request whose sender is not proven; ``legacy`` are the words for those who sign with HMAC, else empty."""

    def __init__(self, legacy: str = "") -> None:
        super().__init__(legacy or "Unauthorized")
        self.legacy = legacy


class Guard:
    """Checks requests against the accounts of a venue.

    Parameters
    ----------
    venue : Venue
    clock : callable
        The server's time, ms since the epoch; what tokens are dated by, and not venue time.
    limit : int
        Requests a second: of an address to public routes, of a key to signed ones.
    """

    def __init__(self, venue: Venue, clock: Callable[[], int], limit: int) -> None:
        self.venue = venue
        self.clock = clock
        self.limit = limit
        self._second = 0
        self._used: dict[str, int] = {}
        self._keys: dict[tuple[str, str], PublicKey | None] = {}

    def count(self, sender: str) -> int:
        """Count a request and return how many are left in this second; below 0 it is one too many."""
        second = self.clock() // 1000
        if second != self._second:
            self._second, self._used = second, {}
        self._used[sender] = used = self._used.get(sender, 0) + 1
        return self.limit - used

    def sender(self, request: web.Request) -> str:
        """Return whom a request counts for: the key it names, else the address it comes from."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        named = claimed(bearer) if bearer else request.headers.get("CB-ACCESS-KEY", "")
        return named or request.remote or ""

    def signed(self, request: web.Request, body: str) -> Account:
        """Return the account of a signed request.

        Raises
        ------
        Unauthorized
        """
        bearer = request.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            return self.bearer(bearer.removeprefix("Bearer "), f"{request.method} {request.host}{request.path}")
        key, stamp = request.headers.get("CB-ACCESS-KEY", ""), request.headers.get("CB-ACCESS-TIMESTAMP", "")
        if not key:
            raise Unauthorized
        query = request.rel_url.raw_query_string
        payload = body if request.method != "GET" else f"?{query}" if query and request.path.startswith("/v2/") else ""
        signature = request.headers.get("CB-ACCESS-SIGN", "")
        return self.legacy(key, stamp, f"{stamp}{request.method}{request.path}{payload}", signature)

    def bearer(self, token: str, uri: str | None) -> Account:
        """Return the account of a token."""
        account = self.venue.accounts.get(claimed(token))
        if account is None:
            raise Unauthorized
        kept = (account.key, account.secret)
        if kept not in self._keys:
            self._keys[kept] = public_key(account.secret)
        key = self._keys[kept]
        if key is None:
            raise Unauthorized
        try:
            verify(token, account.key, key, self.clock() / 1000.0, uri)
        except Refusal:
            raise Unauthorized from None
        return account

    def legacy(self, key: str, stamp: str, text: str, signature: str) -> Account:
        """Return the account of an HMAC signature over a text that begins with its time in seconds."""
        account = self.venue.accounts.get(key)
        if account is None:
            raise Unauthorized("invalid api key")
        expected = hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Unauthorized("invalid signature")
        if not stamp.isdigit() or abs(self.clock() / 1000.0 - int(stamp)) > STALE_S:
            raise Unauthorized("request timestamp expired")
        return account
