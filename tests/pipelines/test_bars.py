"""The door from the store to the engine's arrays."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pipelines
from parquet_store import BARS, Failed, Series, Store, Usage
from pipelines import Bars, load_bars
from tests.parquet_store.made import made_bars

NAME = "made:A/B:1h"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.append(NAME, made_bars(500))
    return store


def arrays() -> dict[str, np.ndarray]:
    frame = made_bars(10)
    return {"time" if name == "ts" else name: np.array(frame[name].to_physical()) for name in BARS.names}


def test_arrays_are_the_rows_contiguous_and_read_only(store: Store) -> None:
    bars, frame = load_bars(store, NAME), made_bars(500)
    assert (bars.source, bars.timeframe, len(bars)) == (NAME, "1h", 500)
    for name in ("number", "time", *BARS.numbers):
        array = getattr(bars, name)
        assert array.flags.c_contiguous
        assert array.dtype == (np.int64 if name in ("number", "time") else np.float64)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        if name in BARS.numbers:
            assert array.tobytes() == frame[name].to_numpy().tobytes()
    assert bars.time.tolist() == frame["ts"].to_physical().to_list()
    assert bars.number.tolist() == [time // 3_600_000 for time in bars.time.tolist()]
    assert (bars.bars_per_year, bars.calendar) == (8_766.0, "24/7")


def test_a_range_keeps_the_calendar_of_the_series(store: Store) -> None:
    store.set_meta(NAME, bars_per_year=1_000.0, calendar="sessions")
    bars = load_bars(store, Series.parse(NAME), "2024-02-01", "2024-02-02")
    assert len(bars) == 24
    assert (bars.bars_per_year, bars.calendar) == (1_000.0, "sessions")


def test_the_fingerprint_is_the_stores(store: Store) -> None:
    assert load_bars(store, NAME).fingerprint == store.fingerprint(NAME)
    part = load_bars(store, NAME, "2024-02-01", "2024-02-10")
    assert part.fingerprint == store.fingerprint(NAME, "2024-02-01", "2024-02-10") != store.fingerprint(NAME)


def test_a_slice_is_a_view_with_its_own_fingerprint(store: Store) -> None:
    bars = load_bars(store, NAME)
    whole = bars.fingerprint
    part = bars.slice(48, 72)
    assert len(part) == 24
    assert np.shares_memory(part.close, bars.close)
    assert part.number[0] == bars.number[48]
    assert not part.close.flags.writeable
    assert part.fingerprint != whole
    assert part.fingerprint == load_bars(store, NAME, int(bars.time[48]), int(bars.time[72])).fingerprint
    assert (part.bars_per_year, part.calendar) == (bars.bars_per_year, bars.calendar)
    assert len(bars.slice(490)) == 10


def test_an_unknown_source_and_an_empty_range_are_answered(store: Store) -> None:
    with pytest.raises(Usage, match='unknown series "made:A/C:1h": did you mean'):
        load_bars(store, "made:A/C:1h")
    with pytest.raises(Usage, match="no bars from 2030-01-01: stored are 2024-01-30 to 2024-02-19"):
        load_bars(store, NAME, "2030-01-01")


def test_the_callers_arrays_stay_theirs() -> None:
    given = arrays()
    bars = Bars.from_arrays(NAME, "1h", **given)
    given["close"][0] = 1.0
    assert bars.close[0] != 1.0
    assert given["close"].flags.writeable


def test_lists_and_strided_arrays_are_taken() -> None:
    given = arrays()
    doubled = {name: np.repeat(values, 2)[::2] for name, values in given.items()}
    listed = {name: values.tolist() for name, values in given.items()}
    whole = Bars.from_arrays(NAME, "1h", **given).fingerprint
    assert Bars.from_arrays(NAME, "1h", **doubled).fingerprint == whole
    assert Bars.from_arrays(NAME, "1h", **listed).fingerprint == whole
    assert Bars.from_arrays(NAME, "1h", **doubled).close.flags.c_contiguous


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("time", 1_706_590_800_001, "time is not the open of a bar"),
        ("time", 0, "time is not after"),
        ("open", math.nan, "price is not finite and positive"),
        ("low", 0.0, "price is not finite and positive"),
        ("high", math.inf, "price is not finite and positive"),
        ("volume", math.nan, "volume is not finite or is negative"),
        ("volume", -1.0, "volume is not finite or is negative"),
        ("high", 1.0, "high is below open or close"),
        ("low", 1e6, "low is above open or close"),
    ],
)
def test_a_bar_that_breaks_a_rule_is_named(column: str, value: float, rule: str) -> None:
    given = arrays()
    given[column][4] = value
    with pytest.raises(Failed, match=rf"{NAME}: bar 4 .*{rule}"):
        Bars.from_arrays(NAME, "1h", **given)


def test_arrays_of_other_lengths_are_refused() -> None:
    given = arrays()
    given["volume"] = given["volume"][:-1]
    with pytest.raises(Failed, match="arrays differ in shape"):
        Bars.from_arrays(NAME, "1h", **given)


def test_no_bars_are_bars() -> None:
    bars = Bars.from_arrays(NAME, "1h", *([[]] * 6))
    assert len(bars) == 0
    assert len(bars.fingerprint) == 64


def test_the_package_shows_exactly_these_names() -> None:
    names = ["Bars", "Imported", "Session", "ensure_timeframe", "import_file", "load_bars", "resample", "sample"]
    assert pipelines.__all__ == names
    assert all(getattr(pipelines, name) is not None for name in pipelines.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode_bars'"):
        _ = pipelines.lode_bars


def test_the_door_loads_no_research_library() -> None:
    code = "import sys; from pipelines import load_bars, import_file, resample, sample;"
    code += "print([name for name in ('pandas', 'arch', 'duckdb', 'pyarrow', 'engine') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
