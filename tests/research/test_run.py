"""A sweep from request to table to manifest: complete, in order, never half, never another's."""

from __future__ import annotations

import errno
import json
import math
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from engine.graph import bind
from engine.research import run as run_module
from engine.research.export import export, load_swept
from engine.research.parts import LIST, SUMS
from engine.research.rows import batch
from engine.research.run import Request, resume_sweep, run_sweep
from engine.research.table import Run, runs
from engine.simulate import METRICS, Costs, simulate_program
from engine.strategies import find_strategy
from parquet_store import Failed, Store, Usage
from pipelines import load_bars
from tests.data import ROOT
from tests.parquet_store.made import made_bars

MADE, OTHER = "made:A/B:1h", "made:C/D:1h"
REASON = "it is a test"
TURNS = str(Path(__file__).with_name("made_strategies.py")) + ":LongTurns"
REQUEST = Request(
    strategy=TURNS,
    values={"rsi_length": [3.0, 5.0, 9.0], "low_level": [math.nextafter(5.2, 6.0), 30.0, 45.0], "stop_atr": [0.0, 1.5]},
    sources=(MADE, OTHER),
    costs=Costs(),
    where=("low_level > rsi_length",),
    name="first",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for seed, source in enumerate((MADE, OTHER)):
        made.append(source, made_bars(900, seed=seed))
    return made


def bytes_of(store: Store, name: str = "first") -> bytes:
    return b"".join(path.read_bytes() for path in Run(store.root / "runs" / name).files)


def test_the_table_is_complete_in_order_and_the_plain_simulations(store: Store) -> None:
    summary = run_sweep(store, REQUEST)
    run = Run.open(store, "first")
    frame = pl.read_parquet(run.files)
    kept = [c for shard in run.space.shards() for c in shard.combo.tolist()]
    assert 0 < len(kept) < run.space.size
    assert frame["source"].to_list() == [MADE] * len(kept) + [OTHER] * len(kept)
    assert frame["combo"].to_list() == kept * 2
    assert frame.columns == ["source", "combo", "rsi_length", "low_level", "stop_atr", *METRICS, LIST, SUMS]
    assert summary.combos == len(frame)
    strategy = find_strategy(TURNS)()
    for row in frame.iter_rows(named=True):
        params = run.space.row(row["combo"])
        assert {name: row[name] for name in params} == params
        plain = simulate_program(bind(strategy, params), load_bars(store, row["source"]), Costs()).metrics
        found = np.array([np.nan if row[name] is None else row[name] for name in METRICS], np.float64)
        np.testing.assert_allclose(found, list(plain.values()), rtol=1e-10, atol=1e-12)


def test_the_same_plan_again_is_the_same_table_and_another_plan_is_refused(store: Store) -> None:
    run_sweep(store, REQUEST)
    before = bytes_of(store)
    run_sweep(store, REQUEST)
    assert bytes_of(store) == before
    for other in (
        replace(REQUEST, costs=Costs(fee=0.002)),
        replace(REQUEST, where=()),
        replace(REQUEST, sources=(MADE,)),
        replace(REQUEST, end="2024-02-20"),
    ):
        with pytest.raises(Usage, match=r"run first exists with another plan.*give another --name"):
            run_sweep(store, other)
    assert bytes_of(store) == before
    run_sweep(store, replace(REQUEST, name=None))
    assert len(runs(store)) == 2


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 101])
def test_a_run_name_that_is_no_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(Usage, match=r"run name .* expected 1 to 100 letters"):
        run_sweep(store, replace(REQUEST, name=name))
    assert runs(store) == []


