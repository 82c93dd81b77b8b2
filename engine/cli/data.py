"""``lockstep data``: bring bars into the store, look at them, check them, make longer ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath, open_store, pairs
from engine.cli.output import Output
from parquet_store.errors import Failed, LockstepError, Usage

if TYPE_CHECKING:
    from parquet_store import Appended, Series, Store

app = typer.Typer(
    help="Bring bars into the store, look at them, check them.", no_args_is_help=True, rich_markup_mode=None
)

_SHOWN = 20  # findings, gaps and notes a person is shown of one series; JSON has them all


@app.command()
def sample(store: StorePath = None, json: AsJson = False) -> None:
    """Load real daily bars that come along: NASDAQ Composite and S&P 500, 1999 to 2018.

    \b
    Example:
      lockstep data sample
    """
    from pipelines import sample as samples

    place = open_store(store)
    _list(place, samples.load(place), Output(json))


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
    _appended(place, series, done, {"layout": imported.layout, "notes": [*imported.notes, *done.notes]}, out)


@app.command("list")
def list_series(store: StorePath = None, json: AsJson = False) -> None:
    """List what is stored.

    \b
    Example:
      lockstep data list
    """
    place = open_store(store)
    _list(place, place.series(), Output(json))


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

    Exit status 1 if something is wrong; absent bars are shown and are no fault.

    \b
    Example:
      lockstep data check
      lockstep data check binance:BTC/USDT:1h --json
    """
    from parquet_store import Series

    out, place = Output(json), open_store(store)
    chosen = [Series.parse(text) for text in sources] if sources else place.series()
    checked = [_check(place, series) for series in chosen]
    wrong = sum(len(entry["findings"]) for entry in checked)
    if json:
        out.document({"series": checked})
    elif not checked:
        out.say(_empty(place))
    else:
        rows = [
            [e["source"], e["rows"], e["first"], e["last"], len(e["gaps"]), _absent(e["gaps"]), len(e["findings"])]
            for e in checked
        ]
        out.table(["source", "bars", "first", "last", "gaps", "bars absent", "findings"], rows)
        for entry in checked:
            _details(entry, out)
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

    The view 'bars' has ts, open, high, low, close, volume, venue, symbol, timeframe, month.

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
    _appended(place, series, done, {"notes": list(done.notes)}, out)


def _appended(store: Store, series: Series, done: Appended, more: dict[str, Any], out: Output) -> None:
    for note in done.notes:
        out.note(note)
    stored = store.series()
    span = store.span(series).to_dict() if series in stored else {"first": None, "last": None, "rows": 0}
    if out.json:
        counts = {
            "rows": done.rows,
            "replaced": done.replaced,
            "unchanged": done.unchanged,
            "months": done.months,
            "quarantined": done.quarantined,
            "quarantine": done.quarantine,
        }
        out.document({"source": str(series), **counts, **more, "stored": span})
        return
    new = done.rows - done.replaced - done.unchanged
    out.say(f"{series}: {new:,} bars new, {done.replaced:,} replaced, {done.unchanged:,} stored before just so")
    if done.quarantined:
        out.say(f"{done.quarantined:,} bad rows set aside with the reason in {done.quarantine}")
    out.say(f"stored are {span['rows']:,} bars" + (f" from {span['first']} to {span['last']}" if span["rows"] else ""))


def _list(store: Store, series: list[Series], out: Output) -> None:
    entries = []
    for one in series:
        meta = store.meta(one)
        entries.append({"source": str(one), **_span(store, one), **meta.to_dict()})
    if out.json:
        out.document({"store": store.root, "series": entries})
    elif not entries:
        out.say(_empty(store))
    else:
        columns = ["source", "rows", "first", "last", "calendar", "bars_per_year"]
        named = ["source", "bars", "first", "last", "calendar", "bars a year"]
        out.table(named, [[entry[name] for name in columns] for entry in entries])


def _span(store: Store, series: Series) -> dict[str, Any]:
    span = store.span(series)
    return {"rows": span.rows, "first": span.first, "last": span.last}


def _check(store: Store, series: Series) -> dict[str, Any]:
    from parquet_store import audit

    if series not in store.series():
        store.span(series)  # raises with the nearest name
    entry: dict[str, Any] = {
        "source": str(series),
        "rows": None,
        "first": None,
        "last": None,
        "gaps": [],
        "findings": [],
    }
    try:
        entry |= _span(store, series)
        entry["gaps"] = [gap.to_dict() for gap in store.gaps(series)]
        found = audit(store.read(series), series.bar)
        entry["findings"] = [finding.to_dict() for finding in found if finding.kind != "gap"]
    except LockstepError as error:  # a damaged file: named here, and the other series are still checked
        damage = {"kind": "unreadable", "row": None, "time": None, "message": str(error), "value": ""}
        entry["findings"] = [damage]
    return entry


def _details(entry: dict[str, Any], out: Output) -> None:
    gaps = sorted(entry["gaps"], key=lambda gap: -gap["missing"])
    lines = [f"  absent: {gap['missing']:,} bars after {gap['after']}, before {gap['before']}" for gap in gaps[:_SHOWN]]
    if len(gaps) > _SHOWN:
        lines.append(f"  ... and {len(gaps) - _SHOWN:,} shorter gaps; --json has them all")
    found = entry["findings"]
    lines += [f"  {one['kind']}: {_at(one)}{one['message']} {one['value']}".rstrip() for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  ... and {len(found) - _SHOWN:,} more findings; --json has them all")
    if lines:
        out.say("\n".join([entry["source"], *lines]))


def _at(finding: dict[str, Any]) -> str:
    return "" if finding["row"] is None else f"row {finding['row']:,} ({finding['time']}): "


def _absent(gaps: list[dict[str, Any]]) -> int:
    return sum(gap["missing"] for gap in gaps)


def _empty(store: Store) -> str:
    return f"no bars in {store.root}: try lockstep data sample, or lockstep data import FILE"
