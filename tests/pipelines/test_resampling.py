"""Longer bars of shorter ones, against a plain loop, and never one that is not over."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parquet_store import BARS, Failed, Timeframe, Usage
from pipelines import Session, resample
from tests.data import DATA, needs_data
from tests.parquet_store.made import made_bars

UTC = dt.UTC


def naive(frame: pl.DataFrame, base: str, longer: str) -> list[tuple[object, ...]]:
    """Go through the bars one by one; keep a group once its end has been reached, if its beginning was seen."""
    short, long = Timeframe.parse(base), Timeframe.parse(longer)
    done: list[tuple[object, ...]] = []
    current: list[float] | None = None
    group, whole = None, True
    for ts, open_, high, low, close, volume in frame.with_columns(pl.col("ts").to_physical()).iter_rows():
        number = long.number(ts)
        if number != group:
            if current is not None and whole:
                done.append((long.open_ms(group), *current))
            whole = group is not None or long.open_ms(number) == ts
            group, current = number, [open_, high, low, close, volume]
        else:
            assert current is not None
            current = [current[0], max(current[1], high), min(current[2], low), close, current[4] + volume]
        last_close = short.close_ms(short.number(ts))
    if current is not None and whole and last_close >= long.close_ms(group):
        done.append((long.open_ms(group), *current))
    return done


def rows(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    assert frame.schema == BARS.polars()
    return frame.with_columns(pl.col("ts").to_physical()).rows()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(
        [
            ("1m", "5m"),
            ("1m", "1h"),
            ("15m", "4h"),
            ("1h", "1d"),
            ("1h", "1w"),
            ("1d", "1w"),
            ("1d", "1M"),
            ("4h", "3d"),
        ]
    ),
    st.integers(0, 300),
    st.integers(0, 2_000_000_000),
    st.floats(0, 0.9),
)
def test_equals_a_plain_loop_bit_for_bit(pair: tuple[str, str], count: int, start: int, absent: float) -> None:
    bars = made_bars(count, pair[0], start * 1_000)
    bars = bars.filter(pl.Series(np.random.default_rng(start).random(count) >= absent))
    assert rows(resample(bars, *pair)) == naive(bars, *pair)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200), st.integers(0, 10_000))
def test_more_bars_never_change_a_bar_that_was_shown(cut: int, start: int) -> None:
    bars = made_bars(200, "1m", start * 60_000)
    shown = resample(bars[:cut], "1m", "15m")
    assert rows(resample(bars, "1m", "15m"))[: len(shown)] == rows(shown)


def test_the_last_bar_is_shown_once_its_last_base_bar_is_there() -> None:
    bars = made_bars(120, "1m", "2024-01-01")
    assert len(resample(bars, "1m", "1h")) == 2
    assert len(resample(bars[:119], "1m", "1h")) == 1
    assert len(resample(bars.filter(~pl.int_range(120).is_in([59])), "1m", "1h")) == 2  # a later group has begun
    assert len(resample(bars[1:], "1m", "1h")) == 1


def test_a_lazy_frame_and_an_empty_one_are_taken() -> None:
    bars = made_bars(120, "1m", "2024-01-01")
    assert resample(bars.lazy(), Timeframe.parse("1m"), Timeframe.parse("1h")).equals(resample(bars, "1m", "1h"))
    assert rows(resample(bars.clear(), "1m", "1h")) == []


@pytest.mark.parametrize(
    "pair", [("5m", "1m"), ("2h", "5h"), ("1w", "1M"), ("3d", "1w"), ("1M", "1w"), ("5m", "12m"), ("7h", "1M")]
)
def test_timeframes_that_do_not_fit_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(Usage, match="do not make"):
        resample(made_bars(10, pair[0]), *pair)


def test_disorder_and_bars_off_the_grid_are_refused() -> None:
    bars = made_bars(10, "1m")
    for wrong in (bars.reverse(), pl.concat([bars, bars[9:]]), made_bars(10, "1s")):
        with pytest.raises(Failed, match="out of order or off the grid"):
            resample(wrong, "1m", "5m")


def new_york(day: dt.date, minutes: range, seed: int = 0) -> pl.DataFrame:
    """Return bars of one minute at minutes after New York's midnight."""
    made = made_bars(1_440, "1m", "2024-01-01", seed=seed)
    midnight = pl.Series([dt.datetime(day.year, day.month, day.day)]).dt.replace_time_zone("America/New_York")
    first = midnight.dt.convert_time_zone("UTC").dt.timestamp("ms").item()
    times = pl.Series("ts", [first + 60_000 * minute for minute in range(1_440)]).cast(pl.Datetime("ms", "UTC"))
    return made.with_columns(times)[minutes.start : minutes.stop]


