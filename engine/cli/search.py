"""``lockstep search``: let Optuna choose what to try next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from engine.cli import asked
from engine.cli.options import AsJson, StorePath, memory_size, open_store, ranges
from engine.cli.output import Output
from engine.cli.verdict import show_verdict
from parquet_store.errors import Usage

SHOWN = 20  # points of a front that people are shown


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    strategy: asked.StrategyName,
    data: Annotated[str, typer.Option(metavar="SOURCE", help="One series, as in sample:NASDAQ:1d.")],
    timeframe: Annotated[
        str | None, typer.Option(metavar="4h", help="The source at this timeframe, made of it where absent.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="As in name=14,21 (choices), name=7:28:1 (evenly spaced, in order) or name=15:40 (an interval); "
            "may be given again.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="'A < B'", help="Evaluate only such points; may be given again.")
    ] = None,
    when: asked.When = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="What to look for, as in sharpe, max_drawdown, turnover, trades:min; again for a front; else sharpe.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="In all, those of earlier calls included.")] = 1_000,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Points proposed and evaluated at once.")] = 256,
    sampler: Annotated[
        str | None,
        typer.Option(metavar="tpe|cmaes|nsga2|random", help="What proposes; else tpe, for a front nsga2."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler: the same seed and batch, the same trials.")] = 0,
    pruning: Annotated[
        bool, typer.Option("--pruning/--no-pruning", help="Give up what is poor over the first third of the bars.")
    ] = True,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An Optuna storage, or journal:FILE; else SQLite in the search's folder."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the search and its run; else made of its plan.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --name; refused where there is no such search.")
    ] = False,
    fee: asked.Fee = None,
    slippage: asked.Slippage = None,
    sizing: asked.SizeRule = None,
    initial_cash: asked.InitialCash = None,
    leverage: asked.Leverage = None,
    short: asked.Short = None,
    size_at: asked.SizeAt = None,
    price_tick: asked.PriceTick = None,
    quantity_step: asked.QuantityStep = None,
    min_notional: asked.MinNotional = None,
    contract_size: asked.ContractSize = None,
    start: asked.Start = None,
    end: asked.End = None,
    threads: asked.Threads = None,
    memory: asked.Memory = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="local|ray://...", help="Let Ray's workers evaluate the points.")
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Search the parameters with Optuna instead of trying them all; what it finds is a run like a sweep's.

    The same command again, under the same --name, goes on where it was stopped, or to more --trials.

    \b
    Example:
      lockstep search mean_reversion --data sample:NASDAQ:1d --param rsi_length=2:30 --param oversold=15:45 --trials 999
      lockstep search mine.py:Cross --data sample:SP500:1d --param fast=5:50:1 --param slow=9:99:3 --where 'fast < slow'
      lockstep search mean_reversion --data sample:NASDAQ:1d --param oversold=9:45 --objective sharpe --objective fees
    """
    from engine.research.request import Request
    from engine.research.search import Search, run_search, searches

    out, place = Output(json), open_store(store)
    if resume and (name is None or name not in searches(place)):
        from parquet_store import unknown

        if name is None:
            raise Usage("--resume goes on with a search by its name: add --name NAME")
        raise unknown("search", name, searches(place))
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
    values, intervals = ranges(param or ())
    request = Request(
        strategy=strategy,
        values=values,
        intervals=intervals,
        where=tuple(where or ()),
        when=asked.conditions(when),
        sources=(data,),
        timeframes=() if timeframe is None else (timeframe.strip(),),
        costs=asked.costs_of([data], short, numbers),
        sizing=asked.sizing_of(sizing),
        name=name,
        start=start,
        end=end,
        threads=threads,
        memory=None if memory is None else memory_size(memory),
        cluster=cluster,
    )
    wanted = Search(request, tuple(objective or ("sharpe",)), trials, batch, sampler, seed, pruning, storage)
    with out.progress("search", "trials") as progress:
        told = run_search(place, wanted, progress)
    if json:
        out.document(told)
    else:
        show_search(told, out)


def show_search(told: Mapping[str, Any], out: Output) -> None:
    """Print what a search found."""
    from engine.cli.figures import annualised, compare, params_text

    wanted = " and ".join(f"{one['name']} ({one['direction'][:3]})" for one in told["objectives"])
    out.say(
        f"search {told['search']}: {told['trials']:,} trials for {wanted} by {told['sampler']}: {told['complete']:,} "
        f"complete, {told['pruned']:,} pruned, {told['failed']:,} failed; {told['points']:,} distinct points; "
        f"{told['seconds']['evaluating']:.1f} s evaluating, {told['seconds']['proposing_and_storing']:.1f} s besides"
    )
    if told["front"] is not None:
        show_front(told, out)
    best = told["best"]
    compare(out, {"best": best["metrics"], "buy and hold": told["benchmark"]})
    annualised(out, told["sources"])
    first = told["objectives"][0]["name"]
    out.say(f"best by {first}, trial {best['number']:,}: {params_text(best['params'])}")
    show_verdict(told["verdict"], out)
    out.say(f"the trials are in {told['storage']}; next: lockstep results {told['run']}")


def show_front(told: Mapping[str, Any], out: Output) -> None:
    """Print the points no other one beats in every objective."""
    from engine.cli.figures import figure

    front = told["front"]
    out.say(f"{len(front):,} points that no other one beats in every objective:")
    objectives, sampled = [one["name"] for one in told["objectives"]], told["sampled"]
    shown = front[:: max(1, -(-len(front) // SHOWN))]
    rows = [
        [row["number"], *(figure(name, row["objectives"][name]) for name in objectives)]
        + [figure(name, row["params"][name]) for name in sampled]
        for row in shown
    ]
    out.table(["trial", *objectives, *sampled], rows, right=True)
    if len(shown) < len(front):
        out.say(f"{len(shown)} of {len(front):,} are shown; --json has them all")
