"""What CCXT leaves to be done for Coinbase: its client ids, its market buys, its stops, its lists.

- CCXT does not send ``clientOrderId`` there but one of its own making; ``client_order_id`` it passes on.
- CCXT sends the cost of a market buy; a configuration of one's own goes before it, and has the base quantity.
- Coinbase has no stop that becomes a market order.  One is sent as a stop-limit whose limit is ``STOP_ROOM`` worse
  than its stop: it fills as the other would unless the price jumps further, and then rests in the book at its limit.
- No order can be asked for by its client id; lists of orders carry it, newest first.  (Sent again, a client id is
  answered with the order it had before, but an order that does not exist would then be made.)
- A list comes in pages of at most 100 orders or fills, candles in windows of 300.
- CCXT takes what is filled of a streamed order for its amount, and of the venue's time the seconds alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from engine.execution.orders import OrderRequest
from engine.execution.outcome import outcome_as

__all__ = ["STOP_ROOM", "candles", "look_for", "mended", "pages", "sent", "time_ms"]

STOP_ROOM: Final = 0.05
MOST_PAGES: Final = 50
PAGE: Final = 100
WINDOW: Final = 300
TRIGGERS: Final = {"stop": "stopLossPrice", "stop_limit": "stopLossPrice", "take_profit": "takeProfitPrice"}

Ask = Callable[[Awaitable[Any]], Awaitable[Any]]


def sent(
    client: Any, request: OrderRequest, quantity: float, price: float | None, params: dict[str, Any]
) -> tuple[str, float | None, dict[str, Any]]:
    """Return type, price and parameters of ``create_order`` for an order at Coinbase.

    Parameters
    ----------
    client : ccxt.pro.coinbase
    request : OrderRequest
    quantity : float
        As the market takes it.
    price : float, optional
        Likewise.
    params : dict
        As another venue would be sent them.
    """
    own = {name: value for name, value in params.items() if name != "clientOrderId"}
    own["client_order_id"] = request.client_id
    if request.kind in TRIGGERS:
        if price is None:
            worse = 1.0 - STOP_ROOM if request.side == "sell" else 1.0 + STOP_ROOM
            price = float(client.price_to_precision(request.symbol, request.stop_price * worse))
        return "limit", price, own
    if request.kind == "market" and request.side == "buy":
        size = client.amount_to_precision(request.symbol, quantity)
        own["order_configuration"] = {"market_market_ioc": {"base_size": size}}
    return ("limit" if request.kind == "limit" else "market"), price, own


async def pages(
    ask: Ask,
    call: Callable[..., Awaitable[Any]],
    symbol: str,
    since_ms: int | None = None,
    params: dict[str, Any] | None = None,
) -> AsyncIterator[list[dict[str, Any]]]:
    """Give the pages of one of CCXT's lists of orders or fills, the newest first.

    Parameters
    ----------
    ask : callable
        Awaits a call and tells its failure.
    call : callable
        ``fetch_orders``, ``fetch_open_orders`` or ``fetch_my_trades``.
    symbol : str
    since_ms : int, optional
    params : dict, optional
        More of the venue's own.

    Raises
    ------
    Halt
        The list does not end.
    """
    cursor = ""
    for _ in range(MOST_PAGES):
        rows = await ask(call(symbol, since_ms, PAGE, (params or {}) | ({"cursor": cursor} if cursor else {})))
        yield rows
        cursors = [str(row["info"]["cursor"]) for row in rows if row["info"].get("cursor")]
        if not cursors or cursors[0] == cursor:
            return
        cursor = cursors[0]
    text = f"more than {MOST_PAGES * PAGE} rows, expected a list that ends"
    raise outcome_as("halt", "TooManyRows", text, "read", "coinbase", symbol).failure()


async def look_for(ask: Ask, client: Any, request: OrderRequest, since_ms: int | None) -> dict[str, Any] | None:
    """Return the order that carries a client id, None if the list of orders has none.

    Parameters
    ----------
    ask, client : as in `pages`
    request : OrderRequest
    since_ms : int, optional
        When it was sent at the earliest, by the venue's time; without it all orders of the market are looked through.
    """
    async for rows in pages(ask, client.fetch_orders, request.symbol, since_ms):
        for row in rows:
            if row.get("clientOrderId") == request.client_id:
                return dict(row)
    return None


async def candles(
    ask: Ask, client: Any, symbol: str, timeframe: str, since_ms: int, most: int, until_ms: int | None
) -> list[Any]:
    """Return candles from a time on, window by window, as a venue without windows would at once.

    Parameters
    ----------
    ask, client : as in `pages`
    symbol, timeframe : str
    since_ms : int
    most : int
        Bars of time to look through, whether there is a candle or not.
    until_ms : int, optional
        Where to stop; the client's clock at the latest.
    """
    length_ms = 1000 * int(client.parse_timeframe(timeframe))
    last_ms = client.milliseconds() if until_ms is None else until_ms
    found: list[Any] = []
    for first in range(0, most, WINDOW):
        start_ms = since_ms + first * length_ms
        if first and start_ms > last_ms:
            break
        found += await ask(client.fetch_ohlcv(symbol, timeframe, start_ms, min(WINDOW, most - first)))
    return found


def mended(order: dict[str, Any]) -> dict[str, Any]:
    """Return a streamed order with the amount it was sent with, and its type in CCXT's words."""
    filled, remaining = order.get("filled"), order.get("remaining")
    amount = None if filled is None or remaining is None else filled + remaining
    return order | {"amount": amount, "type": str(order.get("type") or "").lower()}


async def time_ms(client: Any) -> int:
    """Return the venue's time to the millisecond."""
    return int((await client.v3PublicGetBrokerageTime())["epochMillis"])
