"""The bars that come with the installation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from parquet_store import Failed, Store, audit
from pipelines import load_bars, sample

needs_arch = pytest.mark.skipif(
    importlib.util.find_spec("arch") is None, reason="the extra 'research' is not installed"
)


@needs_arch
def test_the_sample_is_two_decades_of_real_days(tmp_path: Path) -> None:
    store = Store(tmp_path)
    loaded = sample.load(store)
    assert [str(series) for series in loaded] == ["sample:NASDAQ:1d", "sample:SP500:1d"]
    for series in loaded:
        span = store.span(series)
        assert (f"{span.first:%Y-%m-%d}", f"{span.last:%Y-%m-%d}", span.rows) == ("1999-01-04", "2018-12-31", 5_031)
        assert store.gaps(series) == []
        assert audit(store.read(series), "1d") == []
        assert (store.meta(series).calendar, store.meta(series).bars_per_year) == ("sessions", 252.0)
    nasdaq = load_bars(store, "sample:NASDAQ:1d")
    assert nasdaq.open[0] == 2207.540039
    assert nasdaq.close[-1] == 6635.279785
    assert nasdaq.volume[-1] == 2_098_560_000


@needs_arch
def test_loading_again_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sample.load(store)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part.parquet")}
    sample.load(store)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part.parquet")} == before


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "find_spec", lambda name: None)
    with pytest.raises(Failed, match="install the extra 'research'"):
        sample.load(Store(tmp_path))
    assert Store(tmp_path).series() == []


@needs_arch
def test_the_library_itself_is_not_loaded(tmp_path: Path) -> None:
    loaded = "arch" in sys.modules
    sample.load(Store(tmp_path))
    assert ("arch" in sys.modules) == loaded


@needs_arch
def test_prices_are_those_the_library_gives(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("arch")
    assert spec is not None
    assert spec.origin is not None
    rows = sample.read(Path(spec.origin).parent / "data" / "sp500" / "sp500.csv.gz")
    assert rows["close"][0] == 1228.099976
    assert rows.height == 5_031
