"""Bar lengths and bar numbers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parquet_store import Timeframe, Usage
from parquet_store.moments import moment_ms

ALL = ["1s", "30s", "1m", "5m", "15m", "90m", "1h", "4h", "1d", "3d", "1w", "2w", "1M", "3M"]


@pytest.mark.parametrize("text", ALL)
def test_a_timeframe_reads_what_it_writes(text: str) -> None:
    assert Timeframe.parse(text).text == str(Timeframe.parse(text)) == text


@pytest.mark.parametrize("text", ["", "h", "0m", "-1m", "1y", "1.5h", "1 h", "m1", "1H", "01h", "999999m"])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(Usage, match="unknown timeframe"):
        Timeframe.parse(text)


@pytest.mark.parametrize(("text", "shortest"), [("60m", "1h"), ("60s", "1m"), ("24h", "1d"), ("1440m", "1d")])
def test_one_bar_length_has_one_name(text: str, shortest: str) -> None:
    with pytest.raises(Usage, match=f'is written "{shortest}"'):
        Timeframe.parse(text)


def test_numbers_of_known_moments() -> None:
    time = moment_ms("2024-03-06T13:47")
    assert time is not None
    assert Timeframe.parse("1m").number(time) == time // 60_000
    assert Timeframe.parse("1h").number(time) == time // 3_600_000
    assert Timeframe.parse("1d").number(time) == (dt.date(2024, 3, 6) - dt.date(1970, 1, 1)).days
    assert Timeframe.parse("1M").number(time) == 12 * 2024 + 3 - 1
    monday = moment_ms("2024-03-04")
    assert Timeframe.parse("1w").open_ms(Timeframe.parse("1w").number(time)) == monday
    assert Timeframe.parse("1w").number(4 * 86_400_000) == 0  # Monday 1970-01-05


def test_milliseconds_are_unknown_for_months_only() -> None:
    assert Timeframe.parse("1M").milliseconds is None
    assert Timeframe.parse("4h").milliseconds == 14_400_000
    assert [text for text in ALL if Timeframe.parse(text).is_session] == ["1d", "3d"]


@given(st.sampled_from(ALL), st.integers(-(10**12), 4 * 10**12))
def test_every_moment_lies_in_the_bar_of_its_number(text: str, time: int) -> None:
    bar = Timeframe.parse(text)
    number = bar.number(time)
    assert bar.open_ms(number) <= time < bar.close_ms(number)
    assert bar.number(bar.open_ms(number)) == number
    assert bar.close_ms(number) == bar.open_ms(number + 1)


@given(st.sampled_from(ALL), st.lists(st.integers(-(10**12), 4 * 10**12), max_size=20))
def test_an_array_gives_what_its_elements_give(text: str, times: list[int]) -> None:
    bar = Timeframe.parse(text)
    numbers = bar.number(np.array(times, dtype=np.int64))
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [bar.number(time) for time in times]
    assert bar.open_ms(numbers).tolist() == [bar.open_ms(bar.number(time)) for time in times]
