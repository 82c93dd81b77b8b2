"""What a sweep can be asked for beyond a grid: drawn points, depending parameters, wildcards, timeframes, going on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.cli import main
from engine.cli.options import memory_size
from engine.research.table import Run
from parquet_store import Store, Usage
from tests.cli.conftest import MADE
from tests.parquet_store.made import made_bars

Document = Callable[..., dict[str, Any]]
PLAIN = ("--param", "var_limit=0", "--param", "kelly_fraction=0", "--param", "band_width=1", "--param", "overbought=55")
SWEEP = ("sweep", "mean_reversion", "--data", MADE, *PLAIN)


def rows_of(store: Path, run: str) -> pl.DataFrame:
    return pl.read_parquet(Run.open(Store(store), run).files)


def test_points_are_drawn_from_intervals_and_found_exported_and_proven(store: Path, document: Document) -> None:
    drawn = ("--param", "oversold=25.5:45", "--param", "rsi_length=3:9", "--sample", "60", "--seed", "4")
    found = document(*SWEEP, *drawn, "--name", "drawn")
    rows = rows_of(store, "drawn")
    assert found["combos"] == len(rows) == 60
    assert rows["oversold"].n_unique() == 60
    assert rows["oversold"].is_between(25.5, 45.0).all()
    assert set(rows["rsi_length"].unique()) <= set(range(3, 10))
    best = found["best"]["params"]
    named = f"oversold={best['oversold']!r},rsi_length={best['rsi_length']}"
    made = document("export", "drawn", "--params", named, "--despite", "a test of the way")
    assert made["params"] == pytest.approx(best)
    assert document("prove", "drawn")["lookahead"] == []
    again = document(*SWEEP, *drawn, "--name", "again")
    assert rows_of(store, "again").equals(rows)
    other = document(*SWEEP, *drawn[:-1], "5", "--name", "other")
    assert other["best"]["params"] != again["best"]["params"]


def test_an_interval_without_a_sample_and_a_value_beside_it_are_refused(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (("--param", "oversold=25:45"), "an interval needs --sample N"),
        (("--param", "oversold=45:25", "--sample", "5"), "expected low:high with low < high"),
        (("--param", "oversold=25:45", "--param", "oversold=30", "--sample", "5"), "as values and as an interval"),
        (("--param", "oversold=0.5:45", "--sample", "5"), "expected a number from 1 to 60"),
        (("--when", "var_length > 3"), "expected NAME: CONDITION"),
        (("--when", "var_lenth: stop_atr > 0"), 'did you mean "var_length"'),
        (("--memory", "12XB"), "expected a size such as 512MB or 1GB"),
        (("--memory", "1KB"), "expected 16MB or more"),
        (("--timeframe", "3q"), "3q"),
        (("--data", "made:Z*:1d"), "matches none of the 1 stored series"),
        (("--resume", "first"), "leave STRATEGY out"),
    ):
        assert main([*SWEEP, *words]) == 2, words
        assert message in capsys.readouterr().err
    assert main(["sweep"]) == 2
    assert "lockstep sweep needs STRATEGY" in capsys.readouterr().err


def test_a_depending_parameter_is_varied_only_where_it_counts(store: Path, document: Document) -> None:
    words = ("--param", "stop_atr=0,1,2", "--param", "rsi_length=3,5,9", "--when", "rsi_length: stop_atr > 0")
    assert document(*SWEEP, *words, "--name", "when")["combos"] == 1 + 2 * 3
    rows = rows_of(store, "when").filter(pl.col("stop_atr") == 0)
    assert rows["rsi_length"].to_list() == [3]


def test_wildcards_and_timeframes_multiply_the_series(store: Path, document: Document) -> None:
    Store(store).append("made:C/D:1d", made_bars(600, "1d", start="2020-01-01", seed=8))
    words = ("--data", "made:*:1d", "--timeframe", "1d,1w", "--param", "oversold=40,45", "--name", "axes")
    found = document("sweep", "mean_reversion", *PLAIN, *words)
    assert [item["source"] for item in found["sources"]] == [
        "made:A/B:1d", "made:A/B:1w", "made:C/D:1d", "made:C/D:1w",
    ]  # fmt: skip
    assert found["combos"] == 8
    assert sorted(str(series) for series in Store(store).series()) == sorted(i["source"] for i in found["sources"])


def test_a_finished_run_is_gone_on_with_at_once_and_memory_does_not_change_it(store: Path, document: Document) -> None:
    words = ("--param", "oversold=30:45:1", "--param", "rsi_length=3:12:1")
    first = document(*SWEEP, *words, "--name", "first")
    small = document(*SWEEP, *words, "--name", "small", "--memory", "16MB", "--threads", "1")
    assert rows_of(store, "small").equals(rows_of(store, "first"))
    assert first["verdict"]["pbo"] == small["verdict"]["pbo"]
    few = document("sweep", "--resume", "small", "--lists", "10")["verdict"]
    assert few["lists"] == 10 < few["distinct_lists"] == first["verdict"]["lists"]
    assert document("sweep", "--resume", "first") == first
    assert document(*SWEEP, *words, "--name", "first") == first
    assert "did you mean" in document("sweep", "--resume", "fist", status=2)["error"]
    for words in (("--seed", "3"), ("--backend", "vectorbt"), ("--fee", "0.1"), ("--sample", "5")):
        assert f"leave {words[0]} out" in document("sweep", "--resume", "first", *words, status=2)["error"]


def test_every_sweep_carries_its_verdict_and_the_ledger_counts_all_of_them(
    store: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    one = document(*SWEEP, "--param", "oversold=30,40,45")["verdict"]
    assert {"trials", "pbo", "deflated_sharpe", "expected_max_sharpe", "spa_p", "plateau", "passed"} <= set(one)
    assert (one["trials"], one["plans"], one["spa_p"]) == (3, 1, None)
    two = document(*SWEEP, "--param", "oversold=30,40,45", "--fee", "0.002")["verdict"]
    assert (two["trials"], two["plans"]) == (6, 2)
    assert main([*SWEEP, "--param", "oversold=31,41"]) == 0
    assert "how likely is it luck?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512 << 20), ("1GB", 1 << 30), ("1.5 gb", 3 << 29), ("20000KB", 20_000 << 10)]
)
def test_sizes_of_memory_are_read(text: str, size: int) -> None:
    assert memory_size(text) == size
    with pytest.raises(Usage):
        memory_size("much")
