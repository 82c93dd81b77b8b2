"""The ledger of trials: counted once, added up, shared between processes, never lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.research.luck.ledger import Entry, Ledger, Trials
from parquet_store import Failed
from tests.data import ROOT

SOURCE = "made:A/B:1h"


def entry(plan: str, sharpe: list[float] | np.ndarray, first: int = 0, last: int = 100, source: str = SOURCE) -> Entry:
    return Entry.of(plan, source, first, last, "made", np.asarray(sharpe, np.float64))


def test_overlapping_plans_add_up_to_the_pooled_variance(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(rng.normal(0, 0.1), 0.02, n) for n in (40, 1, 700, 3)]
    parts[2][::7] = np.nan
    parts.append(np.full(5, np.nan))
    ledger = Ledger(tmp_path)
    for k, part in enumerate(parts):
        ledger.record(entry(f"plan{k}", part, first=10 * k, last=10 * k + 1000))
    found = ledger.trials(SOURCE, 100, 500)
    whole = np.concatenate(parts)
    known = whole[np.isfinite(whole)]
    assert (found.plans, found.trials, found.known) == (5, whole.size, known.size)
    assert found.mean == pytest.approx(known.mean(), rel=1e-12)
    assert found.variance == pytest.approx(known.var(ddof=1), rel=1e-12)


def test_the_same_plan_again_counts_once_and_one_that_grew_replaces_itself(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(3):
        ledger.record(entry("a", [0.1, 0.2, 0.4]))
    once = ledger.trials(SOURCE, 0, 100)
    assert (once.plans, once.trials) == (1, 3)
    ledger.record(entry("a", [0.1, 0.2]))  # fewer: what is known stays
    assert ledger.trials(SOURCE, 0, 100) == once
    ledger.record(entry("a", [0.1, 0.2, 0.4, 0.9]))
    assert ledger.trials(SOURCE, 0, 100) == Trials.pooled([(4, 4, 0.4, 0.38)])
    ledger.record(entry("a", [0.3], source="made:C/D:1h"))
    assert ledger.trials("made:C/D:1h", 0, 100).trials == 1
    assert ledger.trials(SOURCE, 0, 100).trials == 4


def test_only_the_same_venue_symbol_and_timeframe_with_common_bars_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.trials(SOURCE, 0, 10) == Trials(0, 0, 0, 0.0, 0.0)
    assert not ledger.path.exists()
    ledger.record(entry("a", [0.1], first=100, last=200))
    for source in ("other:A/B:1h", "made:A/C:1h", "made:A/B:1m", "made:A/B:C:1h"):
        ledger.record(entry("a", [0.1], first=100, last=200, source=source))
    for first, last, count in ((0, 99, 0), (0, 100, 1), (150, 160, 1), (200, 300, 1), (201, 300, 0), (0, 900, 1)):
        assert ledger.trials(SOURCE, first, last).trials == count


def test_one_trial_has_no_variance_and_no_known_one_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(entry("a", [np.nan, np.nan]))
    assert ledger.trials(SOURCE, 0, 9) == Trials(1, 2, 0, 0.0, 0.0)
    ledger.record(entry("b", [0.25]))
    assert ledger.trials(SOURCE, 0, 9) == Trials(2, 3, 1, 0.25, 0.0)
    ledger.record(entry("c", np.full(9, 0.25)))
    assert ledger.trials(SOURCE, 0, 9) == Trials(3, 12, 10, 0.25, 0.0)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        import numpy as np
        from engine.research.luck.ledger import Entry, Ledger
        for k in range(25):
            name = f"{sys.argv[2]}-{k}" if k % 2 else f"shared-{k}"
            Ledger(Path(sys.argv[1])).record(Entry.of(name, "made:A/B:1h", 0, 9, "made", np.array([0.1, 0.3])))
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    running = [subprocess.Popen([*words, str(k)], cwd=ROOT) for k in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    found = Ledger(tmp_path).trials("made:A/B:1h", 0, 9)
    assert found.plans == 13 + 3 * 12
    assert found.trials == 2 * found.plans


@pytest.mark.parametrize("damage", ["scrap", "cut", "hole"])
def test_a_damaged_ledger_is_said_to_be_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(tmp_path)
    for k in range(300):
        ledger.record(entry(f"a long name for plan {k}", [0.1, 0.2]))
    whole = ledger.path.read_bytes()
    broken = {"scrap": b"no database" * 999, "cut": whole[:5000], "hole": whole[:4096] + b"\xff" * 4096 + whole[8192:]}
    ledger.path.write_bytes(broken[damage])
    for call in (lambda: ledger.trials(SOURCE, 0, 100), lambda: ledger.record(entry("b", [0.3]))):
        with pytest.raises(Failed, match=r"ledger\.sqlite: the ledger of trials is damaged .* nothing was changed"):
            call()
    assert ledger.path.read_bytes() == broken[damage]


def test_a_ledger_of_another_format_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(entry("a", [0.1]))
    connection = sqlite3.connect(ledger.path)
    connection.execute("pragma user_version = 9")
    connection.close()
    with pytest.raises(Failed, match="ledger format 9, this release reads 1"):
        ledger.trials(SOURCE, 0, 9)


def test_a_killed_write_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(entry("a", [0.1, 0.2]))
    code = """
        import os, sys
        from pathlib import Path
        from engine.research.luck.ledger import Ledger
        with Ledger(Path(sys.argv[1]))._opened(writing=True) as connection:
            connection.execute("delete from plans")
            connection.execute("create table more as select randomblob(100000)")
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert ledger.trials(SOURCE, 0, 9).trials == 2
    ledger.record(entry("b", [0.3]))
    assert ledger.trials(SOURCE, 0, 9).trials == 3


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="cannot write to"):
        Ledger(tmp_path / "file").record(entry("a", [0.1]))
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(Failed, match=r"cannot be used .*check the folder's permissions"):
        Ledger(tmp_path).trials(SOURCE, 0, 9)


def test_an_entry_is_what_it_was_given() -> None:
    made = entry("p", [0.1, np.nan, 0.3])
    assert (made.trials, made.known) == (3, 2)
    assert made.mean == pytest.approx(0.2)
    assert made.square == pytest.approx(0.02)
    assert replace(made, plan="q") != made
