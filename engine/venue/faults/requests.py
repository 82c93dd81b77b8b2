"""Faults of the connection and of the machine behind it: what happens to any REST request, whatever it asks."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from engine.venue.faults.armed import Armed
from engine.venue.faults.call import Call
from engine.venue.faults.kinds import ALL, BINANCE, Kind, fault
from engine.venue.faults.roles import LISTS, PRIVATE

__all__ = ["REQUESTS"]

REQUESTS: dict[str, Kind] = {}
_WAIT_MS = 30_000.0
_UNKNOWN = "takes the outcome as unknown: asks for the order by its client id until it is proven, sends no second one"
_RETRY = "waits and asks again; decides nothing meanwhile"


@fault(
    REQUESTS,
    "request",
    "place",
    does="the order never reaches the venue; no answer comes",
    client=_UNKNOWN,
    size=_WAIT_MS,
    unit="ms at most",
)
async def timeout_before_acceptance(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.until_gone(armed.size)


@fault(
    REQUESTS,
    "request",
    "place",
    does="the order is taken; no answer comes",
    client=_UNKNOWN,
    size=_WAIT_MS,
    unit="ms at most",
)
async def timeout_after_acceptance(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return await call.until_gone(armed.size)


@fault(
    REQUESTS,
    "request",
    "cancel",
    "cancel_all",
    does="the order is canceled; no answer comes",
    client="asks for the order until its end is proven; the cancel may be sent again",
    size=_WAIT_MS,
    unit="ms at most",
)
async def cancel_timeout(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return await call.until_gone(armed.size)


@fault(
    REQUESTS,
    "request",
    does="no answer comes to a request of any kind, which is not done",
    client=_RETRY,
    size=_WAIT_MS,
    unit="ms at most",
)
async def no_answer(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.until_gone(armed.size)


@fault(REQUESTS, "request", does="the connection is reset before the request is done", client=_RETRY)
async def reset_before(call: Call, armed: Armed) -> web.StreamResponse:
    return call.cut()


@fault(REQUESTS, "request", does="the request is done, then the connection is reset before the answer", client=_UNKNOWN)
async def reset_after(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return call.cut()


@fault(REQUESTS, "request", does="the request is done, half the answer comes, then the reset", client=_UNKNOWN)
async def reset_in_answer(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.half(await call.run())


@fault(
    REQUESTS,
    "request",
    does="the answer ends well on the wire in the middle of its JSON",
    client="does not read what does not parse as an answer; " + _UNKNOWN,
)
async def truncated_body(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    text = answer.text or ""
    return web.Response(status=answer.status, text=text[: len(text) // 2], content_type=answer.content_type)


@fault(REQUESTS, "request", does="an empty body with status 200, though the request is done", client=_UNKNOWN)
async def empty_body(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return web.Response(text="", content_type="application/json")


@fault(REQUESTS, "request", does="a page of HTML with status 200 in place of JSON; nothing is done", client=_RETRY)
async def html_page(call: Call, armed: Armed) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><head><title>One moment</title></head><body>Checking your browser</body></html>"
    return web.Response(text=page, content_type="text/html")


@fault(
    REQUESTS,
    "request",
    does="the answer comes late, after the request was done at once",
    client="works with the time the answer is for, not the time it came",
    size=30.0,
    unit="ms",
)
async def slow_answer(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    await asyncio.sleep(armed.size / 1000.0)
    return answer


@fault(REQUESTS, "request", does="500 in the venue's words; nothing is done", client=_UNKNOWN)
async def server_error(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("server_error")


@fault(REQUESTS, "request", does="502 as a page of the gateway; nothing is done", client=_UNKNOWN)
async def bad_gateway(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("bad_gateway")


@fault(REQUESTS, "request", does="503 in the venue's words; nothing is done", client=_RETRY)
async def unavailable(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("unavailable")


@fault(REQUESTS, "request", does="504 as a page of the gateway, though the request is done", client=_UNKNOWN)
async def gateway_timeout(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return call.says("gateway_timeout")


@fault(
    REQUESTS,
    "request",
    "place",
    does="the order is taken, the answer says that its execution status is unknown",
    client=_UNKNOWN,
)
async def unknown_outcome(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return call.says("unknown_outcome")


@fault(
    REQUESTS,
    "request",
    does="429 with Retry-After; nothing is done",
    client="sends nothing before the time that is told, then goes on",
)
async def too_many_requests(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("too_many_requests")


@fault(
    REQUESTS,
    "request",
    "place",
    does="429 of the limit of orders; the order is not taken",
    client="knows the order as not taken; waits before the next one",
    protocols=ALL,
)
async def too_many_orders(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("too_many_orders")


@fault(
    REQUESTS,
    "request",
    does="418: the address is banned for two minutes",
    client="sends nothing at all before the time that is told, and tells a human",
    protocols=BINANCE,
)
async def banned(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("banned")


@fault(
    REQUESTS,
    "request",
    does="the venue is under maintenance: it answers so to this many requests",
    client="decides nothing until it is over, then compares everything it holds with the venue",
    times=3,
)
async def maintenance(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("maintenance")


@fault(
    REQUESTS,
    "request",
    *PRIVATE,
    does="a right key is refused: the venue answers as to an unknown one",
    client="stops trading and tells a human; does not hammer",
)
async def login_refused(call: Call, armed: Armed) -> web.StreamResponse:
    headers = call.request.headers.copy()
    for name in ("X-MBX-APIKEY", "OK-ACCESS-KEY", "Authorization", "CB-ACCESS-KEY"):
        if name in headers:
            headers[name] = "Bearer revoked" if name == "Authorization" else "revoked"
    call.request = call.request.clone(headers=headers)
    return await call.run()


@fault(
    REQUESTS,
    "request",
    "listen_key",
    does="the listen key the client would prolong has expired",
    client="asks for a new key, subscribes anew, and asks for all it may have missed",
    protocols=("binanceusdm",),
)
async def listen_key_expired(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("listen_key")


@fault(
    REQUESTS,
    "request",
    *LISTS,
    does="a list is answered empty",
    client="does not take an empty list for proof: it knows what must be in it, and asks again",
)
async def empty_list(call: Call, armed: Armed) -> web.StreamResponse:
    answer = await call.run()
    found = json.loads(answer.text or "null")
    if answer.status == 200:
        found = {k: [] if isinstance(v, list) else v for k, v in found.items()} if isinstance(found, dict) else []
    return web.json_response(found, status=answer.status)
