"""An event on its way from the exchange to the streams: what is told in its place, now or later."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from engine.venue.core import Venue
from engine.venue.events import Event, OrderChanged

__all__ = ["Feed", "Turn", "name_of", "symbol_of"]

Listener = Callable[[Event], None]


@dataclass
class Turn:
    """One event a fault acts on.

    Attributes
    ----------
    event : Event
    venue : Venue
    feed : Feed
    view : context manager
        What the listeners see of the exchange meanwhile.
    """

    event: Event
    venue: Venue
    feed: Feed
    view: contextlib.AbstractContextManager[object] = field(default_factory=contextlib.nullcontext)

    def hold(self, until: Callable[[Event], bool]) -> list[Event]:
        """Tell nothing now, and this event as it is now right after the first later one that matches."""
        self.feed.held.append((until, frozen(self.event)))
        return []

    def hold_to_next_moment(self) -> list[Event]:
        """Tell nothing now, and this event once venue time has moved on and something else happened."""
        then = self.venue.time_ms
        return self.hold(lambda event: self.venue.time_ms != then)


class Feed:
    """What stands between the exchange and the streams of a protocol.

    Parameters
    ----------
    venue : Venue
    act : callable
        Given a turn, says what is told in the event's place.
    after : callable
        Called when an event was told: it may change the exchange itself, and returns what is told besides.
    """

    def __init__(self, venue: Venue, act: Callable[[Turn], list[Event]], after: Callable[[Event], list[Event]]) -> None:
        self.venue = venue
        self.held: list[tuple[Callable[[Event], bool], Event]] = []
        self._act, self._after = act, after
        self._listeners: list[Listener] = []
        self.end = venue.listen(self._heard)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function with every event that is told from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _heard(self, event: Event) -> None:
        turn = Turn(event, self.venue, self)
        before = list(self.held)
        told = self._act(turn)
        with turn.view:
            for one in told:
                self._tell(one)
        for entry in before:
            if entry in self.held and entry[0](event):
                self.held.remove(entry)
                self._tell(entry[1])
        for one in self._after(event):
            self._heard(one)

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)


def frozen(event: Event) -> Event:
    """Return an event whose order no longer changes."""
    return replace(event, order=copy.copy(event.order)) if isinstance(event, OrderChanged) else event


def symbol_of(event: Event) -> str:
    """Return the symbol an event is about, empty if none."""
    if isinstance(event, OrderChanged):
        return event.order.asked.symbol
    position = getattr(event, "position", None)
    return str(getattr(position if position is not None else event, "symbol", ""))


def name_of(event: Event) -> str:
    """Return an event's name as faults have it: ``candle_open``, ``candle``, ``order``, ``fill``, ``trade``, ..."""
    name = type(event).__name__
    if name == "CandleChanged":
        return "candle" if event.candle.closed else "candle_open"  # type: ignore[union-attr]
    if name == "OrderChanged":
        return "order" if event.execution is None else "fill"  # type: ignore[union-attr]
    return _NAMES[name]


_NAMES = {
    "Traded": "trade",
    "BookChanged": "book",
    "BalanceChanged": "balance",
    "PositionChanged": "position",
    "FundingPaid": "funding",
    "Liquidated": "liquidation",
}
