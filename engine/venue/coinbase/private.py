"""What an account may ask of Coinbase: balances, fees, orders and fills.

An order sent again with a client id the account has used before is not made: the answer is that of the first one,
whatever became of it.  There is no question for an order by its client id; lists carry it.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.coinbase import say
from engine.venue.coinbase.asked import Untaken, order_of, page
from engine.venue.coinbase.codes import Problem, not_taken
from engine.venue.coinbase.rest import BROKERAGE, Rest, many
from engine.venue.market import Market, plain
from engine.venue.order import Order, Rejected

__all__ = ["Private"]


class Private:
    """The signed routes.

    Parameters
    ----------
    rest : Rest
        Which answers them.
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.venue = rest.venue

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for method, path, answer in (
            ("GET", "accounts", self.accounts),
            ("GET", "accounts/{account_uuid}", self.account),
            ("GET", "transaction_summary", self.summary),
            ("GET", "key_permissions", self.permissions),
            ("GET", "best_bid_ask", self.best),
            ("POST", "orders", self.place),
            ("POST", "orders/batch_cancel", self.cancel),
            ("GET", "orders/historical/batch", self.orders),
            ("GET", "orders/historical/fills", self.fills),
            ("GET", "orders/historical/{order_id}", self.order),
        ):
            self.rest.add_signed(app, method, f"{BROKERAGE}/{path}", answer)
        self.rest.add_signed(app, "GET", "/v2/accounts", self.wallets)

    def market_of(self, one: Order) -> Market:
        """Return the market of an order."""
        return self.venue.tapes[one.asked.symbol].market

    # --- the account

    def accounts(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return the balances, one account a currency."""
        rows = [say.account(account, name, self.venue.time_ms) for name in account.currencies()]
        return {"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)}

    def account(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return the balance of one currency."""
        for row in self.accounts(account, request, body)["accounts"]:
            if row["uuid"] == request.match_info["account_uuid"]:
                return {"account": row}
        raise Problem("argument", "account is unknown")

    def wallets(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return the balances as the older interface has them."""
        rows = [say.wallet(account, name, self.venue.time_ms) for name in account.currencies()]
        return {"pagination": {"next_starting_after": None, "limit": 250, "next_uri": None}, "data": rows}

    def summary(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return the fees."""
        market = next(iter(self.rest.by_id.values())).market
        tier = {"pricing_tier": "Local", "usd_from": "0", "usd_to": "0"}
        rates = {"taker_fee_rate": plain(market.taker_fee), "maker_fee_rate": plain(market.maker_fee)}
        done = [one for order in account.orders.values() for one in order.executions]
        return {
            "total_volume": sum(one.price * one.quantity for one in done),
            "total_fees": sum(one.fee for one in done),
            "fee_tier": tier | rates,
            "margin_rate": None,
            "goods_and_services_tax": None,
            "advanced_trade_only_volume": sum(one.price * one.quantity for one in done),
            "advanced_trade_only_fees": sum(one.fee for one in done),
            "coinbase_pro_volume": 0,
            "coinbase_pro_fees": 0,
        }

    def permissions(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return what the key may do."""
        return {"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_type": "DEFAULT"}

    def best(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return the best prices of some markets, or of all."""
        wanted, now = many(request, "product_ids"), self.venue.time_ms
        kept = [tape for name, tape in self.rest.by_id.items() if not wanted or name in wanted]
        return {"pricebooks": [say.book(tape.market, *tape.book(), 1, now) for tape in kept]}

    # --- orders

    def place(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Take an order; a market order fills at the next open."""
        if not body.get("client_order_id"):
            raise Problem("argument", "client_order_id is required")
        given = body.get("order_configuration")
        known = account.by_client_id.get(str(body["client_order_id"]))
        if known is not None:
            return self._taken(known)
        product_id = str(body.get("product_id", ""))
        if product_id not in self.rest.by_id:
            raise Problem("product_id")
        try:
            return self._taken(self.venue.place(account, order_of(self.rest.by_id[product_id], body)))
        except (Untaken, Rejected) as found:
            return not_taken(found.reason, given if isinstance(given, dict) else {})

    def _taken(self, one: Order) -> dict[str, Any]:
        said = {
            "order_id": say.order_id(one.order_id),
            "product_id": say.product_id(self.market_of(one)),
            "side": one.asked.side.upper(),
            "client_order_id": one.asked.client_id,
        }
        return {"success": True, "success_response": said, "order_configuration": say.configuration(one)}

    def cancel(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Cancel orders, each by itself."""
        wanted = body.get("order_ids")
        if not isinstance(wanted, list) or not wanted:
            raise Problem("argument", "order_ids are required")
        results = []
        for name in wanted:
            reason, one = "UNKNOWN_CANCEL_FAILURE_REASON", account.orders.get(say.number_of(name))
            try:
                if one is None:
                    raise Rejected("unknown_order", f"no order {name}")
                self.venue.cancel(one)
            except Rejected:
                reason = "UNKNOWN_CANCEL_ORDER"
            done = reason == "UNKNOWN_CANCEL_FAILURE_REASON"
            results.append({"success": done, "failure_reason": reason, "order_id": name})
        return {"results": results}

    def order(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return one order."""
        one = account.orders.get(say.number_of(request.match_info["order_id"]))
        if one is None:
            raise Problem("unknown_order")
        return {"order": say.order(one, self.market_of(one))}

    def orders(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return a page of orders, newest first."""
        ids, products = many(request, "order_ids"), many(request, "product_ids", "product_id")
        states, kinds = many(request, "order_status"), many(request, "order_types", "order_type")
        side = request.query.get("order_side", "")
        start, end = self.rest.between(request, "start_date", "end_date")
        rows = [
            (one.order_id, said)
            for one in reversed(account.orders.values())
            if start <= one.time_ms < end and (not states or say.status_of(one.state) in states)
            for said in (say.order(one, self.market_of(one)),)
            if (not ids or said["order_id"] in ids)
            and (not products or said["product_id"] in products)
            and (not kinds or said["order_type"] in kinds)
            and side in ("", said["side"])
        ]
        kept, cursor = page(rows, request.query.get("cursor", ""), request.query.get("limit", ""))
        return {"orders": kept, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}

    def fills(self, account: Account, request: web.Request, body: dict[str, Any]) -> Any:
        """Return a page of fills, newest first."""
        ids, products = many(request, "order_ids", "order_id"), many(request, "product_ids", "product_id")
        start, end = self.rest.between(request, "start_sequence_timestamp", "end_sequence_timestamp")
        found = [
            (done.trade_id, say.fill(done, market, account.key))
            for one in account.orders.values()
            for market in (self.market_of(one),)
            for done in one.executions
            if start <= done.time_ms <= end
            and (not products or say.product_id(market) in products)
            and (not ids or say.order_id(one.order_id) in ids)
        ]
        found.sort(key=lambda pair: -pair[0])
        kept, cursor = page(found, request.query.get("cursor", ""), request.query.get("limit", ""))
        return {"fills": kept, "cursor": cursor}
