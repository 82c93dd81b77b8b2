"""``lockstep results``: look at what came out of a sweep or a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath, open_store
from engine.cli.output import Output
from parquet_store.errors import LockstepError, Usage

if TYPE_CHECKING:
    from engine.research.table import Run
    from parquet_store import Store


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("results")(results)


def results(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run; without it, all are listed.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many rows.")] = 20,
    by: Annotated[str, typer.Option(metavar="METRIC", help="Best first by this metric.")] = "sharpe",
    where: Annotated[str | None, typer.Option(metavar="'trades > 30'", help="Only rows for which this holds.")] = None,
    sql: Annotated[str | None, typer.Option(metavar="QUERY", help="A query over the table 'results' instead.")] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Show the best rows of a run, or ask its table in SQL; without a run, list the runs.

    \b
    Example:
      lockstep results
      lockstep results first --top 5 --by calmar --where 'trades > 30'
      lockstep results first --sql 'select rsi_length, median(sharpe) from results group by 1 order by 1'
    """
    from engine.research.table import Run

    out, place = Output(json), open_store(store)
    if run is None:
        if where is not None or sql is not None:
            raise Usage("--where and --sql ask one run's table: give the run, as in lockstep results RUN")
        _list_runs(place, out)
        return
    found = Run.open(place, run)
    if sql is not None:
        if where is not None:
            raise Usage("--sql and --where exclude each other: write the condition into the query")
        columns, rows = found.sql(sql)
        if json:
            records = [dict(zip(columns, row, strict=True)) for row in rows]
            out.document({"run": found.name, "columns": columns, "rows": records})
        else:
            out.table(columns, rows)
        return
    best = found.top(top, by, where)
    if json:
        out.document({"run": found.name, "by": by, "rows": best})
        return
    from engine.cli.figures import annualised, rank

    if best:
        rank(out, best, _swept(found), by)
        annualised(out, found.plan["sources"])
    else:
        out.say(f"no row of run {found.name} fits" + (f" --where {where!r}" if where else ""))


def _list_runs(store: Store, out: Output) -> None:
    from engine.research.table import Run, runs

    entries: list[dict[str, Any]] = []
    for name in runs(store):
        try:
            run = Run.open(store, name)
            count = run.sql("select count(*) from results")[1][0][0]
        except LockstepError as error:  # a damaged run does not hide the others
            out.note(f"error: {error}")
            continue
        plan = run.plan
        entry = {"run": name, "strategy": plan["strategy"], "sources": run.sources, "rows": count}
        entries.append(entry | {"backend": plan["backend"]})
    if out.json:
        out.document({"store": store.root, "runs": entries})
    elif not entries:
        out.say(f"no runs in {store.root}: try lockstep sweep")
    else:
        columns = ["run", "strategy", "sources", "rows", "backend"]
        out.table(columns, [[_joined(entry[name]) for name in columns] for entry in entries])


def _joined(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


def _swept(run: Run) -> list[str]:
    space = run.space
    drawn = space.draw.intervals if space.draw is not None else {}
    return [name for name in space.values if space.values[name].size > 1 or name in drawn]
