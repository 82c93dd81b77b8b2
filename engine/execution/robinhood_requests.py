"""Signed requests to Robinhood: within its limits, page by page, and what their failures mean."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from engine.execution.meanings import Call, Meaning
from engine.execution.outcome import Outcome, delay_of, outcome_as, outcome_of
from engine.execution.robinhood_signature import LIFE_S, Signer

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ADDRESS", "Connection"]

ADDRESS: Final = "https://trading.robinhood.com"
PAGES: Final = 200  # an answer that never ends is no answer
T = TypeVar("T")


class Connection:
    """Requests for one account; use as an asynchronous context.

    Parameters
    ----------
    signer : Signer
    address : str
        Where the venue answers.
    timeout_s : float
        For one request, from the connection to the last byte.
    limit : int
        Requests in any minute.  The venue gives each account 100 a minute and lets 300 through at once; the burst
        is left alone, because it differs between paths and fills up again at the same 100.
    window_s : float
        The minute, in seconds.
    clock_ns : callable
        The time, ns since the epoch.

    Notes
    -----
    Every request may raise `AskAgain`, `Refused`, `Stopped` or `Unknown` of `engine.execution.outcome`.
    """

    def __init__(
        self,
        signer: Signer,
        address: str = ADDRESS,
        timeout_s: float = 10.0,
        limit: int = 100,
        window_s: float = 60.0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._signer = signer
        self._address = address.rstrip("/")
        self._timeout_s = timeout_s
        self._clock_ns = clock_ns
        self._limit = {"algorithm": "rollingWindow", "windowSize": window_s * 1e3, "rateLimit": window_s * 1e3 / limit}
        self._session: aiohttp.ClientSession | None = None
        self._throttle: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address})"

    async def __aenter__(self) -> Self:
        import aiohttp
        from ccxt.async_support.base.throttler import Throttler

        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        self._throttle = Throttler(self._limit)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; more than once does no harm."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def every(self, path: str, asked: list[tuple[str, str]]) -> list[Mapping[str, Any]]:
        """Return the rows of every page; the venue names the next page by its whole address."""
        rows: list[Mapping[str, Any]] = []
        target = f"{path}?{urlencode(asked)}" if asked else path
        seen: set[str] = set()
        while target not in seen and len(seen) < PAGES:
            seen.add(target)
            answer = await self.ask("read", "GET", target)
            results = answer.get("results") if isinstance(answer, dict) else None
            if not isinstance(results, list) or not all(isinstance(row, dict) for row in results):
                raise self._unreadable("no list of results", "read").failure()
            rows += results
            following = answer.get("next")
            if not following:
                return rows
            parts = urlsplit(str(following))
            if parts.path != path:  # never sign what leads elsewhere
                raise self._unreadable(f"a next page at {parts.path}, expected {path}", "read").failure()
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        raise self._unreadable(f"pages of {path} that do not end", "read").failure()

    async def ask(
        self, call: Call, method: str, target: str, body: str = "", symbol: str = "", client_id: str = ""
    ) -> Any:
        """Send a request and return its answer as JSON, or raise what its failure means."""
        import aiohttp
        from yarl import URL

        if self._session is None:
            raise RuntimeError("use Robinhood as an asynchronous context, or after entering it")
        await self._throttle()
        told: dict[str, Any] = {"symbol": symbol, "client_id": client_id, "secrets": self._signer.secrets}
        # signed last, after any waiting: the signature lives 30 s
        headers = self._signer.headers(method, target, body, self._clock_ns())
        if body:
            headers["content-type"] = "application/json"
        try:
            async with self._session.request(
                method,
                URL(self._address + target, encoded=True),
                data=body.encode() if body else None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                status, text, said = response.status, await response.text(errors="replace"), dict(response.headers)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            outcome = outcome_of(error, call, "robinhood", **told)
        else:
            if 200 <= status < 300 and call == "cancel":
                return None  # a sentence: the request was taken, no more
            if 200 <= status < 300:
                try:
                    return json.loads(text)
                except ValueError:
                    outcome = self._unreadable(f"status {status} with {text!r}", call, symbol, client_id)
            else:
                outcome = self._refusal(status, text, said, call, told)
        raise outcome.failure()

    def _refusal(self, status: int, text: str, said: Mapping[str, str], call: Call, told: dict[str, Any]) -> Outcome:
        """Return what an answer that is not 2XX means."""
        lost: Meaning = "retry" if call == "read" else "unknown"
        reason, meaning = f"status {status}", lost
        if status in (401, 403):
            meaning = "halt"
            apart = self._apart_s(said)
            if abs(apart) > LIFE_S / 2:
                text = f"the clock here is {apart:+.0f} s from the venue's, which takes {LIFE_S} s: set it; {text}"
        elif status == 429:
            meaning = "retry"  # counted before the order is looked at
        elif status == 404:
            reason, meaning = "OrderNotFound", "refuse" if call == "read" else "unknown"
        elif 400 <= status < 500 and status not in (408, 409) and _names_errors(text):
            # a client id that is refused may have been used: by the same order, sent before
            used = call == "place" and "client_order_id" in text
            meaning = "unknown" if call == "cancel" or used else "refuse"
        delay = delay_of("", said, self._clock_ns()) if meaning == "retry" else math.nan
        return outcome_as(meaning, reason, text, call, "robinhood", delay_s=delay, **told)

    def _apart_s(self, said: Mapping[str, str]) -> float:
        try:
            return self._clock_ns() / 1e9 - parsedate_to_datetime(said["Date"]).timestamp()
        except (KeyError, ValueError):
            return 0.0

    def _unreadable(self, what: str, call: Call, symbol: str = "", client_id: str = "") -> Outcome:
        meaning: Meaning = "retry" if call == "read" else "unknown"
        text = f"an answer that cannot be read: {what}"
        return outcome_as(
            meaning, "BadResponse", text, call, "robinhood", symbol, client_id, secrets=self._signer.secrets
        )

    def read(
        self, row: Any, reader: Callable[[Any], T], call: Call = "read", symbol: str = "", client_id: str = ""
    ) -> T:
        try:
            return reader(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{type(error).__name__} {error} in {row!r}"
        raise self._unreadable(what, call, symbol, client_id).failure()


def _names_errors(text: str) -> bool:
    """Say whether a refusal is the venue's own: its API says what is wrong with which field."""
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("errors"), list) and bool(body["errors"])
