"""Whether a mode may start, and what a human is shown before money moves."""

from __future__ import annotations

from engine.settings.model import BotSettings
from parquet_store.errors import Usage

__all__ = ["live_summary", "refuse_unsafe"]


def refuse_unsafe(settings: BotSettings, *, yes: bool) -> None:
    """Refuse to trade live without both yeses, and outside a local venue.

    Parameters
    ----------
    settings : BotSettings
    yes : bool
        The second yes, given by whoever starts the bot; the first is ``live = true`` in the file.

    Raises
    ------
    Usage
        The mode is live, and a yes is missing, or a URL of the venue leads off this machine.
    """
    if settings.mode != "live":
        return
    if not settings.live:
        raise Usage("live trading needs live = true in the settings: it is not there")
    if not yes:
        raise Usage("live trading needs a second yes when it is started, after the limits were read")
    away = [name for name, url in settings.venue.urls.items() if not url]
    if not settings.venue.is_local:
        found = f"{', '.join(away)} not set" if away else "a URL that leads off this machine"
        raise Usage(
            f"live trading on {settings.venue.name} is refused: no risk layer stands before its orders yet, so that "
            f"only a venue on this machine may be traded live (found {found}); use mode = 'paper' or 'demo', or give "
            "loopback URLs under [venue]"
        )


def live_summary(settings: BotSettings) -> list[str]:
    """Return the lines a human confirms: where, what with which share, which limits."""
    venue, limits, orders = settings.venue, settings.limits, settings.orders
    where = "on this machine" if venue.is_local else "the real venue" if settings.mode == "live" else settings.mode
    lines = [f"{settings.mode} on {venue.name} {venue.market} ({where})"]
    lines += [
        f"{one.path.name}: {', '.join(one.symbols)} with {one.share:.0%} of the account" for one in settings.manifests
    ]
    until = f" for {orders.deadline_seconds:g} s" if orders.kind == "limit" else ""
    lines.append(f"{orders.kind} orders{until}, cash {'shared' if settings.account.shared else 'of its own for each'}")
    if limits is None:
        return [*lines, "no limits of risk: [risk] is not in the file"]
    return lines + [
        f"{layer}: " + ", ".join(f"{name} {value if value == 'off' else format(value, 'g')}" for name, value in rows)
        for layer, rows in ((layer, list(getattr(limits, layer))) for layer in type(limits).model_fields)
    ]
