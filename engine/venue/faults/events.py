"""Faults of what the exchange tells its streams: orders, fills, balances, candles, trades and the book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.venue.events import (
    BalanceChanged,
    BookChanged,
    Candle,
    CandleChanged,
    Event,
    OrderChanged,
    PositionChanged,
    Traded,
)
from engine.venue.faults import views
from engine.venue.faults.armed import Armed
from engine.venue.faults.kinds import ALL, CANDLES, LINEAR, Kind, fault
from engine.venue.faults.turn import Turn, name_of

__all__ = ["EVENTS"]

EVENTS: dict[str, Kind] = {}
_ONCE = "counts a fill by its trade id, once"
_ASK = "asks by REST at each close: what no stream told is in the answer"
_PROVE = "proves the close by REST before it decides"


def _next(kind: str) -> Callable[[Event], bool]:
    return lambda event: name_of(event) == kind


# --- orders and fills


@fault(EVENTS, "event", "fill", does="a fill is told twice", client=_ONCE)
def fill_repeated(turn: Turn, armed: Armed) -> list[Event]:
    return [turn.event, turn.event]


@fault(EVENTS, "event", "fill", does="a fill is told after the next one", client=_ONCE + ", in any order")
def fills_out_of_order(turn: Turn, armed: Armed) -> list[Event]:
    return turn.hold(_next("fill"))


@fault(
    EVENTS,
    "event",
    "order",
    does="an order is told as new after its fill is told",
    client="knows a fill as proof that the order was taken; no state goes back",
)
def fill_before_new(turn: Turn, armed: Armed) -> list[Event]:
    event = turn.event
    if not (isinstance(event, OrderChanged) and event.state == "new"):
        armed.pass_by()
        return [event]
    number = event.order.order_id
    return turn.hold(lambda later: isinstance(later, OrderChanged) and later.order.order_id == number)


@fault(EVENTS, "event", "fill", does="a fill is not told by the stream, only REST has it", client=_ASK)
def fill_untold(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(EVENTS, "event", "fill", does="a fill is told half a bar late", client=_ASK)
def fill_late(turn: Turn, armed: Armed) -> list[Event]:
    return turn.hold_to_next_moment()


@fault(EVENTS, "event", "order", does="a new or ended order is not told by the stream", client=_ASK)
def order_untold(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(EVENTS, "event", "balance", does="a change of balances is not told by the stream", client=_ASK)
def balance_untold(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(
    EVENTS,
    "event",
    "balance",
    does="the stream tells balances of 0",
    client="does not act on it: asks by REST, halts if it stays",
    protocols=ALL[:3],
)
def balance_zero_told(turn: Turn, armed: Armed) -> list[Event]:
    assert isinstance(turn.event, BalanceChanged)
    turn.view = views.no_money(turn.venue)
    return [turn.event]


@fault(
    EVENTS,
    "event",
    "position",
    does="the stream tells a position with the other sign",
    client="does not act on it: asks by REST, halts if it stays",
    protocols=LINEAR,
)
def position_flipped_told(turn: Turn, armed: Armed) -> list[Event]:
    event = turn.event
    assert isinstance(event, PositionChanged)
    turn.view = views.positions(turn.venue, -1.0)
    return [replace(event, position=replace(event.position, quantity=-event.position.quantity))]


# --- candles


def _candle(turn: Turn, **changes: Any) -> CandleChanged:
    assert isinstance(turn.event, CandleChanged)
    return replace(turn.event, candle=replace(turn.event.candle, **changes))


def _closed(turn: Turn) -> Candle:
    assert isinstance(turn.event, CandleChanged)
    return turn.event.candle


@fault(
    EVENTS, "event", "candle", does="a closed candle is told twice", client="decides on a bar once", protocols=CANDLES
)
def candle_repeated(turn: Turn, armed: Armed) -> list[Event]:
    return [turn.event, turn.event]


@fault(EVENTS, "event", "candle", does="a closed candle is never told", client=_PROVE, protocols=CANDLES)
def candle_skipped(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle is told after the next one has begun",
    client=_PROVE + "; a late candle changes nothing that is decided",
    protocols=CANDLES,
)
def candle_late(turn: Turn, armed: Armed) -> list[Event]:
    return turn.hold(_next("candle_open"))


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle is told with another close, and corrected when the next begins",
    client=_PROVE + "; a correction after the decision is told to a human",
    protocols=CANDLES,
)
def candle_corrected(turn: Turn, armed: Armed) -> list[Event]:
    turn.hold(_next("candle_open"))
    one = _closed(turn)
    return [_candle(turn, close=one.high if one.close == one.low else one.low)]


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle opens off its grid",
    client="refuses it; " + _PROVE,
    protocols=CANDLES,
    size=1000.0,
    unit="ms",
)
def candle_off_grid(turn: Turn, armed: Armed) -> list[Event]:
    return [_candle(turn, open_ms=_closed(turn).open_ms + int(armed.size))]


@fault(
    EVENTS,
    "event",
    "candle",
    does="with a closed candle comes one that has not begun",
    client="refuses a candle later than the venue's clock",
    protocols=CANDLES,
)
def candle_future(turn: Turn, armed: Armed) -> list[Event]:
    one, ahead = _closed(turn), 2 * turn.venue.length_ms
    return [turn.event, _candle(turn, open_ms=one.open_ms + ahead, close_ms=one.close_ms + ahead, closed=False)]


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle is told with less volume than it had",
    client=_PROVE,
    protocols=CANDLES,
    size=0.1,
    unit="factor",
)
def candle_volume_shrinks(turn: Turn, armed: Armed) -> list[Event]:
    return [_candle(turn, volume=_closed(turn).volume * armed.size)]


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle is told with prices and volume of 0",
    client="refuses it; " + _PROVE,
    protocols=CANDLES,
)
def candle_zero(turn: Turn, armed: Armed) -> list[Event]:
    return [_candle(turn, open=0.0, high=0.0, low=0.0, close=0.0, volume=0.0)]


@fault(
    EVENTS,
    "event",
    "candle",
    does="a closed candle is told with a high that was never traded",
    client=_PROVE,
    protocols=CANDLES,
    size=10.0,
    unit="factor",
)
def candle_spike(turn: Turn, armed: Armed) -> list[Event]:
    return [_candle(turn, high=_closed(turn).high * armed.size)]


@fault(
    EVENTS,
    "event",
    "candle_open",
    does="the first news of a new candle is not told",
    client="does not wait for it to know that the one before has closed",
    protocols=CANDLES,
)
def candle_open_untold(turn: Turn, armed: Armed) -> list[Event]:
    return []


# --- trades, book, ticker


@fault(EVENTS, "event", "trade", does="a public trade is told twice", client="counts a trade by its id, once")
def trade_repeated(turn: Turn, armed: Armed) -> list[Event]:
    return [turn.event, turn.event]


@fault(
    EVENTS,
    "event",
    "trade",
    does="a public trade is not told",
    client="sees the gap in the ids; builds no candle of what has one",
)
def trade_skipped(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(EVENTS, "event", "trade", does="a public trade is told after the next one", client="orders trades by id")
def trades_out_of_order(turn: Turn, armed: Armed) -> list[Event]:
    return turn.hold(_next("trade"))


@fault(EVENTS, "event", "trade", does="a public trade has the price 0", client="refuses the trade; " + _PROVE)
def trade_zero(turn: Turn, armed: Armed) -> list[Event]:
    assert isinstance(turn.event, Traded)
    return [replace(turn.event, trade=replace(turn.event.trade, price=0.0))]


@fault(
    EVENTS,
    "event",
    "book",
    does="an update of the book is not told: its numbers have a gap",
    client="throws the book away and asks for a new one",
)
def book_gap(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(EVENTS, "event", "book", does="the book is crossed: bids above asks", client="estimates no slippage from it")
def book_crossed(turn: Turn, armed: Armed) -> list[Event]:
    event = turn.event
    assert isinstance(event, BookChanged)
    return [replace(event, bids=event.asks, asks=event.bids)]


@fault(
    EVENTS,
    "event",
    "candle",
    "candle_open",
    "trade",
    "book",
    does="the venue tells no market data, while the connections live",
    client="has a watchdog for each symbol: reconnects, tops up by REST, says which bar it does not decide on",
    times=0,
)
def market_data_silent(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(
    EVENTS,
    "event",
    "candle",
    "candle_open",
    "trade",
    "book",
    does="market data comes half a bar late",
    client="looks at the times in messages; " + _PROVE,
    times=0,
)
def market_data_stale(turn: Turn, armed: Armed) -> list[Event]:
    return turn.hold_to_next_moment()


@fault(
    EVENTS,
    "event",
    "order",
    "fill",
    "balance",
    "position",
    does="the venue tells nothing of the account, while the connection lives",
    client=_ASK,
    times=0,
)
def account_stream_silent(turn: Turn, armed: Armed) -> list[Event]:
    return []


@fault(
    EVENTS,
    "event",
    "candle",
    "candle_open",
    does="the ticker stream stands still at the bar before",
    client="looks at the ticker's time, not only at its price",
    protocols=("binance", "binanceusdm"),
    times=0,
)
def ticker_stream_frozen(turn: Turn, armed: Armed) -> list[Event]:
    event = turn.event
    assert isinstance(event, CandleChanged)
    turn.view = views.bar_before(turn.venue, event.symbol)
    return [event]
