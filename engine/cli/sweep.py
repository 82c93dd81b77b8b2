"""``lockstep sweep`` and ``lockstep results``: try every combination, and look at what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath, memory_size, number_pairs, open_store, ranges
from engine.cli.output import Output
from engine.cli.verdict import show_verdict
from parquet_store.errors import LockstepError, Usage, unknown

if TYPE_CHECKING:
    from engine.graph import Sizing
    from engine.research.summary import RunSummary
    from engine.research.table import Run
    from engine.simulate import Costs
    from parquet_store import Store


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sweep")(sweep)
    app.command("results")(results)


def sweep(
    strategy: Annotated[
        str | None, typer.Argument(metavar="STRATEGY", help="Its name, or FILE.py:CLASS.", show_default=False)
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="As in sample:NASDAQ:1d or 'binance:*:1h'; may be given again."),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option(metavar="1h,4h", help="Each source at these timeframes, made of it where absent.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="As in name=14,21 or name=20:40:5 (stop included), or name=20:40 to draw from; may be given again.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="'A < B'", help="Keep only such combinations; may be given again.")
    ] = None,
    when: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: A > 0'", help="Vary NAME only where this holds; may be given again."),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, metavar="N", help="Run N combinations drawn at random only.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    name: Annotated[str | None, typer.Option(metavar="RUN", help="Name of the run; else made of its plan.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped; say nothing else.")
    ] = None,
    verify: Annotated[int, typer.Option(min=0, metavar="N", help="Check N random combinations with VectorBT.")] = 0,
    backend: Annotated[str, typer.Option(metavar="events|vectorbt", help="What simulates.")] = "events",
    fee: Annotated[float | None, typer.Option(help="Fraction of each fill; else 0.001.")] = None,
    slippage: Annotated[float | None, typer.Option(help="Fraction of the price, on each fill; else 0.0005.")] = None,
    sizing: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="all_in, fixed_fraction:fraction=0.5, fixed_ratio:delta=500,unit=0.02, "
            "atr_risk:risk=0.01 or kelly:fraction=0.5,cap=0.25; else the strategy's own.",
        ),
    ] = None,
    initial_cash: Annotated[float | None, typer.Option(help="In quote currency; else 10,000.")] = None,
    leverage: Annotated[float | None, typer.Option(help="Largest notional over equity; else 1.")] = None,
    short: Annotated[
        bool | None, typer.Option("--short/--no-short", help="Allow short positions; else with perpetuals only.")
    ] = None,
    size_at: Annotated[
        str | None, typer.Option(metavar="decision|fill", help="When a size is fixed; else decision.")
    ] = None,
    price_tick: Annotated[float | None, typer.Option(help="The venue's step of prices; else none.")] = None,
    quantity_step: Annotated[float | None, typer.Option(help="The venue's step of quantities; else none.")] = None,
    min_notional: Annotated[
        float | None, typer.Option(help="The venue's smallest order, quote currency; else none.")
    ] = None,
    contract_size: Annotated[float | None, typer.Option(help="Base currency in a contract; else none.")] = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="First bar, as in 2020-01-01 (UTC).")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Bars before this time only.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Else one for each processor.")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="For columns and bitmaps at one time, as in 1GB; else 192MB.")
    ] = None,
    lists: Annotated[
        int, typer.Option(min=0, metavar="N", help="Trade lists the verdict compares at most; 0: all of them.")
    ] = 4096,
    cluster: Annotated[
        str | None, typer.Option(metavar="local|ray://...", help="Let Ray's workers compute the parts.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="More than 10^9 combinations are meant.")] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Simulate every combination of parameters on every source; one row each goes to a table in the store.

    \b
    Example:
      lockstep sweep mean_reversion --data sample:NASDAQ:1d --param rsi_length=5:30:5 --param oversold=20:40:5
      lockstep sweep mean_reversion --data binance:BTC/USDT:1h --param stop_atr=0,2,3 --verify 25 --fee 0.00075
      lockstep sweep mine.py:Cross --data sample:SP500:1d --param fast=5:50:5 --param slow=20:99:9 --where 'fast < slow'
      lockstep sweep mean_reversion --data 'binance:*:1h' --param oversold=15:40 --param overbought=55:85 --sample 10000
      lockstep sweep --resume first
    """
    from engine.research.run import Request, resume_sweep, run_sweep

    out, place = Output(json), open_store(store)
    numbers = {
        "fee": fee,
        "slippage": slippage,
        "initial_cash": initial_cash,
        "leverage": leverage,
        "price_tick": price_tick,
        "quantity_step": quantity_step,
        "min_notional": min_notional,
        "contract_size": contract_size,
        "size_at": size_at,
    }
    if resume is not None:
        given: dict[str, Any] = {
            "STRATEGY": strategy,
            "--data": data,
            "--param": param,
            "--where": where,
            "--when": when,
        }
        given |= {"--name": name, "--timeframe": timeframe, "--sample": sample or None, "--sizing": sizing}
        given |= {"--" + key.replace("_", "-"): value for key, value in numbers.items()}
        given |= {"--start": start, "--end": end, "--short": short}
        for option, value in given.items():
            if value is not None:
                raise Usage(f"--resume {resume} goes on with the run's own plan: leave {option} out")
    elif strategy is None or data is None:
        missing = "STRATEGY, as in mean_reversion" if strategy is None else "--data, as in sample:NASDAQ:1d"
        raise Usage(f"lockstep sweep needs {missing}; or --resume RUN to go on with one that was stopped")
    values, intervals = ranges(param or ())
    request = Request(
        strategy=strategy or "",
        values=values,
        intervals=intervals,
        where=tuple(where or ()),
        when=tuple(conditional(text) for text in when or ()),
        sample=sample,
        seed=seed,
        sources=tuple(data or ()),
        timeframes=tuple(part.strip() for part in (timeframe or "").split(",") if part.strip()),
        costs=costs_of(numbers, data or [], short),
        sizing=None if sizing is None else sizing_of(sizing),
        name=name,
        backend=backend,
        verify=verify,
        start=start,
        end=end,
        yes=yes,
        threads=threads,
        memory=None if memory is None else memory_size(memory),
        cluster=cluster,
        lists=lists,
    )
    with out.progress("sweep", "combinations") as progress:
        if resume is not None:
            summary = resume_sweep(place, resume, progress, request)
        else:
            summary = run_sweep(place, request, progress)
    if json:
        out.document(summary.as_json())
    else:
        show_summary(summary, out)
    if summary.verified and summary.verified["mismatches"]:
        raise typer.Exit(1)


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


