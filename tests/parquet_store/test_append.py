"""Appending: what is refused, set aside, merged, replaced."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parquet_store import BARS, Failed, Refuse, Store
from tests.data import BAR_FILES, DATA, needs_data
from tests.parquet_store.made import made_bars, with_value
from tests.parquet_store.test_findings import BROKEN

NAME = "made:A/B:1h"


def test_what_is_appended_reads_back_bit_for_bit(tmp_path: Path) -> None:
    bars = made_bars(100)
    done = Store(tmp_path).append(NAME, bars)
    assert (done.rows, done.replaced, done.months, done.quarantined) == (100, 0, 2, 0)
    assert Store(tmp_path).read(NAME).equals(bars)
    assert Store(tmp_path).scan(NAME).collect().schema == BARS.polars()


@pytest.mark.parametrize(("kind", "column", "value"), BROKEN)
def test_a_bad_row_is_refused_and_nothing_is_stored(tmp_path: Path, kind: str, column: str, value: object) -> None:
    with pytest.raises(Refuse) as error:
        Store(tmp_path).append(NAME, with_value(made_bars(10), 4, column, value))
    assert f"1 of 10 rows are bad, so nothing was stored: 1 x {kind}" in str(error.value)
    assert "first: row 5" in str(error.value)
    assert "--quarantine" in str(error.value)
    assert Store(tmp_path).series() == []


@pytest.mark.parametrize(("kind", "column", "value"), BROKEN)
def test_a_bad_row_is_set_aside_with_its_reason(tmp_path: Path, kind: str, column: str, value: object) -> None:
    bars = made_bars(10)
    broken = with_value(bars, 4, column, value)
    done = Store(tmp_path).append(NAME, broken, quarantine=True, provenance="a file")
    assert (done.rows, done.quarantined) == (9, 1)
    assert Store(tmp_path).read(NAME).equals(bars.filter(pl.int_range(10) != 4))
    assert done.quarantine is not None
    aside = pl.read_parquet(done.quarantine)
    assert aside["row"].to_list() == [5]
    assert kind.split("_")[0] in {"time", "off", "text", "missing", "not", "negative", "high", "low"}
    assert aside["reason"].item()
    assert aside.select(BARS.names).equals(broken[4:5], null_equal=True)


def test_every_reason_of_a_row_is_given(tmp_path: Path) -> None:
    broken = with_value(with_value(made_bars(5), 1, "volume", -1.0), 1, "low", -1.0)
    done = Store(tmp_path).append(NAME, broken, quarantine=True)
    assert done.quarantine is not None
    assert pl.read_parquet(done.quarantine)["reason"].item() == "price is zero or negative; volume is negative"


def test_counts_are_given_for_each_kind(tmp_path: Path) -> None:
    bars = with_value(made_bars(10), 7, "close", "x")
    bars = with_value(with_value(bars, 8, "close", "y"), 3, "volume", math.nan)
    with pytest.raises(Refuse, match=r"3 of 10 rows .* 2 x text .* 1 x not_finite .* first: row 4 "):
        Store(tmp_path).append(NAME, bars)


def test_the_same_bad_rows_are_set_aside_once(tmp_path: Path) -> None:
    broken = with_value(made_bars(10), 4, "close", math.nan)
    first, second = (Store(tmp_path).append(NAME, broken, quarantine=True) for _ in range(2))
    assert first.quarantine == second.quarantine
    assert len(list((tmp_path / "quarantine").rglob("*.parquet"))) == 1


def test_all_rows_bad_stores_no_series(tmp_path: Path) -> None:
    done = Store(tmp_path).append(NAME, with_value(made_bars(1), 0, "close", math.nan), quarantine=True)
    assert (done.rows, done.quarantined) == (0, 1)
    assert Store(tmp_path).series() == []


def test_a_stored_bar_is_replaced_and_counted(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), made_bars(100)
    store.append(NAME, bars)
    changed = with_value(bars, 10, "volume", 5.0)[8:12]
    done = store.append(NAME, changed)
    assert (done.rows, done.replaced, done.unchanged, done.months) == (4, 1, 3, 1)
    assert store.read(NAME).equals(with_value(bars, 10, "volume", 5.0))


def test_appending_again_writes_nothing(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), made_bars(100)
    store.append(NAME, bars)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part.parquet")}
    done = store.append(NAME, bars)
    assert (done.rows, done.replaced, done.unchanged, done.months) == (100, 0, 100, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part.parquet")} == before


def test_disorder_and_copies_are_accepted_and_said(tmp_path: Path) -> None:
    bars = made_bars(50)
    done = Store(tmp_path).append(NAME, pl.concat([bars.reverse(), bars[:3]]))
    assert done.notes == ("sorted: 49 rows were out of order", "3 exact copies of rows dropped")
    assert done.rows == 50
    assert Store(tmp_path).read(NAME).equals(bars)


def test_two_versions_of_a_bar_are_refused_and_the_last_wins_with_quarantine(tmp_path: Path) -> None:
    bars = made_bars(10)
    other = with_value(bars, 3, "volume", 7.0)
    both = pl.concat([bars, other[3:4]])
    with pytest.raises(Refuse, match="1 x duplicate"):
        Store(tmp_path).append(NAME, both)
    assert Store(tmp_path).append(NAME, both, quarantine=True).quarantined == 1
    assert Store(tmp_path).read(NAME).equals(other)


def test_other_types_of_columns_are_brought_to_the_schema(tmp_path: Path) -> None:
    bars = made_bars(10).with_columns(volume=pl.lit(-0.0), close=pl.col("open"))
    same = bars.with_columns(pl.col("ts").dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns"), extra=pl.lit(1))
    Store(tmp_path).append(NAME, same.with_columns(pl.col("close").cast(pl.String), volume=pl.lit(0)))
    assert Store(tmp_path).read(NAME).equals(bars.with_columns(volume=pl.lit(0.0)))
    assert "-0.0" not in str(Store(tmp_path).read(NAME)["volume"].to_list())


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no column 'volume'"):
        Store(tmp_path).append(NAME, made_bars(3).drop("volume"))


def test_no_rows_are_no_error_and_no_series(tmp_path: Path) -> None:
    assert Store(tmp_path).append(NAME, made_bars(0)).rows == 0
    assert Store(tmp_path).series() == []


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    Store(tmp_path).append(NAME, made_bars(3))
    (path,) = tmp_path.rglob("*.parquet")
    assert path.relative_to(tmp_path) == Path("bars/venue=made/symbol=A%2FB/timeframe=1h/month=2024-01/part.parquet")
    schema = pq.read_schema(path)
    assert schema.metadata[b"schema_version"] == b"1"
    assert schema.metadata[b"series"] == NAME.encode()
    assert schema.names == BARS.names
    assert schema.field("close").metadata[b"unit"] == b"quote currency"
    assert str(schema.field("ts").type) == "timestamp[ms, tz=UTC]"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_of_appends_gives_the_same_content(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    bars = made_bars(120)
    store = Store(tmp_path_factory.mktemp("store"))
    order = data.draw(st.permutations(range(6)))
    for part in order:
        overlap = data.draw(st.integers(0, 10))
        chunk = bars[max(0, 20 * part - overlap) : 20 * part + 20]
        store.append(NAME, chunk.sample(fraction=1, shuffle=True, seed=part))
    whole = Store(tmp_path_factory.mktemp("whole"))
    whole.append(NAME, bars)
    assert store.read(NAME).equals(bars)
    assert store.fingerprint(NAME) == whole.fingerprint(NAME)


@needs_data
@pytest.mark.parametrize("name", BAR_FILES)
def test_every_real_file_reads_back_as_it_was(tmp_path: Path, name: str) -> None:
    store, series = Store(tmp_path), ":".join(BAR_FILES[name])
    bars = pl.read_parquet(DATA / name).select(BARS.names)
    done = store.append(series, bars)
    assert (done.rows, done.replaced, done.quarantined, done.notes) == (len(bars), 0, 0, ())
    assert store.read(series).equals(bars)
    assert store.sql("select count(*), sum(volume) from bars").fetchall()[0][0] == len(bars)
