"""Venue's records in Binance's words: market description, candles, orders, fills, streams.  Pure functions."""

from __future__ import annotations

from typing import Any

from engine.venue.account import Account
from engine.venue.events import BookChanged, Candle, OrderChanged, Trade
from engine.venue.market import Market, plain
from engine.venue.order import Execution, Order
from engine.venue.tape import Tape

__all__ = [
    "KINDS",
    "account",
    "best",
    "best_streamed",
    "candle",
    "execution_report",
    "kline",
    "last",
    "market",
    "mini",
    "my_trade",
    "order",
    "ticker",
    "trade",
]

KINDS = {
    "MARKET": "market",
    "LIMIT": "limit",
    "LIMIT_MAKER": "limit_maker",
    "STOP_LOSS": "stop",
    "STOP_LOSS_LIMIT": "stop_limit",
    "TAKE_PROFIT": "take_profit",
    "TAKE_PROFIT_LIMIT": "take_profit_limit",
}
_TYPES = {kind: name for name, kind in KINDS.items()}
_DAY_MS = 86_400_000


def market(one: Market) -> dict[str, Any]:
    """Return a symbol of ``exchangeInfo`` with its filters."""
    return {
        "symbol": one.id,
        "status": "TRADING" if one.trading else "BREAK",
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(KINDS),
        "icebergAllowed": False,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": plain(one.price_tick),
                "maxPrice": "10000000",
                "tickSize": plain(one.price_tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": plain(one.min_quantity),
                "maxQty": "9000000000",
                "stepSize": plain(one.quantity_step),
            },
            {"filterType": "NOTIONAL", "minNotional": plain(one.min_notional), "applyMinToMarket": True},
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
    }


def candle(one: Candle) -> list[Any]:
    """Return a row of ``klines``."""
    numbers = [plain(x) for x in (one.open, one.high, one.low, one.close, one.volume)]
    half = plain(one.volume / 2.0)
    quote = plain(one.volume * one.close)
    return [one.open_ms, *numbers, one.close_ms, quote, 4 if one.closed else 1, half, plain(one.volume / 2.0), "0"]


def kline(symbol: str, interval: str, one: Candle, now_ms: int) -> dict[str, Any]:
    """Return an event of the stream ``<symbol>@kline_<interval>``."""
    row = candle(one)
    k = {"t": one.open_ms, "T": one.close_ms, "s": symbol, "i": interval, "f": 0, "L": 0, "x": one.closed}
    k |= {"o": row[1], "h": row[2], "l": row[3], "c": row[4], "v": row[5], "n": row[8], "q": row[7], "V": row[9]}
    return {"e": "kline", "E": now_ms, "s": symbol, "k": k | {"Q": row[10], "B": "0"}}


def trade(one: Trade, symbol: str, *, aggregate: bool, streamed: bool) -> dict[str, Any]:
    """Return a public trade as REST or a stream has it, aggregated or single."""
    price, quantity = plain(one.price), plain(one.quantity)
    if aggregate or streamed:
        short = {"p": price, "q": quantity, "T": one.time_ms, "m": one.buyer_is_maker, "M": True}
        short |= {"a": one.trade_id, "f": one.trade_id, "l": one.trade_id} if aggregate else {"t": one.trade_id}
        name = "aggTrade" if aggregate else "trade"
        return {"e": name, "E": one.time_ms, "s": symbol} | short if streamed else short
    quote = plain(one.price * one.quantity)
    named = {"id": one.trade_id, "price": price, "qty": quantity, "quoteQty": quote, "time": one.time_ms}
    return named | {"isBuyerMaker": one.buyer_is_maker, "isBestMatch": True}


def ticker(tape: Tape, now_ms: int, *, streamed: bool) -> dict[str, Any]:
    """Return the ticker of the last 24 hours."""
    day = tape.candles(now_ms - _DAY_MS, None, 1 << 30) or tape.candles(None, None, 1)
    bids, asks = tape.book()
    first, last = (day[0].open, tape.last) if day else (tape.last, tape.last)
    volume, quote = sum(c.volume for c in day), sum(c.volume * c.close for c in day)
    numbers = {
        ("priceChange", "p"): last - first,
        ("priceChangePercent", "P"): (last / first - 1.0) * 100.0,
        ("weightedAvgPrice", "w"): quote / volume if volume else last,
        ("prevClosePrice", "x"): first,
        ("lastPrice", "c"): last,
        ("lastQty", "Q"): sum(one.quantity for one in tape.trades(1)),
        ("bidPrice", "b"): bids[0][0] if bids else 0.0,
        ("bidQty", "B"): bids[0][1] if bids else 0.0,
        ("askPrice", "a"): asks[0][0],
        ("askQty", "A"): asks[0][1],
        ("openPrice", "o"): first,
        ("highPrice", "h"): max((c.high for c in day), default=last),
        ("lowPrice", "l"): min((c.low for c in day), default=last),
        ("volume", "v"): volume,
        ("quoteVolume", "q"): quote,
    }
    said: dict[str, Any] = {names[1 if streamed else 0]: plain(value) for names, value in numbers.items()}
    opened = day[0].open_ms if day else now_ms
    if streamed:
        return {"e": "24hrTicker", "E": now_ms, "s": tape.market.id, "O": opened, "C": now_ms, "n": len(day)} | said
    return {"symbol": tape.market.id, "openTime": opened, "closeTime": now_ms, "count": len(day)} | said