HOURS = "America/New_York 09:30-16:00"


@pytest.mark.parametrize("day", [dt.date(2024, 3, 8), dt.date(2024, 3, 11), dt.date(2024, 11, 4)])
def test_a_session_leaves_out_what_is_outside_it_in_summer_and_winter(day: dt.date) -> None:
    whole = new_york(day, range(4 * 60, 20 * 60))
    inside = new_york(day, range(9 * 60 + 30, 16 * 60))
    for bars in (whole, inside):
        (bar,) = resample(bars, "1m", "1d", session=HOURS).rows()
        assert bar[0] == dt.datetime(day.year, day.month, day.day, tzinfo=UTC)
        assert bar[1:5] == (inside["open"][0], inside["high"].max(), inside["low"].min(), inside["close"][-1])
        assert bar[5] == pytest.approx(inside["volume"].sum(), rel=1e-12)


def test_a_session_is_shown_once_it_is_over() -> None:
    day = dt.date(2024, 3, 11)
    assert resample(new_york(day, range(570, 959)), "1m", "1d", session=HOURS).is_empty()
    assert len(resample(new_york(day, range(570, 960)), "1m", "1d", session=HOURS)) == 1
    late = pl.concat([new_york(day, range(570, 800)), new_york(day, range(1_000, 1_001))])
    assert (
        len(resample(late, "1m", "1d", session=HOURS)) == 1
    )  # a short day, and trades after hours show that it is over
    assert resample(new_york(day, range(571, 960)), "1m", "1d", session=HOURS).is_empty()  # its beginning was not seen


def test_a_session_over_midnight_has_the_date_of_its_close() -> None:
    days = pl.concat(
        [new_york(dt.date(2024, 3, 11), range(18 * 60, 1_440)), new_york(dt.date(2024, 3, 12), range(17 * 60))]
    )
    (bar,) = resample(days, "1m", "1d", session="America/New_York 18:00-17:00").rows()
    assert bar[0] == dt.datetime(2024, 3, 12, tzinfo=UTC)
    assert (bar[1], bar[4]) == (days["open"][0], days["close"][-1])


def test_a_bar_over_the_edge_of_a_session_is_refused() -> None:
    with pytest.raises(Usage, match="reaches over the edge of the session"):
        resample(made_bars(100, "1h", "2024-01-01"), "1h", "1d", session=HOURS)
    with pytest.raises(Usage, match="a session makes bars of 1d"):
        resample(made_bars(100, "1m"), "1m", "1h", session=HOURS)


@pytest.mark.parametrize(
    "text", ["", "09:30-16:00", "Mars/Olympus 09:30-16:00", "UTC 9:30-16:00", "UTC 25:00-26:00", "UTC 09:61-10:00"]
)
def test_a_session_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(Usage, match="session"):
        Session.parse(text)


def test_a_session_reads_what_it_writes() -> None:
    assert str(Session.parse(HOURS)) == HOURS
    assert Session.parse(HOURS).minutes == 390
    assert Session.parse("UTC 00:00-24:00").minutes == Session.parse("UTC 17:00-17:00").minutes == 1_440


@needs_data
def test_real_minutes_make_the_real_five_minutes() -> None:
    made = resample(pl.read_parquet(DATA / "binance_XRP-ETH_1m.parquet"), "1m", "5m")
    real = pl.read_parquet(DATA / "binance_XRP-ETH_5m.parquet").select(BARS.names)
    assert made.drop("volume").equals(real.drop("volume"))
    np.testing.assert_allclose(made["volume"].to_numpy(), real["volume"].to_numpy(), rtol=1e-12)


@needs_data
@pytest.mark.parametrize("name", ["binance_XRP-ETH_1m", "ftx_BTC-USD-PERP_1m", "binance_BTC-USDT-PERP_1m"])
@pytest.mark.parametrize("longer", ["1h", "1d"])
def test_real_minutes_equal_a_plain_loop(name: str, longer: str) -> None:
    bars = pl.read_parquet(DATA / f"{name}.parquet").select(BARS.names)
    assert rows(resample(bars, "1m", longer)) == naive(bars, "1m", longer)
