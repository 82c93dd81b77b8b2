"""What a request sees of the exchange while a fault stands in front of it; the exchange itself does not change.

Every view is a context that must not outlive one synchronous piece of work: a handler whose body was read, or one
listener's turn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from engine.venue.core import Venue
from engine.venue.events import Candle
from engine.venue.order import Order
from engine.venue.tape import Tape

__all__ = ["bar_before", "candles", "no_money", "orders", "positions", "price", "swapped"]

_NONE = object()


@contextlib.contextmanager
def swapped(thing: object, name: str, value: object) -> Iterator[None]:
    """Have an attribute or a method of one object be something else."""
    own = vars(thing)
    before = own.get(name, _NONE)
    own[name] = value
    try:
        yield
    finally:
        if before is _NONE:
            del own[name]
        else:
            own[name] = before


@contextlib.contextmanager
def no_money(venue: Venue) -> Iterator[None]:
    """Show every account with nothing, positions neither."""
    with contextlib.ExitStack() as stack:
        for account in venue.accounts.values():
            stack.enter_context(swapped(account, "cash", dict.fromkeys(account.currencies(), 0.0)))
            stack.enter_context(swapped(account, "locked", {}))
            stack.enter_context(swapped(account, "positions", {}))
        yield


@contextlib.contextmanager
def positions(venue: Venue, factor: float) -> Iterator[None]:
    """Show every position times a factor: -1 flips it, 0 hides it."""
    with contextlib.ExitStack() as stack:
        for account in venue.accounts.values():
            shown = {
                symbol: replace(one, quantity=one.quantity * factor, entry_price=one.entry_price if factor else 0.0)
                for symbol, one in account.positions.items()
            }
            stack.enter_context(swapped(account, "positions", shown))
        yield


@contextlib.contextmanager
def orders(venue: Venue, change: Callable[[dict[int, Order]], dict[int, Order]]) -> Iterator[None]:
    """Show other orders than there are; an order that is taken meanwhile is kept."""
    kept = []
    for account in venue.accounts.values():
        truth, named = account.orders, account.by_client_id
        shown = change(truth)
        ids = set(shown)
        kept.append((account, truth, named, shown, ids))
        account.orders, account.standing = shown, {number: one for number, one in shown.items() if one.open}
        account.by_client_id = {name: one for name, one in named.items() if one.order_id in ids}
    try:
        yield
    finally:
        for account, truth, named, shown, ids in kept:
            new = {number: one for number, one in shown.items() if number not in ids}
            truth.update(new)
            named.update({one.asked.client_id: one for one in new.values()})
            account.orders, account.by_client_id = truth, named
            account.standing = {number: one for number, one in truth.items() if one.open}


@contextlib.contextmanager
def price(venue: Venue, factor: float) -> Iterator[None]:
    """Show the last price, the book and the mark of every symbol times a factor."""
    with contextlib.ExitStack() as stack:
        for tape in venue.tapes.values():
            stack.enter_context(_priced(tape, factor))
        yield


@contextlib.contextmanager
def bar_before(venue: Venue, symbol: str = "") -> Iterator[None]:
    """Show one symbol, or all, as they were a bar ago, their candles included."""
    with contextlib.ExitStack() as stack:
        for tape in [venue.tape(symbol)] if symbol else list(venue.tapes.values()):
            stack.enter_context(swapped(tape, "shown", max(1, tape.shown - (0 if tape.opened else 1))))
            stack.enter_context(swapped(tape, "opened", False))
        stack.enter_context(swapped(venue, "time_ms", venue.time_ms - venue.length_ms))
        yield


@contextlib.contextmanager
def candles(venue: Venue, change: Callable[[list[Candle], Tape], list[Candle]]) -> Iterator[None]:
    """Show other candles than there are."""
    with contextlib.ExitStack() as stack:
        for tape in venue.tapes.values():
            stack.enter_context(swapped(tape, "candles", _changed(tape, change)))
        yield


def _changed(tape: Tape, change: Callable[[list[Candle], Tape], list[Candle]]) -> Callable[..., list[Candle]]:
    truth = tape.candles
    return lambda *what, **named: change(truth(*what, **named), tape)


@contextlib.contextmanager
def _priced(tape: Tape, factor: float) -> Iterator[None]:
    bids, asks = tape.book()
    last, mark = tape.last * factor, tape.mark * factor
    book = tuple(tuple((p * factor, q) for p, q in side) for side in (bids, asks))
    true: Any = type(tape)
    seen = type("Seen", (true,), {"last": last, "mark": mark, "book": lambda self: book})
    tape.__class__ = seen
    try:
        yield
    finally:
        tape.__class__ = true
