"""Venue's records in the words of Binance's USD-M futures: markets, account, positions, funding.  Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.venue import margin
from engine.venue.account import Account
from engine.venue.binance import say
from engine.venue.events import Candle
from engine.venue.funding import Funding
from engine.venue.market import Market, plain
from engine.venue.tape import Tape

__all__ = [
    "TYPES",
    "account",
    "balance",
    "brackets",
    "config",
    "digits",
    "mark_candle",
    "market",
    "position",
    "premium",
    "ticker",
]

TYPES = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_FOREVER = 4_133_404_800_000  # the delivery date of a perpetual
Tapes = Mapping[str, Tape]


def digits(step: float) -> int:
    """Return the decimal digits of a step, 2 of 0.01."""
    return len(plain(step).partition(".")[2].rstrip("0"))


def market(one: Market) -> dict[str, Any]:
    """Return a symbol of ``exchangeInfo`` with its filters."""
    tick, step = plain(one.price_tick), plain(one.quantity_step)
    lot = {"minQty": plain(one.min_quantity), "maxQty": "9000000000", "stepSize": step}
    return {
        "symbol": one.id,
        "pair": one.id,
        "contractType": "PERPETUAL",
        "deliveryDate": _FOREVER,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING" if one.trading else "SETTLING",
        "maintMarginPercent": plain(one.maintenance_rate * 100.0),
        "requiredMarginPercent": plain(100.0 / one.max_leverage),
        "baseAsset": one.base,
        "quoteAsset": one.quote,
        "marginAsset": one.settle,
        "pricePrecision": digits(one.price_tick),
        "quantityPrecision": digits(one.quantity_step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.05",
        "liquidationFee": "0",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE"} | lot,
            {"filterType": "MARKET_LOT_SIZE"} | lot,
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(one.min_notional)},
        ],
        "orderTypes": list(TYPES),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def mark_candle(one: Candle, tape: Tape) -> Candle:
    """Return a candle of the mark price, as much of it as was shown."""
    marks = tape.marks
    at = int(marks.time.searchsorted(one.open_ms)) if marks is not None else 0
    if marks is None or at >= len(marks) or marks.time[at] != one.open_ms:
        return replace(one, volume=0.0)
    first = float(marks.open[at])
    if not one.closed:
        return replace(one, open=first, high=first, low=first, close=first, volume=0.0)
    high, low, close = (float(x[at]) for x in (marks.high, marks.low, marks.close))
    return replace(one, open=first, high=high, low=low, close=close, volume=0.0)


def ticker(tape: Tape, now_ms: int, *, streamed: bool) -> dict[str, Any]:
    """Return the ticker of the last 24 hours; that of futures has no best prices."""
    without = ("b", "B", "a", "A", "x", "bidPrice", "bidQty", "askPrice", "askQty", "prevClosePrice")
    return {name: value for name, value in say.ticker(tape, now_ms, streamed=streamed).items() if name not in without}


def premium(tape: Tape, funding: Funding, now_ms: int) -> dict[str, Any]:
    """Return a row of ``premiumIndex``; the index price is not recorded, so it is the mark price."""
    mark = plain(tape.mark)
    return {
        "symbol": tape.market.id,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": plain(funding.rate),
        "interestRate": "0.00010000",
        "nextFundingTime": funding.next_ms,
        "time": now_ms,
    }


def brackets(one: Market) -> dict[str, Any]:
    """Return a row of ``leverageBracket``: one bracket, for the rate does not rise with the notional here."""
    only = {"bracket": 1, "initialLeverage": int(one.max_leverage), "notionalCap": 10**12, "notionalFloor": 0}
    return {"symbol": one.id, "brackets": [only | {"maintMarginRatio": one.maintenance_rate, "cum": 0.0}]}


def config(one: Account, tape: Tape) -> dict[str, Any]:
    """Return a row of ``symbolConfig``."""
    leverage = int(margin.held(one, tape).leverage)
    said = {"symbol": tape.market.id, "marginType": "CROSSED", "isAutoAddMargin": False, "leverage": leverage}
    return said | {"maxNotionalValue": "1000000000000"}


def position(one: Account, tape: Tape, tapes: Tapes, now_ms: int) -> dict[str, Any]:
    """Return a row of ``positionRisk``, with the fields of all its versions."""
    held, market_of = margin.held(one, tape), tape.market
    notional = held.quantity * tape.mark
    own = abs(notional) / held.leverage
    bound = margin.initial(one, tape)
    gone = margin.liquidation_price(one, tape, tapes)
    profit = plain(held.profit(tape.mark))
    sums = {"buy": 0.0, "sell": 0.0}
    for order in one.open_orders(market_of.symbol):
        if not order.asked.only_reduces:
            sums[order.asked.side] += order.rest * margin.price_of(order.asked, tape)
    return {
        "symbol": market_of.id,
        "positionSide": "BOTH",
        "positionAmt": plain(held.quantity),
        "entryPrice": plain(held.entry_price),
        "breakEvenPrice": plain(held.entry_price),
        "markPrice": plain(tape.mark),
        "unRealizedProfit": profit,
        "unrealizedProfit": profit,
        "liquidationPrice": "0" if gone != gone else plain(gone),
        "isolatedMargin": "0",
        "notional": plain(notional),
        "marginAsset": market_of.settle,
        "isolatedWallet": "0",
        "isolated": False,
        "marginType": "cross",
        "leverage": str(int(held.leverage)),
        "maxNotionalValue": "1000000000000",
        "isAutoAddMargin": "false",
        "initialMargin": plain(bound),
        "maintMargin": plain(abs(notional) * market_of.maintenance_rate),
        "positionInitialMargin": plain(own),
        "openOrderInitialMargin": plain(bound - own),
        "adl": 0,
        "bidNotional": plain(sums["buy"]),
        "askNotional": plain(sums["sell"]),
        "updateTime": held.opened_ms or now_ms,
    }


def _asset(one: Account, settle: str, tapes: Tapes, now_ms: int) -> dict[str, Any]:
    found = margin.margin(one, settle, tapes)
    positions = [(held, tapes[held.symbol]) for held in one.positions.values() if held.settle == settle]
    own = sum(abs(held.quantity * tape.mark) / held.leverage for held, tape in positions if held.quantity)
    numbers = {
        "walletBalance": found.wallet,
        "unrealizedProfit": found.unrealized,
        "marginBalance": found.wallet + found.unrealized,
        "maintMargin": found.maintenance,
        "initialMargin": found.initial,
        "positionInitialMargin": own,
        "openOrderInitialMargin": found.initial - own,
        "crossWalletBalance": found.wallet,
        "crossUnPnl": found.unrealized,
        "availableBalance": found.available,
        "maxWithdrawAmount": found.available,
    }
    return {"asset": settle, "marginAvailable": True, "updateTime": now_ms} | {
        name: plain(value) for name, value in numbers.items()
    }


def account(one: Account, tapes: Tapes, now_ms: int, *, all_symbols: bool) -> dict[str, Any]:
    """Return the answer to ``account``; version 3 lists only the symbols with a position or an order."""
    assets = [_asset(one, name, tapes, now_ms) for name in one.currencies()]
    wanted = [
        tape
        for tape in tapes.values()
        if all_symbols or margin.held(one, tape).quantity or one.open_orders(tape.market.symbol)
    ]
    sums = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "totalCrossUnPnl": "crossUnPnl",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    said: dict[str, Any] = {"feeTier": 0, "canTrade": True, "canDeposit": False, "canWithdraw": False}
    said |= {"updateTime": 0, "multiAssetsMargin": False}
    said |= {total: plain(sum(float(row[name]) for row in assets)) for total, name in sums.items()}
    return said | {"assets": assets, "positions": [position(one, tape, tapes, now_ms) for tape in wanted]}


def balance(one: Account, tapes: Tapes, now_ms: int) -> list[dict[str, Any]]:
    """Return the rows of ``balance``."""
    names = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount", "marginAvailable")
    rows = [_asset(one, name, tapes, now_ms) for name in one.currencies()]
    return [
        {"accountAlias": "local", "balance": row["walletBalance"], "updateTime": now_ms}
        | {name: row[name] for name in names}
        for row in rows
    ]
