"""The kill switch: orders cancelled, positions left, nothing starts until a person says so."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cli import main
from engine.live.again import repeat
from engine.live.kill import KILL, kill
from tests.live.served import Bot, served

pytest.importorskip("ccxt")
Output = pytest.CaptureFixture[str]


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    """A served venue and the keys of its account."""
    monkeypatch.delenv("LOCKSTEP_STORE", raising=False)
    with served(tmp_path / "here") as made:
        monkeypatch.setenv("LOCKSTEP_BINANCE_KEY", made.key)
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", made.secret)
        yield made


def run(bot: Bot, *words: str) -> int:
    """Run it live."""
    return main(["live", str(bot.file), "--yes", *words])


def once_held(bot: Bot, do: Callable[[], object]) -> list[float]:
    """Do something when a position is held and its stop rests; return what was held then."""
    (account,) = bot.venue.accounts.values()
    held: list[float] = []

    def heard(event: object) -> None:
        if not held and account.locked.get("BTC", 0.0) > 0.0:
            held.append(account.locked["BTC"])
            do()

    bot.venue.listen(heard)
    return held


def hold_flat(bot: Bot) -> None:
    """Hold that nothing is left at the venue, and that the journal repeats."""
    (account,) = bot.venue.accounts.values()
    assert account.free.get("BTC", 0.0) + account.locked.get("BTC", 0.0) == pytest.approx(0.0, abs=1e-9)
    assert account.locked.get("USDT", 0.0) == 0.0
    found = repeat(bot.journal)
    assert (found.mismatches, found.first) == (0, "")
    assert found.loop is not None
    assert found.loop.flat


def test_a_file_has_it_leave_everything_and_no_other_start_until_rearmed(bot: Bot, capsys: Output) -> None:
    held = once_held(bot, lambda: kill(bot.journal.parent, "smoke in the room"))
    assert run(bot) == 0
    assert held[0] > 0.0
    hold_flat(bot)
    played = repeat(bot.journal).bars
    assert played < 60
    told = capsys.readouterr().err
    assert "killed: smoke in the room (20" in told
    assert "UTC): orders are cancelled, positions left at market" in told
    assert run(bot) == 1
    assert "killed: smoke in the room (20" in capsys.readouterr().err
    assert repeat(bot.journal).bars == played
    assert main(["kill", str(bot.file), "--rearm"]) == 0
    assert run(bot) == 0
    found = repeat(bot.journal)
    assert found.bars == 60
    assert found.trades > 2
    assert (found.runs, found.mismatches) == (1, 0)


def test_the_command_waits_until_it_is_flat(bot: Bot, capsys: Output) -> None:
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(main(["kill", str(bot.file), "--reason", "a drill"])))
    held = once_held(bot, thread.start)
    assert run(bot) == 0
    thread.join(20.0)
    assert held
    assert status == [0]
    assert "flat and ended after" in capsys.readouterr().out
    hold_flat(bot)
    assert main(["kill", str(bot.file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ran"] is False
    assert main(["kill", str(bot.file), "--rearm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rearmed": True}
    assert main(["kill", str(bot.file), "--rearm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rearmed": False}


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_a_signal_does_the_same(bot: Bot, capsys: Output) -> None:
    assert once_held(bot, lambda: os.kill(os.getpid(), signal.SIGUSR1)) == []
    assert run(bot) == 0
    hold_flat(bot)
    assert "killed: signal SIGUSR1" in capsys.readouterr().err


def test_a_file_a_person_made_counts_whatever_it_says(bot: Bot, capsys: Output) -> None:
    bot.journal.parent.mkdir()
    (bot.journal.parent / KILL).write_text("stop!")
    assert run(bot) == 1
    assert f"killed: the file {KILL} is there; when all is well, lockstep kill --rearm" in capsys.readouterr().err


def test_a_paper_account_is_not_filled_by_it(bot: Bot) -> None:
    bot.write(('mode = "live"\nlive = true', 'mode = "paper"'))
    times = bot.venue.time_ms + 20 * 3_600_000
    done: list[int] = []

    def heard(event: object) -> None:
        if not done and bot.venue.time_ms >= times:
            done.append(1)
            kill(bot.journal.parent, "a drill")

    bot.venue.listen(heard)
    assert main(["paper", str(bot.file)]) == 0
    found = repeat(bot.journal)
    assert 15 < found.bars < 60
    assert (found.mismatches, found.first) == (0, "")
