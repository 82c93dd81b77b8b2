"""``lockstep tour``: the whole way, offline, on real bars, with the same functions the other commands use."""

from __future__ import annotations

import shlex
import textwrap
import time
from typing import TYPE_CHECKING, Any

import typer

from engine.cli.chosen import counted, show_replay
from engine.cli.options import AsJson, StorePath, grid, open_store
from engine.cli.output import Output
from engine.cli.sweep import show_verified
from engine.cli.tour_live import BARS, trade
from engine.cli.verdict import show_verdict
from parquet_store.errors import Failed

if TYPE_CHECKING:
    from engine.live.parity import Parity
    from engine.research.summary import RunSummary
    from parquet_store import Store

STRATEGY = "mean_reversion"
SOURCE = "sample:NASDAQ:1d"
GRID = (
    "rsi_length=2,3,5,8,14,21",
    "oversold=10:40:5",
    "overbought=55:80:5",
    "band_length=10,20,40",
    "band_width=1:2.5:0.5",
    "stop_atr=0,2,3,4",
    "var_limit=0,0.03,0.05",
    "kelly_fraction=0,0.5,1",
)
VERIFIED = 25
REASON = "the tour shows the whole way, and trades play money"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tour")(tour)


def tour(store: StorePath = None, json: AsJson = False) -> None:
    """Load the sample, sweep it, verify, choose, export, replay, report and trade: all of it, in a few minutes.

    \b
    Example:
      lockstep tour
      lockstep tour --store /tmp/demo
    """
    from engine.live.replay import replay
    from engine.manifest import load_manifest
    from engine.research.export import export
    from engine.research.report import write_report
    from engine.research.run import run_sweep
    from engine.research.table import Run
    from pipelines import load_bars, sample

    began = time.perf_counter()
    out, place = Output(json), open_store(store)
    _head(out, 1, f"Load real daily bars that come along into the store, {place.root}.")
    sample.load(place)
    span = place.span(SOURCE)
    out.say(f"{SOURCE}: {span.rows:,} sessions of the NASDAQ Composite, {span.first:%Y-%m-%d} to {span.last:%Y-%m-%d}")

    _head(out, 2, f"Try every combination of {STRATEGY}'s parameters, then {VERIFIED} of them again with VectorBT.")
    for text in GRID:
        name, _, values = text.partition("=")
        zero = "  (0 switches this part off)" if values.startswith("0,") else ""
        out.say(f"  {name:<15} {values}{zero}")
    out.say("Every fill pays 0.1 % fee and 0.05 % slippage; a decision at a close fills at the next open.")
    with out.progress("sweep", "combinations") as progress:
        summary = run_sweep(place, request(), progress)
    show_sweep(summary, out)

    _head(out, 3, "Ask how likely the best is luck, and export it all the same.")
    show_verdict(summary.verdict, out)
    run, refused = Run.open(place, summary.run), None
    try:
        exported = export(place, run)
    except Failed as error:
        refused = str(error)
        out.say(textwrap.fill(f"lockstep export {run.name} is refused: {refused}", 100))
        out.say(f'so it is given a reason: --despite "{REASON}"')
        exported = export(place, run, despite=REASON)
    out.say(f"manifest {exported.path}\ndigest   {exported.digest}")

    _head(out, 4, "Run it bar by bar as live does.")
    bars = load_bars(place, SOURCE)
    with out.progress("replay", "bars") as progress:
        replayed = replay(load_manifest(exported.path), bars, counted(progress, len(bars)))
    show_replay(replayed, out)

    _head(out, 5, "Draw it.")
    page = write_report(place, run)
    out.say(f"report {page}")

    _head(out, 6, "Trade it: a bot with the real CCXT client at an exchange on this machine that plays the last bars.")
    stretch = min(BARS, len(bars) // 4)
    with out.progress("live", "bars") as progress:
        traded = trade(place, exported.path, stretch, out.note, counted(progress, stretch))
    out.say(
        f"{traded.bars:,} bars, {traded.trades:,} trades closed; against the backtest of the same bars: "
        f"{traded.decisions} decisions, {traded.values} values of nodes, {traded.equities} equities and {traded.fills} trades differ"
    )
    for line in traded.details:
        out.note(f"  {line}")

    seconds = time.perf_counter() - began
    failed = bool(replayed.mismatches or traded.mismatches or (summary.verified and summary.verified["mismatches"]))
    _head(out, 7, f"What happened, in {seconds:.0f} s.")
    for line in story(place, summary, replayed.mismatches, traded):
        out.say(line)
    if json:
        files = {"store": place.root, "results": run.folder / "results", "manifest": exported.path, "report": page}
        out.document(
            {
                "sweep": summary.as_json(),
                "export": {"manifest": exported.path, "digest": exported.digest, "refused": refused},
                "replay": replayed.as_json(),
                "live": {
                    "bars": traded.bars,
                    "trades": traded.trades,
                    "decisions": traded.decisions,
                    "values": traded.values,
                    "equities": traded.equities,
                    "fills": traded.fills,
                },
                "files": files,
                "seconds": seconds,
            }
        )
    if failed:
        raise typer.Exit(1)


def request() -> Any:
    """Return the demo's sweep."""
    from engine.research.run import Request
    from engine.simulate import Costs

    return Request(STRATEGY, grid(GRID), (SOURCE,), Costs(), verify=VERIFIED)


def show_sweep(summary: RunSummary, out: Output) -> None:
    """Print the best combination beside buy and hold and beside the median one."""
    from engine.cli.figures import annualised, compare, params_text, rate

    speed = rate(summary.combo_bars_per_second)
    out.say(f"{summary.combos:,} combinations in {summary.seconds:.1f} s: {speed} combination-bars a second")
    show_verified(summary, out)
    subjects = {"best": summary.best["metrics"], "median": summary.median["metrics"]}
    compare(out, subjects | {"buy and hold": summary.benchmark[SOURCE]})
    annualised(out, summary.sources)
    out.say(f"best:   {params_text(summary.best['params'])}\nmedian: {params_text(summary.median['params'])}")


def story(store: Store, summary: RunSummary, mismatches: int, traded: Parity) -> list[str]:
    """Return what the demo did and what it does not say, in plain words."""
    from engine.cli.figures import figure

    told = summary.best["metrics"], summary.median["metrics"], summary.benchmark[SOURCE]
    verified = summary.verified or {"checked": 0, "mismatches": 0}
    agreed, checked = verified["checked"] - verified["mismatches"], verified["checked"]
    sharpe = [figure("sharpe", metrics["sharpe"]) for metrics in told]
    market, earned = ([f"{metrics[name]:.0%}" for metrics in told] for name in ("exposure", "total_return"))
    fall = [f"{-metrics['max_drawdown']:.0%}" for metrics in told]
    paragraphs = (
        f"{summary.combos:,} combinations each traded the same {summary.bars:,} real sessions. "
        f"VectorBT, an engine of its own, made the same trades in {agreed} of the {checked} drawn at random. "
        f"The exported program, advanced one bar at a time, differs from the batch run in {mismatches} values. "
        f"Trading the last {traded.bars:,} bars through CCXT at the local exchange it closed {traded.trades} trades, "
        f"{'all equal to' if not traded.mismatches else 'not equal to'} the backtest's, to the last bit.",
        f"The best Sharpe ratio is {sharpe[0]}, the median {sharpe[1]}, buy and hold's {sharpe[2]}. "
        f"They earned {earned[0]}, {earned[1]} and {earned[2]} over the whole time, "
        f"fell by at most {fall[0]}, {fall[1]} and {fall[2]}, "
        f"and were in the market {market[0]}, {market[1]} and {market[2]} of it; an index pays no dividends. "
        f"The best was chosen with hindsight out of {summary.combos:,}, so luck is part of it: "
        f"{summary.verdict['conclusion']}. "
        "The median is what a blind choice would have got. Neither promises anything about tomorrow.",
    )
    lines = [line for text in paragraphs for line in (*textwrap.wrap(text, 100), "")]
    return [
        *lines,
        f"Everything is in {store.root}; to go on:",
        f"  lockstep results {summary.run} --store {shlex.quote(str(store.root))} --top 10 --where 'trades > 30'",
        f"  lockstep strategies {STRATEGY}",
    ]


def _head(out: Output, number: int, text: str) -> None:
    out.say(f"\n{number}. {text}")
