"""An exchange as the node sees it, beside the venue: no wire, but latency, every fault, and the wire's words.

What an answer means is asked of the real client: CCXT raises its error for the venue's own status and body, and
`engine.execution.outcome` says what that means for the call.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from engine.execution.connection import WRITTEN
from engine.execution.exchange import Exchange
from engine.execution.orders import Balance, Fill, OrderReport, OrderRequest, Payment, Quote
from engine.execution.outcome import Refused, outcome_of
from engine.execution.slippage import Estimate, estimated
from engine.kernels import grid
from engine.venue.binance.codes import FUTURES, REASONS
from engine.venue.events import Candle
from engine.venue.faults.call import Call
from engine.venue.order import Asked, Order, Rejected
from tests.chaos.streams import Streams

if TYPE_CHECKING:
    from tests.chaos.world import World

__all__ = ["Near"]

_to_step = grid.to_step.py_func  # type: ignore[attr-defined]
UP_S, DOWN_S = 0.012, 0.009
TIMEOUT_S = 10.0
WALK_NS = 15_000_000_000
STATES: dict[str, Any] = {"new": "open", "partially_filled": "open"}
ROLES = {"read": "order"}


@functools.cache
def client(protocol: str) -> Any:
    """Return CCXT's class, for its words alone."""
    import ccxt.async_support as ccxt

    return getattr(ccxt, protocol)()


class Answer(web.Response):
    """An answer that is whole, with what it says as an object."""

    def __init__(self, value: Any, text: str = "{}", status: int = 200) -> None:
        super().__init__(text=text, status=status, content_type="application/json")
        self.value = value


class NearCall(Call):
    """A request a fault acts on."""

    async def run(self) -> web.Response:
        """Have it done."""
        if self.request.headers["X-MBX-APIKEY"] == "revoked":
            return refusal(self.protocol, "key")
        try:
            found = await self.handler(self.request)
        except Rejected as error:
            return refusal(self.protocol, "unknown_cancel" if self.role == "cancel" else error.reason)
        assert isinstance(found, web.Response)
        return found

    async def run_seeing(self, view: Any) -> web.Response:
        """Have it done while the venue shows something else."""
        with view:
            return await self.run()

    async def until_gone(self, most_ms: float) -> web.Response:
        """Answer nothing."""
        import ccxt

        await asyncio.sleep(min(most_ms / 1000.0, TIMEOUT_S))
        raise ccxt.RequestTimeout(f"{self.protocol} no answer in time")

    def cut(self) -> web.Response:
        """Break the connection."""
        import ccxt

        raise ccxt.ExchangeNotAvailable(f"{self.protocol} Server disconnected")

    async def half(self, answer: web.Response) -> web.StreamResponse:
        """Break the connection in the answer."""
        return self.cut()


class Request(SimpleNamespace):
    """What a fault may look at."""

    def clone(self, headers: dict[str, str]) -> Request:
        """Return it with other headers."""
        return Request(headers=headers)


