"""``lockstep prove``: that nothing in a program looks ahead, and how many bars it needs to forget its start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath, number_pairs, open_store
from engine.cli.output import Output
from parquet_store.errors import Usage

if TYPE_CHECKING:
    from engine.graph import Program
    from engine.research.proof import Difference, Proof
    from engine.simulate import Costs
    from parquet_store import Store
    from pipelines import Bars

_SHOWN = 5  # differences told in words


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prove")(prove)


def prove(
    target: Annotated[
        str,
        typer.Argument(metavar="RUN|MANIFEST", help="A finished run, or a file written by export.", show_default=False),
    ],
    by: Annotated[str | None, typer.Option(metavar="METRIC", help="The run's best by this; else by sharpe.")] = None,
    params: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE,...", help="The run's combination with these instead.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Among the run's rows of this source.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Bars for a manifest, as in sample:NASDAQ:1d; else its own.")
    ] = None,
    steps: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Python file with your own indicators; may be given again."),
    ] = None,
    cuts: Annotated[int, typer.Option(min=1, metavar="K", help="Random bars at which the history is cut.")] = 25,
    starts: Annotated[int, typer.Option(min=1, metavar="K", help="Random later bars to start at.")] = 10,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the draw: the same seed, the same bars.")] = 0,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Prove that nothing looks ahead, and measure how many bars each node needs before its start is forgotten.

    Exit status 1 if a value changes when later bars are taken away.

    \b
    Example:
      lockstep prove first
      lockstep prove chosen.json --data sample:NASDAQ:1d --cuts 100
    """
    from engine.research.prove import prove as run_proof
    from engine.research.table import runs
    from engine.strategies import load_module

    out, place = Output(json), open_store(store)
    for file in steps or ():
        load_module(file)
    if is_manifest(target, runs(place)):
        if by is not None or params is not None or source is not None:
            raise Usage("--by, --params and --source choose a row of a run; a manifest has one program")
        told, program, costs, bars = from_manifest(place, Path(target), data)
    else:
        if data is not None:
            raise Usage("--data is for a manifest; a run is proven on what it swept, --source chooses among that")
        if by is not None and params is not None:
            raise Usage("--by and --params exclude each other: give the metric or the combination")
        chosen = None if params is None else number_pairs(params, "--params", "rsi_length=14,oversold=30")
        told, program, costs, bars = from_run(place, target, by or "sharpe", chosen, source)
    with out.progress("prove", "runs") as progress:
        found = run_proof(program, bars, costs, cuts=cuts, starts=starts, seed=seed, progress=progress)
    if json:
        out.document({**told, "source": bars.source, "seed": seed, **found.as_json()})
    else:
        out.say(f"{target}: {len(bars):,} bars of {bars.source}, {len(program.nodes)} nodes")
        show_proof(found, out)
    if found.lookahead:
        raise typer.Exit(1)


def is_manifest(target: str, runs: list[str]) -> bool:
    """Return whether a target is meant as a file; a run of that very name comes first."""
    return target not in runs and (target.endswith(".json") or "/" in target or Path(target).is_file())


def from_manifest(store: Store, path: Path, data: str | None) -> tuple[dict[str, Any], Program, Costs, Bars]:
    """Return what is told of a manifest, its program and costs, and the bars to prove it on."""
    from engine.manifest import load_manifest
    from pipelines import load_bars

    loaded = load_manifest(path)
    bars = load_bars(store, data or str(loaded.data["source"]))
    loaded.check_data(bars)
    return {"manifest": path, "params": loaded.params}, loaded.program, loaded.costs, bars


def from_run(
    store: Store, name: str, by: str, params: dict[str, float] | None, source: str | None
) -> tuple[dict[str, Any], Program, Costs, Bars]:
    """Return what is told of a run's row, its program and costs, and the bars it was swept on."""
    from engine.research.export import load_swept
    from engine.research.prove import swept_program
    from engine.research.table import Run

    run = Run.open(store, name)
    program, chosen, swept = swept_program(run, by, params, source)
    return {"run": run.name, "params": chosen}, program, run.costs, load_swept(store, run, swept)


def show_proof(found: Proof, out: Output) -> None:
    """Print a proof for people."""
    out.table(
        ["node", "reads", "bars to byte equality", "bars to 1e-9"],
        [
            *([item.subject.name, item.subject.reads, item.bars, item.near] for item in found.warmup),
            *(
                [f"decision {x.subject.name}", x.subject.reads, x.bars, x.near]
                for x in found.decisions
                if x.subject.parents
            ),
        ],
    )
    for line in (*lookahead_words(found), *outside_words(found), *warmup_words(found)):
        out.say(line)


def lookahead_words(found: Proof) -> list[str]:
    """Return what is to be said of look-ahead."""
    if not found.lookahead:
        return [
            f"no look-ahead: with the history cut at {len(found.cuts)} bars, every value, decision, order and equity "
            "before the cut has the same bytes"
        ]
    causes: dict[str, list[Difference]] = {}
    for item in found.lookahead:
        if not item.inherited:
            causes.setdefault(item.subject.name, []).append(item)
    told = [f"LOOK-AHEAD: {listed(list(causes))} changed when later bars were taken away"]
    for each in list(causes.values())[:_SHOWN]:
        told.append(f"  {difference_words(each[0])}; it differs at {len(each)} of {len(found.cuts)} cuts")
    heirs = {item.subject.name: None for item in found.lookahead if item.subject.name not in causes}
    told += [f"  what reads it differs too: {listed(list(heirs))}"] if heirs else []
    return [*told, "  a step may use its inputs, its state and its ring, and nothing else"]


def difference_words(item: Difference) -> str:
    """Return one difference in words."""
    from parquet_store.moments import to_text

    return (
        f"{item.subject.name} at bar {item.bar} ({to_text(item.time)}): {item.whole:.17g} with all bars, "
        f"{item.alone:.17g} with the first {item.cut:,} only"
    )


def outside_words(found: Proof) -> list[str]:
    """Return a warning for each step that reads numbers no cut can take away."""
    return [
        f"not proven: {step} reads {', '.join(names)} from outside the bars; if those know later bars, no cut shows it"
        for step, names in found.outside.items()
    ]


def warmup_words(found: Proof) -> list[str]:
    """Return how many bars a live start should replay; nothing where values depend on later bars anyway."""
    if found.lookahead:
        return []
    seen, at = found.bars - max(found.starts), f"at {len(found.starts)} later starts"
    if found.replay_bars is not None:
        return [
            f"warm-up {at}: a live start should replay {found.replay_bars:,} bars before its first decision; that is "
            "the most any of them needed for every value to have the bytes of the run from the origin"
        ]
    never = [item.subject.name for item in found.warmup if item.bars is None]
    told = [
        f"warm-up {at}: {listed(never)} did not come to the same bytes to stay within the {seen:,} bars or more that "
        "followed: for the same bits replay from the origin"
    ]
    if found.near_bars is not None:
        return [
            *told,
            f"a live start that replays {found.near_bars:,} bars has every value to 1e-9",
        ]
    far = [item.subject.name for item in found.warmup if item.near is None]
    return [*told, f"nor to 1e-9: {listed(far)} (a running total never forgets; a long average needs more history)"]


def listed(names: list[str]) -> str:
    """Return names, the first few of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
