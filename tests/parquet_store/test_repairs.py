"""Bars of another venue are told from a series' own, whatever happened between two writes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from parquet_store import Failed, Store
from parquet_store import repairs as files
from parquet_store.absent import NAME as ABSENT
from parquet_store.layout import series_folder
from parquet_store.schema import BARS
from tests.parquet_store.made import made_bars

NAME = "made:A/B:1h"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A series of 100 bars, 5 of them absent, of which 3 were put in from another venue."""
    store = Store(tmp_path)
    whole = made_bars(100)
    store.append(NAME, pl.concat([whole[:40], whole[45:]]), provenance="own")
    found = store.append(NAME, other()[38:43], provenance="repair", repaired_from="second")
    assert (found.rows, found.replaced) == (3, 0)
    return store


def other() -> pl.DataFrame:
    """Bars of the same hours at other prices."""
    return made_bars(100).with_columns(pl.col(*BARS.numbers[:4]) + 1.0)


def test_a_repair_fills_gaps_and_replaces_nothing(store: Store) -> None:
    expected = pl.concat([made_bars(100)[:40], other()[40:43], made_bars(100)[45:]])
    assert store.read(NAME).equals(expected)
    repairs = store.repairs(NAME)
    assert repairs["ts"].to_list() == other()["ts"][40:43].to_list()
    assert set(repairs["source"]) == {"second"}
    assert store.read(NAME, repaired=False).equals(pl.concat([expected[:40], expected[43:]]))
    assert store.append(NAME, other()[38:43], repaired_from="third").rows == 0
    assert set(store.repairs(NAME)["source"]) == {"second"}


def test_a_bar_of_the_venue_itself_takes_the_place_of_a_repair(store: Store) -> None:
    store.append(NAME, made_bars(100)[41:42])
    assert store.repairs(NAME)["ts"].to_list() == [other()["ts"][40], other()["ts"][42]]
    store.append(NAME, other()[40:41])  # the venue's own, though it says the same
    assert store.repairs(NAME)["ts"].to_list() == [other()["ts"][42]]


def test_a_writer_killed_between_the_two_files_leaves_no_bar_under_a_wrong_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*what: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("parquet_store.store.merge_month", killed)
        with pytest.raises(KeyboardInterrupt):
            store.append(NAME, other()[43:45], repaired_from="second")
    assert len(store.repairs(NAME)) == 3, "noted, and not put in: no bar is a repair that is not there"
    with monkeypatch.context() as patched:
        patched.setattr("parquet_store.store.drop_repairs", killed)
        with pytest.raises(KeyboardInterrupt):
            store.append(NAME, made_bars(100)[40:45])
    assert len(store.repairs(NAME)) == 0, "replaced, and still noted: what is stored is the venue's own"
    assert store.read(NAME, repaired=False).equals(made_bars(100))


def test_a_damaged_note_of_repairs_is_named(store: Store) -> None:
    path = series_folder(store.root, BARS.name, store.series()[0]) / files.NAME
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(Failed, match=r"repairs\.parquet cannot be read"):
        store.repairs(NAME)


def runs(*found: tuple[int, int, int]) -> pl.DataFrame:
    times = pl.DataFrame({"first": [x[0] for x in found], "last": [x[1] for x in found]}, schema_overrides={})
    times = times.cast(pl.Int64).cast(pl.Datetime("ms", "UTC"))
    return times.with_columns(pl.Series("asked", [x[2] for x in found], dtype=pl.Int64))


def test_runs_of_absent_bars_are_replaced_within_a_range_and_kept_outside(store: Store) -> None:
    store.note_absent(NAME, runs((100, 200, 1), (500, 900, 2)), 0, 1000)
    store.note_absent(NAME, runs((600, 650, 2)), 550, 800)
    assert [(a.timestamp(), b.timestamp(), n) for a, b, n in store.absent(NAME).iter_rows()] == [
        (0.1, 0.2, 1),
        (0.5, 0.549, 2),
        (0.6, 0.65, 2),
        (0.8, 0.9, 2),
    ]
    store.note_absent(NAME, runs(), 0, 1000)
    assert store.absent(NAME).is_empty()


def test_without_the_memory_of_absent_bars_nothing_is_absent(store: Store) -> None:
    store.note_absent(NAME, runs((100, 200, 1)), 0, 1000)
    (series_folder(store.root, BARS.name, store.series()[0]) / ABSENT).write_bytes(b"")
    assert store.absent(NAME).is_empty()
