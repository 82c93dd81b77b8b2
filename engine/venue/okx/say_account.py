"""OKX's words for an account: orders, algo orders, fills, positions and balances.

An order with a trigger is an algo order until it is met, and an ordinary order from then on, with ids of each.  The
venue has one order for both; its number is that of the ordinary order, and ``algo_id`` makes the other.
"""

from __future__ import annotations

import math
from typing import Any

from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.events import FundingPaid
from engine.venue.market import Market, plain
from engine.venue.okx.instrument import contracts, inst_id, inst_type
from engine.venue.order import Execution, Order

__all__ = ["algo", "algo_id", "balance", "begun", "bill", "fill", "is_algo", "order", "order_number", "position"]

STATES = {"new": "live", "expired": "canceled", "rejected": "canceled"}
_TYPES = {"limit_maker": "post_only", "stop": "market", "take_profit": "market", "market": "market"}
_ALGO_IDS = 10**12


def is_algo(one: Order) -> bool:
    """Return whether an order waits, or waited, for a trigger."""
    return one.asked.stop_price != 0.0


def begun(one: Order) -> bool:
    """Return whether an order is an ordinary one by now."""
    return not is_algo(one) or one.triggered or bool(one.executions)


def algo_id(one: Order) -> str:
    """Return the id of an algo order."""
    return str(_ALGO_IDS + one.order_id)


def order_number(text: object, *, is_algo: bool) -> int:
    """Return the venue's number of an order, -1 for an id that is none."""
    digits = str(text)
    if not (digits.isascii() and digits.isdigit()):
        return -1
    return int(digits) - (_ALGO_IDS if is_algo else 0)


def order(one: Order, market: Market, said_type: str, leverage: float, done: Execution | None = None) -> dict[str, Any]:
    """Return an ordinary order; ``done`` is the fill that a message is about, else its last one."""
    asked, last = one.asked, done or (one.executions[-1] if one.executions else None)
    kind = _TYPES.get(asked.kind, "limit") if asked.time_in_force == "gtc" else asked.time_in_force
    average = one.executions[0].price if len(one.executions) == 1 else one.spent / one.filled if one.filled else 0.0
    waited = is_algo(one)
    return {
        "instType": inst_type(market),
        "instId": inst_id(market),
        "ordId": str(one.order_id),
        "clOrdId": "" if waited else asked.client_id,
        "algoId": algo_id(one) if waited else "",
        "algoClOrdId": asked.client_id if waited else "",
        "tag": "",
        "ccy": "",
        "tgtCcy": "" if market.linear else "base_ccy",
        "px": plain(asked.price) if asked.price else "",
        "sz": contracts(asked.quantity, market),
        "ordType": kind if waited or not said_type else said_type,
        "side": asked.side,
        "posSide": "net" if market.linear else "",
        "tdMode": "cross" if market.linear else "cash",
        "accFillSz": contracts(one.filled, market),
        "avgPx": plain(average) if one.filled else "",
        "state": STATES.get(one.state, one.state),
        "lever": plain(leverage) if market.linear else "",
        "reduceOnly": "true" if asked.only_reduces else "false",
        "fee": plain(-sum(x.fee for x in one.executions)),
        "feeCcy": market.quote,
        "pnl": plain(sum(x.realized for x in one.executions)),
        "rebate": "0",
        "rebateCcy": market.quote,
        "fillPx": plain(last.price) if last else "",
        "fillSz": contracts(last.quantity, market) if last else "0",
        "fillTime": str(last.time_ms) if last else "",
        "fillPnl": plain(last.realized) if last else "0",
        "tradeId": str(last.trade_id) if last else "",
        "category": "full_liquidation" if one.liquidation else "normal",
        "source": "7" if waited else "",
        "cancelSource": "1" if one.state == "canceled" else "",
        "attachAlgoOrds": [],
        "linkedAlgoOrd": {"algoId": algo_id(one) if waited else ""},
        "stpMode": "cancel_maker",
        "cTime": str(one.time_ms),
        "uTime": str(one.updated_ms),
    }


