"""Every rule that bars must keep."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest

from parquet_store import Failed, audit
from parquet_store.findings import REFUSED
from tests.data import BAR_FILES, DATA, needs_data
from tests.parquet_store.made import made_bars, with_value

CLEAN = made_bars(10)
BROKEN = [
    ("time", "ts", None),
    ("off_grid", "ts", CLEAN["ts"][4].replace(minute=1)),
    ("text", "open", "n/a"),
    ("missing", "close", None),
    ("missing", "volume", None),
    ("not_finite", "close", math.nan),
    ("not_finite", "high", math.inf),
    ("not_finite", "low", -math.inf),
    ("not_finite", "volume", math.nan),
    ("not_positive", "low", 0.0),
    ("not_positive", "low", -1.0),
    ("negative_volume", "volume", -0.5),
    ("high_below", "high", CLEAN["low"][4]),
    ("low_above", "low", CLEAN["high"][4]),
]


@pytest.mark.parametrize(("kind", "column", "value"), BROKEN)
def test_a_broken_rule_is_found_where_it_is(kind: str, column: str, value: object) -> None:
    found = [finding for finding in audit(with_value(CLEAN, 4, column, value), "1h") if finding.refused]
    assert [(finding.kind, finding.row) for finding in found] == [(kind, 5)]
    assert found[0].time == (value if column == "ts" else CLEAN["ts"][4])
    assert REFUSED[kind] in str(found[0])
    assert "row 5" in str(found[0])
    assert json.loads(json.dumps(found[0].to_dict()))["kind"] == kind


def test_clean_bars_have_no_finding() -> None:
    assert audit(CLEAN, "1h") == []
    assert audit(CLEAN.clear(), "1h") == []


def test_a_finding_shows_the_value() -> None:
    (finding,) = audit(with_value(CLEAN, 2, "close", " 12,5 "), "1h")
    assert finding.value == "close '12,5'"


def test_of_two_versions_of_a_bar_the_last_is_good() -> None:
    other = with_value(CLEAN, 3, "volume", 7.0)[3:4]
    found = audit(pl.concat([CLEAN, other]), "1h")
    assert [(finding.kind, finding.row) for finding in found] == [("duplicate", 4), ("unsorted", 11)]


def test_a_bad_version_does_not_outvote_a_good_one() -> None:
    bad = with_value(CLEAN, 3, "close", math.nan)[3:4]
    found = audit(pl.concat([CLEAN, bad]), "1h")
    assert [(finding.kind, finding.row) for finding in found if finding.refused] == [("not_finite", 11)]


def test_copies_and_disorder_are_noted_not_refused() -> None:
    found = audit(pl.concat([CLEAN[5:], CLEAN[:6]]), "1h")
    assert [(finding.kind, finding.row) for finding in found] == [("unsorted", 6), ("repeated", 11)]
    assert not any(finding.refused for finding in found)


@pytest.mark.parametrize("time", [10**17, -(10**17), 9_223_372_036_854_775_807])
def test_a_time_in_no_century_of_ours_is_none(time: int) -> None:
    far = CLEAN[:1].with_columns(pl.Series("ts", [time]).cast(pl.Datetime("ms", "UTC")))
    (finding,) = audit(far, "1h")
    assert (finding.kind, finding.time) == ("time", None)


def test_a_gap_is_noted_at_the_bar_after_it() -> None:
    (finding,) = audit(made_bars(200).filter(~pl.int_range(200).is_in([20, 21, 22])), "1h")
    assert (finding.kind, finding.row) == ("gap", 21)
    assert finding.value.startswith("3 before this bar")


def test_a_missing_column_is_named_beside_those_found() -> None:
    with pytest.raises(Failed, match=r"no column 'high': found ts, open, low.*--columns high=NAME"):
        audit(CLEAN.drop("high"), "1h")


def test_a_column_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(Failed, match="column 'open' holds Boolean"):
        audit(CLEAN.with_columns(open=pl.lit(True)), "1h")
    with pytest.raises(Failed, match="column 'ts' holds Int64"):
        audit(CLEAN.with_columns(ts=pl.col("ts").to_physical()), "1h")


@needs_data
@pytest.mark.parametrize("name", BAR_FILES)
def test_real_bars_keep_every_rule(name: str) -> None:
    timeframe = BAR_FILES[name][2]
    assert not [finding for finding in audit(pl.read_parquet(DATA / name), timeframe) if finding.kind != "gap"]
