"""What can be set, with defaults and bounds: one frozen object, passed down by constructor."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from engine.risk import Limits
from engine.risk.limits import PositionLimits

__all__ = [
    "AccountSettings",
    "BotSettings",
    "FeedSettings",
    "ManifestSettings",
    "OrderSettings",
    "PaperSettings",
    "VenueSettings",
]

MARKETS = {
    "binance": ("spot", "perpetual"),
    "coinbase": ("spot",),
    "okx": ("perpetual", "spot"),
    "robinhood": ("spot",),
}
DEMO = ("binance", "okx")
STREAMLESS = ("robinhood",)

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Place = Annotated[Path, Field(strict=False)]


# where real money is traded and the file says nothing: an entry is worth 100 at most
SMALL = Limits(position=PositionLimits(notional=100.0))


def fault(message: str) -> PydanticCustomError:
    """Return an error that pydantic passes on as it is; braces have no meaning in it."""
    return PydanticCustomError("setting", "{message}", {"message": message})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class VenueSettings(_Frozen):
    """Where is traded.

    Attributes
    ----------
    name : str
    market : str
        ``spot`` or ``perpetual``.
    rest_url, stream_url : str
        Of a local venue, in place of the venue's own; empty: the venue's own.
    dead_man_seconds : int
        After which OKX cancels what waits in its book, should the bot fall silent; 0: never.
    keys_from : str
        ``environment`` or ``keyring``.
    """

    name: Literal["binance", "coinbase", "okx", "robinhood"]
    market: Literal["spot", "perpetual"] = "spot"
    rest_url: str = ""
    stream_url: str = ""
    keys_from: Literal["environment", "keyring"] = "environment"
    dead_man_seconds: Annotated[int, Field(ge=0, le=120)] = 60

    @field_validator("dead_man_seconds")
    @classmethod
    def _the_venue_takes_it(cls, value: int) -> int:
        if 0 < value < 10:
            raise fault(f"found {value}, expected 0 for never, or 10 to 120 seconds")
        return value

    @field_validator("rest_url", "stream_url")
    @classmethod
    def _is_a_url(cls, value: str, info: object) -> str:
        if not value:
            return value
        kinds = ("ws", "wss") if getattr(info, "field_name", "") == "stream_url" else ("http", "https")
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise fault("no URL; expected one such as http://127.0.0.1:8080") from None
        if parts.username or parts.password:
            raise fault("a URL with a user or a password in it; keys come from the environment or the keyring")
        if parts.scheme not in kinds or not host or parts.query or parts.fragment:
            found = f"{parts.scheme or 'no scheme'} and host {host or 'none'}"
            raise fault(f"found {found}, expected {kinds[0]}:// or {kinds[1]}://, a host, at most a port and a path")
        return value

    @model_validator(mode="after")
    def _has_the_market(self) -> VenueSettings:
        if self.market not in MARKETS[self.name]:
            raise fault(
                f"{self.name} is traded as {' or '.join(MARKETS[self.name])} here, found market {self.market!r}"
            )
        return self

    @property
    def urls(self) -> dict[str, str]:
        """The URLs a client of the venue uses, by what they are for; empty where they are the venue's own."""
        return {"rest_url": self.rest_url} | ({} if self.name in STREAMLESS else {"stream_url": self.stream_url})

    @property
    def is_local(self) -> bool:
        """Whether every URL in use is given and leads back to this machine."""
        return all(is_loopback(url) for url in self.urls.values())


class ManifestSettings(_Frozen):
    """One exported manifest and what it trades.

    Attributes
    ----------
    path : Path
    symbols : tuple of str
        As CCXT writes them.
    share : float
        Of the account, above 0; all symbols together.
    history : str
        Stored bars to start from, where they have another name than the venue's series, as in ``sample:NASDAQ:1d``;
        for a manifest with one symbol.
    """

    path: Place
    symbols: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    share: Fraction
    history: str = ""

    @field_validator("path", mode="before")
    @classmethod
    def _names_a_file(cls, value: object) -> object:
        return path_text(value)

    @field_validator("symbols")
    @classmethod
    def _are_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in value:
            if "/" not in symbol.strip("/") or any(letter.isspace() or not letter.isprintable() for letter in symbol):
                raise fault(f'found "{symbol}", expected BASE/QUOTE such as BTC/USDT, or BTC/USDT:USDT for a perpetual')
        twice = sorted({symbol for symbol in value if value.count(symbol) > 1})
        if twice:
            raise fault(f"{', '.join(twice)} stands here twice; name each once")
        return value


class FeedSettings(_Frozen):
    """How closed candles are come by.

    Attributes
    ----------
    candles_from : str
        Another venue to take candles from; empty: the venue that trades.
    confirm : str
        ``after``: decide when the stream proves a close, confirm by REST then.  ``before``: confirm first.
    grace_seconds : float
        After a close, before REST is asked and time alone proves the close.
    absence_seconds : float
        After a close, before a bar that REST does not show counts as absent.
    stale_seconds : float
        Without news in the stream, before it counts as stale.
    reconnect_hours : float
        After which streams are closed and made anew, before the venue cuts them; what they miss, REST is asked for.
    """

    candles_from: Literal["", "binance", "coinbase", "okx"] = ""
    confirm: Literal["after", "before"] = "after"
    grace_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0
    absence_seconds: Annotated[float, Field(gt=0.0, le=600.0)] = 10.0
    stale_seconds: Annotated[float, Field(ge=1.0, le=3600.0)] = 30.0
    reconnect_hours: Annotated[float, Field(gt=0.0, le=24.0)] = 23.0

    @model_validator(mode="after")
    def _absence_is_later(self) -> FeedSettings:
        if self.absence_seconds < self.grace_seconds:
            raise fault(
                f"absence_seconds is {self.absence_seconds:g}, expected at least grace_seconds = {self.grace_seconds:g}"
            )
        return self


