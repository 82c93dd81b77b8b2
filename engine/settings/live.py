"""Whether a mode may start, and what a human is shown before money moves."""

from __future__ import annotations

from typing import Final

from engine.risk import Limits
from engine.settings.model import BotSettings, OrderSettings
from parquet_store.errors import Usage

__all__ = ["live_summary", "refuse_unsafe"]

# what real money is not traded without
NEEDED: Final = (
    "position.risk_per_trade", "position.notional", "portfolio.exposure", "portfolio.daily_loss", "account.drawdown",
    "account.leverage", "operation.price_band",
)  # fmt: skip


def refuse_unsafe(settings: BotSettings, *, yes: bool) -> None:
    """Refuse to trade live without both yeses; and a real market through strange addresses or without its limits.

    Parameters
    ----------
    settings : BotSettings
    yes : bool
        The second yes, given by whoever starts the bot; the first is ``live = true`` in the file.

    Raises
    ------
    Usage
        The mode is live, and a yes is missing; a URL is neither the venue's own nor on this machine; a limit that
        real money is not traded without is off.
    """
    if settings.mode != "live":
        return
    if not settings.live:
        raise Usage("live trading needs live = true in the settings: it is not there")
    if not yes:
        raise Usage("live trading needs a second yes when it is started, after the limits were read")
    venue = settings.venue
    if venue.is_local:
        return
    given = [name for name, url in venue.urls.items() if url]
    if given:
        raise Usage(
            f"live trading on {venue.name} is refused: {', '.join(given)} under [venue] would send its keys elsewhere; "
            "leave all URLs out for the venue's own, or give loopback URLs for all of them"
        )
    limits = settings.limits
    off = [name for name in NEEDED if limits is None or value_of(limits, name) == "off"]
    if off:
        raise Usage(f"live trading on {venue.name} is refused: {', '.join(off)} off under [risk]; give each a number")


def value_of(limits: Limits, name: str) -> object:
    """Return a limit by its name in a file."""
    layer, _, key = name.partition(".")
    return getattr(getattr(limits, layer), key)


def orders_in_words(orders: OrderSettings) -> str:
    """Return how positions are entered and left, in a line."""
    if orders.kind == "market":
        words = "market orders"
    else:
        only = "only resting, " if orders.post_only else ""
        rests = f"for {orders.deadline_seconds:g} s" if orders.time_in_force == "gtc" else orders.time_in_force
        moved = f", moved every {orders.chase_seconds:g} s within {orders.reach:.2%}" if orders.chase_seconds else ""
        words = f"limit orders {only}{rests}{moved}, then {orders.at_deadline}"
    return words + (f", stops with a limit {orders.stop_limit:.2%} beyond" if orders.stop_limit else "")


def live_summary(settings: BotSettings) -> list[str]:
    """Return the lines a human confirms: where, what with which share, which limits."""
    venue, limits, orders = settings.venue, settings.limits, settings.orders
    where = "on this machine" if venue.is_local else "the real venue" if settings.mode == "live" else settings.mode
    lines = [f"{settings.mode} on {venue.name} {venue.market} ({where})"]
    lines += [
        f"{one.path.name}: {', '.join(one.symbols)} with {one.share:.0%} of the account" for one in settings.manifests
    ]
    lines.append(f"{orders_in_words(orders)}, cash {'shared' if settings.account.shared else 'of its own for each'}")
    if limits is None:
        return [*lines, "no limits of risk: [risk] is not in the file"]
    return lines + [
        f"{layer}: " + ", ".join(f"{name} {value if value == 'off' else format(value, 'g')}" for name, value in rows)
        for layer, rows in ((layer, list(getattr(limits, layer))) for layer in type(limits).model_fields)
    ]
