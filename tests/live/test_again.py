"""A run repeated from its journal gives the same bytes; a journal that was touched does not pass."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.cli import main
from engine.live import lockstep
from engine.live.again import repeat
from engine.live.journal import Journal, read_journal
from engine.venue.faults import Faults
from parquet_store.errors import Failed
from tests.live.test_locally import PLAYED, traded
from tests.venue.client import made_bars

pytest.importorskip("ccxt")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trade a day and more while much goes wrong, and keep the journal."""
    folder = tmp_path_factory.mktemp("again")
    faults = Faults(seed=5)
    for text in (
        "candle_skipped:after=3",
        "candle_corrected:after=9",
        "stream_dropped:after=20",
        "reset_after:times=2,probability=0.2,after=12",
        "unavailable:times=3,probability=0.2,after=12",
        "fill_repeated:times=3",
        "fill_untold:after=1",
        "candles_skipped:after=5",
    ):
        faults.arm_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lockstep, "PATIENCE_S", 0.2)
        patch.setattr(lockstep, "SHORT_S", 0.02)
        done = traded(folder, made_bars(200 + PLAYED, seed=7), "binance", faults)
    assert len({one.name for one in faults.record}) > 4
    assert done.parity.decisions == 0
    return folder / "run" / "journal.sqlite"


def test_a_day_with_faults_repeated_gives_the_same_bytes(journal: Path) -> None:
    found = repeat(journal)
    assert (found.mismatches, found.first) == (0, "")
    assert (found.runs, found.bars) == (1, PLAYED)
    assert found.trades > 2
    assert found.actions > PLAYED
    again = repeat(journal)
    assert again.chain == found.chain
    assert found.loop is not None
    assert again.loop is not None
    for one, two in zip(found.loop.accounts, again.loop.accounts, strict=True):
        assert one.account.tobytes() == two.account.tobytes()
        assert one.trades.tobytes() == two.trades.tobytes()
    assert found.loop.together.checkpoint() == again.loop.together.checkpoint()


def test_the_command_says_what_it_found(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--journal", str(journal)]) == 0
    assert "0 steps differ" in capsys.readouterr().out
    assert main(["replay"]) == 2
    assert "both or neither" in capsys.readouterr().err


def test_a_journal_with_a_changed_byte_is_refused(journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "journal.sqlite"
    with sqlite3.connect(journal) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        text = "replace(CAST(body AS TEXT), '\"buy\"', '\"sell\"')"
        target.execute(f"UPDATE entries SET body = CAST({text} AS BLOB) WHERE kind = 'actions'")
    source.close()
    target.close()
    with pytest.raises(Failed, match="was changed"):
        repeat(copy)


def test_an_action_that_was_another_one_is_found(journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other" / "journal.sqlite"
    changed = 0
    with Journal(copy) as other:
        for entry in read_journal(journal):
            body = entry.body
            if entry.kind == "actions" and not changed and b'"PlaceOrder"' in body:
                body, changed = body.replace(b'"side":"buy"', b'"side":"sell"'), entry.sequence
            other.append(entry.time_ns, entry.kind, body)
    found = repeat(copy)
    assert found.mismatches == 1
    assert found.first.startswith(f"entry {changed}: ")