def test_a_sweep_that_fails_on_the_way_leaves_whole_parts_and_goes_on(store: Store, monkeypatch: Any) -> None:
    run_sweep(store, REQUEST)
    before = bytes_of(store)
    for error in (KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")):
        calls = iter(range(10))

        def broken(*arguments: Any, calls: Any = calls, error: BaseException = error) -> Any:
            if next(calls) == 1:  # the second series
                raise error
            return batch(*arguments)

        monkeypatch.setattr(run_module, "batch", broken)
        name = type(error).__name__
        with pytest.raises(Failed if isinstance(error, OSError) else KeyboardInterrupt):
            run_sweep(store, replace(REQUEST, name=name))
        monkeypatch.undo()
        assert Run(store.root / "runs" / name).done == {0}
        with pytest.raises(Usage, match=rf"run {name}: not finished, 1 of 2 parts .* --resume {name}"):
            Run.open(store, name)
        assert bytes_of(store) == before
        resume_sweep(store, name)
        assert bytes_of(store, name) == before
        assert [path for path in (store.root / "runs").rglob("*") if path.suffix == ".tmp"] == []


SWEEP = """
    import sys
    from engine.research import run as module
    from engine.simulate import Costs
    from parquet_store import Failed, Store, Usage
    from tests.research.test_run import REQUEST
    from dataclasses import replace
    read = module.job_of
    def slowly(*arguments):
        bars = read(*arguments)
        print("ready", flush=True)
        sys.stdin.readline()
        return bars
    module.job_of = slowly
    try:
        mine = replace(REQUEST, sources=REQUEST.sources[:1], costs=Costs(fee=float(sys.argv[2])))
        module.run_sweep(Store(sys.argv[1]), mine)
        print("done")
    except (Failed, Usage) as error:
        print(error)
"""


def test_two_processes_on_one_name_do_not_overwrite_each_other(store: Store) -> None:
    command = [sys.executable, "-c", textwrap.dedent(SWEEP), str(store.root)]
    both = [
        subprocess.Popen([*command, fee], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for fee in ("0.001", "0.002")
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outs = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        out, _ = process.communicate(timeout=120)
        outs.append(out.strip())
    assert sorted(out == "done" for out in outs) == [False, True]
    (refused,) = [out for out in outs if out != "done"]
    assert "exists with another plan" in refused or "another process is at work on it" in refused
    assert Run.open(store, "first").costs.fee == (0.001, 0.002)[outs.index("done")]


def test_unknown_figures_are_null_and_last_and_names_are_checked(store: Store) -> None:
    run_sweep(store, replace(REQUEST, where=()))
    run = Run.open(store, "first")
    rows = run.top(1_000, "profit_factor")
    known = [row["profit_factor"] is not None for row in rows]
    assert known == sorted(known, reverse=True)
    assert known[0]
    assert not known[-1]
    figures = [row["profit_factor"] for row in rows if row["profit_factor"] is not None]
    assert figures == sorted(figures, reverse=True)
    small = [row["volatility"] for row in run.top(1_000, "volatility") if row["volatility"] is not None]
    assert small == sorted(small)
    middle = sorted(row["sharpe"] for row in run.top(1_000) if row["sharpe"] is not None)
    assert run.median()["sharpe"] == middle[(len(middle) - 1) // 2]
    with pytest.raises(Usage, match='unknown metric "sharp": did you mean "sharpe"'):
        run.top(1, "sharp")
    with pytest.raises(Usage, match='unknown run "frist": did you mean "first"'):
        Run.open(store, "frist")
    with pytest.raises(Usage, match='unknown source of the run "made:A/C:1h"'):
        run.top(1, source="made:A/C:1h")
    with pytest.raises(Usage, match="columns of results: source, combo"):
        run.sql("select sharp from results")


def test_a_combination_is_found_by_values_no_decimal_can_say(store: Store) -> None:
    run_sweep(store, REQUEST)
    run = Run.open(store, "first")
    for level in run.space.values["low_level"].tolist():
        row = run.find({"rsi_length": 3, "low_level": level, "stop_atr": 0}, OTHER)
        assert (row["low_level"], row["source"]) == (level, OTHER)
    assert 5.2 not in run.space.values["low_level"]  # but a hair from it
    assert run.find({"rsi_length": 3, "low_level": 5.2, "stop_atr": 0})["low_level"] == pytest.approx(5.2)
    with pytest.raises(Usage, match='did you mean "rsi_length"'):
        run.find({"rsi_lenght": 3})
    with pytest.raises(Usage, match="rsi_length = 4: not in the run; it covered 3, 5, 9"):
        run.find({"rsi_length": 4})
    with pytest.raises(Usage, match="parameter stop_atr: not given"):
        run.find({"rsi_length": 3, "low_level": 30})
    with pytest.raises(Usage, match="a constraint or the draw excludes it"):
        run.find({"rsi_length": 9, "low_level": 5.2, "stop_atr": 0})


def test_a_damaged_table_is_said(store: Store) -> None:
    run_sweep(store, REQUEST)
    path = Run.open(store, "first").part(1)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(Failed, match="not a result table"):
        Run.open(store, "first")


def test_the_chosen_row_is_exported_as_the_plain_simulation(store: Store) -> None:
    run_sweep(store, REQUEST)
    run = Run.open(store, "first")
    best = run.best("sharpe")
    made = export(store, run, despite=REASON)
    program = bind(find_strategy(TURNS)(), made.params)
    plain = simulate_program(program, load_swept(store, run, best["source"]), Costs())
    assert made.metrics == pytest.approx(plain.metrics, rel=0.0, abs=0.0, nan_ok=True)
    assert made.metrics["sharpe"] == pytest.approx(best["sharpe"], rel=1e-10)
    content = json.loads(made.path.read_text())
    assert content["program_digest"] == program.digest
    assert content["evidence"]["metrics"]["sharpe"] == plain.metrics["sharpe"]
    assert content["evidence"]["combinations"] == run.sql("select count(*) from results")[1][0][0]
    named = export(store, run, params={"rsi_length": 5, "low_level": 30, "stop_atr": 1.5}, source=OTHER, despite=REASON)
    assert named.params == {"rsi_length": 5.0, "low_level": 30.0, "stop_atr": 1.5}


def test_an_export_of_other_data_other_figures_or_sizes_at_the_fill_is_refused(store: Store, tmp_path: Path) -> None:
    run_sweep(store, REQUEST)
    run_sweep(store, replace(REQUEST, name="fill", costs=Costs(size_at="fill")))
    with pytest.raises(Usage, match="size_at=fill"):
        export(store, Run.open(store, "fill"))
    run = Run.open(store, "first")
    path = run.part(run.sources.index(run.best()["source"]))
    table = pq.read_table(path)
    at = table.schema.get_field_index("sharpe")
    bent = table.set_column(
        at, table.schema.field(at), [[9.0 if x is None else x + 1e-3 for x in table["sharpe"].to_pylist()]]
    )
    honest = path.read_bytes()
    pq.write_table(bent, path)
    with pytest.raises(Failed, match=r"the table says sharpe .* sweep again"):
        export(store, Run.open(store, "first"))
    path.write_bytes(honest)
    export(store, run, to=tmp_path / "good.json", despite=REASON)
    rows = store.read(MADE)
    store.append(MADE, rows[100:101].with_columns(pl.col("volume") + 1.0))
    store.append(OTHER, store.read(OTHER)[100:101].with_columns(pl.col("volume") + 1.0))
    with pytest.raises(Failed, match="not those run first swept; sweep again"):
        export(store, run)
