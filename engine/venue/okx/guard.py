"""Who may ask: key, passphrase, HMAC signature and age of a request or a login, and requests in a minute.

OKX counts every address and method apart, and so does this, but by the minute and not by two seconds: a client in
lockstep plays a day in the time in which another waits for a bar.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.okx.codes import Problem

__all__ = ["LIFE_MS", "Guard"]

LIFE_MS = 30_000
_MINUTE_MS = 60_000


class Guard:
    """Checks requests against the accounts of a venue.

    Parameters
    ----------
    venue : Venue
    clock : callable
        Returns the server's time, ms since the epoch: what signed requests are dated by.
    limit : int
        Requests a minute of one sender to one address with one method.
    passphrase : str, optional
        Of every key; else each key's is the one that came with the first request its secret had signed.
    simulated_only : bool
        Whether the keys are of demo trading, good only with the header ``x-simulated-trading: 1``.
    """

    def __init__(
        self, venue: Venue, clock: Callable[[], int], limit: int, passphrase: str | None, simulated_only: bool
    ) -> None:
        self.venue = venue
        self.clock = clock
        self.limit = limit
        self.simulated_only = simulated_only
        self._passphrase = passphrase
        self._bound: dict[str, str] = {}
        self._minute = 0
        self._used: dict[tuple[str, str, str], int] = {}

    def count(self, sender: str, method: str, path: str) -> None:
        """Count a request.

        Raises
        ------
        Problem
            Beyond the limit.
        """
        minute = self.clock() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._used = minute, {}
        key = (sender, method, path)
        self._used[key] = used = self._used.get(key, 0) + 1
        if used > self.limit:
            raise Problem("weight")

    def signed(self, headers: Mapping[str, str], method: str, path: str, body: str) -> Account:
        """Return the account of a signed request; ``path`` with its query, as it came.

        Raises
        ------
        Problem
            A header is missing, the key or the passphrase unknown, the time too far away, the signature wrong.
        """
        names = {"no_key": "KEY", "no_passphrase": "PASSPHRASE", "no_signature": "SIGN", "no_timestamp": "TIMESTAMP"}
        for reason, name in names.items():
            if not headers.get(f"OK-ACCESS-{name}"):
                raise Problem(reason)
        dated = headers["OK-ACCESS-TIMESTAMP"]
        try:
            sent = datetime.fromisoformat(dated)
        except ValueError:
            raise Problem("bad_timestamp") from None
        if sent.tzinfo is None:
            raise Problem("bad_timestamp")
        account = self._account(headers["OK-ACCESS-KEY"], "key")
        if self.simulated_only and headers.get("x-simulated-trading") != "1":
            raise Problem("environment")
        if abs(self.clock() - sent.timestamp() * 1000.0) > LIFE_MS:
            raise Problem("timestamp")
        self._check(account, dated + method + path + body, headers["OK-ACCESS-SIGN"], "signature")
        self._known(account, headers["OK-ACCESS-PASSPHRASE"], "passphrase")
        return account

    def logged_in(self, args: Mapping[str, Any], *, simulated: bool) -> Account:
        """Return the account of a WebSocket login, whose time is in seconds.

        Raises
        ------
        Problem
            As for a request, with the codes of WebSocket.
        """
        account = self._account(str(args.get("apiKey", "")), "ws_key")
        if self.simulated_only and not simulated:
            raise Problem("ws_environment")
        dated = str(args.get("timestamp", ""))
        try:
            sent_ms = float(dated) * 1000.0
        except ValueError:
            raise Problem("ws_timestamp") from None
        if not abs(self.clock() - sent_ms) <= LIFE_MS:
            raise Problem("ws_timestamp")
        self._check(account, f"{dated}GET/users/self/verify", str(args.get("sign", "")), "ws_signature")
        self._known(account, str(args.get("passphrase", "")), "ws_passphrase")
        return account

    def _account(self, key: str, reason: str) -> Account:
        if key not in self.venue.accounts:
            raise Problem(reason)
        return self.venue.accounts[key]

    def _check(self, account: Account, text: str, signature: str, reason: str) -> None:
        expected = base64.b64encode(hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).digest())
        if not hmac.compare_digest(expected, signature.encode()):
            raise Problem(reason)

    def _known(self, account: Account, passphrase: str, reason: str) -> None:
        if not passphrase:
            raise Problem(reason)
        expected = self._passphrase or self._bound.setdefault(account.key, passphrase)
        if not hmac.compare_digest(expected.encode(), passphrase.encode()):
            raise Problem(reason)
