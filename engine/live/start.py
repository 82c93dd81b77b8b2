"""From settings to a loop that is up to date: manifests verified, history followed, sizes and cash as at the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from engine.execution.exchange import Exchange
from engine.graph import Program
from engine.graph.together import Together
from engine.live.clock import Clock, PlayedClock, VenueClock
from engine.live.history import closes_of, follow_store, top_up
from engine.live.risk_rule import RiskRule
from engine.live.setup import FeedRule, Placement, Setup, series_of
from engine.live.subaccount import Terms
from engine.manifest import Manifest, load_manifest
from engine.risk.guard import guarded
from engine.settings import BotSettings
from engine.simulate import Costs
from engine.simulate.portfolio import capital_of
from parquet_store import Series, Store, Timeframe
from parquet_store.errors import Failed, Usage
from pipelines import Bars

__all__ = [
    "Plan",
    "clock_of",
    "feed_rule",
    "frame_of",
    "guarded_program",
    "load_plan",
    "risk_rule",
    "setup_of",
    "terms_of",
]

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
FILLS_NS: Final = 500_000_000  # they come within milliseconds of their order


@dataclass(frozen=True)
class Plan:
    """What the settings name, loaded and verified; nothing has been asked of a venue.

    Attributes
    ----------
    manifests : tuple of (Manifest, tuple of str, float, str)
        Manifest, symbols, share of the account, name.
    sources : dict of str to str
        Each series of the run to the stored series of its history.
    """

    manifests: tuple[tuple[Manifest, tuple[str, ...], float, str], ...]
    sources: dict[str, str]

    @property
    def frames(self) -> dict[str, tuple[str, str]]:
        """Each series of the run: its symbol and timeframe."""
        pairs = [(symbol, frame_of(manifest)) for _, manifest, symbol, _ in self.placed]
        return {series_of(symbol, frame): (symbol, frame) for symbol, frame in pairs}

    @property
    def placed(self) -> list[tuple[str, Manifest, str, float]]:
        """Each program on each symbol: its name, manifest, symbol and share of the account."""
        return [
            (f"{name} {symbol}", manifest, symbol, share / len(symbols))
            for manifest, symbols, share, name in self.manifests
            for symbol in symbols
        ]


def load_plan(settings: BotSettings) -> Plan:
    """Load and verify what settings name.

    Raises
    ------
    Usage, Failed
        A manifest is missing, damaged or of other kernels; it goes short on a spot market; shares exceed the account.
    """
    from engine.strategies import load_module

    for file in settings.steps:
        load_module(file)
    found: list[tuple[Manifest, tuple[str, ...], float, str]] = []
    sources: dict[str, str] = {}
    for one in settings.manifests:
        manifest = load_manifest(one.path)
        timeframe = Series.parse(str(manifest.data["source"])).timeframe
        if settings.venue.market == "spot" and manifest.program.role("short_entry") not in (None, 0.0):
            raise Usage(f'{one.path}: the program goes short, a spot market does not; use market = "perpetual"')
        if one.history and len(one.symbols) != 1:
            raise Usage(f"{one.path}: history is one series, found {len(one.symbols)} symbols; leave one of them out")
        name = settings.feed.candles_from or settings.venue.name
        both = all(guarded_program(settings, manifest).role(role) is not None for role in ("stop", "target"))
        if both and settings.mode != "paper" and settings.venue.market == "spot" and settings.venue.name != "binance":
            raise Usage(
                f"{one.path}: the program has a stop and a target, and {settings.venue.name}'s spot market binds what "
                "is held to one order; trade it on binance or a perpetual, or sweep it with one of the two"
            )
        for symbol in one.symbols:
            series = series_of(symbol, timeframe)
            source = one.history or f"{name}:{symbol}:{timeframe}"
            if sources.setdefault(series, source) != source:
                raise Usage(f"{one.path}: {series} has two histories, {sources[series]} and {source}; name one")
            if Series.parse(source).timeframe != timeframe:
                raise Usage(f"{one.path}: history {source} is of another timeframe than the manifest's, {timeframe}")
        found.append((manifest, one.symbols, one.share, one.path.stem))
    total = sum(share for _, _, share, _ in found)
    if total > 1.0 + 1e-9 and not settings.account.shared:
        raise Usage(f"manifests: their shares add up to {total:g}, expected at most 1 where the cash is not shared")
    return Plan(tuple(found), sources)


async def clock_of(settings: BotSettings, feed: Exchange) -> tuple[Clock, str]:
    """Return the venue's clock, and the control URL of a local venue that waits to be driven, else empty."""
    if settings.venue.is_local:
        parts = urlsplit(settings.venue.rest_url)
        control = f"{parts.scheme}://{parts.netloc}/control"
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{control}/state") as answer:
                if answer.status == 200:
                    told = await answer.json()
                    now_ns = (int(told["time"]) + 1) * _MS  # a bar closes with its last millisecond
                    if told["speed"]:
                        return PlayedClock(now_ns, float(told["speed"])), ""
                    return PlayedClock(now_ns), control
        except aiohttp.ClientError as error:
            raise Failed(f"{control}: no answer ({type(error).__name__}); start the local venue first") from None
    return VenueClock(await feed.ahead_ns()), ""


