"""``lockstep paper``, ``demo``, ``live`` and ``status``: running a bot, and looking at one that runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engine.cli.options import AsJson, StorePath
from engine.cli.output import Output
from parquet_store.errors import Usage

if TYPE_CHECKING:
    from engine.live.actions import Action
    from engine.live.bot import Result
    from engine.settings import BotSettings

File = Annotated[Path, typer.Argument(metavar="[FILE]", help="Settings in TOML; else ./bot.toml.", show_default=False)]
Bars = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="At a local venue in lockstep: so many bars, then end.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("paper")(paper)
    app.command("demo")(demo)
    app.command("live")(live)
    app.command("status")(status)


def paper(file: File = Path("bot.toml"), bars: Bars = None, store: StorePath = None, json: AsJson = False) -> None:
    """Trade on paper: the venue's market data, fills by the simulation's own kernel.  Sends no order, needs no key.

    Ends at Ctrl-C or SIGTERM.

    \b
    Example:
      lockstep paper bot.toml
    """
    settings = _settings(file, store).model_copy(update={"mode": "paper"})
    _run(settings, yes=False, bars=bars, json=json)


def demo(file: File = Path("bot.toml"), bars: Bars = None, store: StorePath = None, json: AsJson = False) -> None:
    """Trade play money at the venue's own demo trading (Binance, OKX), with real orders that never reach the market.

    \b
    Example:
      lockstep demo bot.toml
    """
    _run(_of_mode(_settings(file, store), "demo"), yes=False, bars=bars, json=json)


def live(
    file: File = Path("bot.toml"),
    yes: Annotated[bool, typer.Option("--yes", help="The limits were read and are meant: do not ask.")] = False,
    bars: Bars = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Trade live: needs mode = "live" and live = true in the file, and a yes to the limits it shows.

    Until risk layers stand before the orders it starts at a venue on this machine only.

    \b
    Example:
      lockstep live bot.toml
    """
    from engine.settings import live_summary, refuse_unsafe

    settings = _of_mode(_settings(file, store), "live")
    refuse_unsafe(settings, yes=True)
    if not yes:
        out = Output(json)
        for line in live_summary(settings):
            out.note(line)
        if not typer.confirm("Trade with these limits?", default=False, err=True):
            raise Usage("live trading needs a yes: nothing was started (--yes gives it beforehand)")
    _run(settings, yes=True, bars=bars, json=json)


def status(
    file: File = Path("bot.toml"),
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Show what a bot holds and has ordered, its last bars, and how far behind it is.

    \b
    Example:
      lockstep status bot.toml
      lockstep status bot.toml --watch
    """
    from engine.cli.bot_status import show_status
    from engine.live.status import STATUS, read_status

    place = _settings(file, store).journal.parent / STATUS
    if json:
        Output(json).document(read_status(place))
        return
    if not watch:
        from rich.console import Console

        Console().print(show_status(read_status(place)))
        return
    import time

    from rich.live import Live

    with Live(show_status(read_status(place)), auto_refresh=False) as shown:
        while True:
            time.sleep(1.0)
            shown.update(show_status(read_status(place)), refresh=True)


def _settings(file: Path, store: Path | None) -> BotSettings:
    from engine.settings import load_settings

    settings = load_settings(file)
    return settings if store is None else settings.model_copy(update={"store": store})


def _of_mode(settings: BotSettings, mode: Literal["demo", "live"]) -> BotSettings:
    if settings.mode != mode:
        raise Usage(f'lockstep {mode}: the file says mode = "{settings.mode}", expected mode = "{mode}" there too')
    return settings


def _run(settings: BotSettings, *, yes: bool, bars: int | None, json: bool) -> None:
    from engine.live.bot import event_loop, run_bot

    out = Output(json)

    def heard(actions: Sequence[Action], time_ns: int) -> None:
        for action in actions:
            line = told(action)
            if line:
                out.note(line)

    import asyncio

    with asyncio.Runner(loop_factory=event_loop) as runner:
        result = runner.run(run_bot(settings, yes=yes, say=out.note, bars=bars, listener=lambda _: heard))
    show_result(result, settings, out, json=json)


def told(action: Action) -> str:
    """Return an action as a line for a person, empty for what would only be noise."""
    from engine.live.actions import CancelOrder, Decided, PlaceOrder, PlacePair, Said, Traded
    from engine.live.loop import moment

    if isinstance(action, Said):
        return f"{action.level}: {action.about}: {action.text}"
    if isinstance(action, PlaceOrder):
        one = action.request
        price = f" at {one.price:g}" if one.price == one.price else ""
        level = f" once {one.stop_price:g}" if one.stop_price == one.stop_price else ""
        return f"order: {one.kind} {one.side} {one.quantity:g} {one.symbol}{price}{level} ({one.client_id})"
    if isinstance(action, PlacePair):
        stop, target = action.stop, action.target
        return f"order: {stop.side} {stop.quantity:g} {stop.symbol}: stop {stop.stop_price:g}, target {target.price:g}"
    if isinstance(action, CancelOrder):
        return f"cancel: {action.request.client_id}"
    if isinstance(action, Traded):
        return f"trade: {action.account}: {action.reason}, profit {action.profit:,.2f}"
    if isinstance(action, Decided) and (action.ordered or action.leaves):
        what = "leaves" if action.leaves else "enters"
        return f"decided: {action.account}: {what} at the close of the bar of {moment(action.open_ns)}"
    return ""


def show_result(result: Result, settings: BotSettings, out: Output, *, json: bool) -> None:
    """Print what a run came to."""
    rows: list[dict[str, Any]] = [
        {
            "account": account.name,
            "bars": account.bars,
            "trades": len(account.trades),
            "equity": account.equity,
            "quantity": account.quantity,
        }
        for account in result.loop.accounts
    ]
    if json:
        out.document({"mode": settings.mode, "journal": settings.journal, "bars": result.bars, "accounts": rows})
        return
    out.table(
        ["account", "bars", "trades", "equity", "position"],
        [
            [row["account"], f"{row['bars']:,}", f"{row['trades']:,}", f"{row['equity']:,.2f}", f"{row['quantity']:g}"]
            for row in rows
        ],
    )
    out.say(f"journal {settings.journal}, {result.entries:,} entries")
