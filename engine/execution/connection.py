"""A connection to a venue through CCXT: opened, timed, closed; every failure told by what it means for the caller."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

from engine.execution import coinbase, okx, usdm
from engine.execution.answers import rules_of
from engine.execution.orders import MarketRules
from engine.execution.outcome import Call, Told, outcome_of
from parquet_store.errors import Failed, Halt, unknown

__all__ = ["WRITTEN", "Connection"]

PAUSES_S: Final = (0.5, 2.0)  # between tries to reach a venue
WRITTEN: ContextVar[asyncio.Future[Any] | None] = ContextVar("WRITTEN", default=None)  # before a task's requests leave


class Connection:
    """A venue that is connected to; its parameters are `engine.execution.exchange.Exchange`'s."""

    def __init__(self, client: Any, secrets: tuple[str, ...] = ()) -> None:
        self.client, self.venue = client, str(client.id)
        self._send, client.fetch = client.fetch, self._leave
        self._secrets = secrets
        self._algos: okx.Orders | usdm.Orders | None = None  # where an order that waits for a price has another id
        if self.venue == "okx":
            self._algos = okx.Orders(client, self._ask)
        elif self.venue == "binanceusdm":
            self._algos = usdm.Orders(client, self._ask)

    async def __aenter__(self) -> Self:
        what = ""
        for pause_s in (*PAUSES_S, 0.0):
            try:
                await self._ask(self.client.load_markets(reload=bool(what)), "read")
            except Told as error:
                if error.outcome.meaning not in ("retry", "refuse"):
                    await self.client.close()
                    raise
                what = error.outcome.message.rpartition("; ")[0]
            else:
                if self.client.markets:
                    return self
                what = f"{self.venue}: its answer names no market"
            await asyncio.sleep(pause_s)
        await self.client.close()
        raise Failed(f"{what}: it cannot be reached: look at the network, the URLs under [venue] and its status page")

    @contextlib.contextmanager
    def after(self, written: asyncio.Future[Any] | None) -> Iterator[None]:
        """Prepare what is asked in this block at once, and let it leave when something is written, else never."""
        token = WRITTEN.set(written)
        try:
            yield
        finally:
            WRITTEN.reset(token)

    async def _leave(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Send a request that CCXT has signed."""
        written = WRITTEN.get()
        if written is not None:
            if not written.done():
                await asyncio.wait([written])
            written.result()
        return await self._send(url, method, headers, body)

    async def reconnect(self) -> None:
        """Close every stream, so that whoever watches one hears that it was cut, and connects anew."""
        from ccxt.base.errors import NetworkError

        known = self.client.clients
        for url, stream in list(known.items()):
            known.pop(url, None)  # first: whoever is told watches again at once, and must not find this one
            stream.reset(NetworkError(f"{self.venue}: the stream was silent and is made anew"))
            await stream.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._algos is not None:
            await self._algos.close()
        await self.client.close()

    async def ahead_ns(self) -> int:
        """Return how far the venue's clock is ahead of this machine's."""
        before = time.time_ns()
        asked = coinbase.time_ms(self.client) if self.venue == "coinbase" else self.client.fetch_time()
        told_ms = await self._ask(asked, "read")
        after = time.time_ns()
        return int(told_ms) * 1_000_000 - (before + after) // 2

    @property
    def adjusted_ns(self) -> int:
        """How far the venue's clock was ahead when the client set its own by it; requests are dated by that."""
        return -int(self.client.options.get("timeDifference") or 0) * 1_000_000

    @property
    def throttled(self) -> bool:
        """Whether the venue's limits are kept to: those of one on this machine need not be."""
        return bool(self.client.enableRateLimit)

    def timeframe_known(self, timeframe: str) -> None:
        """Refuse a timeframe the venue has no candles of.

        Raises
        ------
        Usage
        """
        known = self.client.timeframes or {}
        if timeframe not in known:
            raise unknown("timeframe", timeframe, known)

    def rules(self, symbol: str) -> MarketRules:
        """Return what the venue asks of an order in a market.

        Raises
        ------
        Usage
            The venue has no such market.
        """
        return rules_of(self._market(symbol))

    def _market(self, symbol: str) -> dict[str, Any]:
        markets: dict[str, Any] = self.client.markets or {}
        if symbol not in markets:
            raise unknown("symbol", symbol, markets)
        market: dict[str, Any] = markets[symbol]
        return market

    def _reader(self, symbol: str, client_id: str = "") -> Callable[[Awaitable[Any]], Awaitable[Any]]:
        def ask(call: Awaitable[Any]) -> Awaitable[Any]:
            return self._ask(call, "read", symbol, client_id)

        return ask

    async def _ask(self, call: Awaitable[Any], kind: Call, symbol: str = "", client_id: str = "") -> Any:
        try:
            return await call
        except Halt:  # what had to be written before cannot be: nothing has left
            raise
        except Exception as error:  # noqa: BLE001  (a fault of the program is told too: it stops trading)
            headers = getattr(self.client, "last_response_headers", None)
            now_ns = self.client.milliseconds() * 1_000_000
            told = outcome_of(error, kind, self.venue, symbol, client_id, self._secrets, headers, now_ns).failure()
        raise told  # outside of the except block: the first error's text holds signatures
