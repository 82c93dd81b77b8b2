"""A venue through CCXT: typed questions and answers, every failure told by what it means for the caller.

One client, one venue, one account.  CCXT repeats nothing by itself here: whether a call may be made again is decided
where it is known what the call was.  Prices and quantities are rounded to what the market takes before they are sent,
quantities down, so that an order is never larger than it was asked for.  The connection itself is in
`engine.execution.connection`, what is no order in `engine.execution.market_data` and `engine.execution.account_data`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from engine.execution import coinbase, okx, usdm
from engine.execution.account_data import AccountData
from engine.execution.answers import fill_of, report_of, rules_of
from engine.execution.contracts import in_base, to_contracts
from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.execution.outcome import Refused, Told, outcome_as
from parquet_store.errors import Refuse, Usage

__all__ = ["Exchange"]

# how a venue is asked for an order by our id, and for executions by its own
BY_CLIENT_ID: Final = {"binance": "origClientOrderId", "binanceusdm": "origClientOrderId", "okx": "clOrdId"}
BY_ORDER_ID: Final = {"binance": "orderId", "binanceusdm": "orderId", "okx": "ordId", "coinbase": "order_ids"}
RULES_S: Final = 60.0  # between two questions for the rules of markets
AMENDS: Final = ("binanceusdm", "okx")
TRIGGERS: Final = {"stop": "stopLossPrice", "stop_limit": "stopLossPrice", "take_profit": "takeProfitPrice"}


class Exchange(AccountData):
    """A venue, ready to be asked.

    Parameters
    ----------
    client : ccxt.pro exchange
        Of ``engine.execution.client.client_of``; closed with this.
    secrets : tuple of str
        Kept out of every message.
    """

    def __init__(self, client: Any, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(client, secrets)
        self._doubted = False  # whether an order was refused since the markets' rules were asked for
        self._asked_s = 0.0

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