class Near:
    """What one process holds of the venue.

    Parameters
    ----------
    world : World
    """

    venue = "binance"
    streams_fills = True
    throttled = True
    has_dead_man = False
    after = Exchange.after

    def __init__(self, world: World) -> None:
        self.world, self.pairs, self.pays_funding = world, world.case.spot, not world.case.spot
        self.market = world.venue
        self.account = world.account
        self.streams = Streams(world)
        self._rules = {symbol: tape.market for symbol, tape in world.venue.tapes.items()}
        self._doubted = False

    # --- asked by the node

    async def reconnect(self) -> None:
        """Make the streams anew."""
        self.streams.cut("the stream was silent and is made anew")

    async def watch_candles(self, symbol: str, timeframe: str) -> list[Any]:
        """Wait for news of a candle."""
        found: list[Any] = await self.streams.of(symbol).watch("candle")
        return found

    async def watch_orders(self) -> list[OrderReport]:
        """Wait for news of orders."""
        found: list[OrderReport] = await self.streams.private.watch("order")
        return found

    async def watch_fills(self) -> list[Fill]:
        """Wait for executions."""
        found: list[Fill] = await self.streams.private.watch("fill")
        return found

    async def candles(
        self, symbol: str, timeframe: str, since_ms: int | None = None, most: int = 500, until_ms: int | None = None
    ) -> list[Any]:
        """Return candles."""

        def show() -> list[Any]:
            return [row_of(one) for one in self.market.tape(symbol).candles(since_ms, None, most)]

        found: list[Any] = await self._ask("candles", "read", show, empty=list, symbol=symbol)
        return found

    async def place(self, request: OrderRequest) -> OrderReport:
        """Send an order."""

        if self._doubted:  # as the exchange itself: the rules are asked for anew once an order was refused
            self._doubted = False
            self._rules = {symbol: tape.market for symbol, tape in self.market.tapes.items()}
        step = self._rules[request.symbol].quantity_step
        quantity = float(f"{_to_step(request.quantity, step, 0.0):.12g}")

        def take() -> OrderReport:
            self.world.arrived(request)
            order = self.market.place(self.account, asked_of(request, quantity, spot=self.world.case.spot))
            return report_of(order, request)

        if not quantity > 0.0:
            raise refused(f"{request.symbol}: a quantity of {request.quantity:g}; nothing was sent")
        try:
            found: OrderReport = await self._ask("place", "place", take, request=request)
        except Refused:
            self._doubted = True
            raise
        return found

    async def place_pair(self, stop: OrderRequest, target: OrderRequest) -> tuple[OrderReport, OrderReport]:
        """Send a stop and a target of which one cancels the other."""

        def take() -> tuple[OrderReport, OrderReport]:
            self.world.arrived(stop)
            self.world.arrived(target)
            legs = [asked_of(one, one.quantity, spot=True) for one in (stop, target)]
            pair = self.market.place_pair(self.account, *legs)
            return report_of(pair[0], stop), report_of(pair[1], target)

        found: tuple[OrderReport, OrderReport] = await self._ask("place", "place", take, request=stop)
        return found

    async def find(self, request: OrderRequest, since_ms: int | None = None) -> OrderReport | None:
        """Return what became of an order."""

        def look() -> OrderReport:
            order = self.market.find(self.account, request.symbol, client_id=request.client_id)
            return report_of(order, request)

        try:
            found: OrderReport = await self._ask("order", "read", look, request=request)
        except Exception as error:
            if getattr(getattr(error, "outcome", None), "absent", False):
                return None
            raise
        return found

    async def cancel(self, symbol: str, venue_id: str, client_id: str = "") -> None:
        """Cancel an order."""

        def end() -> None:
            self.world.reached("mid_cancel")
            self.market.cancel(self.market.find(self.account, symbol, order_id=int(venue_id)))

        await self._ask("cancel", "cancel", end, symbol=symbol, client_id=client_id)

    async def amend(self, request: OrderRequest, venue_id: str) -> None:
        """Have a limit order that rests become what the request says."""

        def move() -> None:
            order = self.market.find(self.account, request.symbol, order_id=int(venue_id))
            step = self._rules[request.symbol].quantity_step
            quantity = float(f"{_to_step(request.quantity, step, 0.0):.12g}")
            self.market.amend(order, quantity, float(f"{request.price:.12g}"))

        await self._ask("amend", "amend", move, symbol=request.symbol, client_id=request.client_id)

    async def quote(self, symbol: str) -> Quote:
        """Return the best prices: a little beside those of the bars, so that orders have somewhere to go."""

        def look() -> Quote:
            (bid, size), (ask, other) = (side[0] for side in self.market.tape(symbol).book())
            now_ns = self.world.clock.now_ns()
            walk = math.sin(zlib.crc32(f"{self.world.case.seed}{symbol}{now_ns // WALK_NS}".encode()))
            if self.world.case.chase == "maker":  # around the last price, so that what may only rest can
                low, high = 1.0 - 0.001 * abs(walk), 1.0 + 0.001 * abs(walk)
            else:
                low = high = 1.0 + 0.003 * walk
            return Quote(symbol, round(bid * low, 2), round(ask * high + 0.005, 2), size, other, now_ns)

        found: Quote = await self._ask("book", "read", look, symbol=symbol)
        return found

    async def fills_of(self, symbol: str, venue_id: str) -> list[Fill]:
        """Return the executions of an order."""

        def look() -> list[Fill]:
            order = self.account.orders.get(int(venue_id))
            return [] if order is None else [fill_of(order, k) for k in range(len(order.executions))]

        found: list[Fill] = await self._ask("fills", "read", look, empty=list, symbol=symbol)
        return found

    async def holdings(self, symbols: Sequence[str]) -> dict[str, float]:
        """Return what the account holds."""

        def look() -> dict[str, float]:
            if self.world.case.spot:
                return {symbol: self.account.total(symbol.partition("/")[0]) for symbol in symbols}
            return {symbol: self.market.position(self.account, symbol).quantity for symbol in symbols}

        role = "balance" if self.world.case.spot else "positions"
        found: dict[str, float] = await self._ask(role, "read", look)
        return found

    async def estimate(self, request: OrderRequest) -> Estimate | None:
        """Return what a market order would pay."""

        def look() -> Estimate | None:
            return estimated(request.side, request.quantity, *self.market.tape(request.symbol).book())

        found: Estimate | None = await self._ask("book", "read", look, symbol=request.symbol)
        return found

    async def balances(self) -> list[Balance]:
        """Return what the account has."""

        def look() -> list[Balance]:
            return [Balance(name, self.account.total(name), 0.0) for name in self.account.currencies()]

        found: list[Balance] = await self._ask("balance", "read", look)
        return found

    async def funding(self, since_ms: int) -> list[Payment]:
        """Return what funding brought."""

        def look() -> list[Payment]:
            return [
                Payment(str(one.time_ms), one.symbol, one.amount, one.time_ms * 1_000_000)
                for one in self.account.funding
                if one.time_ms >= since_ms
            ]

        found: list[Payment] = await self._ask("other", "read", look, empty=list)
        return found

    # --- the way there and back

    async def _ask(
        self,
        role: str,
        kind: Any,
        act: Callable[[], Any],
        *,
        empty: Callable[[], Any] | None = None,
        request: OrderRequest | None = None,
        symbol: str = "",
        client_id: str = "",
    ) -> Any:
        world = self.world
        written = WRITTEN.get()
        if written is not None:
            if not written.done():
                await asyncio.wait([written])
            written.result()
        if request is not None:
            symbol, client_id = request.symbol, request.client_id
        if role == "place":
            world.reached("before_send")
            if request is not None:
                world.watch.left(request)
        done: asyncio.Future[web.Response] = world.loop.create_future()
        world.at_venue(UP_S, lambda: self._serve(role, act, done))
        try:
            answer = await done
            value = self._read(answer, empty)
        except Exception as error:  # noqa: BLE001  (as the exchange itself does)
            headers = {"Retry-After": "1"}
            told = outcome_of(error, kind, "binance", symbol, client_id, (), headers, world.clock.now_ns()).failure()
        else:
            if role == "place":
                world.reached("after_ack")
            return value
        raise told

    async def _serve(self, role: str, act: Callable[[], Any], done: asyncio.Future[web.Response]) -> None:
        world = self.world
        text = '[{"commissionAsset": "USDT"}]' if role == "fills" else "[]"

        async def handler(request: object) -> web.StreamResponse:
            return Answer(act(), text)

        call = NearCall(Request(headers={"X-MBX-APIKEY": "key"}), role, world.venue, world.protocol, handler)  # type: ignore[arg-type]
        one = world.faults.due("request", role)
        try:
            if one is None:
                answer: web.StreamResponse = await call.run()
            else:
                world.faults._happened(one, role)
                answer = await one.kind.act(call, one)
            if role == "place":
                world.reached("after_send")
        except Exception as error:  # noqa: BLE001  (whoever asked is told)
            await asyncio.sleep(DOWN_S)
            if not done.done():
                done.set_exception(error)
            return
        await asyncio.sleep(DOWN_S)
        if not done.done():
            assert isinstance(answer, web.Response)
            done.set_result(answer)

    def _read(self, answer: web.Response, empty: Callable[[], Any] | None) -> Any:
        if isinstance(answer, Answer) and answer.status == 200:
            return answer.value
        text, names = answer.text or "", client(self.world.protocol)
        names.handle_errors(answer.status, "", "", "GET", {}, text, parsed(text) or {}, {}, None)
        names.handle_http_status_code(answer.status, "", "", "GET", text)
        found = parsed(text)
        if found == [] and empty is not None:
            return empty()
        if isinstance(found, list) and "BNB" in text:
            return [fill_as(one, "BNB") for one in self.world.last_fills]
        raise TypeError("the answer is no answer")  # as CCXT does where it parses what is none


