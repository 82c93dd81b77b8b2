"""Times in every spelling that is read."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parquet_store import Failed
from pipelines.times import read_times

UTC = dt.UTC
MOMENT = dt.datetime(2024, 3, 1, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01 13:05", "2024-03-01T13:05:00", "2024-03-01 13:05:00.000", "2024-03-01T13:05:00Z", "2024/3/1 13:05",
        "2024.03.01 13:05:00", "2024-03-01 13:05:00 UTC", "2024-03-01T14:05:00+01:00", "2024-03-01 08:05:00-0500",
        " 2024-03-01 13:05 ", "1709298300", "1709298300000", "1709298300000000", "1709298300000000000", "1709298300.0",
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(text: str) -> None:
    times, _ = read_times(pl.Series("when", [text, None, text]))
    assert times.to_list() == [MOMENT, None, MOMENT]
    assert times.dtype == pl.Datetime("ms", "UTC")


@pytest.mark.parametrize(
    "text", ["2024-13-01 00:00", "2024-02-30", "noon", "2024-03-01 25:00", "2024-03", "1e30", "12:00"]
)
def test_what_is_no_time_is_null(text: str) -> None:
    times, _ = read_times(pl.Series("when", ["2024-03-01 13:05" if text != "1e30" else "1709298300", text]))
    assert times.to_list() == [MOMENT, None]


def test_a_date_is_its_midnight() -> None:
    midnight = MOMENT.replace(hour=0, minute=0)
    assert read_times(pl.Series(["2024-03-01"]))[0].to_list() == [midnight]
    assert read_times(pl.Series([dt.date(2024, 3, 1)]))[0].to_list() == [midnight]


def test_dates_with_slashes_are_read_where_a_day_above_12_shows_the_order() -> None:
    days = [dt.datetime(2024, 3, 1, tzinfo=UTC), dt.datetime(2024, 3, 13, tzinfo=UTC)]
    assert read_times(pl.Series(["01/03/2024", "13/03/2024"]))[0].to_list() == days
    assert read_times(pl.Series(["3/1/2024", "3/13/2024"]))[0].to_list() == days
    with pytest.raises(Failed, match="day and month cannot be told apart"):
        read_times(pl.Series(["01/03/2024", "02/03/2024"]))


def test_parts_of_a_millisecond_are_cut_off_and_parts_of_a_second_kept() -> None:
    times, _ = read_times(pl.Series([1709298300000999]))
    assert times.to_physical().to_list() == [1709298300000]
    times, _ = read_times(pl.Series([1709298300.25]))
    assert times.to_physical().to_list() == [1709298300250]


def test_a_column_of_another_kind_is_refused() -> None:
    with pytest.raises(Failed, match="column 'when' holds Boolean"):
        read_times(pl.Series("when", [True]))


@given(st.integers(1_000_000_000, 4_000_000_000), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_any_second_in_any_unit_is_that_second(second: int, unit: int) -> None:
    for column in (pl.Series([second * unit]), pl.Series([str(second * unit)])):
        assert read_times(column)[0].to_physical().to_list() == [second * 1_000]
