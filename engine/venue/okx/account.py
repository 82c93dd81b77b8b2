"""OKX's requests about an account: balances, positions, leverage, modes, fees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.market import plain
from engine.venue.okx import say, say_account
from engine.venue.okx.asked import text_of
from engine.venue.okx.codes import Problem
from engine.venue.okx.instrument import inst_id, number
from engine.venue.okx.rest import Params, Rest
from engine.venue.order import Rejected

__all__ = ["AccountRoutes"]


class AccountRoutes:
    """Routes under ``/api/v5/account``: one position a swap (net mode), margin across positions."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.venue = rest.venue

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        routes: list[tuple[str, str, Callable[[Account, Params], list[Any]]]] = [
            ("GET", "balance", self.balance),
            ("GET", "positions", self.positions),
            ("GET", "config", self.config),
            ("GET", "bills", self.bills),
            ("GET", "bills-archive", self.bills),
            ("GET", "instruments", lambda account, params: self.rest.instruments(params)),
            ("GET", "leverage-info", self.leverage),
            ("POST", "set-leverage", self.set_leverage),
            ("POST", "set-position-mode", self.set_mode),
            ("GET", "trade-fee", self.fee),
        ]
        for method, path, answer in routes:
            app.router.add_route(method, f"/api/v5/account/{path}", self.rest.private(answer))

    def balance(self, account: Account, params: Params) -> list[Any]:
        """Return the balances."""
        only = tuple(name for name in str(params.get("ccy", "")).split(",") if name)
        return [say_account.balance(self.venue, account, only)]

    def positions(self, account: Account, params: Params) -> list[Any]:
        """Return what is held."""
        names = {name for name in str(params.get("instId", "")).split(",") if name}
        if params.get("instType") not in (None, "", "SWAP"):
            return []
        held = [symbol for symbol, one in account.positions.items() if one.quantity]
        rows = [say_account.position(self.venue, account, symbol) for symbol in held]
        return [row for row in rows if not names or row["instId"] in names]

    def bills(self, account: Account, params: Params) -> list[Any]:
        """Return what funding brought, the newest first; other changes of the balance are not listed here."""
        if params.get("type") not in (None, "", "8"):
            return []
        begin, end = int(params.get("begin", "0")), int(params.get("end", str(1 << 60)))
        return [
            say_account.bill(one, self.venue.tapes[one.symbol].market)
            for one in reversed(account.funding)
            if begin <= one.time_ms <= end
        ][:100]

    def config(self, account: Account, params: Params) -> list[Any]:
        """Return the account's modes."""
        uid = str(1 + list(self.venue.accounts).index(account.key))
        modes = {"acctLv": "2", "posMode": "net_mode", "autoLoan": False, "greeksType": "PA", "level": "Lv1"}
        rights = {"perm": "read_only,trade", "ip": "", "label": "", "roleType": "0", "type": "0"}
        return [{"uid": uid, "mainUid": uid} | modes | rights]

    def leverage(self, account: Account, params: Params) -> list[Any]:
        """Return the leverage of swaps."""
        self._cross(params)
        tapes = [self.rest.swap({"instId": name}) for name in text_of(params, "instId").split(",")]
        return [
            self._leverage(inst_id(t.market), self.venue.position(account, t.market.symbol).leverage) for t in tapes
        ]

    def set_leverage(self, account: Account, params: Params) -> list[Any]:
        """Set the leverage of a swap."""
        market = self.rest.swap(params).market
        self._cross(params)
        lever = float(number(params.get("lever"), "lever"))
        try:
            held = self.venue.set_leverage(account, market.symbol, lever)
        except Rejected as found:
            raise Problem("leverage" if found.reason == "leverage" else "low_leverage") from None
        return [self._leverage(inst_id(market), held.leverage)]

    def set_mode(self, account: Account, params: Params) -> list[Any]:
        """Take the net mode, the only one here."""
        if text_of(params, "posMode") != "net_mode":
            raise Problem("mode")
        return [{"posMode": "net_mode"}]

    def fee(self, account: Account, params: Params) -> list[Any]:
        """Return the fees of a type of market."""
        named = params.get("instId") or (f"{params['uly']}-SWAP" if params.get("uly") else "")
        return [say.trade_fee(self.rest.tape({"instId": named}).market, self.venue.time_ms)]

    @staticmethod
    def _cross(params: Params) -> None:
        if text_of(params, "mgnMode") != "cross":
            raise Problem("mode")

    @staticmethod
    def _leverage(name: str, leverage: float) -> dict[str, str]:
        return {"instId": name, "mgnMode": "cross", "posSide": "net", "lever": plain(leverage), "ccy": ""}
