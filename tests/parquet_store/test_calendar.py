"""Calendars, bars per year, gaps."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from parquet_store import Timeframe
from parquet_store.calendar import ALWAYS, SESSIONS, bars_per_year, calendar_of
from parquet_store.gaps import find_gaps
from parquet_store.moments import moment_ms
from tests.data import DATA, needs_data

HOUR, DAY = 3_600_000, 86_400_000


def hours(start: str, count: int) -> np.ndarray:
    first = moment_ms(start)
    assert first is not None
    return first + HOUR * np.arange(count)


@pytest.mark.parametrize(
    ("timeframe", "expected"),
    [("1m", 525_960), ("5m", 105_192), ("1h", 8_766), ("4h", 2_191.5), ("1d", 365.25), ("1w", 365.25 / 7), ("1M", 12)],
)
def test_bars_per_year_around_the_clock(timeframe: str, expected: float) -> None:
    assert bars_per_year(hours("2024-01-01", 10), Timeframe.parse(timeframe), ALWAYS) == pytest.approx(
        expected, rel=1e-15
    )


def test_weekdays_alone_are_sessions_of_252_a_year() -> None:
    days = np.array([day * DAY for day in range(19_000, 19_400) if (day + 3) % 7 < 5])
    bar = Timeframe.parse("1d")
    assert calendar_of(days, bar) == SESSIONS
    assert bars_per_year(days, bar, SESSIONS) == 252


def test_intraday_sessions_count_the_median_bars_of_a_session() -> None:
    monday = moment_ms("2024-01-01")
    assert monday is not None
    days = [day for day in range(60) if day % 7 < 5]
    times = np.concatenate([monday + day * DAY + HOUR * np.arange(14, 17 if day == 3 else 21) for day in days])
    bar = Timeframe.parse("1h")
    assert calendar_of(times, bar) == SESSIONS
    assert bars_per_year(times, bar, SESSIONS) == 252 * 7  # the one short session does not count


def test_a_weekend_in_progress_shows_a_venue_that_never_closes() -> None:
    assert calendar_of(hours("2024-01-01", 5 * 24 + 3), Timeframe.parse("1h")) == ALWAYS  # Monday to Saturday 03:00


def test_one_stray_saturday_bar_does_not_open_a_stock_exchange_all_week() -> None:
    days = [
        day * DAY for day in range(19_000, 19_400) if (day + 3) % 7 < 5 or day == 19_000 + (5 - (19_000 + 3) % 7) % 7
    ]
    assert any((day // DAY + 3) % 7 == 5 for day in days)
    assert calendar_of(np.array(days), Timeframe.parse("1d")) == SESSIONS


def test_gaps_around_the_clock_count_every_absent_bar() -> None:
    times = np.delete(hours("2024-01-01", 24 * 14), [5, 6, 100])
    found = find_gaps(times, Timeframe.parse("1h"))
    assert [gap.missing for gap in found] == [2, 1]
    assert str(found[0].after) == "2024-01-01 04:00:00+00:00"
    assert str(found[0].before) == "2024-01-01 07:00:00+00:00"


def test_weekends_and_holidays_are_no_gaps_but_a_lost_fortnight_is() -> None:
    days = np.array([day * DAY for day in range(19_000, 19_400) if (day + 3) % 7 < 5])
    bar = Timeframe.parse("1d")
    assert find_gaps(np.delete(days, [7, 8]), bar) == []
    lost = find_gaps(np.delete(days, slice(50, 60)), bar)
    assert [gap.missing for gap in lost] == [10]


def test_absent_bars_inside_a_session_are_a_gap() -> None:
    monday = moment_ms("2024-01-01")
    assert monday is not None
    times = np.concatenate([monday + day * DAY + HOUR * np.arange(14, 21) for day in range(14) if day % 7 < 5])
    assert [gap.missing for gap in find_gaps(np.delete(times, [9, 10]), Timeframe.parse("1h"))] == [2]


@needs_data
@pytest.mark.parametrize(
    ("name", "timeframe", "calendar", "runs", "missing"),
    [
        ("binance_BTC-USDT-PERP_1h", "1h", ALWAYS, 0, 0),
        ("binance_ETH-USDT_1h", "1h", ALWAYS, 27, 122),
        ("binance_XRP-ETH_1m", "1m", ALWAYS, 676, 1_091),
        ("bitfinex_BTC-USD_1m", "1m", ALWAYS, 18_195, 25_492),
        ("yahoo_QQQ_1d_raw", "1d", SESSIONS, 0, 0),
        ("yahoo_SPY_1d_raw", "1d", SESSIONS, 0, 0),
    ],
)
def test_gaps_of_real_bars_are_as_published(name: str, timeframe: str, calendar: str, runs: int, missing: int) -> None:
    times = pl.read_parquet(DATA / f"{name}.parquet")["ts"].to_physical().to_numpy()
    bar = Timeframe.parse(timeframe)
    gaps = find_gaps(times, bar)
    assert calendar_of(times, bar) == calendar
    assert (len(gaps), sum(gap.missing for gap in gaps)) == (runs, missing)
