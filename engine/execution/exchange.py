"""A venue through CCXT: typed questions and answers, every failure told by what it means for the caller.

One client, one venue, one account.  CCXT repeats nothing by itself here: whether a call may be made again is decided
where it is known what the call was.  Prices and quantities are rounded to what the market takes before they are sent,
quantities down, so that an order is never larger than it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from engine.execution import coinbase, okx, usdm
from engine.execution.answers import balance_of, fill_of, quote_of, report_of, rules_of
from engine.execution.contracts import in_base, to_base, to_contracts
from engine.execution.orders import Balance, Fill, MarketRules, OrderReport, OrderRequest, Payment, Quote
from engine.execution.outcome import Call, Refused, Told, outcome_as, outcome_of
from engine.execution.rights import KeyRights, rights_of
from engine.execution.slippage import Estimate, Levels, estimated
from engine.execution.trade_candles import TradeCandles
from parquet_store.errors import Failed, Halt, Refuse, Usage, unknown

__all__ = ["Exchange"]

# how a venue is asked for an order by our id, and for executions by its own
BY_CLIENT_ID: Final = {"binance": "origClientOrderId", "binanceusdm": "origClientOrderId", "okx": "clOrdId"}
BY_ORDER_ID: Final = {"binance": "orderId", "binanceusdm": "orderId", "okx": "ordId", "coinbase": "order_ids"}
FUNDED: Final = ("binanceusdm", "okx")
RULES_S: Final = 60.0  # between two questions for the rules of markets
LEVELS: Final = 50  # of a book that an order is walked through
PAUSES_S: Final = (0.5, 2.0)  # between tries to reach a venue
WRITTEN: ContextVar[asyncio.Future[Any] | None] = ContextVar("WRITTEN", default=None)  # before a task's requests leave
AMENDS: Final = ("binanceusdm", "okx")
TRIGGERS: Final = {"stop": "stopLossPrice", "stop_limit": "stopLossPrice", "take_profit": "takeProfitPrice"}


class Exchange:
    """A venue, ready to be asked.

    Parameters
    ----------
    client : ccxt.pro exchange
        Of ``engine.execution.client.client_of``; closed with this.
    secrets : tuple of str
        Kept out of every message.
    """

    def __init__(self, client: Any, secrets: tuple[str, ...] = ()) -> None:
        self.client, self.venue = client, str(client.id)
        self._send, client.fetch = client.fetch, self._leave
        self._secrets = secrets
        self._doubted = False  # whether an order was refused since the markets' rules were asked for
        self._asked_s = 0.0
        self._built: dict[tuple[str, str], TradeCandles] = {}
        self._algos: okx.Orders | usdm.Orders | None = None  # where an order that waits for a price has another id
        if self.venue == "okx":
            self._algos = okx.Orders(client, self._ask)
        elif self.venue == "binanceusdm":
            self._algos = usdm.Orders(client, self._ask)

    async def __aenter__(self) -> Exchange:
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

    async def rights(self) -> KeyRights:
        """Return what the key may do besides trading."""
        return await rights_of(self.client, lambda call: self._ask(call, "read"))

    @property
    def throttled(self) -> bool:
        """Whether the venue's limits are kept to: those of one on this machine need not be."""
        return bool(self.client.enableRateLimit)

    @property
    def has_dead_man(self) -> bool:
        """Whether the venue cancels orders by itself once it is not told any more that somebody is there."""
        return self.venue == "okx"

    async def still_here(self, seconds: int) -> None:
        """Have the venue cancel what waits in its book if it is not told again within so long; 0: never.

        On OKX stops and targets are algo orders, and stay.
        """
        await self._ask(self.client.privatePostTradeCancelAllAfter({"timeOut": str(seconds)}), "read")

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        """Set the largest notional over margin of a perpetual; a whole number, rounded up."""
        market = self._market(symbol)
        if not market["spot"]:
            await self._ask(self.client.set_leverage(math.ceil(leverage), symbol), "read", symbol)

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

    async def candles(
        self,
        symbol: str,
        timeframe: str,
        since_ms: int | None = None,
        most: int = 500,
        until_ms: int | None = None,
    ) -> list[Any]:
        """Return candles as [open time in ms, open, high, low, close, volume], oldest first; the last may be forming.

        Parameters
        ----------
        symbol, timeframe : str
        since_ms : int, optional
            The open time of the first one; the latest ones if not given.
        most : int
        until_ms : int, optional
            The open time of the last one wanted: where an answer holds few, no more are asked for.  Later ones may be
            given all the same.
        """
        self._market(symbol)
        if self.venue == "coinbase" and since_ms is not None:
            reader = self._reader(symbol)
            return await coinbase.candles(reader, self.client, symbol, timeframe, since_ms, most, until_ms)
        if self.venue == "okx" and since_ms is not None:
            return await okx.candles(self._reader(symbol), self.client, symbol, timeframe, since_ms, most, until_ms)
        found: list[Any] = await self._ask(self.client.fetch_ohlcv(symbol, timeframe, since_ms, most), "read", symbol)
        return found

    async def watch_candles(self, symbol: str, timeframe: str) -> list[Any]:
        """Wait for news of a candle; return the candles that changed, the newest last.

        Where the venue streams no candles they are built of its trades, and those of which trades were missed are
        asked for by REST.
        """
        self._market(symbol)
        if not self.client.has["watchOHLCV"]:
            return await self._watch_built(symbol, timeframe)
        found: list[Any] = await self._ask(self.client.watch_ohlcv(symbol, timeframe), "read", symbol)
        return found

    async def _watch_built(self, symbol: str, timeframe: str) -> list[Any]:
        built = self._built.setdefault((symbol, timeframe), TradeCandles(timeframe))
        while True:
            kept = self.client.trades.get(symbol)  # CCXT signals nobody who was not waiting
            if kept and built.misses(kept[-1]):
                built.take(kept)
            elif built.due_ms is None:
                built.take(await self._ask(self.client.watch_trades(symbol), "read", symbol))
            if built.due_ms is not None:
                built.answered(await self.candles(symbol, timeframe, built.due_ms))
            if rows := built.changed():
                return rows

    async def quote(self, symbol: str) -> Quote:
        """Return the best prices of the order book."""
        self._market(symbol)
        return quote_of(symbol, await self._ask(self.client.fetch_order_book(symbol, 5), "read", symbol))

    async def book(self, symbol: str) -> tuple[Levels, Levels]:
        """Return the levels of the order book in base currency: bids, asks, the best first."""
        size = float(self._market(symbol).get("contractSize") or 1.0)
        book = await self._ask(self.client.fetch_order_book(symbol, LEVELS), "read", symbol)
        bids, asks = ([(float(row[0]), float(row[1]) * size) for row in book[name]] for name in ("bids", "asks"))
        return bids, asks

    async def estimate(self, request: OrderRequest) -> Estimate | None:
        """Return what a market order would pay by the book of now; None where that is no book."""
        return estimated(request.side, request.quantity, *await self.book(request.symbol))

    async def balances(self) -> list[Balance]:
        """Return what the account has, of each currency it has any of."""
        return balance_of(await self._ask(self.client.fetch_balance(), "read"))

    async def holdings(self, symbols: Sequence[str]) -> dict[str, float]:
        """Return what the account holds of some symbols, whoever bought it: base currency, negative when short."""
        if not symbols:
            return {}
        if not self._market(symbols[0]).get("contract"):
            has = {one.currency: one.free + one.used for one in await self.balances()}
            return {symbol: has.get(self._market(symbol)["base"], 0.0) for symbol in symbols}
        rows = await self._ask(self.client.fetch_positions(list(symbols)), "read")
        found = dict.fromkeys(symbols, 0.0)
        for row in rows:
            if row["symbol"] in found and row.get("contracts"):
                size = float(self._market(row["symbol"]).get("contractSize") or 1.0)
                held = to_base(float(row["contracts"]), size)
                found[row["symbol"]] += -held if row.get("side") == "short" else held
        return found

    async def funding(self, since_ms: int) -> list[Payment]:
        """Return the funding that was paid or taken since a moment, oldest first."""
        rows = await self._ask(self.client.fetch_funding_history(None, since_ms), "read")
        return [
            Payment(str(row["id"]), row["symbol"], float(row["amount"]), int(row["timestamp"]) * 1_000_000)
            for row in rows
        ]

    @property
    def pays_funding(self) -> bool:
        """Whether the venue's markets here are perpetuals whose funding it tells."""
        return self.venue in FUNDED and bool(self.client.has.get("fetchFundingHistory"))

    async def place(self, request: OrderRequest) -> OrderReport:
        """Send an order, once.

        Raises
        ------
        Refuse
            The order is below what the market takes (nothing was sent), or the venue said no.
        Unknown
            It may exist: ask for it with ``find``.
        Retry, Halt
        """
        await self._renew_rules()
        market = self._market(request.symbol)
        quantity, price = self._fit(request, market)
        params: dict[str, Any] = {"clientOrderId": request.client_id}
        if request.kind in TRIGGERS:
            params[TRIGGERS[request.kind]] = float(self.client.price_to_precision(request.symbol, request.stop_price))
        if request.reduce_only and not market["spot"]:
            params["reduceOnly"] = True
        if request.post_only:
            params["postOnly"] = True
        if request.time_in_force != "gtc":
            params["timeInForce"] = request.time_in_force.upper()
        if self.venue == "okx" and request.kind in TRIGGERS:
            params[okx.ALGO] = request.client_id
        kind = "limit" if request.kind in ("limit", "stop_limit") else "market"
        if self.venue == "coinbase":
            kind, price, params = coinbase.sent(self.client, request, quantity, price, params)
        sent = self.client.create_order(request.symbol, kind, request.side, quantity, price, params)
        try:
            found = await self._ask(sent, "place", request.symbol, request.client_id)
        except Refused:
            self._doubted = True
            raise
        return self._report(found, request)

    async def _renew_rules(self) -> None:
        """Ask for the markets' rules anew once an order was refused: its steps may be others by now."""
        now_s = time.monotonic()
        if self._doubted and now_s >= self._asked_s + RULES_S:
            self._doubted, self._asked_s = False, now_s
            with contextlib.suppress(Told):  # those that are known are tried
                await self._ask(self.client.load_markets(reload=True), "read")

    async def find(self, request: OrderRequest, since_ms: int | None = None) -> OrderReport | None:
        """Return what became of an order, asked for by its client id; None if the venue knows none such.

        None is proof only when it is said again a little later: see ``Outcome.absent``.

        Parameters
        ----------
        request : OrderRequest
        since_ms : int, optional
            When it was sent at the earliest, by the venue's time.  Where a venue can only be asked for its last orders,
            it makes the search short.
        """
        self._market(request.symbol)
        if self.venue == "coinbase":
            reader = self._reader(request.symbol, request.client_id)
            found = await coinbase.look_for(reader, self.client, request, since_ms)
            return None if found is None else self._report(found, request)
        if self.venue not in BY_CLIENT_ID:
            raise Usage(f"{self.venue}: orders cannot be asked for by client id here")
        params = {BY_CLIENT_ID[self.venue]: request.client_id}
        try:
            if self._algos is not None and request.kind in TRIGGERS:
                return self._report(await self._algos.find(request), request)
            asked = self.client.fetch_order(None, request.symbol, params)
            return self._report(await self._ask(asked, "read", request.symbol, request.client_id), request)
        except Refuse as error:
            if getattr(getattr(error, "outcome", None), "absent", False):
                return None
            raise

    @property
    def amends(self) -> bool:
        """Whether the venue moves a limit order that rests to another price, as the same order."""
        return self.venue in AMENDS

    async def amend(self, request: OrderRequest, venue_id: str) -> None:
        """Have a limit order that rests become what the request says, quantity and price; errors as `place`.

        Unknown also where it may have filled or ended meanwhile: ask for it.

        Raises
        ------
        Usage
            The venue moves no orders: see ``amends``.
        """
        market = self._market(request.symbol)
        if not self.amends:
            raise Usage(f"{self.venue}: its orders are not moved here; cancel it and send another one")
        quantity, price = self._fit(request, market)
        asked = self.client.edit_order(venue_id, request.symbol, "limit", request.side, quantity, price)
        await self._ask(asked, "amend", request.symbol, request.client_id)

    async def cancel(self, symbol: str, venue_id: str, client_id: str = "") -> None:
        """Cancel an order; Unknown if the venue cannot say that it did."""
        self._market(symbol)
        if self._algos is not None:
            await self._algos.cancel(symbol, venue_id, client_id)
            return
        await self._ask(self.client.cancel_order(venue_id, symbol), "cancel", symbol, client_id)

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """Return the account's orders in a market that may still fill, whoever sent them."""
        self._market(symbol)
        if self._algos is not None:
            return [self._report(x) for x in await self._algos.open_orders(symbol)]
        return [self._report(x) for x in await self._listed(self.client.fetch_open_orders, symbol)]

    async def fills(self, symbol: str, since_ms: int | None = None) -> list[Fill]:
        """Return the account's executions in a market, oldest first; ``client_id`` is empty where CCXT has none."""
        self._market(symbol)
        if self._algos is not None:
            return [self._fill(x) for x in await self._algos.fills(symbol, since_ms)]
        return [self._fill(x) for x in await self._listed(self.client.fetch_my_trades, symbol, since_ms)]

    async def fills_of(self, symbol: str, venue_id: str) -> list[Fill]:
        """Return the executions of one order, oldest first."""
        self._market(symbol)
        if self._algos is not None:
            return [self._fill(x) for x in await self._algos.fills_of(symbol, venue_id)]
        params = {BY_ORDER_ID[self.venue]: venue_id} if self.venue in BY_ORDER_ID else {}
        found = await self._listed(self.client.fetch_my_trades, symbol, None, params)
        return [fill for fill in map(self._fill, found) if fill.venue_id == venue_id]

    async def place_pair(self, stop: OrderRequest, target: OrderRequest) -> tuple[OrderReport, OrderReport]:
        """Send a stop and a take-profit order as one list, of which one cancels the other; errors as `place`.

        Raises
        ------
        Usage
            The venue takes no such pair: see ``pairs``.
        """
        market = self._market(stop.symbol)
        if not self.pairs:
            raise Usage(f"{self.venue}: no order of a venue cancels another here; rest the stop alone")
        await self._renew_rules()
        market = self._market(stop.symbol)
        quantity, _ = self._fit(target, market)
        levels = [self.client.price_to_precision(one.symbol, one.stop_price) for one in (stop, target)]
        above, below = ("above", "below") if stop.side == "sell" else ("below", "above")
        asked = {
            "symbol": market["id"],
            "side": stop.side.upper(),
            "quantity": self.client.amount_to_precision(stop.symbol, quantity),
            f"{above}Type": "TAKE_PROFIT",
            f"{above}StopPrice": levels[1],
            f"{above}ClientOrderId": target.client_id,
            f"{below}Type": "STOP_LOSS",
            f"{below}StopPrice": levels[0],
            f"{below}ClientOrderId": stop.client_id,
            "newOrderRespType": "FULL",
        }
        found = await self._ask(self.client.privatePostOrderListOco(asked), "place", stop.symbol, stop.client_id)
        told = {one["clientOrderId"]: self.client.parse_order(one, market) for one in found["orderReports"]}
        return report_of(told[stop.client_id], stop), report_of(told[target.client_id], target)

    @property
    def pairs(self) -> bool:
        """Whether the venue takes a stop and a target of which one cancels the other."""
        return self.venue == "binance"

    async def watch_orders(self) -> list[OrderReport]:
        """Wait for news of the account's orders, whoever sent them."""
        if self._algos is not None:
            return [self._report(x) for x in await self._algos.watch()]
        found = await self._ask(self.client.watch_orders(), "read")
        return [self._report(coinbase.mended(x) if self.venue == "coinbase" else x) for x in found]

    async def watch_fills(self) -> list[Fill]:
        """Wait for executions of the account's orders; venues without such a stream never answer."""
        found = await self._ask(self.client.watch_my_trades(), "read")
        return [self._fill(self._streamed(x)) for x in found]

    def _streamed(self, trade: dict[str, Any]) -> dict[str, Any]:
        if isinstance(self._algos, usdm.Orders):
            return self._algos.named(trade)
        return okx.streamed(trade) if self._algos is not None else trade

    @property
    def streams_fills(self) -> bool:
        """Whether the venue streams executions."""
        return bool(self.client.has.get("watchMyTrades"))

    def _market(self, symbol: str) -> dict[str, Any]:
        markets: dict[str, Any] = self.client.markets or {}
        if symbol not in markets:
            raise unknown("symbol", symbol, markets)
        market: dict[str, Any] = markets[symbol]
        return market

    def _fit(self, request: OrderRequest, market: dict[str, Any]) -> tuple[float, float | None]:
        """Return quantity and price as the market takes them; what it does not take is told as its own refusal is."""
        try:
            return self._rounded(request, market)
        except Refuse as error:
            self._doubted = True
            about = (request.symbol, request.client_id, self._secrets)
            raise outcome_as("refuse", "InvalidOrder", str(error), "place", self.venue, *about).failure() from None

    def _rounded(self, request: OrderRequest, market: dict[str, Any]) -> tuple[float, float | None]:
        """Return quantity, in contracts where the venue has them, and price as the market takes them."""
        rules = rules_of(market)
        asked = to_contracts(request.quantity, rules.contract_size)
        quantity = round_down(self.client.amount_to_precision, request.symbol, asked, rules.min_quantity)
        price = None
        if not math.isnan(request.price):
            price = float(self.client.price_to_precision(request.symbol, request.price))
        if price is not None and (notional := quantity * rules.contract_size * price) < rules.min_notional:
            raise Refuse(
                f"{self.venue} {request.symbol}: {quantity:g} at {price:g} is {notional:g} {rules.quote}, "
                f"expected at least {rules.min_notional:g}; nothing was sent"
            )
        return quantity, price

    def _report(self, order: dict[str, Any], request: OrderRequest | None = None) -> OrderReport:
        """Return a record of an order, in base currency."""
        known = order if self._algos is None else self._algos.seen(order)
        return report_of(in_base(known, self._market(str(known["symbol"]))), request)

    def _fill(self, trade: dict[str, Any]) -> Fill:
        """Return a record of an execution, in base currency."""
        return fill_of(in_base(trade, self._market(trade["symbol"])))

    async def _listed(
        self,
        call: Callable[..., Awaitable[Any]],
        symbol: str,
        since_ms: int | None = None,
        params: dict[str, Any] | None = None,
    ) -> list[Any]:
        """Return a list of orders or executions, all pages of it."""
        if self.venue == "coinbase":
            found = [page async for page in coinbase.pages(self._reader(symbol), call, symbol, since_ms, params)]
            return [row for page in reversed(found) for row in page]
        rows: list[Any] = await self._ask(call(symbol, since_ms, None, params or {}), "read", symbol)
        return rows

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


def round_down(step: Callable[[str, float], str], symbol: str, quantity: float, least: float) -> float:
    """Return a quantity as a market takes it, never more than was asked for.

    Raises
    ------
    Refuse
        Nothing that the market takes is left.
    """
    try:
        found = float(step(symbol, quantity))
    except Exception as error:  # CCXT raises InvalidOrder for what rounds to nothing
        if type(error).__name__ != "InvalidOrder":
            raise
        found = 0.0
    if not found > 0.0 or found < least:
        raise Refuse(f"{symbol}: a quantity of {quantity:g}, expected at least {least:g}; nothing was sent")
    return found