async def setup_of(
    settings: BotSettings,
    plan: Plan,
    store: Store,
    feed: Exchange,
    venue: Exchange | None,
    clock: Clock,
    say: Callable[[str], None],
) -> Setup:
    """Return the setup of a run: programs up to date, costs and cash as they are.

    Parameters
    ----------
    settings : BotSettings
    plan : Plan
    store : Store
    feed, venue : Exchange
        Where candles come from; where orders go, None on paper.
    clock : Clock
    say : callable
        Told what a person should know.
    """
    placed = plan.placed
    frames = plan.frames
    for symbol, frame in frames.values():
        for one in {feed, venue or feed}:
            one.rules(symbol)
        feed.timeframe_known(frame)
    programs = [guarded_program(settings, manifest) for _, manifest, _, _ in placed]
    followed = [series_of(symbol, frame_of(manifest)) for _, manifest, symbol, _ in placed]
    together = Together(list(zip(followed, programs, strict=True)))
    now_ms = clock.now_ns() // _MS

    def check(series: str, bars: Bars) -> None:
        for _, manifest, symbol, _ in placed:
            if series == series_of(symbol, frame_of(manifest)) and int(bars.time[-1]) >= int(manifest.data["last"]):
                manifest.check_data(bars)

    made_for = ",".join(sorted({manifest.digest for _, manifest, _, _ in placed}))
    lasts, _ = follow_store(store, together, plan.sources, now_ms, check, made_for)
    names = list(frames)
    found = await asyncio.gather(  # side by side: the client keeps to the venue's rate limit
        *(top_up(feed, together, series, *frames[series], lasts[series], now_ms) for series in names)
    )
    newer = dict(zip(names, found, strict=True))
    rule = risk_rule(settings)
    if rule.guards:
        rule = replace(rule, closes=closes_of(store, plan.sources, lasts, newer))
    for series in names:
        lasts[series], frame = (newer[series] or [lasts[series]])[-1], frames[series][1]
        behind = Timeframe.parse(frame).number(now_ms) - 1 - Timeframe.parse(frame).number(lasts[series].open_ns // _MS)
        if behind > 0:
            say(f"{series}: the venue has no bar for the last {behind}; they are asked for while it runs")
    equity = await equity_of(settings, venue, placed[0][2])
    dealt, reserve = capital_of(equity, [share for _, _, _, share in placed])
    placements = [
        Placement(
            name,
            manifest.digest,
            symbol,
            frame_of(manifest),
            program,
            costs_of(manifest, symbol, venue or feed, cash, paper=venue is None, say=say),
            share,
        )
        for (name, manifest, symbol, share), program, cash in zip(placed, programs, dealt, strict=True)
    ]
    if venue is not None and settings.venue.market == "perpetual":
        for symbol in {symbol for _, _, symbol, _ in placed}:
            most = max(one.costs.leverage for one in placements if one.symbol == symbol)
            await venue.set_leverage(symbol, most)
    return Setup(
        tuple(placements),
        together.checkpoint(),
        lasts,
        feed_rule(settings, clock, frames),
        terms_of(settings, venue, clock),
        replace(rule, reserve=reserve),
    )


def terms_of(settings: BotSettings, venue: Exchange | None, clock: Clock) -> Terms:
    """Return how sub-accounts trade."""
    orders = settings.orders
    played = isinstance(clock, PlayedClock)  # no time passes in which a stream could tell
    return Terms(
        spot=settings.venue.market == "spot",
        paper=venue is None,
        limit=orders.kind == "limit",
        deadline_ns=int(orders.deadline_seconds * _SECOND),
        pairs=venue is not None and venue.pairs,
        latency_ns=int(settings.paper.latency_seconds * _SECOND) if venue is None else 0,
        fills_ns=0 if venue is None or played or not venue.streams_fills else FILLS_NS,
        slippage=orders.max_slippage if venue is not None else 0.0,
        chase_ns=int(orders.chase_seconds * _SECOND),
        reach=orders.reach,
        cross=orders.at_deadline == "market",
        post_only=orders.post_only,
        time_in_force=orders.time_in_force,
        stop_limit=orders.stop_limit,
        amends=venue is not None and venue.amends,
    )


def risk_rule(settings: BotSettings) -> RiskRule:
    """Return what settings say of the account as a whole."""
    wait_ns = int(settings.account.together_seconds * _SECOND)
    return RiskRule(settings.limits, settings.account.shared, wait_ns=wait_ns)


def guarded_program(settings: BotSettings, manifest: Manifest) -> Program:
    """Return a manifest's program with what the position limits add to it."""
    limits = settings.limits
    return manifest.program if limits is None else guarded(manifest.program, limits.position, frame_of(manifest))


def frame_of(manifest: Manifest) -> str:
    """Return the timeframe a manifest's program follows."""
    return Series.parse(str(manifest.data["source"])).timeframe


def feed_rule(settings: BotSettings, clock: Clock, frames: dict[str, tuple[str, str]]) -> FeedRule:
    """Return when a candle is closed; a venue that plays bars is silent between them."""
    feed = settings.feed
    stale = int(feed.stale_seconds * _SECOND)
    if isinstance(clock, PlayedClock):
        bars = [Timeframe.parse(frame) for _, frame in frames.values()]
        longest_ms = max(bar.close_ms(0) - bar.open_ms(0) for bar in bars)
        stale = max(stale, 200 * longest_ms * _MS)  # recorded bars have gaps
    return FeedRule(feed.confirm, int(feed.grace_seconds * _SECOND), int(feed.absence_seconds * _SECOND), stale)


async def equity_of(settings: BotSettings, venue: Exchange | None, symbol: str) -> float:
    """Return what there is to trade with, quote currency.

    Raises
    ------
    Failed
        The account has nothing of the quote currency: a wrong key, or a wrong answer.
    """
    if venue is None:
        return settings.paper.cash
    quote = symbol.partition("/")[2].partition(":")[0]
    found = sum(one.free + one.used for one in await venue.balances() if one.currency == quote)
    if not found > 0.0:
        raise Failed(f"{venue.venue}: the account has no {quote}, expected some to trade {symbol}; nothing was sent")
    return found


def costs_of(
    manifest: Manifest, symbol: str, venue: Exchange, cash: float, *, paper: bool, say: Callable[[str], None]
) -> Costs:
    """Return the manifest's costs with the venue's steps, minimum and contract, on paper its fee, and this cash."""
    rules = venue.rules(symbol)
    perpetual = ":" in symbol
    made = replace(
        manifest.costs,
        price_tick=rules.price_tick,
        quantity_step=rules.quantity_step,
        min_notional=rules.min_notional,
        contract_size=rules.contract_size if rules.contract_size != 1.0 else 0.0,
        initial_cash=cash,
        short=perpetual,
    )
    if paper and rules.taker_fee == rules.taker_fee:
        made = replace(made, fee=rules.taker_fee)
    if made.fee != manifest.costs.fee:
        say(f"{symbol}: fills pay the venue's fee of {made.fee:g}; the sweep reckoned with {manifest.costs.fee:g}")
    return made
