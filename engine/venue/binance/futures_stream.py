"""Binance's USD-M futures streams over a venue: market data, and the user data stream behind a listen key."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import futures_orders as orders
from engine.venue.binance import futures_say as words
from engine.venue.binance import say
from engine.venue.binance.codes import Problem
from engine.venue.binance.guard import Guard
from engine.venue.binance.lines import Line, Lines
from engine.venue.binance.routes import Params
from engine.venue.core import Venue
from engine.venue.events import (
    AccountEvent,
    BookChanged,
    CandleChanged,
    FundingPaid,
    Levels,
    Liquidated,
    OrderChanged,
    PositionChanged,
    Traded,
)
from engine.venue.market import plain
from engine.venue.protocol import Feed
from engine.venue.tape import Tape

__all__ = ["KEY_LIFE_MS", "FuturesStreams"]

KEY_LIFE_MS: Final = 3_600_000


class FuturesStreams(Lines):
    """The routes ``/public/ws``, ``/market/ws`` and ``/private/ws``, and listen keys.

    A listen key lives an hour from when it was last asked for or prolonged, by the server's clock; then who follows it
    is told, and nothing more.
    """

    paths = tuple(f"{kind}/ws{name}" for kind in ("", "/public", "/market", "/private") for name in ("", "/{name}"))

    def __init__(self, venue: Venue, guard: Guard, feed: Feed) -> None:
        super().__init__(venue, guard, feed)
        self._keys: dict[str, tuple[str, int]] = {}  # account -> listen key, when it ends
        self._timer: asyncio.TimerHandle | None = None
        self._begun: set[int] = set()  # algo orders whose ordinary order was told of

    # --- listen keys

    def open_key(self, account: Account, params: Params) -> Any:
        """Return the account's listen key, a new one if it has none that lives."""
        self.expire()
        key = self._keys.get(account.key, ("", 0))[0] or secrets.token_hex(32)
        self._keys[account.key] = key, self.guard.clock() + KEY_LIFE_MS
        self._wait()
        return {"listenKey": key}

    def prolong_key(self, account: Account, params: Params) -> Any:
        """Prolong the account's listen key."""
        self.expire()
        if account.key not in self._keys:
            raise Problem("listen_key")
        return self.open_key(account, params)

    def close_key(self, account: Account, params: Params) -> Any:
        """End the account's listen key."""
        self.expire()
        if self._keys.pop(account.key, None) is None:
            raise Problem("listen_key")
        for line in self.lines:
            if line.account == account.key:
                line.account = ""
        return {}

    def expire(self) -> None:
        """End the listen keys that nobody prolonged, and tell who follows them."""
        now = self.guard.clock()
        for account, (key, end_ms) in tuple(self._keys.items()):
            if now >= end_ms:
                del self._keys[account]
                for line in self.lines:
                    if line.account == account:
                        line.account = ""
                        line.send({"e": "listenKeyExpired", "E": now, "listenKey": key})

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(KEY_LIFE_MS / 1000.0, self.expire)

    async def close(self, app: web.Application) -> None:
        """End all connections."""
        if self._timer is not None:
            self._timer.cancel()
        await super().close(app)

    def entered(self, line: Line, request: web.Request) -> None:
        """Let a connection follow the account of the listen key in its address, or the stream that it names."""
        self.expire()
        name = request.query.get("listenKey") or request.match_info.get("name", "")
        for account, (key, _) in self._keys.items():
            if name == key:
                line.account = account
        if "@" in name or name.startswith("!"):
            line.streams.add(name)

    # --- market data

    def trade(self, event: Traded, symbol: str, *, aggregate: bool) -> dict[str, Any]:
        """Return a trade without what only spot has."""
        said = super().trade(event, symbol, aggregate=aggregate)
        del said["M"]
        return said if aggregate else said | {"X": "MARKET"}

    def day(self, tape: Tape) -> dict[str, Any]:
        """Return the ticker of 24 hours, which has no best prices."""
        return words.ticker(tape, self.venue.time_ms, streamed=True)

    def best(self, event: BookChanged, tape: Tape) -> dict[str, Any]:
        """Return the best prices, with their time."""
        return {"e": "bookTicker"} | super().best(event, tape) | {"T": event.time_ms, "E": event.time_ms}

    def depth(self, event: BookChanged, symbol: str, before: tuple[Levels, Levels]) -> dict[str, Any]:
        """Return an update of the book with the number of the one before."""
        return super().depth(event, symbol, before) | {"T": event.time_ms, "pu": event.update - 1}

    def heard_candle(self, event: CandleChanged, tape: Tape, lower: str) -> None:
        """Tell of a candle, its tickers and the mark price."""
        super().heard_candle(event, tape, lower)
        self.tell({f"{lower}@markPrice{rate}" for rate in ("", "@1s")}, lambda: self._mark(tape))
        self.tell({f"!markPrice@arr{rate}" for rate in ("", "@1s")}, lambda: [self._mark(tape)])
        frame, now, symbol = self.venue.timeframe, self.venue.time_ms, tape.market.id
        self.tell(
            {f"{lower}@markPriceKline_{frame}"},
            lambda: (
                say.kline(symbol, frame, words.mark_candle(event.candle, tape), now)
                | {"e": "markPrice_kline", "ps": symbol}
            ),
        )

    def _mark(self, tape: Tape) -> dict[str, Any]:
        known, mark = self.venue.funding(tape.market.symbol), plain(tape.mark)
        said = {"e": "markPriceUpdate", "E": self.venue.time_ms, "s": tape.market.id, "p": mark, "i": mark, "P": mark}
        return said | {"r": plain(known.rate), "T": known.next_ms}

    # --- accounts

    def heard_private(self, event: AccountEvent) -> None:
        """Tell of an order, a position or funding."""
        lines = [line for line in self.lines if line.account == event.account]
        if not lines:
            return
        for message in self._said(event):
            for line in lines:
                line.send(message)

    def _said(self, event: AccountEvent) -> list[dict[str, Any]]:
        if isinstance(event, OrderChanged):
            return self._of_order(event)
        if isinstance(event, PositionChanged):
            return [self._account_update(event, event.position.symbol, "ORDER")]
        if isinstance(event, FundingPaid):
            return [self._account_update(event, event.symbol, "FUNDING_FEE")]
        return [self._account_update(event, event.symbol, "ORDER")] if isinstance(event, Liquidated) else []

    def _of_order(self, event: OrderChanged) -> list[dict[str, Any]]:
        order = event.order
        market = self.venue.tapes[order.asked.symbol].market
        ends = event.state in ("filled", "canceled", "expired", "rejected")
        if not orders.is_algo(order):
            return [orders.order_update(event, market)]
        if event.execution is None and not (ends and order.triggered):
            return [orders.algo_update(event, market, event.state.upper())]
        said = []
        if order.order_id not in self._begun:
            self._begun.add(order.order_id)
            said.append(orders.algo_update(event, market, "TRIGGERED"))
            said.append(orders.order_update(event, market, made=True))
        said.append(orders.order_update(event, market))
        if ends:
            said.append(orders.algo_update(event, market, "FINISHED"))
        return said

    def _account_update(self, event: AccountEvent, symbol: str, reason: str) -> dict[str, Any]:
        tape, account = self.venue.tapes[symbol], self.venue.accounts[event.account]
        wallet = plain(account.total(tape.market.settle))
        balances = [{"a": tape.market.settle, "wb": wallet, "cw": wallet, "bc": "0"}]
        positions = []
        if reason != "FUNDING_FEE":
            held = event.position if isinstance(event, PositionChanged) else self.venue.position(account, symbol)
            positions.append(
                {
                    "s": tape.market.id,
                    "pa": plain(held.quantity),
                    "ep": plain(held.entry_price),
                    "bep": plain(held.entry_price),
                    "cr": plain(held.realized),
                    "up": plain(held.profit(tape.mark)),
                    "mt": "cross",
                    "iw": "0",
                    "ps": "BOTH",
                }
            )
        update = {"m": reason, "B": balances, "P": positions}
        return {"e": "ACCOUNT_UPDATE", "E": event.time_ms, "T": event.time_ms, "a": update}
