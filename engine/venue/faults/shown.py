"""Wrong but well-formed answers: the request is done, and what is shown is not what is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from aiohttp import web

from engine.venue.events import Candle
from engine.venue.faults import views
from engine.venue.faults.armed import Armed
from engine.venue.faults.call import Call
from engine.venue.faults.kinds import ALL, LINEAR, Kind, fault
from engine.venue.tape import Tape

__all__ = ["SHOWN"]

SHOWN: dict[str, Kind] = {}
_DOUBT = "does not act on it: asks again, compares with its own journal, halts if it stays"
_CANDLES = "compares with what it has, asks again; does not decide on a candle that is not proven"

# --- accounts


@fault(SHOWN, "request", "balance", does="every balance is 0", client=_DOUBT)
async def balance_zero(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.no_money(call.venue))


@fault(
    SHOWN,
    "request",
    "balance",
    "positions",
    does="positions are shown with the other sign",
    client=_DOUBT,
    protocols=LINEAR,
)
async def position_flipped(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.positions(call.venue, -1.0))


@fault(SHOWN, "request", "balance", "positions", does="no position is shown", client=_DOUBT, protocols=LINEAR)
async def position_missing(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.positions(call.venue, 0.0))


@fault(
    SHOWN,
    "request",
    "fills",
    does="fees are said to be in another currency",
    client="books the fee in the currency that is told; does not assume the quote currency",
    protocols=ALL[:3],
)
async def fee_currency_changed(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    text = re.sub(r'("(?:commissionAsset|feeCcy)": ?)"[^"]*"', r'\1"BNB"', answer.text or "")
    return web.Response(status=answer.status, text=text, content_type=answer.content_type)


# --- prices


@fault(SHOWN, "request", "ticker", "book", "funding", does="prices are 0", client=_DOUBT + "; sizes nothing by it")
async def price_zero(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.price(call.venue, 0.0))


@fault(
    SHOWN,
    "request",
    "ticker",
    "book",
    does="prices are off by a factor",
    client=_DOUBT + "; sizes nothing by it",
    size=10.0,
    unit="factor",
)
async def price_spike(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.price(call.venue, armed.size))


@fault(
    SHOWN,
    "request",
    "ticker",
    does="the ticker stands still at the bar before",
    client="looks at the ticker's time, not only at its price",
    times=0,
)
async def ticker_frozen(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.bar_before(call.venue))


@fault(SHOWN, "request", "funding", does="the funding rate has the other sign", client=_DOUBT, protocols=LINEAR)
async def funding_sign_flip(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    flip = re.compile(r'("(?:lastFundingRate|fundingRate|realizedRate)": ?)"(-?)([\d.eE+-]+)"')
    text = flip.sub(lambda m: f'{m[1]}"{"" if m[2] else "-"}{m[3]}"', answer.text or "")
    return web.Response(status=answer.status, text=text, content_type=answer.content_type)


# --- candles


def _rows(found: list[Candle], tape: Tape) -> int:
    """Return the place of the last closed candle, -1 if there is none."""
    return max((at for at, one in enumerate(found) if one.closed), default=-1)


@fault(
    SHOWN,
    "request",
    "candles",
    does="the newest candles are missing: an old set of them",
    client=_CANDLES,
    size=2.0,
    unit="candles",
)
async def candles_old(call: Call, armed: Armed) -> web.StreamResponse:
    def old(found: list[Candle], tape: Tape) -> list[Candle]:
        return found[: -int(armed.size)]

    return await call.run_seeing(views.candles(call.venue, old))


@fault(SHOWN, "request", "candles", does="the closed candle before the last is missing", client=_CANDLES)
async def candles_skipped(call: Call, armed: Armed) -> web.StreamResponse:
    def skip(found: list[Candle], tape: Tape) -> list[Candle]:
        at = _rows(found, tape) - 1
        return found[:at] + found[at + 1 :] if at >= 0 else found

    return await call.run_seeing(views.candles(call.venue, skip))


@fault(SHOWN, "request", "candles", does="the last closed candle is there twice", client=_CANDLES)
async def candles_repeated(call: Call, armed: Armed) -> web.StreamResponse:
    def twice(found: list[Candle], tape: Tape) -> list[Candle]:
        at = _rows(found, tape)
        return found[: at + 1] + found[at:] if at >= 0 else found

    return await call.run_seeing(views.candles(call.venue, twice))


def _last_as(call: Call, **changes: Any) -> Any:
    def change(found: list[Candle], tape: Tape) -> list[Candle]:
        at = _rows(found, tape)
        if at < 0:
            return found
        one = found[at]
        values = {name: value(one) if callable(value) else value for name, value in changes.items()}
        return [*found[:at], replace(one, **values), *found[at + 1 :]]

    return views.candles(call.venue, change)


@fault(
    SHOWN,
    "request",
    "candles",
    does="the last closed candle has another close; the next answer corrects it",
    client=_CANDLES,
)
async def candles_corrected(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(_last_as(call, close=lambda one: one.high if one.close == one.low else one.low))


@fault(
    SHOWN,
    "request",
    "candles",
    does="the volume of the last closed candle is smaller than it was",
    client=_CANDLES,
    size=0.5,
    unit="factor",
)
async def candles_volume_shrinks(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(_last_as(call, volume=lambda one: one.volume * armed.size))


@fault(
    SHOWN,
    "request",
    "candles",
    does="the last closed candle opens off its grid",
    client="refuses the candle and asks again",
    size=1000.0,
    unit="ms",
)
async def candles_off_grid(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(_last_as(call, open_ms=lambda one: one.open_ms + int(armed.size)))


@fault(
    SHOWN,
    "request",
    "candles",
    does="a candle comes that has not begun",
    client="refuses a candle later than the venue's clock",
)
async def candles_future(call: Call, armed: Armed) -> web.StreamResponse:
    def future(found: list[Candle], tape: Tape) -> list[Candle]:
        if not found:
            return found
        last = found[-1]
        ahead = 2 * tape.length_ms
        return [*found, replace(last, open_ms=last.open_ms + ahead, close_ms=last.close_ms + ahead, closed=False)]

    return await call.run_seeing(views.candles(call.venue, future))


@fault(
    SHOWN,
    "request",
    "candles",
    does="the last closed candle has prices and volume of 0",
    client="refuses the candle and asks again",
)
async def candles_zero(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(_last_as(call, open=0.0, high=0.0, low=0.0, close=0.0, volume=0.0))


@fault(
    SHOWN,
    "request",
    "markets",
    does="the market is no longer listed",
    client="decides nothing in it, keeps what it holds, tells a human",
    times=0,
)
async def market_unlisted(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    names = {tape.market.id for tape in call.venue.tapes.values() if armed.on in ("", "markets", tape.market.symbol)}

    def gone(row: object) -> bool:
        return isinstance(row, dict) and any(
            str(row.get(key, "")).replace("-", "").removesuffix("SWAP") in names
            for key in ("symbol", "instId", "product_id")
        )

    def without(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: without(value) for key, value in found.items()}
        return [without(row) for row in found if not gone(row)] if isinstance(found, list) else found

    return web.json_response(without(json.loads(answer.text or "null")), status=answer.status)
