"""``lockstep route``: where an order is best sent, by the books and fees of several venues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import AsJson, number_pairs
from engine.cli.output import Output
from parquet_store.errors import Usage


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("route")(route)


def price(value: float | None) -> str:
    """Return a price in all its digits, and a dash where there is none."""
    return "-" if value is None else f"{value:,.10g}"


def route(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="As in BTC/USDT.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Settings of bots, one at each venue.")],
    side: Annotated[str, typer.Option(metavar="SIDE", help="buy or sell.")],
    quantity: Annotated[float, typer.Option(metavar="Q", help="Base currency.")],
    fee: Annotated[
        str | None, typer.Option(metavar="VENUE=FEE,...", help="Taker fees, where the account pays others.")
    ] = None,
    funded: Annotated[
        bool, typer.Option("--funded", help="No more than the account has at each venue: asks with its keys.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Say where an order is best sent: at one venue or split, after fees, depth and what each takes at least.

    Asks every venue for its order book now; nothing is sent.

    \b
    Example:
      lockstep route BTC/USDT binance.toml okx.toml --side buy --quantity 2.5
    """
    import asyncio

    from engine.execution.offers import fetch_offers
    from engine.execution.routing import MOST_OFFERS, routed
    from engine.settings import load_settings

    if not quantity > 0.0 or side not in ("buy", "sell"):
        raise Usage(f"found --side {side} --quantity {quantity:g}, expected buy or sell and a quantity above 0")
    venues = [load_settings(file) for file in files]
    names = [one.venue.name for one in venues]
    if len(set(names)) < len(names) or len(names) > MOST_OFFERS:
        raise Usage(f"found files of {', '.join(names)}, expected at most {MOST_OFFERS} venues, each once")
    fees = number_pairs(fee, "--fee", "binance=0.00075") if fee else {}
    offers = asyncio.run(fetch_offers(venues, symbol, side, fees=fees, funded=funded))
    found = routed(side, quantity, offers)
    out, quote = Output(json), symbol.partition("/")[2].partition(":")[0]
    if json:
        parts = [vars(one) | {"total": one.total(side)} for one in found.parts]
        out.document(
            {
                "symbol": symbol,
                "side": side,
                "asked": quantity,
                "quantity": found.quantity,
                "price": found.price,
                "parts": parts,
                "alone": found.alone,
                "saved": found.saved,
                "reason": found.reason,
            }
        )
        return
    parts_of = {one.venue: one for one in found.parts}
    rows = []
    for one in offers:
        known = (one.venue, price(one.levels[0][0]), f"{one.fee:.4%}", price(found.alone.get(one.venue)))
        part = parts_of.get(one.venue)
        sent = ("0", "-", "-", "-")
        if part is not None:
            sent = (f"{part.quantity:.12g}", price(part.average), price(part.worst), f"{part.total(side):,.2f}")
        rows.append(known + sent)
    columns = ("venue", "best", "fee", "alone, after fees", "quantity", "average", "worst", f"{quote} with fees")
    out.table(columns, rows, right=True)
    out.say(f"{side} {quantity:g} {symbol}: {found.reason}")
