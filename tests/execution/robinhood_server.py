"""A local server that answers as Robinhood's crypto trading API does: it checks signatures, pages, rejects, is late."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

API_KEY = "rh-api-00000000-1111-2222-3333-444444444444"
SEED = base64.b64encode(bytes(range(1, 33))).decode()
START = datetime(2026, 5, 1, tzinfo=UTC)


class Server:
    """The venue: its account, its orders, and what goes wrong next.

    Attributes
    ----------
    fault : str
        Of the next order or cancellation only: ``late`` (taken, then no answer), ``cut``, ``500``, ``429``, ``text``.
    page : int
        Rows a page.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self.public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(SEED)).public_key()
        self.orders: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.fault = ""
        self.page = 2
        self.next_host = ""
        self.pairs = [self.pair("BTC", "tradable"), self.pair("ETH", "tradable"), self.pair("OLD", "untradable")]

    @staticmethod
    def pair(code: str, status: str) -> dict[str, Any]:
        return {
            "asset_code": code, "quote_code": "USD", "quote_increment": "0.010000000000000000",
            "asset_increment": "0.000000010000000000", "max_order_size": "20.00", "min_order_size": "0.000001",
            "status": status, "symbol": f"{code}-USD",
        }  # fmt: skip

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self.checked])
        trading, prices = "/api/v1/crypto/trading/", "/api/v1/crypto/marketdata/"
        app.add_routes(
            [
                web.get(f"{trading}accounts/", self.accounts),
                web.get(f"{trading}trading_pairs/", self.trading_pairs),
                web.get(f"{trading}holdings/", self.holdings),
                web.get(f"{trading}orders/", self.listed),
                web.post(f"{trading}orders/", self.placed),
                web.post(f"{trading}orders/{{id}}/cancel/", self.cancelled),
                web.get(f"{prices}best_bid_ask/", self.best),
                web.get(f"{prices}estimated_price/", self.estimated),
            ]
        )
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    @web.middleware
    async def checked(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Refuse what is not signed by the account's key within 30 s."""
        stamp, body = request.headers.get("x-timestamp", ""), await request.text()
        self.asked.append(request.raw_path)
        message = f"{API_KEY}{stamp}{request.raw_path}{request.method}{body}"
        date = {"Date": datetime.fromtimestamp(self.now_s(), UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")}
        try:
            self.public.verify(base64.b64decode(request.headers.get("x-signature", "")), message.encode())
            known = request.headers.get("x-api-key") == API_KEY
        except InvalidSignature:
            known = False
        if not known:
            return web.json_response(refusal("Signature is invalid"), status=401, headers=date)
        if not 0 <= self.now_s() - int(stamp) <= 30:
            return web.json_response(refusal("Timestamp is invalid"), status=401, headers=date)
        answer: web.StreamResponse = await handler(request)
        return answer

    def paged(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        start = int(request.query.get("cursor", 0))
        following = None
        if start + self.page < len(rows):
            url = request.url.update_query(cursor=start + self.page)
            following = str(url) if not self.next_host else self.next_host
        return web.json_response({"next": following, "previous": None, "results": rows[start : start + self.page]})

    async def accounts(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"account_number": "A1", "status": "active", "buying_power": "1234.50", "buying_power_currency": "USD"}
        )

    async def trading_pairs(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("symbol", [])
        return self.paged(request, [pair for pair in self.pairs if not wanted or pair["symbol"] in wanted])

    async def holdings(self, request: web.Request) -> web.Response:
        rows = [
            {"account_number": "A1", "asset_code": "BTC", "total_quantity": 0.5, "quantity_available_for_trading": 0.3},
            {
                "account_number": "A1",
                "asset_code": "ETH",
                "total_quantity": "2",
                "quantity_available_for_trading": "2",
            },
        ]
        return self.paged(request, rows)

    async def best(self, request: web.Request) -> web.Response:
        rows = [
            {
                "symbol": symbol, "price": 100.0, "bid_inclusive_of_sell_spread": "99.4", "sell_spread": "0.006",
                "ask_inclusive_of_buy_spread": 100.6, "buy_spread": "0.006",
                "timestamp": "2026-05-01T00:00:01.123456-04:00",
            }
            for symbol in request.query.getall("symbol")
        ]  # fmt: skip
        return web.json_response({"results": rows})

    async def estimated(self, request: web.Request) -> web.Response:
        amounts = request.query["quantity"].split(",")
        if len(amounts) > 10:
            return web.json_response(refusal("at most 10", "quantity"), status=400)
        column = "ask_inclusive_of_buy_spread" if request.query["side"] == "ask" else "bid_inclusive_of_sell_spread"
        rows = [
            {
                "symbol": request.query["symbol"], "side": request.query["side"], "quantity": amount,
                column: str(100 + float(amount)), "timestamp": "2026-05-01T00:00:01Z",
            }
            for amount in amounts
        ]  # fmt: skip
        return web.json_response({"results": rows})

    async def listed(self, request: web.Request) -> web.Response:
        rows = self.orders[::-1]
        for name in ("id", "symbol", "state"):
            if name in request.query:
                rows = [row for row in rows if row[name] == request.query[name]]
        if "created_at_start" in request.query:
            since = datetime.fromisoformat(request.query["created_at_start"])
            rows = [row for row in rows if datetime.fromisoformat(row["created_at"]) >= since]
        return self.paged(request, rows)

    async def placed(self, request: web.Request) -> web.StreamResponse:
        fault, self.fault = self.fault, ""
        if fault == "429":
            return web.json_response(refusal("slow down"), status=429, headers={"Retry-After": "3"})
        body = json.loads(await request.text())
        self.bodies.append(body)
        if any(row["client_order_id"] == body["client_order_id"] for row in self.orders):
            return web.json_response(refusal("must be unique", "client_order_id"), status=400)
        config = body[f"{body['type']}_order_config"]
        if float(config["asset_quantity"]) > 20:
            return web.json_response(refusal("above the largest order", "asset_quantity"), status=400)
        row = self.order(body, config)
        self.orders.append(row)
        return await self.answered(fault, request, web.json_response(row, status=201))

    def order(self, body: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        moment = (datetime.fromtimestamp(self.now_s(), UTC)).isoformat()
        filled = body["type"] == "market"
        # what rests is echoed without its time in force, and padded
        echoed = {name: f"{float(value):.18f}" for name, value in config.items() if name != "time_in_force"}
        half = float(config["asset_quantity"]) / 2
        executions = [
            {"effective_price": "100.5", "quantity": str(half), "timestamp": "2026-05-01T00:00:03Z"},
            {"effective_price": "100.7", "quantity": str(half), "timestamp": "2026-05-01T00:00:02.5Z"},
        ]
        return {
            "id": str(uuid.uuid4()), "account_number": "A1", "symbol": body["symbol"], "side": body["side"],
            "client_order_id": body["client_order_id"], "type": body["type"],
            "state": "filled" if filled else "open", "average_price": "100.6" if filled else None,
            "filled_asset_quantity": config["asset_quantity"] if filled else "0.000000000000000000",
            "executions": executions if filled else [], "created_at": moment, "updated_at": moment,
            f"{body['type']}_order_config": echoed,
        }  # fmt: skip

    async def answered(self, fault: str, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """Answer, or not, what has been done."""
        if fault == "late":
            await asyncio.sleep(1.0)
        if fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        if fault == "500":
            return web.Response(status=500, text="<html>oops</html>")
        if fault == "text":
            return web.Response(status=200, text="taken")
        return answer

    async def cancelled(self, request: web.Request) -> web.StreamResponse:
        fault, self.fault = self.fault, ""
        row = next((row for row in self.orders if row["id"] == request.match_info["id"]), None)
        if row is None:
            return web.json_response(refusal("Not found."), status=404)
        if row["state"] != "open":
            return web.json_response(refusal("order is not cancelable"), status=400)
        row["state"] = "canceled"
        said = web.Response(text=f"Cancel request has been submitted for order {row['id']}")
        return await self.answered(fault, request, said)

    def grow(self, count: int) -> None:
        """Place orders of other programs, one an hour from the start."""
        for k in range(count):
            body = {"symbol": "ETH-USD", "side": "sell", "client_order_id": str(uuid.uuid4()), "type": "limit"}
            row = self.order(body, {"asset_quantity": "1", "limit_price": "9", "time_in_force": "gtc"})
            row["created_at"] = row["updated_at"] = (START + timedelta(hours=k)).isoformat()
            self.orders.append(row)


def refusal(detail: str, field: str | None = None) -> dict[str, Any]:
    return {"type": "validation_error", "errors": [{"detail": detail, "attr": field}]}
