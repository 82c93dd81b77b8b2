"""Funding rates and trades on disk: unique, sorted, with the spans that are complete."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from parquet_store import FUNDING, TRADES, Events, Failed, Refuse, Store, Usage
from parquet_store.events import joined, stored_events, without
from parquet_store.schema import Dataset

DAY = 86_400_000
BEGIN = 19_700 * DAY


def frame(dataset: Dataset, rows: list[tuple[float, ...]]) -> pl.DataFrame:
    made = pl.DataFrame(rows, schema=dataset.names, orient="row", infer_schema_length=None)
    return made.with_columns(pl.col("ts").cast(pl.Int64).cast(pl.Datetime("ms", "UTC")))


def trades(count: int, first: int = 1) -> pl.DataFrame:
    """Return trades, five a millisecond, two days of them from the middle on."""
    rows = [(BEGIN + at // 5 + (DAY if at > count // 2 else 0), first + at, 100.0 + at, 1.0, 1) for at in range(count)]
    return frame(TRADES, rows)


def test_rows_come_back_sorted_once_and_by_range(tmp_path: Path) -> None:
    events, rows = Events(tmp_path, TRADES, "v", "A/B"), trades(1000)
    assert events.append(rows[::-1], covered=(BEGIN, BEGIN + 10), provenance="here") == 1000
    assert events.append(rows[400:700], covered=(BEGIN + 10, BEGIN + 20), provenance="here") == 0
    assert events.read().equals(rows)
    assert events.read(BEGIN + 3, BEGIN + 5).equals(rows[15:25])
    assert events.read(BEGIN + 5 * DAY).is_empty()
    assert (events.covered(), events.provenance(), events.count()) == ([(BEGIN, BEGIN + 20)], ["here"], 1000)
    assert len(list(tmp_path.rglob("day=*"))) == 2


def test_a_row_with_the_key_of_another_takes_its_place(tmp_path: Path) -> None:
    events = Events(tmp_path, FUNDING, "v", "A/B:B")
    events.append(frame(FUNDING, [(BEGIN, 0.1), (BEGIN + 1, 0.2)]))
    assert events.append(frame(FUNDING, [(BEGIN + 1, 0.3), (BEGIN + 40 * DAY, 0.4)])) == 1
    assert events.read()["funding_rate"].to_list() == [0.1, 0.3, 0.4]
    found = Store(tmp_path).sql("select symbol, month, sum(funding_rate) from funding group by all order by 2")
    assert [row[:2] for row in found.fetchall()] == [("A/B:B", "2023-12"), ("A/B:B", "2024-01")]
    assert [str(one) for one in stored_events(tmp_path)] == ["funding of v:A/B:B"]


@pytest.mark.parametrize("bad", [(BEGIN, 7, 0.0, 1.0, 1), (BEGIN, 7, float("nan"), 1.0, 1), (BEGIN, 7, None, 1.0, 1)])
def test_an_impossible_row_is_refused_and_nothing_stored(tmp_path: Path, bad: tuple[float, ...]) -> None:
    events = Events(tmp_path, TRADES, "v", "A/B")
    with pytest.raises(Refuse, match="1 of 2 rows are bad"):
        events.append(frame(TRADES, [(BEGIN, 1, 100.0, 1.0, 1), bad]), covered=(0, BEGIN))
    assert events.covered() == []
    with pytest.raises(Usage, match="unknown trades series"):
        events.read()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    events = Events(tmp_path, TRADES, "v", "A/B")
    events.append(trades(10), covered=(0, BEGIN))
    path = next(events.folder.rglob("part.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Failed, match=r"part\.parquet cannot be read"):
        events.read()
    (events.folder / "covered.json").write_text("{")
    with pytest.raises(Failed, match=r"covered\.json cannot be read"):
        events.covered()


def test_spans_are_joined_and_taken_away() -> None:
    assert joined([(5, 8), (1, 3), (3, 4), (6, 10)]) == [(1, 4), (5, 10)]
    assert without((0, 20), [(5, 8), (1, 3), (15, 30)]) == [(0, 1), (3, 5), (8, 15)]
    assert without((2, 7), [(0, 10)]) == []
    assert without((2, 7), []) == [(2, 7)]
    assert without((0, 10), [(20, 30)]) == [(0, 10)]
    covered = [(3, 9), (12, 13)]
    for begin in range(15):
        for end in range(begin, 16):
            left = {at for low, high in without((begin, end), covered) for at in range(low, high)}
            assert left == {at for at in range(begin, end) if not (3 <= at < 9 or at == 12)}
