"""What the venue holds against what a bot does: a person's own is left alone, a difference stops entries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from engine.live.actions import FetchHoldings, Said
from engine.live.again import repeat
from engine.live.events import ClockAdvanced, HoldingSeen
from engine.live.subaccount import Terms
from engine.simulate import Costs
from tests.live.perfect import SECOND, Played
from tests.live.served import Bot, served
from tests.live.test_adjusting import at_bar, run, status
from tests.live.test_subaccount import program_of
from tests.simulate.drawn import made_bars

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


def account_of(bot: Bot) -> dict[str, float]:
    (account,) = bot.venue.accounts.values()
    return account.cash


def test_what_a_person_holds_is_seen_and_left_alone(bot: Bot, capsys: Output) -> None:
    account_of(bot)["BTC"] = 2.5
    assert run(bot) == 0
    assert account_of(bot)["BTC"] == pytest.approx(2.5 + status(bot)["accounts"][0]["quantity"])
    found = repeat(bot.journal)
    assert found.trades > 2
    assert found.mismatches == 0
    (held,) = status(bot)["holdings"].values()
    assert (held["others"], held["agrees"]) == (2.5, True)
    assert "the venue holds" not in capsys.readouterr().err


def test_a_holding_that_nobody_can_explain_stops_entries_until_it_agrees_again(bot: Bot, capsys: Output) -> None:
    def change(amount: float) -> None:
        account_of(bot)["BTC"] = account_of(bot).get("BTC", 0.0) + amount

    at_bar(bot, 10, lambda: change(1.0))
    at_bar(bot, 36, lambda: change(-1.0))
    assert run(bot) == 0
    told = capsys.readouterr().err
    assert "BTC/USDT: the venue holds" in told
    assert "; it is looked at again" in told
    assert "nothing is entered until they agree: look at the venue" in told
    assert "no entry at the close of the bar of" in told
    assert "again: it trades on" in told
    found = repeat(bot.journal)
    assert (found.bars, found.mismatches) == (60, 0)
    assert found.trades > 0
    (held,) = status(bot)["holdings"].values()
    assert held["agrees"]


def test_the_command_has_it_look_and_says_what_differs(bot: Bot, capsys: Output) -> None:
    codes: list[int] = []

    def ask() -> None:
        codes.append(main(["reconcile", str(bot.file)]))

    def meanwhile(do: Callable[[], None]) -> None:
        """Do something while the venue stands still and the bot does not."""
        thread = threading.Thread(target=do)
        thread.start()
        thread.join(20.0)

    at_bar(bot, 5, lambda: meanwhile(ask))
    assert run(bot, "--bars", "30") == 0
    told = capsys.readouterr()
    assert codes == [0]
    assert "of it not the bot's" in told.out
    assert main(["reconcile", str(bot.file), "--json"]) == 1
    assert "when it starts it reconciles first" in json.loads(capsys.readouterr().out)["error"]


def test_a_bot_that_held_goes_on_and_its_holding_agrees(bot: Bot, capsys: Output) -> None:
    account_of(bot)["BTC"] = 0.75
    assert run(bot, "--bars", "17") == 0
    assert run(bot) == 0
    (held,) = status(bot)["holdings"].values()
    assert (held["others"], held["agrees"]) == (0.75, True)
    assert "the venue holds" not in capsys.readouterr().err


def test_one_look_that_differs_is_not_believed_at_once() -> None:
    costs, bars = Costs(fee=0.001, quantity_step=0.001), made_bars(np.random.default_rng(3), 40)
    played = Played(program_of(short=False, stop=True, target=False, trailing=False), costs, bars, Terms())
    loop, symbol = played.loop, played.symbol

    def seen(quantity: float, at: int) -> list[object]:
        return list(loop.step([HoldingSeen(symbol, quantity, at - 1, at)]))

    now = played.now_ns
    assert seen(5.0, now) == []
    (said,) = seen(6.0, now + SECOND)
    assert isinstance(said, Said)
    assert said.level == "warning"
    assert loop.holdings.why(symbol)
    played.now_ns = now
    actions = loop.step([ClockAdvanced(now + 4 * SECOND)])
    assert FetchHoldings(symbol) in actions
    assert seen(5.0, now + 5 * SECOND) == []
    assert loop.holdings.why(symbol) == ""
    seen(6.0, now + 6 * SECOND)
    (said,) = seen(6.0, now + 7 * SECOND)
    assert isinstance(said, Said)
    assert said.level == "error"
    assert seen(6.0, now + 8 * SECOND) == []
    assert "expected 5" in loop.holdings.why(symbol)


def test_a_look_older_than_a_fill_says_nothing() -> None:
    costs, bars = Costs(fee=0.001, quantity_step=0.001), made_bars(np.random.default_rng(3), 60)
    played = Played(program_of(short=False, stop=True, target=False, trailing=False), costs, bars, Terms())
    held = 0
    for k in range(len(bars)):
        played.play_bar(k)
        quantity = played.account.quantity
        told = played.loop.step([HoldingSeen(played.symbol, quantity, played.now_ns - 1, played.now_ns)])
        assert not [one for one in told if isinstance(one, Said)]
        changed = played.account.ledger.changed_ns
        if changed:
            assert played.loop.step([HoldingSeen(played.symbol, 99.0, changed, played.now_ns)]) == []
        held += quantity != 0.0
    assert held > 5