def conditional(text: str) -> tuple[str, str]:
    """Return the parameter and the condition of ``name: condition``."""
    name, colon, condition = (piece.strip() for piece in text.partition(":"))
    if not (name and colon and condition):
        raise Usage(f"--when {text!r}: expected NAME: CONDITION, as in --when 'var_length: var_limit > 0'")
    return name, condition


def costs_of(given: dict[str, Any], sources: list[str], short: bool | None) -> Costs:
    """Return the costs; what is not given is at its default, and perpetuals (``BTC/USDT:USDT``) may be short."""
    from engine.simulate import Costs
    from parquet_store import Series

    if short is None:
        short = all(":" in Series.parse(source).symbol for source in sources)
    return Costs(**{name: value for name, value in given.items() if value is not None}, short=short)


def sizing_of(text: str) -> Sizing:
    """Return the size rule that ``kelly:fraction=0.5,cap=0.25`` names."""
    from engine.graph import Sizing
    from engine.graph.strategy import SIZES

    kind, _, rest = text.partition(":")
    if kind not in SIZES:
        raise unknown("sizing", kind, SIZES)
    numbers = number_pairs(rest, "--sizing", "kelly:fraction=0.5,cap=0.25") if rest else {}
    for name in numbers:
        if name not in SIZES[kind]:
            raise unknown(f"number of sizing {kind}", name, SIZES[kind])
    return Sizing.of(kind, **numbers)


def show_summary(summary: RunSummary, out: Output) -> None:
    """Print what a sweep found."""
    from engine.cli.figures import annualised, compare, params_text, rate

    out.say(
        f"run {summary.run}: {summary.combos:,} combinations, {summary.bars:,} bars, "
        f"{summary.seconds:.2f} s, {rate(summary.combo_bars_per_second)} combination-bars a second"
    )
    best = summary.best
    source = best["source"]
    if source is None:
        out.say("no combination has a known Sharpe ratio")
    else:
        subjects = {"best": best["metrics"], "median": summary.median["metrics"]}
        compare(out, subjects | {"buy and hold": summary.benchmark[source]})
        annualised(out, [item for item in summary.sources if item["source"] == source])
        out.say(f"best by Sharpe, on {source}: {params_text(best['params'])}")
    show_verdict(summary.verdict, out)
    show_verified(summary, out)
    out.say(f"the table is in {summary.folder}; next: lockstep results {summary.run}")


def show_verified(summary: RunSummary, out: Output) -> None:
    """Print what the check with VectorBT found, if there was one."""
    if summary.verified is None:
        return
    checked, wrong = summary.verified["checked"], summary.verified["mismatches"]
    unsaid = summary.verified.get("unsaid", 0)
    beyond = f"; {unsaid:,} more that VectorBT cannot express" if unsaid else ""
    out.say(f"verified with VectorBT: {checked:,} combinations checked, {wrong:,} mismatches{beyond}")
    for line in summary.verified.get("details", ()):
        out.note(f"  {line}")


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