def pushed(one: Order, market: Market, said_type: str, leverage: float, done: Execution | None) -> dict[str, Any]:
    """Return an order as the channel of orders tells it, with the one fill the message is about, if any."""
    said = order(one, market, said_type, leverage, done)
    if done is None:
        said |= {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": "", "fillPnl": "0"}
    said |= {"fillFee": plain(-done.fee) if done else "0", "fillFeeCcy": market.quote if done else ""}
    return said | {"execType": ("M" if done.maker else "T") if done else "", "code": "0", "msg": "", "amendResult": ""}


def algo(one: Order, market: Market, said_type: str, leverage: float, last: float) -> dict[str, Any]:
    """Return an algo order: live until its trigger is met, then effective."""
    asked, started = one.asked, begun(one)
    level, limit = plain(asked.stop_price), plain(asked.price) if asked.price else "-1"
    named = {"slTriggerPx": "", "slOrdPx": "", "slTriggerPxType": "", "triggerPx": "", "ordPx": ""}
    named |= {"tpTriggerPx": "", "tpOrdPx": "", "tpTriggerPxType": "", "triggerPxType": ""}
    if said_type == "trigger":
        named |= {"triggerPx": level, "ordPx": limit, "triggerPxType": "last"}
    else:
        side = "sl" if asked.kind in ("stop", "stop_limit") else "tp"
        named |= {f"{side}TriggerPx": level, f"{side}OrdPx": limit, f"{side}TriggerPxType": "last"}
    met = one.executions[0] if one.executions else None
    return named | {
        "instType": inst_type(market),
        "instId": inst_id(market),
        "algoId": algo_id(one),
        "algoClOrdId": asked.client_id,
        "clOrdId": "",
        "ordId": str(one.order_id) if started else "",
        "ordIdList": [str(one.order_id)] if started else [],
        "ordType": said_type or "conditional",
        "side": asked.side,
        "posSide": "net" if market.linear else "",
        "tdMode": "cross" if market.linear else "cash",
        "tgtCcy": "",
        "ccy": "",
        "tag": "",
        "sz": "" if asked.close_position else contracts(asked.quantity, market),
        "closeFraction": "1" if asked.close_position else "",
        "state": "effective" if started else STATES.get(one.state, one.state),
        "reduceOnly": "true" if asked.only_reduces else "false",
        "lever": plain(leverage) if market.linear else "",
        "last": plain(last),
        "actualPx": plain(met.price) if met else "",
        "actualSz": contracts(one.filled, market) if met else "0",
        "actualSide": "",
        "triggerTime": str(met.time_ms if met else one.updated_ms) if started else "",
        "failCode": "",
        "attachAlgoOrds": [],
        "linkedOrd": {"ordId": ""},
        "cTime": str(one.time_ms),
        "uTime": str(one.updated_ms),
    }


def fill(one: Execution, made_by: Order, market: Market) -> dict[str, Any]:
    """Return a row of ``trade/fills-history``."""
    return {
        "instType": inst_type(market),
        "instId": inst_id(market),
        "tradeId": str(one.trade_id),
        "billId": str(one.trade_id),
        "ordId": str(one.order_id),
        "clOrdId": "" if is_algo(made_by) else made_by.asked.client_id,
        "tag": "",
        "side": one.side,
        "posSide": "net" if market.linear else "",
        "fillPx": plain(one.price),
        "fillSz": contracts(one.quantity, market),
        "fillPnl": plain(one.realized),
        "execType": "M" if one.maker else "T",
        "fee": plain(-one.fee),
        "feeCcy": market.quote,
        "feeRate": plain(-(market.maker_fee if one.maker else market.taker_fee)),
        "ts": str(one.time_ms),
        "fillTime": str(one.time_ms),
    }


def position(venue: Venue, account: Account, symbol: str) -> dict[str, Any]:
    """Return a position, also one that was just closed."""
    held, market, mark = venue.position(account, symbol), venue.tapes[symbol].market, venue.mark_price(symbol)
    notional = abs(held.quantity) * mark
    margin, profit, level = notional / held.leverage, venue.unrealized(account, symbol), math.nan
    if held.quantity:
        level = venue.liquidation_price(account, symbol)
    upkeep = notional * market.maintenance_rate
    ratio = venue.margin(account, market.settle)
    equity = ratio.wallet + ratio.unrealized
    return {
        "instType": "SWAP",
        "instId": inst_id(market),
        "posId": str(1 + list(venue.tapes).index(symbol)),
        "posSide": "net",
        "mgnMode": "cross",
        "pos": contracts(held.quantity, market),
        "availPos": "",
        "posCcy": "",
        "ccy": market.settle,
        "avgPx": plain(held.entry_price) if held.quantity else "",
        "lever": plain(held.leverage),
        "markPx": plain(mark),
        "last": plain(venue.tapes[symbol].last),
        "notionalUsd": plain(notional),
        "imr": plain(margin),
        "mmr": plain(upkeep),
        "margin": "",
        "mgnRatio": plain(equity / ratio.maintenance) if ratio.maintenance else "",
        "liqPx": "" if math.isnan(level) else plain(level),
        "upl": plain(profit),
        "uplRatio": plain(profit / margin) if margin else "0",
        "pnl": plain(held.realized),
        "realizedPnl": plain(held.realized),
        "adl": "1",
        "interest": "",
        "liab": "",
        "liabCcy": "",
        "tradeId": "",
        "cTime": str(held.opened_ms),
        "uTime": str(venue.time_ms),
    }


def balance(venue: Venue, account: Account, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the balances, of some currencies or of all; equity counts what positions have not realised."""
    settles = {tape.market.settle for tape in venue.tapes.values() if tape.market.linear}
    now, details = str(venue.time_ms), []
    for name in account.currencies():
        if only and name not in only:
            continue
        cash, locked = account.total(name), account.locked.get(name, 0.0)
        said = {"ccy": name, "uTime": now, "frozenBal": plain(locked), "ordFrozen": plain(locked), "liab": "0"}
        if name in settles:
            found = venue.margin(account, name)
            said |= {"eq": plain(found.wallet + found.unrealized), "cashBal": plain(found.wallet)}
            said |= {"availEq": plain(found.available), "availBal": plain(found.available)}
            said |= {"upl": plain(found.unrealized), "imr": plain(found.initial), "mmr": plain(found.maintenance)}
        else:
            said |= {"eq": plain(cash), "cashBal": plain(cash), "availEq": "", "upl": "0", "imr": "", "mmr": ""}
            said |= {"availBal": plain(cash - locked)}
        details.append(said)
    total = sum(float(one["eq"]) for one in details if one["ccy"] in settles)
    head = {"uTime": now, "totalEq": plain(total), "adjEq": "", "isoEq": "0", "ordFroz": "", "imr": "", "mmr": ""}
    return head | {"mgnRatio": "", "notionalUsd": "", "upl": "", "details": details}


def bill(paid: FundingPaid, market: Market) -> dict[str, Any]:
    """Return a change of the balance by funding."""
    change = plain(paid.amount)
    return {
        "billId": f"{paid.time_ms}{sum(map(ord, market.symbol))}",
        "type": "8",
        "subType": "174" if paid.amount > 0.0 else "173",
        "ts": str(paid.time_ms),
        "instId": inst_id(market),
        "instType": "SWAP",
        "mgnMode": "cross",
        "ccy": market.settle,
        "balChg": change,
        "pnl": change,
        "posBalChg": "0",
        "fee": "0",
        "bal": "",
        "sz": "",
        "ordId": "",
    }
