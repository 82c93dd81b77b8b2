"""A bot run by its command at a local venue: what it says, what its status shows, and all that it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from engine.cli import main
from engine.live import journal as journals
from engine.live.journal import Journal, verify_journal
from engine.venue.faults import Faults
from engine.venue.server import wall_ms
from parquet_store import Store
from tests.live.served import Bot, put_manifest, served
from tests.live.test_locally import BothSides

pytest.importorskip("ccxt")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|WARNING|ERROR) +\S")
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys and no store of the environment."""
    for name in ("LOCKSTEP_BINANCE_KEY", "LOCKSTEP_BINANCE_SECRET", "LOCKSTEP_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    """A served venue and the keys of its account."""
    with served(tmp_path) as made:
        monkeypatch.setenv("LOCKSTEP_BINANCE_KEY", made.key)
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", made.secret)
        yield made


def run(bot: Bot, *words: str) -> int:
    """Run it live."""
    return main(["live", str(bot.file), "--yes", *words])


def test_a_run_logs_in_lines_answers_in_one_document_and_shows_its_status(bot: Bot, capsys: Output) -> None:
    assert run(bot, "--bars", "8", "--json") == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["bars"] == 8
    assert all(LINE.match(line) for line in said.err.splitlines()), said.err
    assert {"DEBUG", "INFO"} <= {line.split()[1] for line in said.err.splitlines()}
    assert main(["status", str(bot.file), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["running"], status["mode"], status["bars"]) == (False, "live", 8)
    assert status["accounts"][0]["equity"] == document["accounts"][0]["equity"]
    assert status["accounts"][0]["symbol"] == "BTC/USDT"


@pytest.mark.parametrize("columns", [80, 140])
def test_the_status_breaks_no_symbol_and_no_number(
    bot: Bot, columns: int, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(bot, "--bars", "3") == 0
    place = bot.journal.parent / "status.json"
    found = json.loads(place.read_bytes())
    order = {"client_id": "l" + 24 * "a", "venue_id": "1", "leg": "target", "side": "sell", "kind": "limit"}
    found["accounts"][0] |= {"quantity": 0.00748149, "entry_price": 26839.31, "stop": 26636.3, "target": 27000.25}
    found["accounts"][0]["orders"] = [
        order | {"quantity": 0.00748149, "filled": 0.0, "price": 27000.25, "stop_price": None, "status": "open"}
    ]
    place.write_text(json.dumps(found))
    monkeypatch.setenv("COLUMNS", str(columns))
    capsys.readouterr()
    assert main(["status", str(bot.file)]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert max(map(len, out.splitlines())) <= columns
    equity = f"{found['accounts'][0]['equity']:,.2f}"
    assert ["BTC/USDT", "0.00748149", "26839.31", "26636.3", "27000.25", equity, "0"] in rows
    assert ["BTC/USDT", "target", "limit", "sell", "0.00748149", "0", "27000.25", "open"] in rows
    assert "does not run" in out


def test_a_run_that_is_to_say_errors_only_says_nothing(bot: Bot, capsys: Output) -> None:
    bot.write(('log_level = "debug"', 'log_level = "error"'))
    assert run(bot, "--bars", "2", "--json") == 0
    assert capsys.readouterr().err == ""


def damaged(bot: Bot) -> None:
    path = bot.folder / "chosen.json"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def changed_data(bot: Bot) -> None:
    store = Store(bot.folder / "other")
    rows = pl.concat([Store(bot.store).scan("made:BTC/USDT:1h").collect()]).drop("repaired", strict=False)
    store.append("made:BTC/USDT:1h", rows.with_columns(pl.col("volume") + (pl.int_range(pl.len()) == 5)))
    bot.write((str(bot.store), str(bot.folder / "other")))


def short_on_spot(bot: Bot) -> None:
    put_manifest(bot.folder / "chosen.json", BothSides())


WRONG: dict[str, tuple[Callable[[Bot], object], int, str]] = {
    "no manifest": (lambda bot: (bot.folder / "chosen.json").unlink(), 2, "lockstep export"),
    "a byte of the manifest changed": (damaged, 1, "export it again"),
    "the stored data changed": (changed_data, 1, "the stored data changed since the export"),
    "short on spot": (short_on_spot, 2, 'market = "perpetual"'),
    "an unknown setting": (lambda bot: bot.write(("log_level", "log_lvl")), 2, 'did you mean "log_level"'),
    "an unknown symbol": (lambda bot: bot.write(("BTC/USDT", "BTC/USDC"), ("made:BTC/USDC", "made:BTC/USDT")), 2,
                          'did you mean "BTC/USDT"'),
    "a series that is not stored": (lambda bot: bot.write(("made:", "mode:")), 2, 'did you mean "made:BTC/USDT:1h"'),
    "too large a share": (lambda bot: bot.write(("share = 1.0", "share = 1.5")), 2, "share: found 1.5"),
    "a real address": (lambda bot: bot.write((bot.server.rest_url, "https://api.binance.com")), 2, "keys elsewhere"),
    "no venue": (lambda bot: bot.write((f":{bot.server.port}/", ":9/")), 1, "it cannot be reached"),
    "one yes only": (lambda bot: bot.write(("live = true", "live = false")), 2, "live = true"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_sent(name: str, bot: Bot, capsys: Output) -> None:
    spoil, status, told = WRONG[name]
    spoil(bot)
    started = bot.venue.time_ms
    for _ in range(2 if name == "the stored data changed" else 1):  # a checkpoint must not hide it
        assert run(bot) == status
        said = capsys.readouterr()
        errors = [line for line in said.err.splitlines() if not LINE.match(line)]
        assert told in errors[0]
        assert "internal error" not in said.err
        assert said.out == ""
    assert bot.venue.time_ms == started
    assert not next(iter(bot.venue.accounts.values())).orders
    assert not (bot.journal.parent / "status.json").exists()


@pytest.mark.parametrize(("name", "code"), [("KEY", "-2015"), ("SECRET", "-1022")])
def test_a_wrong_key_or_secret_is_told_with_the_venues_code(
    bot: Bot, name: str, code: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LOCKSTEP_BINANCE_{name}", "f" * 64)
    assert run(bot) == 1
    said = capsys.readouterr().err
    assert code in said
    assert "check the key" in said
    assert "f" * 64 not in said
    monkeypatch.delenv(f"LOCKSTEP_BINANCE_{name}")
    assert run(bot) == 2
    assert f"LOCKSTEP_BINANCE_{name} is not set" in capsys.readouterr().err


def test_a_journal_in_use_and_one_that_is_full_end_the_run_with_the_reason(
    bot: Bot, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(bot.journal):
        assert run(bot) == 1
    assert "another process" in capsys.readouterr().err
    prepare = Journal._prepare

    def small(self: Journal) -> None:
        prepare(self)
        self._connection.execute("PRAGMA max_page_count = 24")

    monkeypatch.setattr(journals.Journal, "_prepare", small)
    assert run(bot) == 1
    said = capsys.readouterr()
    assert "no space left on the disk" in said.err
    assert "internal error" not in said.err
    verify_journal(bot.journal)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_bar_ends_it_cleanly_and_what_is_left_is_not_forgotten(
    bot: Bot, number: int, capsys: Output
) -> None:
    def heard(event: object) -> None:
        if bot.venue.time_ms >= stop_ms and not sent and account.locked.get("BTC", 0.0):
            sent.append(number)
            os.kill(os.getpid(), number)

    account = next(iter(bot.venue.accounts.values()))
    stop_ms, sent = bot.venue.time_ms + 3 * 3_600_000, list[int]()
    bot.venue.listen(heard)
    assert run(bot, "--json") == 0
    assert sent
    assert 0 < json.loads(capsys.readouterr().out)["bars"] < 40
    verify_journal(bot.journal)
    assert main(["status", str(bot.file), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert not status["running"]
    assert status["accounts"][0]["quantity"] > 0.0
    bot.write(("share = 1.0", "share = 0.5"))
    assert run(bot) == 1
    told = capsys.readouterr().err
    assert "the run before does not go on: its manifests, symbols or shares were others" in told
    assert "the run before left" in told
    bot.write()
    assert run(bot) == 0  # as it was, it goes on


@pytest.mark.parametrize("ahead_ms", [5_000, -5_000])
def test_a_clock_five_seconds_off_is_said_and_counts(tmp_path: Path, ahead_ms: int, capsys: Output) -> None:
    with served(tmp_path, clock=lambda: wall_ms() + ahead_ms) as bot, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        patch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        assert run(bot, "--bars", "6") == 0
    said = capsys.readouterr().err
    assert f"its clock is 5.0 s {'ahead of' if ahead_ms > 0 else 'behind'} this machine's" in said
    assert "-1021" not in said


def test_a_clock_that_runs_away_is_refused_with_the_remedy(tmp_path: Path, capsys: Output) -> None:
    faults = Faults(seed=1)
    faults.arm("clock_drifts", size=20_000.0)
    with served(tmp_path, faults=faults) as bot, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        patch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        assert run(bot, "--bars", "6") == 1
    said = capsys.readouterr().err
    assert "-1021" in said
    assert "clock" in said


def test_paper_needs_no_key_and_fills_later_with_a_latency(
    bot: Bot, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCKSTEP_BINANCE_KEY")
    assert main(["paper", bot.write(more="[paper]\nlatency_seconds = 2.0\n"), "--bars", "12", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["mode"], document["bars"]) == ("paper", 12)
    assert next(iter(bot.venue.accounts.values())).orders == {}
