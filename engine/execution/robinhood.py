"""Robinhood's official crypto trading API, version 1, which CCXT lacks.

The venue has no stream, no candles, no order book and no test environment, and serves the United States only: use
another venue's candles.  Its documentation could not be read here.  Paths, headers and fields follow clients that
were run against it and agree with each other; not checked against the venue itself are the fields of
``estimated_price`` (its second version names them otherwise and adds the fee), the shape of errors, the status that
answers a repeated ``client_order_id``, whether a ``Retry-After`` comes with 429, and the shape of a filled order's
executions.  A second version of the API exists, with an account number in every call and fee tiers; it is not used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from engine.execution.orders import Balance, Fill, MarketRules, OrderReport, OrderRequest, Quote, Side
from engine.execution.robinhood_answers import (
    Account,
    Estimate,
    account_of,
    balance_of,
    body_of,
    estimate_of,
    fills_of,
    pair_of,
    quote_of,
    report_of,
    rules_of,
    uuid_of,
)
from engine.execution.robinhood_requests import Connection

__all__ = ["Robinhood"]

TRADING: Final = "/api/v1/crypto/trading/"
PRICES: Final = "/api/v1/crypto/marketdata/"
AT_ONCE: Final = 10  # quantities in one question for an estimate
EARLIER: Final = timedelta(minutes=5)  # the venue's clock may stand behind ours


class Robinhood(Connection):
    """One account at the venue; use as ``async with Robinhood(Signer(...)) as venue``.

    Parameters
    ----------
    signer, address, timeout_s, limit, window_s, clock_ns
        As in `engine.execution.robinhood_requests.Connection`.

    Notes
    -----
    Every call may raise `AskAgain`, `Refused`, `Stopped` or `Unknown` of `engine.execution.outcome`.
    """

    @cached_property
    def _ours(self) -> dict[str, str]:
        """The venue's UUIDs of our client ids."""
        return {}

    async def account(self) -> Account:
        """Return the account of the key."""
        answer = await self.ask("read", "GET", f"{TRADING}accounts/")
        return self.read(answer, account_of)

    async def markets(self, symbols: Iterable[str] = ()) -> tuple[MarketRules, ...]:
        """Return what is asked of orders in the pairs that can be traded; of all without symbols."""
        rows = await self.every(f"{TRADING}trading_pairs/", [("symbol", pair_of(symbol)) for symbol in symbols])
        return tuple(self.read(row, rules_of) for row in rows if row.get("status") == "tradable")

    async def balances(self) -> tuple[Balance, ...]:
        """Return the cash, whose bound part is not said and so NaN, then every holding."""
        account = await self.account()
        rows = await self.every(f"{TRADING}holdings/", [])
        cash = Balance(account.currency, account.buying_power, math.nan)
        return (cash, *(self.read(row, balance_of) for row in rows))

    async def quotes(self, symbols: Iterable[str]) -> tuple[Quote, ...]:
        """Return the best prices of pairs."""
        rows = await self.every(f"{PRICES}best_bid_ask/", [("symbol", pair_of(symbol)) for symbol in symbols])
        return tuple(self.read(row, quote_of) for row in rows)

    async def estimates(self, symbol: str, side: Side, quantities: Iterable[float]) -> tuple[Estimate, ...]:
        """Return what a unit would cost or bring, for each of up to 10 quantities a request."""
        wanted, found = list(quantities), []
        for start in range(0, len(wanted), AT_ONCE):
            part = ",".join(f"{quantity:.18f}".rstrip("0").rstrip(".") for quantity in wanted[start : start + AT_ONCE])
            asked = [("symbol", pair_of(symbol)), ("side", "ask" if side == "buy" else "bid"), ("quantity", part)]
            found += await self.every(f"{PRICES}estimated_price/", asked)
        return tuple(self.read(row, lambda row: estimate_of(row, side)) for row in found)

    async def place(self, order: OrderRequest) -> OrderReport:
        """Place an order.

        Raises
        ------
        Refuse
            The venue has no such order, or refused it.
        Unknown
            It may have been taken; `find` says.
        """
        body = json.dumps(body_of(order), separators=(",", ":"))
        self._ours[uuid_of(order.client_id)] = order.client_id
        subject = {"symbol": order.symbol, "client_id": order.client_id}
        answer = await self.ask("place", "POST", f"{TRADING}orders/", body, **subject)
        return self.read(answer, lambda row: report_of(row, self._ours), "place", **subject)

    async def order(self, venue_id: str) -> OrderReport | None:
        """Return an order by the venue's id, None when the venue has none."""
        rows = await self.every(f"{TRADING}orders/", [("id", venue_id)])
        return next((report for report in map(self._report, rows) if report.venue_id == venue_id), None)

    async def orders(self, symbol: str = "", state: str = "", since_ns: int | None = None) -> tuple[OrderReport, ...]:
        """Return orders, of one pair, in one of the venue's states, or created since a time; every page of them."""
        return tuple(self._report(row) for row in await self._rows(symbol, state, since_ns))

    async def find(self, client_id: str, since_ns: int, symbol: str = "") -> OrderReport | None:
        """Return an order by our id, None when the venue has none created since a time.

        Notes
        -----
        The venue lists orders by time, not by client id: every page since five minutes before ``since_ns`` (the
        time of sending) is read, so that a clock that stands a little apart hides no order.
        """
        self._ours[uuid_of(client_id)] = client_id
        rows = await self._rows(symbol, "", since_ns)
        return next((report for report in map(self._report, rows) if report.client_id == client_id), None)

    async def fills(self, symbol: str = "", since_ns: int | None = None) -> tuple[Fill, ...]:
        """Return the executions of the orders created since a time."""
        rows = await self._rows(symbol, "", since_ns)
        return tuple(fill for row in rows for fill in self.read(row, lambda row: fills_of(row, self._ours)))

    async def cancel(self, venue_id: str, symbol: str = "") -> None:
        """Ask for an order to be cancelled; what became of it, `order` says."""
        path = f"{TRADING}orders/{quote(venue_id, safe='')}/cancel/"
        await self.ask("cancel", "POST", path, symbol=symbol)

    def _report(self, row: Mapping[str, Any]) -> OrderReport:
        return self.read(row, lambda row: report_of(row, self._ours))

    async def _rows(self, symbol: str, state: str, since_ns: int | None) -> list[Mapping[str, Any]]:
        asked = [("symbol", pair_of(symbol))] if symbol else []
        if state:
            asked.append(("state", state))
        if since_ns is not None:
            since = datetime.fromtimestamp(since_ns // 1_000_000_000, UTC) - EARLIER
            asked.append(("created_at_start", since.isoformat().replace("+00:00", "Z")))
        return await self.every(f"{TRADING}orders/", asked)
