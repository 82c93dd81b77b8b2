"""``lockstep report``, ``export`` and ``replay``: from a finished run to what may run live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import AsJson, StorePath, number_pairs, open_store
from engine.cli.output import Output
from engine.cli.verdict import show_verdict
from parquet_store.errors import Usage

if TYPE_CHECKING:
    from engine.live.replay import ReplayReport

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A finished run; lockstep results lists them.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("report")(report)
    app.command("export")(export)
    app.command("replay")(replay)


def report(
    run: RunName,
    by: Annotated[str, typer.Option(metavar="METRIC", help="What chooses the winner and the median.")] = "sharpe",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; else beside the run.")] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Write one page about a run: how likely it is luck, equity, the grid, walk-forward, months, trades.

    \b
    Example:
      lockstep report first --to first.html
      lockstep report first --by calmar
    """
    from engine.research.report import write_report
    from engine.research.table import Run

    out, place = Output(json), open_store(store)
    found = Run.open(place, run)
    path = write_report(place, found, to, by)
    if json:
        out.document({"run": found.name, "report": path})
    else:
        out.say(f"report written to {path}: open it in a browser")


def export(
    run: RunName,
    by: Annotated[str | None, typer.Option(metavar="METRIC", help="The best by this metric; else by sharpe.")] = None,
    params: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE,...", help="The combination with these parameters instead.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Among the rows of this source only.")] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; else beside the run.")] = None,
    despite: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Why it is exported though it may well be luck; the manifest says so."),
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Export one combination of a run as a manifest: all that replay and live need, with its evidence.

    The verdict of the sweep is passed on it; a candidate that may well be luck is refused without a reason.

    \b
    Example:
      lockstep export first --by calmar --to chosen.json
      lockstep export first --params rsi_length=5,oversold=30 --despite "to try it on paper"
    """
    from engine.cli.figures import figure, params_text
    from engine.research.export import export as write
    from engine.research.table import Run

    if by is not None and params is not None:
        raise Usage("--by and --params exclude each other: give the metric or the combination")
    chosen = None if params is None else number_pairs(params, "--params", "rsi_length=14,oversold=30")
    out, place = Output(json), open_store(store)
    found = Run.open(place, run)
    made = write(place, found, by or "sharpe", chosen, source, to, despite)
    verdict = made.verdict.as_json()
    if json:
        told = {"manifest": made.path, "digest": made.digest, "run": found.name}
        judged = {"verdict": verdict, "despite": made.despite}
        out.document(told | {"params": made.params, "metrics": made.metrics} | judged)
        return
    show_verdict(verdict, out)
    shown = ", ".join(f"{name} {figure(name, made.metrics[name])}" for name in ("total_return", "sharpe", "trades"))
    if made.despite is not None:
        out.say(f"{'reason given' if made.verdict.passed else 'exported all the same'}: {made.despite}")
    out.say(f"exported {params_text(made.params)}\n{shown}\nmanifest {made.path}\ndigest {made.digest}")


def replay(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="[MANIFEST]", help="A file written by export.", show_default=False)
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The journal of a bot instead: repeat its runs, compare every action."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="As in sample:NASDAQ:1d; else the manifest's own.")
    ] = None,
    steps: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Python file with your own indicators; may be given again."),
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Run a manifest bar by bar as live does and compare every value with the batch run, bit for bit.

    With --journal, repeat what a bot did from its journal alone, and compare every action, byte for byte.
    Exit status 1 if one value, one trade or one equity differs, or one action.

    \b
    Example:
      lockstep replay chosen.json --data sample:NASDAQ:1d
      lockstep replay --journal journal.sqlite
    """
    from engine.live.replay import replay as run_replay
    from engine.manifest import load_manifest
    from engine.strategies import load_module
    from pipelines import load_bars

    if (manifest is None) == (journal is None):
        raise Usage("replay: found both or neither of MANIFEST and --journal, expected one of them")
    out = Output(json)
    for file in steps or ():
        load_module(file)
    if journal is not None:
        _repeat(journal, out, json=json)
        return
    assert manifest is not None
    loaded = load_manifest(manifest)
    source = data or str(loaded.data["source"])
    bars = load_bars(open_store(store), source)
    with out.progress("replay", "bars") as progress:
        found = run_replay(loaded, bars, counted(progress, len(bars)))
    if json:
        out.document({"manifest": manifest, "source": source, **found.as_json()})
    else:
        show_replay(found, out)
    if found.mismatches:
        raise typer.Exit(1)


def _repeat(journal: Path, out: Output, *, json: bool) -> None:
    """Repeat a journal and print what was found."""
    from engine.live.again import repeat

    found = repeat(journal)
    if json:
        out.document({"journal": journal, **found.as_json()})
    else:
        out.say(
            f"{found.runs:,} runs, {found.events:,} events, {found.bars:,} bars, {found.actions:,} actions, "
            f"{found.trades:,} trades: {found.mismatches:,} steps differ"
        )
        out.say(f"chain {found.chain}")
        if found.first:
            out.note(f"  {found.first}")
    if found.mismatches:
        raise typer.Exit(1)


def counted(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None] | None:
    """Return a function of how many more are done, for a progress of (done, total)."""
    if progress is None:
        return None
    done = 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return more


def show_replay(found: ReplayReport, out: Output) -> None:
    """Print what a replay found."""
    out.say(f"{found.bars:,} bars, {found.trades:,} trades, {found.mismatches:,} mismatches")
    for line in found.details:
        out.note(f"  {line}")
    if found.mismatches > len(found.details):
        out.note(f"  ... and {found.mismatches - len(found.details):,} more")