def parsed(text: str) -> Any:
    """Return JSON, None for what is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def refusal(protocol: str, reason: str) -> web.Response:
    """Return the venue's answer for a reason."""
    code, status, words = (FUTURES if protocol == "binanceusdm" else REASONS)[reason]
    return web.Response(status=status, text=json.dumps({"code": code, "msg": words}), content_type="application/json")


def refused(text: str) -> Exception:
    """Return what says that nothing was sent."""
    import ccxt

    return outcome_of(ccxt.InvalidOrder(f"binance {text}"), "place", "binance").failure()


def asked_of(request: OrderRequest, quantity: float, *, spot: bool) -> Asked:
    """Return an order as the venue takes it; numbers as they are written on the wire."""

    def written(value: float) -> float:
        return float(f"{value:.12g}") if value == value else 0.0

    return Asked(
        request.symbol,
        request.side,
        "limit_maker" if request.post_only else request.kind,
        written(quantity),
        copied(request.client_id),
        written(request.price),
        written(request.stop_price),
        request.time_in_force,
        request.reduce_only and not spot,
    )


def copied(text: str) -> str:
    """Return another object of the same text, as the wire makes: what the venue keeps is not the run's memory."""
    return text.encode().decode()


def report_of(order: Order, request: OrderRequest | None = None, state: str = "") -> OrderReport:
    """Return how an order stands."""
    asked, said = order.asked, state or order.state
    kind: Any = request.kind if request is not None else asked.kind
    average = order.spent / order.filled if order.filled else float("nan")
    return OrderReport(
        asked.client_id, str(order.order_id), asked.symbol, asked.side, kind, STATES.get(said, said),  # type: ignore[arg-type]
        asked.quantity, order.filled, average, asked.price or float("nan"), order.updated_ms * 1_000_000,
    )  # fmt: skip


def fill_of(order: Order, k: int) -> Fill:
    """Return one execution of an order."""
    done = order.executions[k]
    return Fill(
        str(done.trade_id), order.asked.client_id, str(done.order_id), done.symbol, done.side, done.price,
        done.quantity, done.fee, "USDT", done.maker, done.time_ms * 1_000_000,
    )  # fmt: skip


def fill_as(fill: Fill, currency: str) -> Fill:
    """Return an execution whose fee is said to be in a currency."""
    from dataclasses import replace

    return replace(fill, fee_currency=currency)


def row_of(one: Candle) -> list[Any]:
    """Return a candle as CCXT has it."""
    return [one.open_ms, one.open, one.high, one.low, one.close, one.volume]
