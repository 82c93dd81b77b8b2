"""From OKX's parameters of an order to what the venue is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from engine.venue.market import Market
from engine.venue.okx.codes import Problem
from engine.venue.okx.instrument import number, quantity_of
from engine.venue.order import Asked, Kind

__all__ = ["algo_asked", "order_asked", "text_of", "yes"]

_CLIENT_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_ORDERS: dict[str, tuple[Kind, Literal["gtc", "ioc", "fok"]]] = {
    "market": ("market", "gtc"),
    "optimal_limit_ioc": ("market", "gtc"),
    "limit": ("limit", "gtc"),
    "post_only": ("limit_maker", "gtc"),
    "ioc": ("limit", "ioc"),
    "fok": ("limit", "fok"),
}
_LATER = ("attachAlgoOrds", "slTriggerPx", "tpTriggerPx")


def text_of(params: Mapping[str, Any], name: str) -> str:
    """Return a parameter as text.

    Raises
    ------
    Problem
        If it is missing or empty.
    """
    found = params.get(name)
    if found is None or found == "":
        raise Problem("missing", name)
    return str(found)


def yes(value: object) -> bool:
    """Return whether a parameter is true, as JSON or as text."""
    return value is True or str(value).lower() == "true"


def order_asked(params: Mapping[str, Any], market: Market) -> Asked:
    """Return what ``trade/order`` asks for.

    Raises
    ------
    Problem
        A parameter is missing, malformed, or one the venue does not serve.
    """
    kind, force = _ORDERS.get(text_of(params, "ordType"), (None, None))
    if kind is None or force is None:
        raise Problem("parameter", "ordType")
    for name in _LATER:
        if params.get(name):
            raise Problem("parameter", name)
    price = float(number(params.get("px"), "px")) if kind != "market" else 0.0
    return Asked(
        symbol=market.symbol,
        side=_side(params),
        kind=kind,
        quantity=_quantity(params, market, kind),
        client_id=_client_id(params, "clOrdId"),
        price=price,
        time_in_force=force,
        reduce_only=_reduces(params, market),
    )


def algo_asked(params: Mapping[str, Any], market: Market, last: float) -> Asked:
    """Return what ``trade/order-algo`` asks for: a stop or a target, or a trigger on either side of the last price.

    Raises
    ------
    Problem
        As above; also an order with both a stop and a target, or with another kind of trigger.
    """
    said, side = text_of(params, "ordType"), _side(params)
    if said == "trigger":
        level = float(number(params.get("triggerPx"), "triggerPx"))
        limit, source = params.get("orderPx", params.get("ordPx")), params.get("triggerPxType")
        stops = (level < last) == (side == "sell")
    elif said == "conditional":
        stops, targets = bool(params.get("slTriggerPx")), bool(params.get("tpTriggerPx"))
        if stops == targets:
            raise Problem("parameter", "tpTriggerPx" if stops else "slTriggerPx")
        short = "sl" if stops else "tp"
        level = float(number(params.get(f"{short}TriggerPx"), f"{short}TriggerPx"))
        limit, source = params.get(f"{short}OrdPx"), params.get(f"{short}TriggerPxType")
    else:
        raise Problem("parameter", "ordType")
    if source not in (None, "", "last"):
        raise Problem("parameter", "triggerPxType")
    at = number(limit, "ordPx")
    kinds: tuple[Kind, Kind] = ("stop", "stop_limit") if stops else ("take_profit", "take_profit_limit")
    whole = str(params.get("closeFraction") or "")
    if whole not in ("", "1") or (whole and not market.linear):
        raise Problem("parameter", "closeFraction")
    named = "algoClOrdId" if params.get("algoClOrdId") else "clOrdId"
    return Asked(
        symbol=market.symbol,
        side=side,
        kind=kinds[0] if at == -1 else kinds[1],
        quantity=0.0 if whole else _quantity(params, market, "stop"),
        client_id=_client_id(params, named),
        price=0.0 if at == -1 else float(at),
        stop_price=level,
        reduce_only=_reduces(params, market),
        close_position=bool(whole),
    )


def _side(params: Mapping[str, Any]) -> Literal["buy", "sell"]:
    side = text_of(params, "side")
    if side not in ("buy", "sell"):
        raise Problem("parameter", "side")
    return cast(Literal["buy", "sell"], side)


def _quantity(params: Mapping[str, Any], market: Market, kind: str) -> float:
    modes = ("cross",) if market.linear else ("cash", "cross") if kind == "stop" else ("cash",)
    if text_of(params, "tdMode") not in modes:
        raise Problem("mode")
    if params.get("posSide") not in (None, "", "net"):
        raise Problem("parameter", "posSide")
    if not market.linear and kind == "market" and params["side"] == "buy" and params.get("tgtCcy") != "base_ccy":
        raise Problem("parameter", "tgtCcy")
    return quantity_of(params.get("sz"), market)


def _client_id(params: Mapping[str, Any], name: str) -> str:
    found = str(params.get(name) or "")
    if found and not _CLIENT_ID.fullmatch(found):
        raise Problem("parameter", name)
    return found


def _reduces(params: Mapping[str, Any], market: Market) -> bool:
    # on spot markets without margin the parameter means nothing
    return market.linear and yes(params.get("reduceOnly", False))
