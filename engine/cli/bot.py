"""``lockstep paper``, ``demo``, ``live``, ``status``, ``kill`` and more: running a bot, looking at it, ending it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engine.cli.options import AsJson, StorePath
from engine.cli.output import Output
from parquet_store.errors import Usage

if TYPE_CHECKING:
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
    app.command("kill")(kill)
    app.command("limits")(limits)
    app.command("reconcile")(reconcile)


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

    At a real venue every limit is in force: those under [risk], or small ones (an entry of 100 at most).

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


def kill(
    file: File = Path("bot.toml"),
    reason: Annotated[str, typer.Option("--reason", help="Kept with it, and shown at the next start.")] = "a person",
    again: Annotated[bool, typer.Option("--rearm", help="Let it start again.")] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Cancel a bot's orders, leave its positions at market and end it; it does not start again until rearmed.

    Where no bot runs, none starts until rearmed; what is held then stays.  Waits until the bot has ended.  --rearm
    also lets it trade on after a week's loss, a drawdown, or something it did not understand stopped it.

    \b
    Example:
      lockstep kill bot.toml --reason "the venue is in trouble"
      lockstep kill bot.toml --rearm
    """
    from engine.cli.bot_kill import killed, rearmed

    folder = _settings(file, store).journal.parent
    (rearmed if again else killed)(folder, reason, Output(json), json=json)


def limits(file: File = Path("bot.toml"), store: StorePath = None, json: AsJson = False) -> None:
    """Let a running bot take the limits of its file, where they are tighter; looser ones take a new start.

    \b
    Example:
      lockstep limits bot.toml
    """
    from engine.cli.bot_kill import limited

    limited(_settings(file, store), Output(json), json=json)


def reconcile(file: File = Path("bot.toml"), store: StorePath = None, json: AsJson = False) -> None:
    """Have a running bot ask the venue for its orders and what the account holds, and compare.

    It does so at its start and every few minutes by itself.  What was there before it, and what is bought by hand
    besides, is left alone; exit status 1 if something differs from what it expects.

    \b
    Example:
      lockstep reconcile bot.toml
    """
    from engine.cli.bot_kill import reconciled

    reconciled(_settings(file, store).journal.parent, Output(json), json=json)


def _settings(file: Path, store: Path | None) -> BotSettings:
    from engine.settings import load_settings

    settings = load_settings(file)
    return settings if store is None else settings.model_copy(update={"store": store})


def _of_mode(settings: BotSettings, mode: Literal["demo", "live"]) -> BotSettings:
    if settings.mode != mode:
        raise Usage(f'lockstep {mode}: the file says mode = "{settings.mode}", expected mode = "{mode}" there too')
    return settings


def _run(settings: BotSettings, *, yes: bool, bars: int | None, json: bool) -> None:
    import asyncio

    from engine.cli.bot_log import BotLog
    from engine.live.bot import event_loop, run_bot
    from engine.settings import load_credentials

    credentials = None
    hidden: tuple[str, ...] = ()
    if settings.mode != "paper":
        credentials = load_credentials(settings.venue.name, settings.venue.keys_from)
        hidden = credentials.revealed()
    log = BotLog(settings.log_level, hidden)
    log.say(f"{settings.mode}: starts at {settings.venue.name} {settings.venue.market}, process {os.getpid()}")
    running = run_bot(settings, yes=yes, say=log.say, credentials=credentials, bars=bars, listener=lambda _: log.heard)
    with asyncio.Runner(loop_factory=event_loop) as runner:
        result = runner.run(running)
    log.say(f"{settings.mode}: ended after {result.bars:,} bars")
    show_result(result, settings, Output(json), json=json)


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
