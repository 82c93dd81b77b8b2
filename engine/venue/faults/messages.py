"""Faults of one WebSocket connection: what is sent on it, what is received, and its end."""

from __future__ import annotations

import json
import re
import struct

from aiohttp import web

from engine.venue.faults.armed import Armed
from engine.venue.faults.call import Call
from engine.venue.faults.kinds import BINANCE, CANDLES, Kind, fault
from engine.venue.faults.line import Line

__all__ = ["MESSAGES"]

MESSAGES: dict[str, Kind] = {}
_DATA = ("candle", "trade", "book", "ticker", "private")
_AGAIN = "connects again, subscribes anew, and asks by REST for what it missed, before it decides"
_WATCH = "has a watchdog for each stream; " + _AGAIN


@fault(MESSAGES, "message", *_DATA, does="the connection breaks; the message is lost", client=_AGAIN)
async def stream_dropped(line: Line, text: str, armed: Armed) -> list[str]:
    line.drop()
    return []


@fault(
    MESSAGES,
    "message",
    *_DATA,
    does="the venue closes the connection in good order, as it does once a day",
    client=_AGAIN,
    size=1012.0,
    unit="close code",
)
async def stream_closed(line: Line, text: str, armed: Armed) -> list[str]:
    await line.close(code=int(armed.size), message=b"service restart")
    return []


@fault(MESSAGES, "message", *_DATA, does="the connection breaks in the middle of a message", client=_AGAIN)
async def message_cut(line: Line, text: str, armed: Armed) -> list[str]:
    line.drop(_half_frame(text))
    return []


@fault(
    MESSAGES,
    "message",
    *_DATA,
    does="a message is cut by the end of the connection; its rest comes first on the next one",
    client="throws away what does not parse, without dying of it; " + _AGAIN,
)
async def message_split(line: Line, text: str, armed: Armed) -> list[str]:
    line.drop(_half_frame(text))
    line.faults.rest = text[len(text) // 2 :]
    return []


@fault(
    MESSAGES,
    "message",
    *_DATA,
    does="from now on nothing comes on this connection, which lives and answers pings",
    client=_WATCH,
)
async def stream_silent(line: Line, text: str, armed: Armed) -> list[str]:
    line.mute = True
    return []


@fault(
    MESSAGES,
    "message",
    *_DATA,
    does="from now on this connection is some messages behind",
    client=_WATCH,
    size=8.0,
    unit="messages",
)
async def stream_stale(line: Line, text: str, armed: Armed) -> list[str]:
    line.lag = int(armed.size)
    return [text]


@fault(MESSAGES, "message", *_DATA, does="a message is sent twice", client="takes the second for what it is")
async def message_repeated(line: Line, text: str, armed: Armed) -> list[str]:
    return [text, text]


@fault(
    MESSAGES,
    "message",
    *_DATA,
    does="a message is sent after the next one",
    client="orders messages by what is in them",
)
async def messages_swapped(line: Line, text: str, armed: Armed) -> list[str]:
    line.late.append(text)
    return []


@fault(MESSAGES, "message", *_DATA, does="a message is not JSON", client=_WATCH)
async def message_garbage(line: Line, text: str, armed: Armed) -> list[str]:
    return [text[: len(text) // 2]]


@fault(
    MESSAGES,
    "message",
    "asked",
    does="a subscription is neither answered nor done",
    client="waits for it no longer than its limit, then " + _AGAIN,
)
async def subscription_unanswered(line: Line, text: str, armed: Armed) -> list[str]:
    return []


@fault(MESSAGES, "message", "ping", does="pings are no longer answered", client=_AGAIN, times=0)
async def pings_unanswered(line: Line, text: str, armed: Armed) -> list[str]:
    return []


@fault(
    MESSAGES,
    "message",
    "login",
    does="the login of a private stream is refused",
    client="stops trading and tells a human; does not hammer",
)
async def stream_login_refused(line: Line, text: str, armed: Armed) -> list[str]:
    def other(found: re.Match[str]) -> str:
        return f'{found[1]}"{"0" if found[2] != "0" else "1"}'

    return [re.sub(r'("(?:signature|sign|jwt)": ?)"(.)', other, text)]


@fault(
    MESSAGES,
    "message",
    "private",
    does="the subscription of the account's stream ends: nothing comes any more",
    client="asks for a new one and for all it may have missed",
    protocols=BINANCE,
)
async def account_stream_ended(line: Line, text: str, armed: Armed) -> list[str]:
    found = json.loads(text)
    event = found.get("event", found)
    if "subscriptionId" in found:
        said = {"subscriptionId": found["subscriptionId"], "event": {"e": "eventStreamTerminated", "E": event["E"]}}
    else:
        said = {"e": "listenKeyExpired", "E": event["E"], "listenKey": "expired"}
    line.ends = True
    return [json.dumps(said)]


@fault(
    MESSAGES,
    "message",
    "private",
    does="fees are said to be in another currency",
    client="books the fee in the currency that is told",
    protocols=CANDLES,
)
async def fee_currency_changed_told(line: Line, text: str, armed: Armed) -> list[str]:
    changed = re.sub(r'("(?:N|fillFeeCcy)": ?)"[^"]+"', r'\1"BNB"', text)
    if changed == text:
        armed.pass_by()
    return [changed]


@fault(
    MESSAGES, "request", "stream", does="a connection for streams is refused", client="tries again, slower each time"
)
async def stream_refused(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("unavailable")


def _half_frame(text: str) -> bytes:
    """Return the head and half the body of a text frame of the WebSocket protocol, not compressed, RFC 6455."""
    body = text.encode()
    size = bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack("!H", len(body))
    return b"\x81" + size + body[: len(body) // 2]
