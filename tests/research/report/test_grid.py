"""What a report says of the whole grid equals what Polars finds in the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.research.report.grid import by_source, distribution, influence, surface
from engine.research.run import Request, Run, run_sweep
from engine.simulate import Costs
from parquet_store import Store
from tests.parquet_store.made import made_bars

SOURCE, OTHER = "made:AAA/USD:1d", "made:O'HARE/USD:1d"
VALUES = {
    "range_length": [float(v) for v in range(5, 60)],  # 55 values: more than the cells of an axis
    "width": [0.5, 1.0, 2.0, 4.0],
    "strength": [0.01, 0.3, 0.6],
    "trend_length": [0.0],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    store = Store(tmp_path_factory.mktemp("grid") / "store")
    store.append(SOURCE, made_bars(400, "1d", "2020-01-01", seed=1))
    store.append(OTHER, made_bars(300, "1d", "2020-01-01", seed=2))
    run_sweep(store, Request("ibs_band", VALUES, (SOURCE, OTHER), Costs(), name="grid"))
    return Run.open(store, "grid")


def table(run: Run, source: str) -> pl.DataFrame:
    """Return the rows of one series, unknown figures as null."""
    rows = pl.read_parquet(run.files).with_columns(pl.col("source").cast(pl.String)).filter(pl.col("source") == source)
    return rows.with_columns(pl.col(pl.Float64).fill_nan(None))


@pytest.mark.parametrize("by", ["sharpe", "trades", "profit_factor"])
@pytest.mark.parametrize("source", [SOURCE, OTHER])
def test_parameters_are_ranked_by_the_variance_of_the_mean(run: Run, by: str, source: str) -> None:
    rows = table(run, source)
    expected = {}
    for name in ("range_length", "width", "strength"):
        means = rows.group_by(name).agg(pl.col(by).mean())[by].drop_nulls().to_numpy()
        expected[name] = float(np.var(means))
    found = influence(run, by, source)
    assert [name for name, _ in found] == sorted(expected, key=lambda name: -expected[name])
    for name, value in found:
        assert value == pytest.approx(expected[name], rel=1e-9)


def test_cells_hold_the_median_over_all_other_parameters(run: Run) -> None:
    row = run.best("sharpe", SOURCE)
    params = {name: float(row[name]) for name in run.plan["space"]["values"]}
    found = surface(run, "sharpe", SOURCE, ("width", "strength"), params)
    assert found.labels == (["0.5", "1", "2", "4"], ["0.01", "0.3", "0.6"])
    assert len(found.cells) == 12
    rows = table(run, SOURCE)
    for (x, y), (value, count) in found.cells.items():
        some = rows.filter((pl.col("width") == VALUES["width"][x]) & (pl.col("strength") == VALUES["strength"][y]))
        assert count == some.height == 55
        expected = some["sharpe"].median()
        assert (value is None) == (expected is None)
        if value is not None:
            assert value == pytest.approx(expected, rel=1e-12)
    assert found.marked == (VALUES["width"].index(row["width"]), VALUES["strength"].index(row["strength"]))


def test_more_than_forty_values_share_cells_and_none_is_lost(run: Run) -> None:
    params = {name: values[-1] for name, values in VALUES.items()} | {"high_length": 10.0}
    found = surface(run, "sharpe", SOURCE, ("range_length", "width"), params)
    assert len(found.labels[0]) == 40
    assert sum(count for _, count in found.cells.values()) == 55 * 4 * 3
    assert {x for x, _ in found.cells} == set(range(40))
    assert found.marked == (39, 3)


@pytest.mark.parametrize("by", ["sharpe", "trades", "calmar"])
def test_the_histogram_counts_every_combination_once(run: Run, by: str) -> None:
    rows = table(run, SOURCE)
    known = rows[by].drop_nulls().cast(pl.Float64).to_numpy()
    found = distribution(run, by, SOURCE)
    assert found.known == known.size
    assert found.unknown == rows.height - known.size
    assert sum(found.counts) == known.size
    edges = found.low + found.width * np.arange(len(found.counts) + 1)
    inner = np.histogram(known, edges)[0]
    assert found.beyond == int(((known < edges[0]) | (known > edges[-1] + 1e-9)).sum())
    if found.beyond == 0:
        assert np.abs(np.array(found.counts) - inner).sum() <= 4  # a value on an edge may fall to either side


def test_a_tail_far_away_is_counted_in_the_last_bar(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = Store(tmp_path / "store")
    store.append(SOURCE, made_bars(400, "1d", "2020-01-01", seed=1))
    values = {"range_length": [float(v) for v in range(2, 501)], "width": [0.5, 0.6, 0.7]}
    run_sweep(store, Request("ibs_band", values, (SOURCE,), Costs(), name="tail"))
    run = Run.open(store, "tail")
    rows = pq.read_table(run.part(0))
    place = rows.schema.get_field_index("sharpe")
    made = np.linspace(0.0, 1.0, rows.num_rows)
    made[-1] = 1e6
    pq.write_table(rows.set_column(place, rows.schema.field(place), [made]), run.part(0))
    found = distribution(run, "sharpe", SOURCE)
    assert found.beyond >= 1
    assert found.low + found.width * len(found.counts) < 2.0
    assert sum(found.counts) == rows.num_rows


def test_the_same_parameters_are_compared_on_every_series(run: Run) -> None:
    combo = int(run.best("sharpe", SOURCE)["combo"])
    found = by_source(run, "sharpe", combo)
    assert [row["source"] for row in found] == [SOURCE, OTHER]
    for row in found:
        rows = table(run, row["source"])
        assert row["median of all"] == pytest.approx(rows["sharpe"].median(), rel=1e-12)
        assert row["trades"] == rows.filter(pl.col("combo") == combo)["trades"].item()
