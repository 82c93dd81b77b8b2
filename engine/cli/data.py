"""``lockstep data``: bring bars into the store, look at them, check them, make longer ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli import data_download
from engine.cli.options import AsJson, StorePath, open_store, pairs
from engine.cli.output import Output
from engine.cli.stored import (
    absent,
    checked_series,
    empty_store,
    repaired,
    show_appended,
    show_details,
    show_events,
    show_series,
    stored_events,
)
from parquet_store.errors import Failed, Usage

app = typer.Typer(
    help="Bring bars into the store, look at them, check them.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def sample(store: StorePath = None, json: AsJson = False) -> None:
    """Load real daily bars that come along: NASDAQ Composite and S&P 500, 1999 to 2018.

    \b
    Example:
      lockstep data sample
    """
    from pipelines import sample as samples

    place = open_store(store)
    show_series(place, samples.load(place), Output(json))


@app.command("import")
def import_bars(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV (plain, gzip, zip), Parquet or Feather.", show_default=False)
    ],
    venue: Annotated[
        str, typer.Option(metavar="V", help="Where the prices come from, as in binance.", show_default=False)
    ],
    symbol: Annotated[
        str, typer.Option(metavar="BASE/QUOTE", help="What is traded, as in BTC/USDT.", show_default=False)
    ],
    timeframe: Annotated[str, typer.Option(metavar="T", help="Length of a bar, as in 1m, 4h, 1d.", show_default=False)],
    columns: Annotated[
        str | None, typer.Option(metavar="ts=NAME,...", help="Columns of the file that are not recognised.")
    ] = None,
    layout: Annotated[str, typer.Option(metavar="NAME", help="Layout the file must have.")] = "auto",
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Set bad rows aside in a file with the reason; store the rest.")
    ] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Import a file of bars; bad rows are refused with the reason, and then nothing is stored.

    \b
    Example:
      lockstep data import BTCUSDT-1h-2024-03.zip --venue binance --symbol BTC/USDT --timeframe 1h
      lockstep data import bars.csv --venue mine --symbol A/B --timeframe 1d --columns ts=when,close=last
    """
    from parquet_store import Series
    from pipelines import import_file

    out, place = Output(json), open_store(store)
    series = Series(venue, symbol, timeframe)
    named = pairs(columns, "--columns", "ts=when,close=last") if columns else None
    imported = import_file(file, columns=named, layout=layout)
    for note in imported.notes:
        out.note(note)
    done = place.append(series, imported.frame, quarantine=quarantine, provenance=file.name)
    show_appended(place, series, done, {"layout": imported.layout, "notes": [*imported.notes, *done.notes]}, out)


data_download.register(app)


@app.command("list")
def list_series(store: StorePath = None, json: AsJson = False) -> None:
    """List what is stored.

    \b
    Example:
      lockstep data list
    """
    place, out = open_store(store), Output(json)
    show_series(place, place.series(), out)
    events = [] if json else stored_events(place)
    if events:
        show_events(events, out)


@app.command()
def check(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="Series as venue:SYMBOL:timeframe; all if none is given."),
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Audit stored bars: gaps, duplicates, impossible prices, damaged files.

    Exit status 1 if something is wrong; absent bars, and bars repaired from another venue, are shown and no fault.

    \b
    Example:
      lockstep data check
      lockstep data check binance:BTC/USDT:1h --json
    """
    from parquet_store import Series

    out, place = Output(json), open_store(store)
    chosen = [Series.parse(text) for text in sources] if sources else place.series()
    checked = [checked_series(place, series) for series in chosen]
    wrong = sum(len(entry["findings"]) for entry in checked)
    if json:
        out.document({"series": checked})
    elif not checked:
        out.say(empty_store(place))
    else:
        rows = [
            [e["source"], e["rows"], e["first"], e["last"], len(e["gaps"]), absent(e["gaps"]), e["repairs"], e["wrong"]]
            for e in (e | {"repairs": repaired(e), "wrong": len(e["findings"])} for e in checked)
        ]
        out.table(["source", "bars", "first", "last", "gaps", "bars absent", "repaired", "findings"], rows)
        for entry in checked:
            show_details(entry, out)
        out.say("nothing is wrong" if not wrong else f"{wrong:,} findings")
    if wrong:
        raise typer.Exit(1)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A query over the view 'bars'.", show_default=False)],
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Ask the stored bars in SQL.

    The view 'bars' has ts, open, high, low, close, volume, venue, symbol, timeframe, month; 'repairs' has the bars
    that another venue gave (source, repaired_at), 'funding' the rates paid and 'trades' the trades.

    \b
    Example:
      lockstep data query "select symbol, count(*), max(high) from bars group by symbol"
    """
    from engine.cli.query import fetch

    out = Output(json)
    columns, rows = fetch(open_store(store).sql(sql))
    if json:
        out.document({"columns": columns, "rows": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        out.table(columns, rows)


@app.command()
def resample(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As in binance:BTC/USDT:1m.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="T", help="The longer timeframe, as in 1h.", show_default=False)],
    session: Annotated[
        str | None, typer.Option(metavar="HOURS", help='For 1d: trading hours, as in "America/New_York 09:30-16:00".')
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Make longer bars of stored ones and store them; a bar that is not known to be over is left out.

    \b
    Example:
      lockstep data resample binance:BTC/USDT:1m --to 4h
    """
    from parquet_store import Series
    from pipelines import resample as longer_bars

    out, place = Output(json), open_store(store)
    base = Series.parse(source)
    series = Series(base.venue, base.symbol, to)
    if series == base:
        raise Usage(f"{base} already has bars of {to}: expected a longer timeframe")
    rows = longer_bars(place.read(base), base.bar, series.bar, session=session)
    if rows.is_empty():
        span = place.span(base)
        raise Failed(
            f"{base}: no whole bar of {to} in {span.rows:,} bars from {span.first:%Y-%m-%d %H:%M} to "
            f"{span.last:%Y-%m-%d %H:%M}: nothing was stored; import more, or choose a shorter timeframe"
        )
    done = place.append(series, rows, provenance=f"{base} resampled" + (f" in {session}" if session else ""))
    show_appended(place, series, done, {"notes": list(done.notes)}, out)
