"""OKX's private channels over a venue: orders, algo orders, balances and positions of the account logged in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.events import AccountEvent, BalanceChanged, FundingPaid, Liquidated, OrderChanged, PositionChanged
from engine.venue.okx import say_account
from engine.venue.okx.instrument import inst_id, inst_type
from engine.venue.okx.line import Line

__all__ = ["PRIVATE", "AccountChannels"]

PRIVATE = ("orders", "orders-algo", "account", "positions", "fills")


class AccountChannels:
    """What the private channels say."""

    def __init__(self, venue: Venue, types: dict[int, str]) -> None:
        self.venue = venue
        self.types = types

    def begin(self, line: Line, arg: dict[str, Any]) -> None:
        """Push the state of an account that a channel begins with."""
        account, channel = self.venue.accounts[line.account], arg["channel"]
        if channel == "account":
            self._balance(line, arg, account, (), "snapshot")
        elif channel == "positions":
            held = [symbol for symbol, one in account.positions.items() if one.quantity]
            rows = [say_account.position(self.venue, account, symbol) for symbol in held]
            rows = [row for row in rows if arg.get("instId") in (None, "", row["instId"])]
            line.push(arg | {"uid": "1"}, rows, eventType="snapshot", curPage=1, lastPage=True)

    def heard(self, event: AccountEvent, lines: Iterable[Line]) -> None:
        """Push what an event changes to all who follow its account."""
        account = self.venue.accounts[event.account]
        followers = [line for line in lines if line.account == event.account]
        for line in followers:
            if isinstance(event, OrderChanged):
                self._order(line, event, account)
            elif isinstance(event, BalanceChanged):
                for arg in self._args(line, "account", ""):
                    if arg.get("ccy") in (None, "", *event.currencies):
                        self._balance(line, arg, account, event.currencies, "event_update")
            elif isinstance(event, PositionChanged | FundingPaid | Liquidated):
                symbol = event.position.symbol if isinstance(event, PositionChanged) else event.symbol
                row = say_account.position(self.venue, account, symbol)
                for arg in self._args(line, "positions", symbol):
                    line.push(arg | {"uid": "1"}, [row], eventType="event_update")

    def _args(self, line: Line, channel: str, symbol: str) -> list[dict[str, Any]]:
        """Return the subscriptions of a line that a change of a symbol, or of the account, concerns."""
        market = self.venue.tapes[symbol].market if symbol else None
        names = ("", inst_id(market)) if market else ("",)
        kinds = ("", "ANY", inst_type(market)) if market else ("",)
        return [
            arg
            for (asked, name, kind), arg in line.topics.items()
            if asked == channel and name in names and kind in kinds
        ]

    def _order(self, line: Line, event: OrderChanged, account: Account) -> None:
        one, done = event.order, event.execution
        symbol = one.asked.symbol
        tape = self.venue.tapes[symbol]
        leverage = self.venue.position(account, symbol).leverage if tape.market.linear else 1.0
        said_type = self.types.get(one.order_id, "")
        if say_account.begun(one):
            row = say_account.pushed(one, tape.market, said_type, leverage, done)
            for arg in self._args(line, "orders", symbol):
                line.push(arg | {"uid": "1"}, [row])
            if done:
                filled = say_account.fill(done, one, tape.market)
                for arg in self._args(line, "fills", symbol):
                    line.push(arg | {"uid": "1"}, [filled])
        if say_account.is_algo(one) and (done is None or len(one.executions) == 1):
            row = say_account.algo(one, tape.market, said_type, leverage, tape.last)
            for arg in self._args(line, "orders-algo", symbol):
                line.push(arg | {"uid": "1"}, [row])

    def _balance(self, line: Line, arg: dict[str, Any], account: Account, only: tuple[str, ...], what: str) -> None:
        rows = [say_account.balance(self.venue, account, only)]
        line.push(arg | {"uid": "1"}, rows, eventType=what, curPage=1, lastPage=True)
