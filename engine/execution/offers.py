"""What several venues have to offer for an order, asked of all of them at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.routing import Offer
from engine.settings import BotSettings, load_credentials
from parquet_store.errors import Failed, Usage

__all__ = ["fetch_offers"]


async def fetch_offers(
    venues: Sequence[BotSettings], symbol: str, side: str, *, fees: Mapping[str, float] | None = None, funded: bool
) -> list[Offer]:
    """Ask every venue for its book, and with ``funded`` for what the account has there.

    Parameters
    ----------
    venues : sequence of BotSettings
        Of which the venue, its URLs and, with ``funded``, its keys are used.
    symbol, side : str
    fees : mapping of str to float, optional
        The taker's fee by venue, where the account pays another one than the venue's first tier.
    funded : bool
        Whether no more is offered than the account can pay, or has, there; spot markets only.

    Raises
    ------
    Usage
        A venue has no such market; fees name another venue; a perpetual with ``funded``.
    Failed
        A venue cannot be reached, or its book is none.
    """
    names = [one.venue.name for one in venues]
    fees = fees or {}
    for name in fees:
        if name not in names:
            raise Usage(f"--fee names {name}, expected one of {', '.join(names)}")
    if funded and any(one.venue.market != "spot" for one in venues):
        raise Usage("--funded knows what spot accounts have, found a perpetual: leave it out")
    return list(await asyncio.gather(*(_offer(one, symbol, side, fees, funded=funded) for one in venues)))


async def _offer(settings: BotSettings, symbol: str, side: str, fees: Mapping[str, float], *, funded: bool) -> Offer:
    name = settings.venue.name
    credentials = load_credentials(name, settings.venue.keys_from) if funded else None
    async with contextlib.AsyncExitStack() as stack:
        hidden = () if credentials is None else credentials.revealed()
        exchange = await stack.enter_async_context(Exchange(client_of(settings, credentials), hidden))
        rules = exchange.rules(symbol)
        bids, asks = await exchange.book(symbol)
        if not bids or not asks or not 0.0 < bids[0][0] < asks[0][0]:
            raise Failed(f"{name} {symbol}: its book is none, bids and asks are {len(bids)} and {len(asks)}: ask again")
        levels = asks if side == "buy" else bids
        fee, size = fees.get(name, rules.taker_fee), rules.contract_size
        held = {one.currency: one.free for one in await exchange.balances()} if funded else {}
    limits = (rules.quantity_step * size, rules.min_quantity * size, rules.min_notional)
    if not funded:
        return Offer(name, levels, fee, *limits)
    if side == "sell":
        return Offer(name, levels, fee, *limits, held.get(rules.base, 0.0))
    left, most = held.get(rules.quote, 0.0), 0.0
    for price, amount in levels:
        taken = min(amount, left / (price * (1.0 + fee)))
        most, left = most + taken, left - taken * price * (1.0 + fee)
    return Offer(name, levels, fee, *limits, most)
