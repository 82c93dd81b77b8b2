"""What a run before left at the venue: a position or orders that the run about to start knows nothing of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.execution.exchange import Exchange
from engine.live.status import read_status
from parquet_store.errors import Failed, LockstepError

__all__ = ["refuse_left"]

MOST_OF: Final = 0.5  # of what was held, still there: fees and dust take little


async def refuse_left(status: Path, venue: Exchange) -> None:
    """Refuse to start beside what the last run with this journal left at the venue.

    What its status says is asked of the venue: orders by their ids, on spot markets what is held by the balance.
    What is not there any more is forgotten.

    Parameters
    ----------
    status : Path
        Of the run before; absent or damaged: nothing is known to be left.
    venue : Exchange

    Raises
    ------
    Failed
        Something is still there; what, and what to do about it.
    """
    try:
        found = read_status(status)
    except LockstepError:
        return
    if found["mode"] == "paper":
        return
    left: list[str] = []
    held: dict[str, float] = {}
    for one in found["accounts"]:
        left += await orders_left(one, venue)
        if one["quantity"] and ":" not in one["symbol"]:
            base = one["symbol"].partition("/")[0]
            held[base] = held.get(base, 0.0) + abs(one["quantity"])
    if held:
        has = {one.currency: one.free + one.used for one in await venue.balances()}
        left += [f"{held[base]:g} {base}" for base in held if has.get(base, 0.0) >= MOST_OF * held[base]]
    if left:
        raise Failed(
            f"{venue.venue}: the run before left {', '.join(left)}; a new run does not take them over: close and "
            "cancel them at the venue, then start again"
        )


async def orders_left(account: dict[str, Any], venue: Exchange) -> list[str]:
    """Return those of an account's last known orders that still stand."""
    ids = {order["client_id"] for order in account["orders"]}
    if not ids:
        return []
    standing = await venue.open_orders(account["symbol"])
    return [f"order {one.client_id} in {account['symbol']}" for one in standing if one.client_id in ids]