def mini(day: dict[str, Any]) -> dict[str, Any]:
    """Return the streamed ticker's short form."""
    return {"e": "24hrMiniTicker"} | {name: day[name] for name in ("E", "s", "c", "o", "h", "l", "v", "q")}


def best(tape: Tape) -> dict[str, Any]:
    """Return the best prices, a row of ``ticker/bookTicker``."""
    bids, asks = tape.book()
    said: dict[str, Any] = {"symbol": tape.market.id}
    for name, levels in (("bid", bids), ("ask", asks)):
        price, quantity = levels[0] if levels else (0.0, 0.0)
        said |= {f"{name}Price": plain(price), f"{name}Qty": plain(quantity)}
    return said


def best_streamed(event: BookChanged, symbol: str) -> dict[str, Any]:
    """Return an event of the stream ``<symbol>@bookTicker``."""
    said: dict[str, Any] = {"u": event.update, "s": symbol}
    for name, levels in (("b", event.bids), ("a", event.asks)):
        price, quantity = levels[0] if levels else (0.0, 0.0)
        said |= {name: plain(price), name.upper(): plain(quantity)}
    return said


def last(tape: Tape) -> dict[str, Any]:
    """Return the last price, a row of ``ticker/price``."""
    return {"symbol": tape.market.id, "price": plain(tape.last)}


def order(one: Order, symbol: str, *, full: bool) -> dict[str, Any]:
    """Return an order; ``full`` adds its fills, as the answer to a new order has them."""
    asked = one.asked
    said = {
        "symbol": symbol,
        "orderId": one.order_id,
        "orderListId": one.pair_id or -1,
        "clientOrderId": asked.client_id,
        "price": plain(asked.price),
        "origQty": plain(asked.quantity),
        "executedQty": plain(one.filled),
        "cummulativeQuoteQty": plain(one.spent),
        "status": one.state.upper(),
        "timeInForce": asked.time_in_force.upper(),
        "type": _TYPES[asked.kind],
        "side": asked.side.upper(),
        "stopPrice": plain(asked.stop_price),
        "icebergQty": "0",
        "time": one.time_ms,
        "transactTime": one.time_ms,
        "updateTime": one.updated_ms,
        "workingTime": one.time_ms,
        "isWorking": asked.stop_price == 0.0 or one.triggered,
        "origQuoteOrderQty": "0",
        "selfTradePreventionMode": "NONE",
    }
    return said | {"fills": []} if full else said


def my_trade(one: Execution, market: Market) -> dict[str, Any]:
    """Return a row of ``myTrades``."""
    return {
        "symbol": market.id,
        "id": one.trade_id,
        "orderId": one.order_id,
        "orderListId": -1,
        "price": plain(one.price),
        "qty": plain(one.quantity),
        "quoteQty": plain(one.price * one.quantity),
        "commission": plain(one.fee),
        "commissionAsset": market.quote,
        "time": one.time_ms,
        "isBuyer": one.side == "buy",
        "isMaker": one.maker,
        "isBestMatch": True,
    }


def account(one: Account, now_ms: int, rates: tuple[float, float]) -> dict[str, Any]:
    """Return the answer to ``account``; ``rates`` are the maker's and the taker's fee."""
    maker, taker = (plain(rate) for rate in rates)
    free = one.free
    balances = [{"asset": name, "free": plain(free[name]), "locked": plain(one.locked.get(name, 0.0))} for name in free]
    said = {"canTrade": True, "canWithdraw": False, "canDeposit": False, "accountType": "SPOT", "permissions": ["SPOT"]}
    fees = {"commissionRates": {"maker": maker, "taker": taker, "buyer": "0", "seller": "0"}}
    return said | fees | {"updateTime": now_ms, "balances": balances}


def execution_report(event: OrderChanged, market: Market, filled: float, spent: float) -> dict[str, Any]:
    """Return the event of the user data stream; ``filled`` and ``spent`` are the order's at that moment."""
    one, done = event.order, event.execution
    asked = one.asked
    what = "TRADE" if done else event.state.upper()
    return {
        "e": "executionReport",
        "E": event.time_ms,
        "s": market.id,
        "c": asked.client_id,
        "S": asked.side.upper(),
        "o": _TYPES[asked.kind],
        "f": asked.time_in_force.upper(),
        "q": plain(asked.quantity),
        "p": plain(asked.price),
        "P": plain(asked.stop_price),
        "F": "0",
        "g": one.pair_id or -1,
        "C": asked.client_id if what == "CANCELED" else "",
        "x": what,
        "X": event.state.upper(),
        "r": "NONE",
        "i": one.order_id,
        "l": plain(done.quantity) if done else "0",
        "z": plain(filled),
        "L": plain(done.price) if done else "0",
        "n": plain(done.fee) if done else "0",
        "N": market.quote if done else None,
        "T": event.time_ms,
        "t": done.trade_id if done else -1,
        "w": what == "NEW",
        "m": done.maker if done else False,
        "O": one.time_ms,
        "Z": plain(spent),
        "Y": plain(done.price * done.quantity) if done else "0",
        "Q": "0",
        "W": one.time_ms,
        "V": "NONE",
    }
