"""Orders of Binance's USD-M futures in its words, and what it is asked for.

An order that waits for a price is an algo order: its id is of another series, and its own endpoints ask for it and
cancel it.  Once its price is met it makes an ordinary order under the same client id, which fills or is cancelled as
any other; the algo order names it.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, cast

from engine.venue.binance.codes import Problem
from engine.venue.binance.futures_say import digits
from engine.venue.binance.routes import Params, number
from engine.venue.events import OrderChanged
from engine.venue.market import Market, plain
from engine.venue.order import Asked, Execution, Order

__all__ = [
    "ALGO_KINDS",
    "algo",
    "algo_id",
    "algo_update",
    "asked_of",
    "average",
    "begun",
    "is_algo",
    "my_trade",
    "order",
    "order_number",
    "order_update",
    "within",
]

KINDS = {"MARKET": "market", "LIMIT": "limit"}
ALGO_KINDS = {
    "STOP_MARKET": "stop",
    "STOP": "stop_limit",
    "TAKE_PROFIT_MARKET": "take_profit",
    "TAKE_PROFIT": "take_profit_limit",
}
_TYPES = {kind: name for name, kind in (*KINDS.items(), *ALGO_KINDS.items())} | {"limit_maker": "LIMIT"}
_ALGO_BASE = 2_000_000_000_000


def is_algo(one: Order) -> bool:
    """Return whether an order was asked for as an algo order."""
    return one.asked.kind in ALGO_KINDS.values()


def begun(one: Order) -> bool:
    """Return whether an order is an ordinary one by now."""
    return not is_algo(one) or one.triggered or bool(one.executions)


def algo_id(one: Order) -> int:
    """Return the id of an order as an algo order."""
    return _ALGO_BASE + one.order_id


def order_number(algo: int) -> int:
    """Return the venue's number of an algo order."""
    return algo - _ALGO_BASE


def asked_of(params: Params, market: Market, *, algo: bool) -> Asked:
    """Return an order as it is asked for.

    Raises
    ------
    Problem
        A parameter is missing, is not of its kind, or has more digits than the market takes.
    """
    for name in ("side", "type"):
        if name not in params:
            raise Problem("parameter")
    kind, side = params["type"], params["side"].lower()
    if not algo and kind in ALGO_KINDS:
        raise Problem("algo")
    kinds = ALGO_KINDS if algo else KINDS
    if kind not in kinds or side not in ("buy", "sell") or (algo and params.get("algoType") != "CONDITIONAL"):
        raise Problem("type")
    if params.get("positionSide", "BOTH") != "BOTH":
        raise Problem("side")
    force = params.get("timeInForce", "GTC")
    closes = algo and params.get("closePosition", "false").lower() == "true"
    wanted = [] if closes else ["quantity"]
    wanted += ["price"] if kind in ("LIMIT", "STOP", "TAKE_PROFIT") else []
    wanted += ["triggerPrice"] if algo else ["timeInForce"] if kind == "LIMIT" else []
    if force not in ("GTC", "IOC", "FOK", "GTX") or any(not params.get(name) for name in wanted):
        raise Problem("parameter")
    quantity = within(params.get("quantity", "0"), market.quantity_step)
    if not closes and quantity < market.min_quantity:
        raise Problem("least")
    taken = "limit_maker" if force == "GTX" and kind == "LIMIT" else kinds[kind]
    limited = taken in ("limit", "limit_maker", "stop_limit", "take_profit_limit")
    return Asked(
        symbol=market.symbol,
        side=cast(Any, side),
        kind=cast(Any, taken),
        quantity=quantity,
        client_id=params.get("clientAlgoId" if algo else "newClientOrderId", ""),
        price=within(params["price"], market.price_tick) if limited else 0.0,
        stop_price=within(params["triggerPrice"], market.price_tick) if algo else 0.0,
        time_in_force=cast(Any, "gtc" if force == "GTX" else force.lower()),
        reduce_only=params.get("reduceOnly", "false").lower() == "true",
        close_position=closes,
    )


def within(text: str, step: float) -> float:
    """Return a number that has no more digits than a step.

    Raises
    ------
    Problem
        It has, or is none.
    """
    value = number(text)
    try:
        exponent = Decimal(text).normalize().as_tuple().exponent
    except InvalidOperation:
        raise Problem("illegal") from None
    if isinstance(exponent, int) and -exponent > digits(step):
        raise Problem("precision")
    return value


def average(one: Order) -> float:
    """Return the price an order filled at on average, to the bit where all fills had one."""
    prices = {done.price for done in one.executions}
    return prices.pop() if len(prices) == 1 else one.spent / one.filled if one.filled else 0.0


def _type_now(one: Order) -> str:
    """Return the type of the ordinary order."""
    return "LIMIT" if one.asked.price else "MARKET"


def _force(one: Order) -> str:
    return "GTX" if one.asked.kind == "limit_maker" else one.asked.time_in_force.upper()


