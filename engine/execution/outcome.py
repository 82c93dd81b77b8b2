"""What the failure of a call to a venue means: ask again, this order not, stop trading, or nobody knows.

    Retry      nothing happened; the same call may be made again, after the delay when the venue names one
    Refuse     the venue said no to this order; the others go on
    Halt       the key, the permission, the account or the program: stop trading
    Unknown    an order may or may not exist, or still stand: ask for it by its client id, never send it again

The same error means different things in different calls.  While reading, a timeout is tried again; while placing, the
order may have been taken before the answer was lost.  So while placing or cancelling whatever CCXT calls an
``OperationFailed`` is Unknown unless something proves that no order can exist:

- the connection was never made (the name was not found, the port was closed, no connection in time);
- Binance, OKX or Coinbase name a limit of requests or of orders, or status 418 or 429: these limits are taken to stand
  before the matching engine (to be confirmed on the venues' own pages before money is traded), and Binance states
  that a 4XX answer is the sender's fault while a 5XX one says nothing of the execution.  At other venues
  `RateLimitExceeded` and `DDoSProtection` prove nothing: CCXT raises
  `DDoSProtection` also for the page of a content network that answers in the venue's place;
- the request was refused for its timestamp (Binance -1021, OKX 50102).

A plain ``ExchangeError`` while placing is a refusal only with a code of the venue: CCXT raises the same class when
the connection breaks in the middle of an answer.  A refused cancellation says that the order cannot be cancelled, not
what became of it, so that is Unknown too.  A client id the venue has seen before means that an order exists: Unknown.
What is no error of CCXT or the network is a fault of the program: Halt, and Unknown where an order may be on its way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from engine.execution.codes import code_of, verdict_of
from engine.execution.meanings import COLUMN, MEANINGS, Call, Meaning
from engine.execution.redact import redact
from engine.execution.transport import chain, distrusted, transport, unsent
from parquet_store.errors import Failed, Halt, Refuse, Retry

__all__ = [
    "MEANINGS",
    "AskAgain",
    "Call",
    "Meaning",
    "Outcome",
    "Refused",
    "Stopped",
    "Told",
    "Unknown",
    "delay_of",
    "outcome_as",
    "outcome_of",
]


class Told(Failed):
    """A call to a venue failed; ``outcome`` holds all that is known of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class AskAgain(Told, Retry):
    """Nothing happened; the same call may be made again."""


class Refused(Told, Refuse):
    """The venue said no to this order or question."""


class Stopped(Told, Halt):
    """The key, the permission, the account or the program: stop trading."""


class Unknown(Told):
    """An order may or may not exist, or still stand; ask for it by its client id."""


_RAISED: Final[dict[Meaning, type[Told]]] = {
    "retry": AskAgain,
    "refuse": Refused,
    "halt": Stopped,
    "unknown": Unknown,
}
_KINDS: Final[dict[type[Failed], Meaning]] = {Retry: "retry", Refuse: "refuse", Halt: "halt"}
_DOING: Final[dict[Call, str]] = {
    "read": "reading", "place": "placing an order", "amend": "moving an order", "cancel": "cancelling an order"
}  # fmt: skip
_BANNED = re.compile(r"(?i)banned until (\d{13})\b")


@dataclass(frozen=True)
class Outcome:
    """What a failed call means.

    Attributes
    ----------
    meaning : str
        ``retry``, ``refuse``, ``halt`` or ``unknown``.
    reason : str
        The name of the error's class: ``RequestTimeout``.
    code : str
        The venue's own, "" when it gave none.
    message : str
        For the user: venue, call, symbol, what happened, what is done about it; without keys and signatures.
    delay_s : float
        Seconds to wait before asking again, NaN when the venue named none.
    """

    meaning: Meaning
    reason: str
    code: str
    message: str
    delay_s: float = math.nan

    @property
    def absent(self) -> bool:
        """Whether the venue says it knows no such order.

        After an Unknown placing this is proof only when it is said again a little later: venues answer questions
        from copies that lag behind the matching engine.
        """
        return self.reason == "OrderNotFound"

    def failure(self) -> Told:
        """Return the error to raise, outside of the ``except`` block: the first one's text holds signatures."""
        return _RAISED[self.meaning](self)


