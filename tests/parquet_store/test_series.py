"""Names of series, and the folders and SQL columns they become."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parquet_store import Series, Store, Usage
from tests.parquet_store.made import made_bars

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("binance:BTC/USDT:1h", ("binance", "BTC/USDT", "1h")),
        ("binance:BTC/USDT:USDT:1m", ("binance", "BTC/USDT:USDT", "1m")),
        ("sample:NASDAQ:1d", ("sample", "NASDAQ", "1d")),
        ("okx:BTC/USD:BTC-240628-60000-C:1M", ("okx", "BTC/USD:BTC-240628-60000-C", "1M")),
    ],
)
def test_a_series_is_written_as_it_is_read(text: str, parts: tuple[str, str, str]) -> None:
    series = Series.parse(text)
    assert (series.venue, series.symbol, series.timeframe) == parts
    assert str(series) == text


@pytest.mark.parametrize(
    "text",
    ["", "binance", "binance:BTC/USDT", ":BTC:1h", "binance::1h", "a b:BTC:1h", "x:B\tC:1h", "x:Y:1x", "x:Y:60m"],
)
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        Series.parse(text)


def test_a_symbol_too_long_for_a_folder_is_refused() -> None:
    with pytest.raises(Usage, match="longer than 60 bytes"):
        Series("x", "Y" * 61, "1h")


@given(NAMES.filter(lambda name: ":" not in name), NAMES)
def test_any_name_reads_back_from_its_text(venue: str, symbol: str) -> None:
    series = Series(venue, symbol, "5m")
    assert Series.parse(str(series)) == series


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT:USDT", "币安/USDT", "1000SATS/USDT", "A%2FB", "it's", "..", "2024-01-01", "a=b"]
)
def test_readers_see_the_real_symbol(tmp_path: Path, symbol: str) -> None:
    store = Store(tmp_path / "odd [name] *'")
    store.append(Series("venue", symbol, "1h"), made_bars(3))
    assert store.series() == [Series("venue", symbol, "1h")]
    query = store.sql("select distinct venue, symbol, timeframe, month from bars")
    assert query.fetchall() == [("venue", symbol, "1h", "2024-01")]
    assert len(store.read(f"venue:{symbol}:1h")) == 3
