"""What can happen to a live run: plain records, each with the venue's time, that fit into the journal and out of it."""

from __future__ import annotations

import dataclasses
import math
import operator
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.execution.orders import Fill, OrderReport, Payment
from pipelines.candles import Candle

__all__ = [
    "AccountStreamCut",
    "BalanceSeen",
    "CallFailed",
    "CandlesAnswered",
    "CandlesStreamed",
    "ClockAdvanced",
    "Estimated",
    "Event",
    "FillsSeen",
    "FundingSeen",
    "HoldingSeen",
    "Killed",
    "Limited",
    "OrderAbsent",
    "OrderSeen",
    "QuoteSeen",
    "Rearmed",
    "Resumed",
    "Stopping",
    "StreamCut",
    "pack",
    "unpack",
]


@dataclass(frozen=True, slots=True)
class CandlesStreamed:
    """The stream showed candles of a series, a forming one too."""

    series: str
    candles: tuple[Candle, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class CandlesAnswered:
    """REST answered what was asked for from ``from_ns`` to ``to_ns``; the request left at ``sent_ns``."""

    series: str
    candles: tuple[Candle, ...]
    from_ns: int
    to_ns: int
    sent_ns: int
    whole: bool
    time_ns: int


@dataclass(frozen=True, slots=True)
class StreamCut:
    """The connection of a series' stream was lost or made anew."""

    series: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class AccountStreamCut:
    """The connection of the account's stream was lost or made anew: what happened meanwhile is to be asked for."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class ClockAdvanced:
    """Time passed."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """The venue said how an order stands: in its answer, in the stream, or asked."""

    report: OrderReport
    time_ns: int


@dataclass(frozen=True, slots=True)
class FillsSeen:
    """The venue told executions."""

    fills: tuple[Fill, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class OrderAbsent:
    """The venue was asked for an order by our id and knows none such."""

    client_id: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call about an order failed; ``meaning`` is that of ``engine.execution.outcome``."""

    client_id: str
    call: Literal["place", "amend", "cancel", "find"]
    meaning: Literal["retry", "refuse", "halt", "unknown"]
    message: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class HoldingSeen:
    """What the account holds of a symbol, whoever bought it: base currency, negative when short."""

    symbol: str
    quantity: float
    sent_ns: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class BalanceSeen:
    """What the account has of a currency in all."""

    currency: str
    total: float
    sent_ns: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Estimated:
    """What an order would pay was estimated by the book, just before it leaves: best price, fraction beyond it."""

    client_id: str
    best: float
    share: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class QuoteSeen:
    """The best prices of a symbol, as they were asked for."""

    symbol: str
    bid: float
    ask: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class FundingSeen:
    """The venue told funding it paid or took, known payments too."""

    payments: tuple[Payment, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Killed:
    """A person, or what watches over the run, wants everything cancelled and left, and nothing entered any more."""

    reason: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Rearmed:
    """A person has looked at what a week's loss or a drawdown stopped, and wants it to trade on."""

    reason: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Limited:
    """Other limits hold from here on; they are plain data as JSON text."""

    limits: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on after it was over or killed: what happened meanwhile is to be asked for, before any decision."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run was told to end: nothing new is entered, what rests at the venue stays."""

    time_ns: int


Event = (
    CandlesStreamed
    | CandlesAnswered
    | StreamCut
    | AccountStreamCut
    | ClockAdvanced
    | OrderSeen
    | FillsSeen
    | OrderAbsent
    | CallFailed
    | HoldingSeen
    | BalanceSeen
    | FundingSeen
    | Estimated
    | QuoteSeen
    | Killed
    | Limited
    | Rearmed
    | Resumed
    | Stopping
)
PLAIN: Final = ("str", "int", "float", "bool")
_Layout = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]
_LAYOUTS: Final[dict[str, _Layout]] = {}
EVENTS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in typing.get_args(Event)}
_RECORDS: Final[dict[str, type[Any]]] = {"candles": Candle, "fills": Fill, "report": OrderReport, "payments": Payment}


def pack(record: Any) -> dict[str, Any]:
    """Return a record as plain data under its own name; NaN becomes null on the way to the file."""
    return {type(record).__name__: _plain(record)}


def _plain(record: Any) -> dict[str, Any]:
    """Return the fields of a record as ``dataclasses.asdict`` does, in a tenth of the time: what is plain is kept."""
    names, values_of, inner = _layout(type(record))
    fields = dict(zip(names, values_of(record), strict=True))
    for name in inner:
        value = fields[name]
        if isinstance(value, tuple):
            fields[name] = [_plain(one) for one in value]
        elif not isinstance(value, str):
            fields[name] = _plain(value)
    return fields


def _layout(kind: type[Any]) -> _Layout:
    """Return the names of a record's fields, what reads them, and which of them may hold other records."""
    known = _LAYOUTS.get(kind.__name__)
    if known is not None:
        return known
    names = tuple(item.name for item in dataclasses.fields(kind))
    inner = tuple(item.name for item in dataclasses.fields(kind) if item.type not in PLAIN)
    read: Callable[[Any], tuple[Any, ...]] = operator.attrgetter(*names)
    if len(names) == 1:
        read = lambda record: (getattr(record, names[0]),)  # noqa: E731
    made = _LAYOUTS[kind.__name__] = names, read, inner
    return made


def unpack(data: dict[str, Any]) -> Event:
    """Return the event of its plain data."""
    ((name, fields),) = data.items()
    return typing.cast(Event, _record(EVENTS[name], fields))


def _record(kind: type[Any], fields: dict[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        value = fields[item.name]
        inner = _RECORDS.get(item.name)
        if isinstance(value, list):
            value = tuple(_record(inner, one) for one in value) if inner else tuple(value)
        elif isinstance(value, dict) and inner:
            value = _record(inner, value)
        elif value is None and item.type == "float":
            value = math.nan
        values[item.name] = value
    return kind(**values)