def outcome_of(
    error: Exception,
    call: Call,
    venue: str,
    symbol: str = "",
    client_id: str = "",
    secrets: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    now_ns: int | None = None,
) -> Outcome:
    """Return what an error means for the call that raised it.

    Parameters
    ----------
    error : Exception
        Of CCXT, aiohttp, the operating system or the program.
    call : str
        ``read``, ``place`` or ``cancel``; whatever else changes something at the venue (leverage, margin) counts as
        ``read`` when it may be repeated.
    venue : str
        As CCXT names it.
    symbol, client_id : str
        For the message.
    secrets : iterable of str
        Taken out of the message wherever they stand.
    headers : mapping, optional
        Of the venue's last answer (CCXT: ``last_response_headers``), for ``Retry-After``.
    now_ns : int, optional
        The time, for delays that are given as a moment.
    """
    if isinstance(error, Told):
        return error.outcome
    text = str(error)
    code = code_of(text)
    meaning = _meaning(error, call, venue, text, code)
    delay = delay_of(text, headers or {}, now_ns) if meaning == "retry" else math.nan
    return outcome_as(meaning, type(error).__name__, text, call, venue, symbol, client_id, secrets, code, delay)


def outcome_as(
    meaning: Meaning,
    reason: str,
    text: str,
    call: Call,
    venue: str,
    symbol: str = "",
    client_id: str = "",
    secrets: Iterable[str] = (),
    code: str = "",
    delay_s: float = math.nan,
) -> Outcome:
    """Return an outcome whose meaning is known, told to the user in the same words.

    Parameters
    ----------
    meaning, reason, code, delay_s
        As in `Outcome`.
    text : str
        What happened, as the venue or the library said it.
    call, venue, symbol, client_id, secrets
        As in `outcome_of`.
    """
    hidden = tuple(secrets)
    told = redact(text, hidden) or "without a message"
    named = f"{reason}, code {redact(code, hidden, 60)}" if code else reason
    subject = " ".join(part for part in (_DOING[call], symbol) if part)
    order = f"client id {client_id}" if client_id else "its client id"
    message = f"{venue}: {subject}: {told} ({named}); {_done(meaning, call, order, delay_s)}"
    return Outcome(meaning, reason, code, message, delay_s)


def _meaning(error: Exception, call: Call, venue: str, text: str, code: str) -> Meaning:
    for kind, meaning in _KINDS.items():
        if isinstance(error, kind):
            return meaning
    links = list(chain(error))
    if any(distrusted(link) for link in links):
        return "halt"
    if any(unsent(link) for link in links):
        return "retry"
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "ccxt.base.errors"]
    lost: Meaning = "retry" if call == "read" else "unknown"
    if not names:
        return lost if transport(error) else ("halt" if call == "read" else "unknown")
    verdict = verdict_of(venue, text)
    if verdict == "halt":
        return "halt"
    if verdict == "unreached":
        return "retry"
    if verdict == "unknown":
        return lost
    if verdict == "duplicate" and call != "read":
        return "unknown"
    name = next(name for name in names if name in MEANINGS)
    if name == "ExchangeError" and not code and (call != "read" or any(map(transport, links[1:]))):
        return lost
    return MEANINGS[name][COLUMN[call]]


def delay_of(text: str, headers: Mapping[str, str], now_ns: int | None) -> float:
    """Return the seconds a venue asks to wait, NaN when it does not say."""
    said = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if re.fullmatch(r"\d+(\.\d+)?", said):
        return float(said)
    if now_ns is None:
        return math.nan
    banned = _BANNED.search(text)
    if banned:
        return max(0.0, int(banned[1]) / 1e3 - now_ns / 1e9)
    if said:
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - now_ns / 1e9)
        except ValueError:
            return math.nan
    return math.nan


def _done(meaning: Meaning, call: Call, order: str, delay_s: float) -> str:
    if meaning == "retry":
        return "nothing happened; asked again" + ("" if math.isnan(delay_s) else f" in {delay_s:g} s")
    if meaning == "halt":
        return "trading stops: check the key, its permissions, the account and the log"
    if call == "read":
        return "this question only; the rest goes on"
    if meaning == "refuse":
        what = "no order was placed" if call == "place" else "nothing was sent"
        return f"{what}; the rest goes on"
    what = "the order may exist" if call == "place" else "the order may still stand"
    return f"{what}: asked for by {order}, not sent again"
