"""A run that was stopped or killed goes on where its journal ends, and no order is doubled or lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.live.again import Repeated, repeat
from engine.live.journal import read_journal
from engine.venue.core import Venue
from engine.venue.events import CandleChanged, Event, OrderChanged
from tests.live.served import Bot, served

pytest.importorskip("ccxt")
BARS = 50
KILLED_AT_A_WRITE = """
import os, signal, sys
from engine.cli import main
from engine.live.journal import Journal
write, left, moment = Journal.append_many, int(sys.argv[1]), sys.argv[2]
def killed(journal, entries, durable=False):
    global left
    left -= durable
    if left == 0 and durable and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    sequence = write(journal, entries, durable)
    if left == 0 and durable:
        os.kill(os.getpid(), signal.SIGKILL)
    return sequence
Journal.append_many = killed
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store of the environment."""
    monkeypatch.delenv("LOCKSTEP_STORE", raising=False)


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    """A served venue and the keys of its account."""
    with served(tmp_path / "here") as made:
        keys(made, monkeypatch)
        yield made


def keys(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
    monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)


def run(bot: Bot, *words: str) -> int:
    """Run it live."""
    return main(["live", str(bot.file), "--yes", *words])


def said(bot: Bot, kind: str) -> list[dict[str, Any]]:
    """Return the actions of a kind in the journal."""
    found = [one for entry in read_journal(bot.journal) if entry.kind == "actions" for one in entry.content]
    return [one[kind] for one in found if kind in one]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The trades of a run that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch, served(tmp_path_factory.mktemp("calm") / "here") as made:
        keys(made, patch)
        assert run(made, "--bars", str(BARS)) == 0
        trades = said(made, "Traded")
    assert len(trades) > 5
    return trades


def hold_sound(bot: Bot) -> Repeated:
    """Hold what is true of every run: no id twice, what is held is what the venue has, and the journal repeats."""
    (account,) = bot.venue.accounts.values()
    sent = Counter(order.asked.client_id for order in account.orders.values())
    assert max(sent.values()) == 1
    found = repeat(bot.journal)
    assert (found.mismatches, found.first) == (0, "")
    assert found.runs == 1
    assert found.loop is not None
    held = found.loop.accounts[0].quantity
    assert held == pytest.approx(account.free.get("BTC", 0.0) + account.locked.get("BTC", 0.0), abs=1e-9)
    return found


def test_a_run_that_ended_goes_on_as_if_it_had_not(bot: Bot, undisturbed: list[dict[str, Any]]) -> None:
    for bars in (7, 1, 12, BARS - 20):
        assert run(bot, "--bars", str(bars)) == 0
    assert said(bot, "Traded") == undisturbed
    assert hold_sound(bot).bars == BARS


@pytest.mark.parametrize(("moment", "number"), [("new", 4), ("filled", 2), ("canceled", 1), ("candle", 41)])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not(
    moment: str, number: int, bot: Bot, undisturbed: list[dict[str, Any]]
) -> None:
    words = [sys.executable, "-m", "engine.cli", "live", str(bot.file), "--yes", "--bars", str(BARS)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
    killed = killing(bot.venue, process, moment, number)
    process.communicate()
    assert killed.is_set()
    assert process.returncode == -signal.SIGKILL
    played = repeat(bot.journal).bars
    assert 0 <= played < BARS
    assert run(bot, "--bars", str(BARS)) == 0
    assert said(bot, "Traded")[: len(undisturbed)] == undisturbed
    hold_sound(bot)


@pytest.mark.parametrize(("moment", "number"), [("after", 2), ("before", 6), ("after", 8)])
def test_an_order_that_was_written_down_and_never_left_is_not_sent_again(moment: str, number: int, bot: Bot) -> None:
    words = [sys.executable, "-c", KILLED_AT_A_WRITE, str(number), moment, "live", str(bot.file), "--yes"]
    assert subprocess.run(words, capture_output=True, env=os.environ).returncode == -signal.SIGKILL
    assert run(bot, "--bars", str(BARS)) == 0
    lost = [one["text"] for one in said(bot, "Said") if "the venue has no order" in one["text"]]
    assert len(lost) == (moment == "after")
    hold_sound(bot)


def killing(venue: Venue, process: subprocess.Popen[bytes], moment: str, number: int) -> threading.Event:
    """Kill a process when the venue tells something for the n-th time, before anybody can have heard it."""
    done, seen = threading.Event(), [0]

    def heard(event: Event) -> None:
        if describe(event) == moment:
            seen[0] += 1
            if seen[0] == number and not done.is_set():
                done.set()
                os.kill(process.pid, signal.SIGKILL)

    venue.listen(heard)
    return done


def describe(event: Event) -> str:
    """Return what happened at the venue, in one word."""
    if isinstance(event, OrderChanged):
        return event.state
    return "candle" if isinstance(event, CandleChanged) else ""