class PaperSettings(_Frozen):
    """What a paper account has, in quote currency, and how long its orders take to the venue."""

    cash: Annotated[float, Field(gt=0.0)] = 10_000.0
    latency_seconds: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0


class OrderSettings(_Frozen):
    """How a position is entered and left.

    Attributes
    ----------
    kind : str
        ``market``; or ``limit``: at the last close, until ``deadline_seconds`` have passed.
    deadline_seconds : float
        After which a limit order is cancelled; what was to be left then goes at market.
    at_deadline : str
        What becomes of the rest of an entry then: ``cancel``, or ``market``.
    chase_seconds : float
        How often a limit order that rests is moved to the best price of its own side; 0: it stays.
    reach : float
        How far from the close an order is moved at most, as a fraction.
    post_only : bool
        Whether a limit entry may only rest: it begins at the best price of its own side, and never takes.
    time_in_force : str
        Of a limit entry: ``gtc`` rests, ``ioc`` fills what it can at once, ``fok`` all or nothing.
    stop_limit : float
        How far beyond a stop its limit lies, as a fraction; 0: stops trade at market.
    max_slippage : float
        An entry at market that would pay more beyond the best price, by the book just before it leaves, is not sent;
        0: the book is not looked at.
    """

    kind: Literal["market", "limit"] = "market"
    deadline_seconds: Annotated[float, Field(ge=1.0, le=3600.0)] = 20.0
    at_deadline: Literal["cancel", "market"] = "cancel"
    chase_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 0.0
    reach: Annotated[float, Field(gt=0.0, le=0.2)] = 0.005
    post_only: bool = False
    time_in_force: Literal["gtc", "ioc", "fok"] = "gtc"
    stop_limit: Annotated[float, Field(ge=0.0, le=0.2)] = 0.0
    max_slippage: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> OrderSettings:
        limits = ("at_deadline", "chase_seconds", "post_only", "time_in_force")
        for key in limits if self.kind == "market" else ():
            if getattr(self, key) != type(self).model_fields[key].default:
                raise fault(f'{key} is {getattr(self, key)}, which only limit orders have: say kind = "limit"')
        if self.time_in_force != "gtc" and (self.post_only or self.chase_seconds):
            key = "post_only" if self.post_only else "chase_seconds"
            raise fault(f"time_in_force is {self.time_in_force}, which does not rest: {key} has no meaning with it")
        return self


class AccountSettings(_Frozen):
    """How the strategies share the account.

    Attributes
    ----------
    shared : bool
        Whether each sizes by its share of the whole account's equity, its shares may sum to more than 1, and all spend
        one cash; else each has its share of the cash at the start and what it makes of it.
    together_seconds : float
        Where limits hold or cash is shared, bars that close at one moment are decided on together: so long after the
        close the last of them is waited for.
    """

    shared: bool = False
    together_seconds: Annotated[float, Field(ge=0.0, le=60.0)] = 2.0


class BotSettings(_Frozen):
    """Everything a bot is told.

    Attributes
    ----------
    mode : str
        ``paper``, ``demo`` or ``live``.
    live : bool
        The first of the two yeses that live trading needs.
    store, journal : Path
        Relative ones are beside the file.
    log_level : str
    steps : tuple of Path
        Python files with steps of one's own that manifests need.
    risk : Limits, optional
        Given, every limit that is not named is at its default; not given, there are none but live at a real venue.
    """

    mode: Literal["paper", "demo", "live"] = "paper"
    live: bool = False
    store: Place = Path(".lockstep")
    journal: Place = Path("journal.sqlite")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    steps: Annotated[tuple[Place, ...], Field(strict=False)] = ()
    venue: VenueSettings
    feed: FeedSettings = FeedSettings()
    orders: OrderSettings = OrderSettings()
    paper: PaperSettings = PaperSettings()
    account: AccountSettings = AccountSettings()
    risk: Limits | None = None
    manifests: Annotated[tuple[ManifestSettings, ...], Field(min_length=1, strict=False)]

    @property
    def limits(self) -> Limits | None:
        """The limits in force: those given; small ones where real money is traded; else none."""
        return self.risk or (SMALL if self.mode == "live" and not self.venue.is_local else None)

    @field_validator("store", "journal", mode="before")
    @classmethod
    def _names_a_place(cls, value: object) -> object:
        return path_text(value)


def path_text(value: object) -> object:
    """Return what a path may be made of; the current folder is no place that an empty text means."""
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise fault("an empty path; expected the name of a file or folder")
    return value


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine, by its address or as ``localhost``."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
