"""What a request or a message is for, in words all protocols share."""

from __future__ import annotations

import re

from aiohttp import web

__all__ = ["role_of", "role_of_text"]

# (method, end of the path) -> role; the first that matches.  Binance spot and USD-M, OKX, Coinbase Advanced.
_PATHS = [
    (method, re.compile(path), role)
    for method, path, role in (
        ("GET", r"/exchangeInfo$|/public/instruments$|/brokerage/(market/)?products$", "markets"),
        ("GET", r"/time$", "time"),
        ("GET", r"/klines$|/market/(history-)?candles$|/candles$", "candles"),
        ("GET", r"/(agg)?[tT]rades$|/market/(history-)?trades$|/products/[^/]+/ticker$", "trades"),
        ("GET", r"/depth$|/market/books(-full)?$|/product_book$", "book"),
        (
            "GET",
            r"/ticker/\w+$|/market/tickers?$|/best_bid_ask$|/brokerage/(market/)?products/[^/]+$",
            "ticker",
        ),
        ("GET", r"/(premiumIndex|fundingRate|fundingInfo)$|/public/funding-rate(-history)?$", "funding"),
        ("GET", r"/positionRisk$|/account/positions$", "positions"),
        ("GET", r"/(account|balance)$|/account/balance$|/(brokerage|v2)/accounts(/[^/]+)?$", "balance"),
        ("GET", r"/openOrders$|/trade/orders(-algo)?-pending$|/openAlgoOrders$", "open_orders"),
        ("GET", r"/allOrders$|/trade/orders(-algo)?-history(-archive)?$|/orders/historical/batch$", "orders"),
        ("GET", r"/(my|user)Trades$|/trade/fills(-history)?$|/orders/historical/fills$", "fills"),
        ("GET", r"/(order|openOrder|algoOrder)$|/trade/order(-algo)?$|/orders/historical/[^/]+$", "order"),
        ("POST", r"/(order|algoOrder)$|/trade/(batch-)?orders?(-algo)?$|/brokerage/orders$", "place"),
        ("PUT", r"/order$", "amend"),
        ("POST", r"/trade/amend-order$", "amend"),
        ("DELETE", r"/(order|algoOrder)$", "cancel"),
        ("POST", r"/trade/cancel-(order|algos)$|/orders/batch_cancel$", "cancel"),
        ("DELETE", r"/(openOrders|allOpenOrders|algoOpenOrders)$", "cancel_all"),
        ("POST", r"/trade/cancel-batch-orders$", "cancel_all"),
        ("PUT", r"/(listenKey|userDataStream)$", "listen_key"),
        ("POST", r"/(leverage|set-leverage|marginType)$", "leverage"),
    )
]
PRIVATE = (
    "balance",
    "positions",
    "open_orders",
    "orders",
    "fills",
    "order",
    "place",
    "amend",
    "cancel",
    "cancel_all",
    "leverage",
)
LISTS = ("candles", "trades", "open_orders", "orders", "fills")

_TEXTS = [
    (re.compile(text), role)
    for text, role in (
        (r'"event": ?"|"result"|"subscriptions"|"error"', "answer"),
        (r'executionReport|outboundAccountPosition|ORDER_TRADE_UPDATE|ACCOUNT_UPDATE|ALGO_UPDATE|"user"', "private"),
        (r'"channel": ?"(orders|account|positions|balance_and_position|orders-algo)".*"data"', "private"),
        (r'"candle|"kline"', "candle"),
        (r'depthUpdate|"books|l2_data', "book"),
        (r'"(agg)?[tT]rade"|"trades"|market_trades', "trade"),
        (r"[tT]icker", "ticker"),
    )
]


def role_of(request: web.Request) -> str:
    """Return the role of a request: ``stream`` for a WebSocket, ``control`` for the control routes, else ``other``."""
    if request.path.startswith("/control/"):
        return "control"
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return "stream"
    for method, path, role in _PATHS:
        if method in ("", request.method) and path.search(request.path):
            if role == "orders" and request.query.get("order_status") == "OPEN":
                return "open_orders"
            return role
    return "other"


def role_of_text(text: str, *, sent: bool) -> str:
    """Return the role of a message: what the venue sends by its content, what it receives ``login`` or ``asked``."""
    if not sent:
        if text == "ping":
            return "ping"
        return "login" if re.search(r'"(signature|sign|jwt)"', text) else "asked"
    head = text[:400]
    for pattern, role in _TEXTS:
        if pattern.search(head):
            return role
    return "answer"
