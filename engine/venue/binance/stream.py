"""Binance's spot streams over a venue: market streams, and the user data stream of the WebSocket API."""

from __future__ import annotations

from typing import Any

from engine.venue.binance import say
from engine.venue.binance.codes import REASONS, Problem
from engine.venue.binance.guard import Guard
from engine.venue.binance.lines import Line, Lines
from engine.venue.binance.lists import list_status
from engine.venue.core import Venue
from engine.venue.events import AccountEvent, BalanceChanged, OrderChanged
from engine.venue.market import plain
from engine.venue.order import FINAL
from engine.venue.protocol import Feed

__all__ = ["Streams"]


class Streams(Lines):
    """The routes ``/stream/ws`` (market data) and ``/ws-api/v3`` (user data)."""

    paths = ("/stream/ws", "/stream/ws/{name}", "/ws-api/v3")

    def __init__(self, venue: Venue, guard: Guard, feed: Feed, list_names: dict[int, str]) -> None:
        super().__init__(venue, guard, feed)
        self.list_names = list_names

    def asked(self, line: Line, method: str, params: Any, number: Any) -> None:
        """Let a connection follow the account whose key signed the request."""
        if method != "userDataStream.subscribe.signature":
            super().asked(line, method, params, number)
            return
        try:
            line.account = self.guard.signed_message(dict(params)).key
        except Problem as found:
            code, status, message = REASONS[found.reason]
            line.send({"id": number, "status": status, "error": {"code": code, "msg": message}})
            return
        line.send({"id": number, "status": 200, "result": {"subscriptionId": 0}})

    def heard_private(self, event: AccountEvent) -> None:
        """Tell of an order, of its list, or of a balance."""
        lines = [line for line in self.lines if line.account == event.account]
        if not lines:
            return
        said: list[dict[str, Any]] = []
        if isinstance(event, OrderChanged):
            order = event.order
            market = self.venue.tapes[order.asked.symbol].market
            said.append(say.execution_report(event, market, order.filled, order.spent))
            if order.pair_id and (event.state in FINAL or (event.state == "new" and order.order_id != order.pair_id)):
                orders = self.venue.accounts[event.account].orders.values()
                pair = tuple(one for one in orders if one.pair_id == order.pair_id)
                if len({one.open for one in pair}) == 1:
                    said.append(list_status(event.time_ms, market.id, self.list_names.get(order.pair_id, ""), pair))
        elif isinstance(event, BalanceChanged):
            account = self.venue.accounts[event.account]
            short = [
                {"a": name, "f": plain(account.available(name)), "l": plain(account.locked.get(name, 0.0))}
                for name in account.currencies()
                if name in event.currencies
            ]
            said.append({"e": "outboundAccountPosition", "E": event.time_ms, "u": event.time_ms, "B": short})
        for message in said:
            for line in lines:
                line.send({"subscriptionId": 0, "event": message})
