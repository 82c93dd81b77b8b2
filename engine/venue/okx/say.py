"""OKX's words for the market: instruments, candles, trades, tickers, books, funding, mark prices."""

from __future__ import annotations

import zlib
from typing import Any

from engine.venue.events import Candle, Levels, Trade
from engine.venue.funding import Funding
from engine.venue.market import Market, plain
from engine.venue.okx.instrument import contracts, inst_id, inst_type
from engine.venue.tape import Tape

__all__ = [
    "book",
    "candle",
    "checksum",
    "funding_rate",
    "instrument",
    "levels",
    "mark_price",
    "paid_rate",
    "ticker",
    "trade",
    "trade_fee",
]

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_CHECKED = 25  # levels a side that the checksum covers


def instrument(market: Market, listed_ms: int) -> dict[str, Any]:
    """Return a row of ``public/instruments``."""
    swap = market.linear
    pair = f"{market.base}-{market.quote}"
    most = "100000000"
    return {
        "instType": inst_type(market),
        "instId": inst_id(market),
        "instFamily": pair if swap else "",
        "uly": pair if swap else "",
        "category": "1",
        "baseCcy": "" if swap else market.base,
        "quoteCcy": "" if swap else market.quote,
        "settleCcy": market.settle if swap else "",
        "ctVal": plain(market.contract_size) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": market.base if swap else "",
        "ctType": "linear" if swap else "",
        "optType": "",
        "stk": "",
        "listTime": str(listed_ms),
        "expTime": "",
        "lever": plain(market.max_leverage) if swap else "",
        "tickSz": plain(market.price_tick),
        "lotSz": contracts(market.quantity_step, market),
        "minSz": contracts(market.min_quantity, market),
        "alias": "",
        "state": "live" if market.trading else "suspend",
        "ruleType": "normal",
        "maxLmtSz": most,
        "maxMktSz": most,
        "maxTriggerSz": most,
        "maxStopSz": most,
    }


def candle(one: Candle, market: Market) -> list[str]:
    """Return a candle: volume in contracts, in base and in quote currency, and whether it is confirmed."""
    prices = [plain(x) for x in (one.open, one.high, one.low, one.close)]
    base, quote = plain(one.volume), plain(one.volume * one.close)
    # of a spot market the first two are base and quote currency
    volumes = [contracts(one.volume, market), base, quote] if market.linear else [base, quote, quote]
    return [str(one.open_ms), *prices, *volumes, "1" if one.closed else "0"]


def trade(one: Trade, market: Market) -> dict[str, Any]:
    """Return a public trade; ``side`` is the taker's."""
    return {
        "instId": inst_id(market),
        "tradeId": str(one.trade_id),
        "px": plain(one.price),
        "sz": contracts(one.quantity, market),
        "side": "sell" if one.buyer_is_maker else "buy",
        "source": "0",
        "count": "1",
        "ts": str(one.time_ms),
    }


def ticker(tape: Tape, now_ms: int) -> dict[str, Any]:
    """Return the ticker of the last 24 hours."""
    market, last = tape.market, tape.last
    day = tape.candles(now_ms - _DAY_MS, None, 1 << 30) or tape.candles(None, None, 1)
    bids, asks = tape.book()
    first = day[0].open if day else last
    base, quote = sum(c.volume for c in day), sum(c.volume * c.close for c in day)
    latest = tape.trades(1)
    return {
        "instType": inst_type(market),
        "instId": inst_id(market),
        "last": plain(last),
        "lastSz": contracts(latest[0].quantity, market) if latest else "0",
        "askPx": plain(asks[0][0]) if asks else "",
        "askSz": contracts(asks[0][1], market) if asks else "",
        "bidPx": plain(bids[0][0]) if bids else "",
        "bidSz": contracts(bids[0][1], market) if bids else "",
        "open24h": plain(first),
        "high24h": plain(max((c.high for c in day), default=last)),
        "low24h": plain(min((c.low for c in day), default=last)),
        "vol24h": contracts(base, market),
        "volCcy24h": plain(base if market.linear else quote),
        "sodUtc0": plain(_open_at(day, now_ms // _DAY_MS * _DAY_MS, first)),
        "sodUtc8": plain(_open_at(day, (now_ms + 8 * _HOUR_MS) // _DAY_MS * _DAY_MS - 8 * _HOUR_MS, first)),
        "ts": str(now_ms),
    }


def _open_at(day: list[Candle], time_ms: int, first: float) -> float:
    return next((c.open for c in day if c.open_ms >= time_ms), first)


def levels(side: Levels, market: Market) -> list[list[str]]:
    """Return the levels of one side, best first: price, contracts, a field no longer used, number of orders."""
    return [[plain(price), contracts(size, market), "0", "1" if size else "0"] for price, size in side]


def checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """Return the CRC32 of the best 25 levels, bid and ask in turn, as a signed number of 32 bits."""
    parts: list[str] = []
    for at in range(_CHECKED):
        for side in (bids, asks):
            parts += side[at][:2] if at < len(side) else []
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def book(tape: Tape, now_ms: int, depth: int) -> dict[str, Any]:
    """Return the book as it is now."""
    bids, asks = (levels(side[:depth], tape.market) for side in tape.book())
    return {"asks": asks, "bids": bids, "ts": str(now_ms), "seqId": tape.update}


def funding_rate(found: Funding, market: Market, now_ms: int) -> dict[str, Any]:
    """Return what is known of the next payment; the last rate stands for the one that is not yet settled."""
    rate = plain(found.rate)
    return {
        "instType": "SWAP",
        "instId": inst_id(market),
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": rate,
        "nextFundingRate": "",
        "fundingTime": str(found.next_ms),
        "prevFundingTime": str(found.next_ms - found.interval_ms),
        "nextFundingTime": str(found.next_ms + found.interval_ms),
        "settState": "settled",
        "settFundingRate": rate,
        "ts": str(now_ms),
    }


def paid_rate(time_ms: int, rate: float, market: Market) -> dict[str, Any]:
    """Return a row of ``public/funding-rate-history``."""
    said = {"instType": "SWAP", "instId": inst_id(market), "fundingTime": str(time_ms), "method": "current_period"}
    return said | {"fundingRate": plain(rate), "realizedRate": plain(rate), "formulaType": "withRate"}


def mark_price(market: Market, price: float, now_ms: int) -> dict[str, Any]:
    """Return a mark price."""
    said = {"instType": inst_type(market), "instId": inst_id(market)}
    return said | {"markPx": plain(price), "ts": str(now_ms)}


def trade_fee(market: Market, now_ms: int) -> dict[str, Any]:
    """Return the fees of an account, which are negative where they are charged."""
    maker, taker = plain(-market.maker_fee), plain(-market.taker_fee)
    said = {"level": "Lv1", "instType": inst_type(market), "category": "1", "ts": str(now_ms)}
    # a swap settled in USDT has its fees beside those of spot markets
    rates = {"makerU": maker, "takerU": taker, "maker": "", "taker": ""}
    return said | (rates if market.linear else {"maker": maker, "taker": taker, "makerU": "", "takerU": ""})
