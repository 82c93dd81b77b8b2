"""Limits of a bot from its file to its refusals, tightened while it runs, and trading on after a loss."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.live.adjusting import LIMITS, REARM, ask_limits
from engine.live.again import repeat
from engine.risk import Limits
from tests.live.served import Bot, served

pytest.importorskip("ccxt")
Output = pytest.CaptureFixture[str]
RISK = """
[risk.strategy]
losses_in_a_row = "off"
trades_per_day = "off"
[risk.position]
notional = "off"
risk_per_trade = "off"
[risk.portfolio]
exposure = "off"
daily_loss = "off"
[risk.account]
weekly_loss = "off"
"""


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


def at_bar(bot: Bot, count: int, do: Callable[[], object]) -> None:
    """Do something, once, when so many bars were played."""
    start, done = bot.venue.time_ms, []

    def heard(event: object) -> None:
        if not done and bot.venue.time_ms >= start + count * 3_600_000:
            done.append(1)
            do()

    bot.venue.listen(heard)


def status(bot: Bot) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bot.journal.parent / "status.json").read_text())
    return found


def test_a_drawdown_leaves_everything_until_a_person_rearms(bot: Bot, capsys: Output) -> None:
    bot.write(more=RISK + "drawdown = 0.01\n")
    assert run(bot, "--bars", "35") == 0
    told = capsys.readouterr().err
    assert "account.drawdown was reached: everything is left, nothing entered until lockstep kill --rearm" in told
    assert "account.drawdown refused an entry of" in told
    (account,) = bot.venue.accounts.values()
    assert account.free.get("BTC", 0.0) + account.locked.get("BTC", 0.0) == 0.0
    assert status(bot)["account"]["stopped"] is True
    assert main(["status", str(bot.file)]) == 0
    assert "stopped by its drawdown" in capsys.readouterr().out
    traded = repeat(bot.journal).trades
    assert run(bot, "--bars", "10") == 0
    found = repeat(bot.journal)
    assert (found.trades, found.mismatches) == (traded, 0)  # goes on, and is still stopped
    assert main(["kill", str(bot.file), "--rearm", "--reason", "looked at it"]) == 0
    assert run(bot) == 0
    found = repeat(bot.journal)
    assert found.trades > traded
    assert (found.runs, found.mismatches, found.first) == (1, 0, "")
    assert "rearmed: looked at it; losses count from" in capsys.readouterr().err
    assert not (bot.journal.parent / REARM).exists()


def test_other_limits_hold_from_the_next_start_on(bot: Bot, capsys: Output) -> None:
    bot.write(more=RISK)
    assert run(bot, "--bars", "20") == 0
    before = repeat(bot.journal).trades
    bot.write(more=RISK.replace('notional = "off"', "notional = 1.0"))
    assert run(bot) == 0
    told = capsys.readouterr().err
    assert "other limits hold from here on" in told
    assert "position.notional refused an entry" in told
    found = repeat(bot.journal)
    assert (found.runs, found.mismatches) == (1, 0)
    assert found.trades <= before + 1
    assert status(bot)["limits"]["position"]["notional"] == 1.0


def test_a_running_bot_takes_tighter_limits_and_no_looser_ones(bot: Bot, capsys: Output) -> None:
    bot.write(more=RISK.replace('notional = "off"', "notional = 5000.0"))
    codes: list[int] = []

    def tighten() -> None:
        bot.write(more=RISK.replace('notional = "off"', "notional = 1.0"))
        codes.append(main(["limits", str(bot.file)]))

    def loosen() -> None:
        ask_limits(bot.journal.parent, Limits.none())
        while list(bot.journal.parent.glob(f"{LIMITS}*")):
            time.sleep(0.01)

    def meanwhile(do: Callable[[], None]) -> Callable[[], None]:
        """Return what does something while the venue stands still and the bot does not."""

        def done() -> None:
            thread = threading.Thread(target=do)
            thread.start()
            thread.join(10.0)

        return done

    at_bar(bot, 10, meanwhile(tighten))
    at_bar(bot, 30, meanwhile(loosen))
    assert run(bot) == 0
    assert codes == [0]
    told = capsys.readouterr()
    assert "position.notional refused an entry" in told.err
    assert "limits: those before hold; to let more takes a new start: strategy.reward_to_risk" in told.err
    assert repeat(bot.journal).mismatches == 0
    assert not (bot.journal.parent / LIMITS).exists()


def test_a_file_that_says_no_limits_changes_none(bot: Bot, capsys: Output) -> None:
    bot.write(more=RISK)
    at_bar(bot, 5, lambda: (bot.journal.parent / LIMITS).write_text('{"portfolio": {"exposure": "lots"}}'))
    assert run(bot, "--bars", "20") == 0
    assert "limits.json says no limits: found 'lots', expected a number" in capsys.readouterr().err


def test_limits_are_handed_only_to_a_bot_that_runs(bot: Bot, capsys: Output) -> None:
    assert main(["limits", str(bot.file)]) == 2
    assert "has no [risk]" in capsys.readouterr().err
    bot.write(more=RISK)
    assert main(["limits", str(bot.file)]) == 2
    assert run(bot, "--bars", "3") == 0
    assert main(["limits", str(bot.file)]) == 1
    assert "hold from its start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"portfolio": {"exposure": 0.4}}, []),
        ({"portfolio": {"exposure": 0.6}, "account": {"drawdown": "off"}}, ["portfolio.exposure", "account.drawdown"]),
        ({"strategy": {"reward_to_risk": 1.0}}, ["strategy.reward_to_risk"]),
        ({"strategy": {"reward_to_risk": 3.0}}, []),
        ({"account": {"liquidation_distance": "off"}}, ["account.liquidation_distance"]),
        ({"position": {"stop_atr": 1.0}}, ["position.stop_atr"]),
    ],
)
def test_what_lets_more_is_named(change: dict[str, dict[str, object]], names: list[str]) -> None:
    assert Limits(**change).looser_than(Limits()) == names