def order(one: Order, symbol: str) -> dict[str, Any]:
    """Return an ordinary order."""
    asked = one.asked
    return {
        "orderId": one.order_id,
        "symbol": symbol,
        "status": one.state.upper(),
        "clientOrderId": asked.client_id,
        "price": plain(asked.price),
        "avgPrice": plain(average(one)),
        "origQty": plain(asked.quantity),
        "executedQty": plain(one.filled),
        "cumQty": plain(one.filled),
        "cumQuote": plain(one.spent),
        "timeInForce": _force(one),
        "type": _type_now(one),
        "reduceOnly": asked.only_reduces,
        "closePosition": asked.close_position,
        "side": asked.side.upper(),
        "positionSide": "BOTH",
        "stopPrice": plain(asked.stop_price),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": _TYPES[asked.kind],
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": one.time_ms,
        "updateTime": one.updated_ms,
    }


def _algo_status(one: Order) -> str:
    if not begun(one):
        return one.state.upper()
    return "TRIGGERED" if one.open else "FINISHED"


def algo(one: Order, symbol: str) -> dict[str, Any]:
    """Return an algo order."""
    asked = one.asked
    return {
        "algoId": algo_id(one),
        "clientAlgoId": asked.client_id,
        "algoType": "CONDITIONAL",
        "orderType": _TYPES[asked.kind],
        "symbol": symbol,
        "side": asked.side.upper(),
        "positionSide": "BOTH",
        "timeInForce": asked.time_in_force.upper(),
        "quantity": plain(asked.quantity),
        "algoStatus": _algo_status(one),
        "actualOrderId": str(one.order_id) if begun(one) else "",
        "actualPrice": plain(average(one)),
        "triggerPrice": plain(asked.stop_price),
        "price": plain(asked.price),
        "icebergQuantity": None,
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
        "selfTradePreventionMode": "NONE",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": asked.close_position,
        "priceProtect": False,
        "reduceOnly": asked.only_reduces,
        "createTime": one.time_ms,
        "updateTime": one.updated_ms,
        "triggerTime": one.updated_ms if begun(one) else 0,
        "goodTillDate": 0,
    }


def my_trade(one: Execution, market: Market) -> dict[str, Any]:
    """Return a row of ``userTrades``."""
    return {
        "buyer": one.side == "buy",
        "commission": plain(one.fee),
        "commissionAsset": market.settle,
        "id": one.trade_id,
        "maker": one.maker,
        "orderId": one.order_id,
        "price": plain(one.price),
        "qty": plain(one.quantity),
        "quoteQty": plain(one.price * one.quantity),
        "realizedPnl": plain(one.realized),
        "side": one.side.upper(),
        "positionSide": "BOTH",
        "symbol": market.id,
        "time": one.time_ms,
    }


def order_update(event: OrderChanged, market: Market, *, made: bool = False) -> dict[str, Any]:
    """Return the event of the user data stream that tells of an ordinary order; ``made``: that it was just made."""
    one, done = event.order, None if made else event.execution
    asked = one.asked
    state = "NEW" if made else event.state.upper()
    said = {
        "s": market.id,
        "c": asked.client_id,
        "S": asked.side.upper(),
        "o": "LIQUIDATION" if one.liquidation else _type_now(one),
        "f": _force(one),
        "q": plain(asked.quantity),
        "p": plain(asked.price),
        "ap": "0" if made else plain(average(one)),
        "sp": plain(asked.stop_price),
        "x": "TRADE" if done else state,
        "X": state,
        "i": one.order_id,
        "l": plain(done.quantity) if done else "0",
        "z": "0" if made else plain(one.filled),
        "L": plain(done.price) if done else "0",
        "T": event.time_ms,
        "t": done.trade_id if done else 0,
        "b": "0",
        "a": "0",
        "m": done.maker if done else False,
        "R": asked.only_reduces,
        "wt": "CONTRACT_PRICE",
        "ot": _TYPES[asked.kind],
        "ps": "BOTH",
        "cp": asked.close_position,
        "rp": plain(done.realized) if done else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": 0,
    }
    if done:
        said |= {"N": market.settle, "n": plain(done.fee)}
    return {"e": "ORDER_TRADE_UPDATE", "E": event.time_ms, "T": event.time_ms, "o": said}


def algo_update(event: OrderChanged, market: Market, status: str) -> dict[str, Any]:
    """Return the event of the user data stream that tells of an algo order."""
    one = event.order
    asked, runs = one.asked, status in ("TRIGGERED", "FINISHED")
    said = {
        "caid": asked.client_id,
        "aid": algo_id(one),
        "at": "CONDITIONAL",
        "o": _TYPES[asked.kind],
        "s": market.id,
        "S": asked.side.upper(),
        "ps": "BOTH",
        "f": asked.time_in_force.upper(),
        "q": plain(asked.quantity),
        "X": status,
        "ai": str(one.order_id) if runs else "",
        "tp": plain(asked.stop_price),
        "p": plain(asked.price),
        "V": "NONE",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": asked.close_position,
        "pP": False,
        "R": asked.only_reduces,
        "tt": event.time_ms if runs else 0,
        "gtd": 0,
    }
    if runs:
        said |= {"ap": plain(average(one)), "aq": plain(one.filled), "act": _type_now(one)}
    return {"e": "ALGO_UPDATE", "E": event.time_ms, "T": event.time_ms, "o": said}
