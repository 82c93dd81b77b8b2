"""Reading the store: ranges, SQL, digests, calendars, names nobody knows."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import parquet_store
from parquet_store import Failed, Series, Store, Usage
from parquet_store.layout import resolve_root
from tests.parquet_store.made import made_bars, with_value

NAME = "made:A/B:1h"
UTC = dt.UTC


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.append(NAME, made_bars(100), provenance="made by a test")
    return store


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-01-31", "2024-02-01"),
        (dt.date(2024, 1, 31), dt.datetime(2024, 2, 1)),
        (1_706_659_200_000, "2024-02-01T01:00+01:00"),
        (dt.datetime(2024, 1, 31, tzinfo=UTC), 1_706_745_600_000),
    ],
)
def test_a_range_includes_its_start_and_not_its_end(store: Store, start: object, end: object) -> None:
    rows = store.scan(NAME, start, end).collect()  # type: ignore[arg-type]
    assert rows.equals(made_bars(100)[24:48])


def test_open_ranges_and_ranges_without_bars(store: Store) -> None:
    assert store.read(NAME, "2024-02-01").equals(made_bars(100)[48:])
    assert store.read(NAME, None, "2024-02-01").equals(made_bars(100)[:48])
    assert store.read(NAME, "2030-01-01").is_empty()
    assert store.read(NAME, "2030-01-01").schema == store.read(NAME).schema


def test_a_time_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(Usage, match='"yesterday" is no time'):
        store.scan(NAME, "yesterday")


def test_the_span_names_first_last_and_rows(store: Store) -> None:
    span = store.span(NAME)
    assert span.first == dt.datetime(2024, 1, 30, tzinfo=UTC)
    assert span.last == dt.datetime(2024, 2, 3, 3, tzinfo=UTC)
    assert span.rows == 100
    assert span.to_dict() == {"first": "2024-01-30T00:00:00+00:00", "last": "2024-02-03T03:00:00+00:00", "rows": 100}


def test_gaps_of_a_series_are_told(store: Store) -> None:
    assert store.gaps(NAME) == []
    store.append("made:C:1h", made_bars(100).filter(~pl.int_range(100).is_in([7, 8])))
    assert [gap.missing for gap in store.gaps("made:C:1h")] == [2]


@pytest.mark.parametrize("ask", ["scan", "read", "span", "gaps", "fingerprint", "meta", "set_meta"])
def test_an_unknown_series_is_answered_with_the_nearest(store: Store, ask: str) -> None:
    with pytest.raises(Usage, match='unknown series "made:A/C:1h": did you mean "made:A/B:1h"'):
        getattr(store, ask)("made:A/C:1h")


def test_series_are_listed_in_order(store: Store) -> None:
    store.append("abc:X:1d", made_bars(3, "1d"))
    store.append("made:A/B:1m", made_bars(3, "1m"))
    assert store.series() == [Series.parse(name) for name in ("abc:X:1d", NAME, "made:A/B:1m")]


def test_sql_reads_what_is_stored(store: Store) -> None:
    store.append("other:A/B:1h", made_bars(7))
    where = "venue = 'made' and symbol = 'A/B' and timeframe = '1h'"
    query = f"select ts, open, high, low, close, volume from bars where {where} order by ts"
    rows = pl.DataFrame(store.sql(query).to_arrow_table())
    assert rows.with_columns(pl.col("ts").dt.cast_time_unit("ms").dt.convert_time_zone("UTC")).equals(made_bars(100))


def test_sql_over_an_empty_store_gives_no_rows(tmp_path: Path) -> None:
    assert Store(tmp_path).sql("select count(*) from bars where venue = 'x'").fetchall() == [(0,)]
    assert Store(tmp_path).sql("select * from bars").columns[:2] == ["ts", "open"]


@pytest.mark.parametrize(
    "query", ["selec 1", "select nothing from bars", "drop view bars", "select 1; select 2", "", "copy bars to 'x.csv'"]
)
def test_sql_that_does_not_just_read_is_refused(store: Store, query: str) -> None:
    with pytest.raises(Usage):
        store.sql(query)


def test_a_fingerprint_follows_content_not_files(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    bars = made_bars(100)
    for chunk in (bars[60:], bars[:20], bars[20:60]):
        other.append(NAME, chunk)
    (part, *_) = (tmp_path / "other").rglob("part.parquet")
    pl.read_parquet(part, hive_partitioning=False).write_parquet(part, compression="uncompressed", row_group_size=7)
    assert other.fingerprint(NAME) == store.fingerprint(NAME)
    assert other.fingerprint(NAME, "2024-02-01") == store.fingerprint(NAME, "2024-02-01") != store.fingerprint(NAME)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_fingerprint_sees_the_last_bit_of_every_value(store: Store, column: str) -> None:
    before = store.fingerprint(NAME)
    bars = made_bars(100)
    row = bars.with_row_index().filter((pl.col("high") > pl.col("close")) & (pl.col("low") < pl.col("open")))["index"][
        0
    ]
    up = math.inf if column != "low" else 0.0
    store.append(NAME, with_value(bars, row, column, math.nextafter(bars[column][row], up)))
    assert store.fingerprint(NAME) != before


def test_the_calendar_is_stored_and_can_be_set(store: Store) -> None:
    assert store.meta(NAME).calendar == "24/7" or store.meta(NAME).calendar == "sessions"
    assert store.meta(NAME).provenance == ("made by a test",)
    chosen = store.set_meta(NAME, bars_per_year=1_638.0, calendar="sessions")
    assert (chosen.bars_per_year, chosen.calendar, chosen.chosen) == (1_638.0, "sessions", True)
    store.append(NAME, made_bars(1_000), provenance="more")
    assert store.meta(NAME) == Store(store.root).meta(NAME)
    assert store.meta(NAME).bars_per_year == 1_638.0
    assert store.meta(NAME).provenance == ("made by a test", "more")
    assert store.set_meta(NAME).bars_per_year == 8_766.0  # back to what the bars say


def test_the_calendar_follows_the_bars(store: Store) -> None:
    assert store.meta(NAME).calendar == "24/7"  # Tuesday to Saturday morning, and there are Saturday bars
    store.append("made:S:1d", made_bars(400, "1d").filter(pl.col("ts").dt.weekday() < 6))
    assert (store.meta("made:S:1d").calendar, store.meta("made:S:1d").bars_per_year) == ("sessions", 252.0)


@pytest.mark.parametrize(
    ("key", "value"), [("calendar", "24x7"), ("bars_per_year", 0.0), ("bars_per_year", float("nan"))]
)
def test_a_calendar_nobody_knows_is_refused(store: Store, key: str, value: object) -> None:
    with pytest.raises(Usage):
        store.set_meta(NAME, **{key: value})  # type: ignore[arg-type]


def test_a_damaged_file_is_named(store: Store) -> None:
    part = sorted(store.root.rglob("part.parquet"))[1]
    part.write_bytes(part.read_bytes()[:200])
    for ask in (store.read, store.span, store.fingerprint):
        with pytest.raises(Failed, match=f"{part} cannot be read"):
            ask(NAME)
    with pytest.raises(Failed, match=f"{part} cannot be read"):
        store.append(NAME, made_bars(100, seed=1))
    assert store.read(NAME, None, "2024-02-01").height == 48  # the month that is whole


def test_a_damaged_record_beside_the_rows_is_named(store: Store) -> None:
    (path,) = store.root.rglob("series.json")
    path.write_text("{")
    with pytest.raises(Failed, match=r"series\.json cannot be read"):
        store.meta(NAME)
    assert store.read(NAME).height == 100


def test_the_place_is_the_argument_then_the_environment_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCKSTEP_STORE", raising=False)
    assert Store.open().root == tmp_path / ".lockstep"
    monkeypatch.setenv("LOCKSTEP_STORE", str(tmp_path / "env"))
    assert Store.open().root == tmp_path / "env"
    assert Store.open("arg").root == tmp_path / "arg"


def test_a_file_is_no_place_for_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Usage, match="the store is a folder"):
        resolve_root(tmp_path / "file")


def test_looking_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.series() == []
    assert store.sql("select * from bars").fetchall() == []
    assert not store.root.exists()


def test_the_package_shows_exactly_these_names() -> None:
    assert parquet_store.__all__ == [
        "BARS", "FUNDING", "TRADES", "Appended", "Dataset", "Events", "Failed", "Finding", "Gap", "Halt",
        "LockstepError", "Moment", "Refuse", "Retry", "Series", "SeriesMeta", "Span", "Store", "Timeframe", "Usage",
        "audit", "fingerprint", "unknown",
    ]  # fmt: skip
    assert all(getattr(parquet_store, name) is not None for name in parquet_store.__all__)
    assert callable(parquet_store.audit)
    with pytest.raises(AttributeError, match="no attribute 'Sotre'"):
        _ = parquet_store.Sotre


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (
            "from parquet_store import Series, Usage; Series.parse('a:b:1h').bar.number(1)",
            "polars duckdb pyarrow numpy",
        ),
        ("from parquet_store import Store, audit", "duckdb pyarrow pandas filelock"),
    ],
)
def test_what_is_heavy_is_loaded_when_it_is_used(code: str, heavy: str) -> None:
    code += f"; import sys; print([name for name in {heavy.split()} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
