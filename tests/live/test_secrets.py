"""No file, line, repr or error of a whole run holds a key, a secret, a password or a signature."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.cli import main
from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.outcome import outcome_of
from engine.live.journal import verify_journal
from engine.live.status import STATUS, read_status
from engine.settings import Credentials, Secret, load_settings
from engine.venue.faults import Faults
from tests.live.served import Bot, served

pytest.importorskip("ccxt")
SIGNATURE = re.compile(rb"(?i)signature=(?!\*\*\*)[0-9a-f]{8}|x-mbx-apikey['\": =]+(?!\*\*\*)\w{8}")
PASSWORD = "the pass phrase of the tests 4711"
FAULTS = (
    "bad_gateway:on=order,times=2",  # CCXT's error holds the whole signed address
    "reset_after:on=order,times=1,after=2",
    "unavailable:on=fills,times=2",
    "reset_after:on=place,times=1,after=2",
    "message_garbage:after=5",
    "stream_dropped:after=9",
)


def found_in(raw: bytes, bot: Bot) -> list[str]:
    """Return what of the secrets stands in some bytes: whole or in half, also in other spellings."""
    known = {"key": bot.key, "secret": bot.secret, "password": PASSWORD}
    forms = {f"{name} {part}": text for name, value in known.items() for part, text in halves(value).items()}
    held = [name for name, text in forms.items() if text.encode() in raw or text.encode().hex().encode() in raw]
    return held + (["a signature"] if SIGNATURE.search(raw) else [])


def halves(value: str) -> dict[str, str]:
    """Return the two halves of a secret: either alone is too much."""
    return {"first half": value[: len(value) // 2], "second half": value[len(value) // 2 :]}


def files_of(bot: Bot) -> dict[str, bytes]:
    """Return every file under the bot's folder."""
    return {str(path): path.read_bytes() for path in bot.folder.rglob("*") if path.is_file()}


def test_a_search_would_find_them(tmp_path: Path) -> None:
    with served(tmp_path) as bot:
        assert found_in(b"x" + bot.secret.encode(), bot) == ["secret first half", "secret second half"]
        assert found_in(b"&signature=0123456789abcdef", bot) == ["a signature"]
        assert found_in(b"&signature=***", bot) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_nothing_a_run_writes_holds_a_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(seed=2)
    for text in FAULTS:
        faults.arm_text(text)
    texts: list[str] = []
    with served(tmp_path / "bot", faults=faults) as bot:
        monkeypatch.chdir(bot.folder)
        monkeypatch.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        assert main(["config", "show", "bot.toml"]) == 0
        assert main(["live", "bot.toml", "--yes", "--bars", "14", "--json"]) == 0
        assert main(["status", "bot.toml", "--json"]) == 0
        assert len({one.name for one in faults.record}) > 2
        orders = next(iter(bot.venue.accounts.values())).orders
        assert orders
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret[::-1])
        bot.write(("run/journal", "wrong/journal"))
        assert main(["live", "bot.toml", "--yes", "--bars", "2"]) == 1
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        bot.write(("run/journal", "killed/journal"))
        killed_in_the_middle(bot)
        said = capfd.readouterr()
        texts += [said.out, said.err]
        entries, _ = verify_journal(bot.folder / "killed" / "journal.sqlite")
        assert entries > 1
        assert read_status(bot.folder / "killed" / STATUS)["running"] is False
        written = files_of(bot)
    assert len(written) > 8
    assert re.search(r"WARNING .*\?\*\*\*", said.err)  # a signed address was told, without its query
    for text in texts:
        assert found_in(text.encode(), bot) == []
    assert {name: held for name, raw in written.items() if (held := found_in(raw, bot))} == {}
    assert {name for name, raw in written.items() if bot.secret[::-1].encode() in raw} == set()


def killed_in_the_middle(bot: Bot) -> None:
    """Run the bot in a process of its own and kill it some bars later."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "live", "bot.toml", "--yes"], cwd=bot.folder, env={**os.environ, "PYTHONPATH": root}
    ) as process:
        kill_ms, reached = bot.venue.time_ms + 4 * 3_600_000, threading.Event()
        stop = bot.venue.listen(lambda event: reached.set() if bot.venue.time_ms >= kill_ms else None)
        try:
            assert reached.wait(30)
        finally:
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
            stop()


def test_no_repr_and_no_error_holds_a_secret(tmp_path: Path) -> None:
    with served(tmp_path) as bot:
        credentials = Credentials(Secret(bot.key), Secret(bot.secret), Secret(PASSWORD))
        settings = load_settings(bot.file)
        exchange = Exchange(client_of(settings, credentials), (bot.key, bot.secret, PASSWORD))
        for one in (settings, credentials, exchange, credentials.key, vars(credentials)):
            assert found_in(f"{one!r} {one}".encode(), bot) == []
        address = f"{bot.server.rest_url}/order?apiKey={bot.key}&signature={bot.secret}"
        for error in (OSError(f"GET {address}"), ValueError(f"{bot.secret} {bot.key} {PASSWORD}")):
            outcome = outcome_of(error, "place", "binance", secrets=(bot.key, bot.secret, PASSWORD))
            raised = outcome.failure()
            for text in (outcome.message, repr(outcome), repr(raised), str(raised)):
                assert found_in(text.encode(), bot) == []
