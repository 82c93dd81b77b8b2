"""``lockstep data download``: history from a venue into the store, gone on with wherever it was stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from engine.cli.options import AsJson, StorePath, open_store
from engine.cli.output import Output
from parquet_store.errors import Usage, unknown

if TYPE_CHECKING:
    from engine.execution.download import Done

KINDS = ("bars", "funding", "trades")
_SHOWN = 10  # gaps a person is shown of one series; JSON has them all


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("download")(download_history)


def download_history(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="As CCXT names it: binance, okx.", show_default=False)],
    symbols: Annotated[str, typer.Argument(metavar="SYMBOL,...", help="As in BTC/USDT,ETH/USDT.", show_default=False)],
    timeframe: Annotated[
        str,
        typer.Argument(metavar="[T]", help="Length of a bar, as in 1h; not for funding, trades.", show_default=False),
    ] = "",
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="From here; if not given, what is stored is gone on from.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="To here; if not given, to now.")] = None,
    market: Annotated[
        str, typer.Option(metavar="spot|perpetual", help="If not given, as the symbols say.", show_default=False)
    ] = "",
    kind: Annotated[str, typer.Option(metavar="bars|funding|trades", help="What to download.")] = "bars",
    repair_from: Annotated[
        str, typer.Option(metavar="VENUE", help="Fill what stays absent with this venue's bars.", show_default=False)
    ] = "",
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Ask again for bars known to be absent, or that another venue gave.")
    ] = False,
    url: Annotated[
        str, typer.Option(metavar="URL", help="Of a venue on this machine, in its place.", show_default=False)
    ] = "",
    repair_url: Annotated[
        str, typer.Option(metavar="URL", help="The same for --repair-from.", show_default=False)
    ] = "",
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Download history by CCXT: bars, funding rates or trades.

    What is stored is not asked for again: stopped at any moment, the same command goes on.  Bars that an answer lacks
    are asked for twice, then listed as gaps; only --repair-from fills them, and the store keeps which bars those are.

    \b
    Example:
      lockstep data download binance BTC/USDT,ETH/USDT 1h --since 2018-01-01
      lockstep data download binance BTC/USDT 1m --since 2024-01-01 --repair-from okx
      lockstep data download binance BTC/USDT --kind funding --since 2020-01-01
    """
    import asyncio

    from engine.execution.download import Wanted, download
    from parquet_store.moments import moment_ms

    if kind not in KINDS:
        raise unknown("kind of data", kind, KINDS)
    begin, end = moment_ms(since), moment_ms(until)
    if begin is not None and end is not None and begin >= end:
        raise Usage(f"--since {since} is not before --until {until}")
    names = tuple(part.strip() for part in symbols.split(",") if part.strip())
    out, place = Output(json), open_store(store)
    wanted = Wanted(
        venue=venue,
        symbols=names,
        timeframe=timeframe,
        since_ms=begin,
        until_ms=end,
        market=market,
        kind=cast(Literal["bars", "funding", "trades"], kind),
        repair_from=repair_from,
        recheck=recheck,
        url=url,
        repair_url=repair_url,
    )
    with _bars_of_progress(out) as progress:
        done = asyncio.run(download(wanted, place, progress=progress))
    if json:
        out.document({"store": place.root, "series": [one.to_dict() for one in done]})
    else:
        _show(done, out)
    for one in done:
        if one.error:
            out.note(f"error: {one.source}: {one.error}")
    if any(one.error for one in done):
        raise typer.Exit(1)


def _show(done: list[Done], out: Output) -> None:
    from parquet_store.moments import to_text

    def clock(ms: int | None) -> str | None:
        return None if ms is None else to_text(ms)

    rows = [
        [one.source, one.new, one.stored, *map(clock, (one.first_ms, one.last_ms)), len(one.gaps), one.absent]
        for one in done
    ]
    out.table(["source", "new", "stored", "first", "last", "gaps", "absent"], rows)
    for one in done:
        if one.repaired:
            out.say(f"{one.source}: {one.repaired:,} bars repaired from another venue")
        if one.quarantined:
            out.say(f"{one.source}: {one.quarantined:,} impossible bars set aside with the reason")
        for note in one.notes:
            out.say(f"{one.source}: {note}")
        if not one.gaps:
            continue
        out.say(f"{one.source}: {one.absent:,} absent in {len(one.gaps):,} gaps")
        for low, high, missing in sorted(one.gaps, key=lambda gap: -gap[2])[:_SHOWN]:
            what = "bars from" if one.kind == "bars" else "payments between"
            out.say(f"  {missing:,} {what} {to_text(low)} to {to_text(high)}")
        if len(one.gaps) > _SHOWN:
            out.say(f"  ... and {len(one.gaps) - _SHOWN:,} shorter gaps; --json has them all")


@contextmanager
def _bars_of_progress(out: Output) -> Iterator[Callable[[str, int, int], None] | None]:
    """Give what moves a bar with its remaining time for each series; None where nobody watches."""
    if out.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def moved(source: str, known: int, total: int) -> None:
            if source not in tasks:
                tasks[source] = shown.add_task(source, total=max(total, 1))
            shown.update(tasks[source], completed=known)

        yield moved
