"""``lockstep walk-forward``: choose on the past, test on what came after, again and again."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import asked
from engine.cli.options import AsJson, StorePath, memory_size, open_store, ranges
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.research.walk import Walk

FEW = 10  # trades in a training window, below which a choice is said to rest on little
WIDTH = 110


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("walk-forward")(walk_forward)


def walk_forward(
    strategy: asked.StrategyName,
    data: Annotated[
        list[str],
        typer.Option(
            metavar="SOURCE", help="As in sample:NASDAQ:1d or 'binance:*:1h', each by itself; again for more."
        ),
    ],
    timeframe: asked.Timeframes = None,
    param: asked.Params = None,
    where: asked.Where = None,
    when: asked.When = None,
    sample: asked.Sample = 0,
    seed: asked.Seed = 0,
    folds: Annotated[
        int | None, typer.Option(metavar="N", help="Test windows; else 10, or as many of --test as fit.")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="2y|0.5|N", help="First training window: a time, a share of all bars, or bars; else 0.5."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="6mo|0.05|N", help="A test window; else what is left, cut evenly.")
    ] = None,
    anchored: Annotated[
        bool,
        typer.Option(
            "--anchored/--rolling", help="Train from where the first window begins, or on a window that moves along."
        ),
    ] = True,
    purge: Annotated[
        int, typer.Option(min=0, metavar="N", help="Leave the last N bars before a test window out of training.")
    ] = 0,
    embargo: Annotated[
        int, typer.Option(min=0, metavar="N", help="Leave N bars after each earlier test window out of training.")
    ] = 0,
    inner: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Cut each training window into N parts; the median of their scores chooses."
        ),
    ] = 1,
    by: Annotated[
        str, typer.Option(metavar="sharpe|return|plateau", help="What chooses; plateau: the neighbours' Sharpe ratio.")
    ] = "sharpe",
    min_trades: Annotated[
        int, typer.Option(min=0, metavar="N", help="Choose only what closes N trades in the training window.")
    ] = 0,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="To keep it by; else made of its plan.")] = None,
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
    yes: Annotated[bool, typer.Option("--yes", help="More than 10^9 combinations are meant.")] = False,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Choose parameters in each training window, trade them in the test window after it, put the tests together.

    All folds share one sweep.  In-sample are the chosen combination's returns in its training window; out of sample
    one account, flat at the start of each test window, sold out at its end, costs included, goes through all of them.
    Efficiency is the annual return out of sample over that in-sample.

    \b
    Example:
      lockstep walk-forward mean_reversion --data sample:NASDAQ:1d --param rsi_length=5:30:5 --param oversold=20:40:5
      lockstep walk-forward mean_reversion --data binance:BTC/USDT:1h --param oversold=20:40:5 --rolling --train 2y
      lockstep walk-forward mine.py:Cross --data sample:SP500:1d --param fast=5:50:5 --inner 4 --min-trades 20
    """
    from engine.research.request import Request
    from engine.research.walk import Scheme, run_walk

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
    values, intervals = ranges(param or ())
    request = Request(
        strategy=strategy,
        values=values,
        intervals=intervals,
        where=tuple(where or ()),
        when=asked.conditions(when),
        sample=sample,
        seed=seed,
        sources=tuple(data),
        timeframes=tuple(part.strip() for part in (timeframe or "").split(",") if part.strip()),
        costs=asked.costs_of(data, short, numbers),
        sizing=asked.sizing_of(sizing),
        name=name,
        start=start,
        end=end,
        yes=yes,
        threads=threads,
        memory=None if memory is None else memory_size(memory),
    )
    scheme = Scheme(folds, train, test, anchored, purge, embargo, inner, by, min_trades)
    with out.progress("walk-forward", "combinations") as progress:
        found = run_walk(place, request, scheme, progress)
    if json:
        out.document(found.as_json())
    else:
        show_walk(found, out)


def show_walk(found: Walk, out: Output) -> None:
    """Print what walking forward found on each series."""
    from engine.cli.figures import annualised, compare

    for told in found.told["walks"]:
        out.say(
            f"{told['source']}: {told['combos']:,} combinations in {len(told['folds'])} folds, out of sample "
            f"{day(told['oos_span'][0])} to {day(told['oos_span'][1])} ({told['oos_bars']:,} bars)"
        )
        show_folds(told["folds"], found.told["swept"], out)
        compare(out, {"out of sample": told["oos"], "buy and hold": told["benchmark"]})
        annualised(out, [told])
        for line in sentences(told, found.told["scheme"]):
            out.say(textwrap.fill(line, WIDTH))
    out.say(f"walk-forward {found.name} is in {found.folder}")


def show_folds(folds: list[Mapping[str, Any]], swept: list[str], out: Output) -> None:
    """Print a line for each fold."""
    from engine.cli.figures import figure, params_text

    columns = ["fold", "training", "test", "chosen", "sharpe in", "trades in", "sharpe out", "return out", "trades out"]
    rows = []
    for fold in folds:
        inside, outside = fold["in_sample"], fold["out_of_sample"]
        rows.append(
            [
                fold["fold"],
                " to ".join(day(moment) for moment in fold["train"]),
                " to ".join(day(moment) for moment in fold["test"]),
                params_text({name: fold["params"][name] for name in swept}) or "-",
                figure("sharpe", inside["sharpe"]),
                figure("trades", inside["trades"]),
                figure("sharpe", outside["sharpe"]),
                figure("total_return", outside["total_return"]),
                figure("trades", outside["trades"]),
            ]
        )
    out.table(columns, rows, right=True)


def sentences(told: Mapping[str, Any], scheme: Mapping[str, Any]) -> list[str]:
    """Return in plain words what it comes to."""
    inside, outside = told["in_sample"], told["out_of_sample"]
    earned = f"{percent(outside['annual_return'])} a year out of sample"
    if told["efficiency"] is None:
        first = (
            f"efficiency: cannot be said, the choices did not earn in-sample ({percent(inside['annual_return'])} a "
            f"year); {earned}"
        )
    else:
        first = (
            f"efficiency {told['efficiency']:.2f}: {earned} over {percent(inside['annual_return'])} in-sample (mean "
            "return a bar x bars a year)"
        )
    if told["efficiency_sharpe"] is not None:
        ratio, before, after = told["efficiency_sharpe"], inside["sharpe"], outside["sharpe"]
        first += f"; by Sharpe ratio {ratio:.2f} ({after:.2f} over {before:.2f})"
    beaten = (told["oos"]["total_return"] or 0.0) > (told["benchmark"]["total_return"] or 0.0)
    gained = sum((fold["out_of_sample"]["total_return"] or 0.0) > 0.0 for fold in told["folds"])
    lines = [
        f"{first}. {gained} of {len(told['folds'])} test windows earned; chosen this way, the strategy "
        f"{'beat' if beaten else 'did not beat'} buy and hold over the same bars."
    ]
    few = [fold for fold in told["folds"] if fold["in_sample"]["trades"] < FEW]
    if few and scheme["min_trades"] < FEW:
        lines.append(
            f"in {len(few)} of {len(told['folds'])} folds the choice rests on fewer than {FEW} trades: --min-trades 20 "
            "or --inner 4 asks for more"
        )
    return lines


def percent(value: float | None) -> str:
    """Return a fraction as people read it."""
    return "-" if value is None else f"{100 * value:,.2f} %"


def day(moment: str) -> str:
    """Return the date of a moment, with its time where it is not midnight."""
    return moment[:16].replace("T", " ").removesuffix(" 00:00")
