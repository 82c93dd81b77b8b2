"""``lockstep sweep``: try every combination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import asked
from engine.cli.options import AsJson, StorePath, memory_size, open_store, ranges
from engine.cli.output import Output
from engine.cli.verdict import show_verdict
from parquet_store.errors import Usage

if TYPE_CHECKING:
    from engine.research.summary import RunSummary


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep)


def sweep(
    strategy: Annotated[
        str | None, typer.Argument(metavar="STRATEGY", help="Its name, or FILE.py:CLASS.", show_default=False)
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="As in sample:NASDAQ:1d or 'binance:*:1h'; may be given again."),
    ] = None,
    timeframe: asked.Timeframes = None,
    param: asked.Params = None,
    where: asked.Where = None,
    when: asked.When = None,
    sample: asked.Sample = 0,
    seed: asked.Seed = 0,
    name: Annotated[str | None, typer.Option(metavar="RUN", help="Name of the run; else made of its plan.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped; say nothing else.")
    ] = None,
    verify: Annotated[int, typer.Option(min=0, metavar="N", help="Check N random combinations with VectorBT.")] = 0,
    backend: Annotated[str, typer.Option(metavar="events|vectorbt", help="What simulates.")] = "events",
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
        given |= {"--name": name, "--timeframe": timeframe, "--sample": sample or None, "--seed": seed or None}
        given |= {"--sizing": sizing, "--backend": None if backend == "events" else backend}
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
        when=asked.conditions(when),
        sample=sample,
        seed=seed,
        sources=tuple(data or ()),
        timeframes=tuple(part.strip() for part in (timeframe or "").split(",") if part.strip()),
        costs=asked.costs_of(data or [], short, numbers),
        sizing=asked.sizing_of(sizing),
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
