"""``lockstep data``: from a file to bars in the store, and what is said of bad ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.cli import main
from parquet_store import Store
from parquet_store.layout import series_folder
from tests.cli.conftest import MADE
from tests.data import DATA, needs_data
from tests.parquet_store.made import made_bars, with_value

Document = Callable[..., dict[str, Any]]
NAMED = ("--venue", "mine", "--symbol", "A/B", "--timeframe", "1h")


def csv(path: Path, frame: pl.DataFrame) -> str:
    frame.with_columns(pl.col("ts").dt.epoch("ms")).write_csv(path)
    return str(path)


def test_a_file_is_imported_listed_checked_and_asked(tmp_path: Path, document: Document) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(100))
    done = document("data", "import", file, *NAMED)
    assert {key: done[key] for key in ("source", "rows", "replaced", "unchanged", "months", "quarantined")} == {
        "source": "mine:A/B:1h",
        "rows": 100,
        "replaced": 0,
        "unchanged": 0,
        "months": 2,
        "quarantined": 0,
    }
    (listed,) = document("data", "list")["series"]
    assert (listed["source"], listed["rows"], listed["provenance"]) == ("mine:A/B:1h", 100, ["bars.csv"])
    assert listed["first"] == "2024-01-30T00:00:00+00:00"
    assert document("data", "check") == {
        "series": [
            {
                "source": "mine:A/B:1h",
                "rows": 100,
                "first": "2024-01-30T00:00:00+00:00",
                "last": "2024-02-03T03:00:00+00:00",
                "gaps": [],
                "repaired": [],
                "findings": [],
            }
        ]
    }
    asked = document("data", "query", "select venue, count(*) n, min(ts) first, null x from bars group by 1")
    assert asked["columns"] == ["venue", "n", "first", "x"]
    assert asked["rows"] == [{"venue": "mine", "n": 100, "first": "2024-01-30T00:00:00+00:00", "x": None}]


def test_the_same_file_twice_changes_nothing(tmp_path: Path, document: Document) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(100))
    document("data", "import", file, *NAMED)
    again = document("data", "import", file, *NAMED)
    assert (again["rows"], again["unchanged"], again["months"]) == (100, 100, 0)


def test_columns_are_named_where_they_are_not_recognised(
    tmp_path: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(10).rename({"close": "settled"}))
    assert main(["data", "import", file, *NAMED]) == 1
    said = capsys.readouterr().err
    assert "no column for close" in said
    assert "--columns close=NAME" in said
    assert document("data", "import", file, *NAMED, "--columns", "close=settled")["rows"] == 10


@pytest.mark.parametrize("text", ["close", "close=", "=settled", "close=a,close=b"])
def test_columns_that_are_no_pairs_are_wrong_usage(tmp_path: Path, text: str) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(10))
    assert main(["data", "import", file, *NAMED, "--columns", text]) == 2


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("close", "n/a", "text"),
        ("open", None, "missing"),
        ("high", float("nan"), "not_finite"),
        ("low", -1.0, "not_positive"),
        ("volume", -5.0, "negative_volume"),
    ],
)
def test_a_bad_row_is_refused_or_set_aside_with_the_reason(
    column: str, value: object, word: str, tmp_path: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv(tmp_path / "bars.csv", with_value(made_bars(100), 7, column, value))
    assert main(["data", "import", file, *NAMED]) == 1
    said = capsys.readouterr().err
    assert word in said
    assert "row 8 (2024-01-30 07:00)" in said
    assert "--quarantine" in said
    assert Store(".lockstep").series() == []
    done = document("data", "import", file, *NAMED, "--quarantine")
    assert (done["rows"], done["quarantined"]) == (99, 1)
    aside = pl.read_parquet(done["quarantine"])
    assert aside["row"].to_list() == [8]
    (checked,) = document("data", "check")["series"]
    assert [gap["missing"] for gap in checked["gaps"]] == [1]
    assert checked["findings"] == []


def test_rows_in_any_order_are_sorted_and_copies_dropped_and_both_said(tmp_path: Path, document: Document) -> None:
    rows = made_bars(50)
    file = csv(tmp_path / "bars.csv", pl.concat([rows.reverse(), rows.head(3)]))
    done = document("data", "import", file, *NAMED)
    assert done["rows"] == 50
    assert any("out of order" in note for note in done["notes"])
    assert any("3 exact copies" in note for note in done["notes"])


def test_two_values_of_one_bar_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = made_bars(50)
    file = csv(tmp_path / "bars.csv", pl.concat([rows, with_value(rows.head(1), 0, "volume", 1e9)]))
    assert main(["data", "import", file, *NAMED]) == 1
    assert "duplicate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"ts,open,high,low,close,volume\n", "no rows"),
        (b"PAR1 and no more", "damaged, cut short"),
        (None, "cannot be opened"),
    ],
)
def test_a_file_that_is_none_is_named(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bars.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["data", "import", str(path), *NAMED]) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert message in said


def test_the_store_is_where_the_option_then_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Document
) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(10))
    monkeypatch.setenv("LOCKSTEP_STORE", str(tmp_path / "named"))
    document("data", "import", file, *NAMED)
    document("data", "import", file, *NAMED, "--store", str(tmp_path / "given"))
    assert (tmp_path / "named" / "bars").is_dir()
    assert (tmp_path / "given" / "bars").is_dir()
    assert not (tmp_path / ".lockstep").exists()


def test_a_damaged_month_is_a_finding_and_the_other_series_are_still_checked(store: Path, document: Document) -> None:
    Store(store).append("made:C/D:1d", made_bars(40, "1d"))
    file = series_folder(store, "bars", Store(store).series()[0]) / "month=2020-03" / "part.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    broken, good = document("data", "check", status=1)["series"]
    assert broken["source"] == MADE
    assert broken["findings"][0]["kind"] == "unreadable"
    assert str(file) in broken["findings"][0]["message"]
    assert (good["rows"], good["findings"]) == (40, [])


def test_only_the_series_asked_for_is_checked_and_an_unknown_one_answers_with_the_nearest(
    store: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(store).append("made:C/D:1d", made_bars(40, "1d"))
    assert [one["source"] for one in document("data", "check", MADE)["series"]] == [MADE]
    assert main(["data", "check", "made:A/C:1d"]) == 2
    assert 'did you mean "made:' in capsys.readouterr().err


def test_a_query_that_writes_or_cannot_be_read_is_wrong_usage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for query in ("drop view bars", "select nothing from bars", "selec 1", "select 1; select 2"):
        assert main(["data", "query", query]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_a_query_that_fails_on_the_way_is_a_failure(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "query", "select error('on the way') from bars"]) == 1
    assert "on the way" in capsys.readouterr().err


def test_query_gives_names_that_come_twice_a_number(store: Path, document: Document) -> None:
    asked = document("data", "query", "select 1 a, 2 a, 'nan'::double x, 1.5::decimal(4, 1) d")
    assert asked["rows"] == [{"a": 1, "a_2": 2, "x": None, "d": 1.5}]


def test_longer_bars_are_made_of_whole_ones(store: Path, document: Document) -> None:
    done = document("data", "resample", MADE, "--to", "1w")
    assert done["source"] == "made:A/B:1w"
    assert done["rows"] == done["stored"]["rows"] == 85  # a Wednesday to a Sunday, 600 days: the first 5 are no week
    assert main(["data", "resample", MADE, "--to", "1d"]) == 2
    assert main(["data", "resample", MADE, "--to", "1h"]) == 2
    assert main(["data", "resample", MADE, "--to", "10d", "--session", "Nowhere 09:00-10:00"]) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_store_that_may_not_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = csv(tmp_path / "bars.csv", made_bars(10))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert main(["data", "import", file, *NAMED, "--store", str(locked / "store")]) == 1
    assert "--store" in capsys.readouterr().err


def test_the_sample_is_loaded_and_its_place_is_said(document: Document) -> None:
    pytest.importorskip("importlib.util").find_spec("arch") or pytest.skip("the package arch is not installed")
    loaded = document("data", "sample")
    assert [(one["source"], one["rows"]) for one in loaded["series"]] == [
        ("sample:NASDAQ:1d", 5031),
        ("sample:SP500:1d", 5031),
    ]
    assert document("data", "sample") == loaded


def test_people_get_tables(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    assert MADE in capsys.readouterr().out
    assert main(["data", "check"]) == 0
    found = capsys.readouterr().out
    assert "nothing is wrong" in found
    assert max(map(len, found.splitlines())) < 200
    assert main(["data", "list", "--store", "empty"]) == 0
    assert "lockstep data sample" in capsys.readouterr().out


@needs_data
def test_real_bars_are_imported_with_the_gaps_the_venue_had(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(DATA / "binance_BTC-USDT_1h.parquet")
    done = document("data", "import", file, "--venue", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h")
    assert (done["rows"], done["months"]) == (52_462, 72)
    (checked,) = document("data", "check")["series"]
    missing = [gap["missing"] for gap in checked["gaps"]]
    assert (len(missing), sum(missing), max(missing)) == (27, 122, 33)
    assert checked["findings"] == []
    asked = document(
        "data", "query", "select max(high) high, min(low) low from bars where ts >= timestamp '2020-01-01'"
    )
    assert asked["rows"] == [{"high": 69_000.0, "low": 3_782.13}]
    assert main(["data", "check"]) == 0
    said = capsys.readouterr().out
    assert "absent: 33 after 2018-02-08 00:00, before 2018-02-09 10:00" in said
    assert "... and 17 shorter gaps" in said
