"""An order leaves when the journal has it, and never when it has not, although it is prepared meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.live.journal import Journal
from engine.venue.events import OrderChanged
from parquet_store.errors import Halt
from tests.live.served import served

pytest.importorskip("ccxt")
Entries = Iterable[tuple[int, str, Any]]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take the environment's keys away."""
    for name in ("LOCKSTEP_BINANCE_KEY", "LOCKSTEP_BINANCE_SECRET", "LOCKSTEP_STORE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def placed(entries: Entries) -> set[str]:
    """Return the client ids of the orders that entries let go."""
    found = set()
    for _, kind, content in entries:
        for one in content if kind == "actions" else ():
            ((name, fields),) = one.items()
            if name == "PlaceOrder":
                found.add(fields["request"]["client_id"])
            elif name == "PlacePair":
                found |= {fields["stop"]["client_id"], fields["target"]["client_id"]}
    return found


def test_no_order_reaches_the_venue_before_the_journal_has_it(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    written: set[str] = set()
    early: list[str] = []
    seen: set[str] = set()
    whole = Journal.append_many

    def slowly(self: Journal, entries: Entries, durable: bool = False) -> int:
        taken = list(entries)
        if durable:
            time.sleep(0.03)  # longer than an order takes to be signed and sent
        found = whole(self, taken, durable)
        if durable:
            written.update(placed(taken))
        return found

    def heard(event: Any) -> None:
        if isinstance(event, OrderChanged) and event.order.asked.client_id not in seen:
            seen.add(event.order.asked.client_id)
            if event.order.asked.client_id not in written:
                early.append(event.order.asked.client_id)

    keys.setattr(Journal, "append_many", slowly)
    with served(tmp_path) as bot:
        keys.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        keys.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        bot.venue.listen(heard)
        assert main(["live", str(bot.file), "--yes", "--bars", "30"]) == 0
    assert len(seen) >= 3
    assert not early


def test_what_cannot_be_written_is_not_sent(
    tmp_path: Path, keys: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Journal.append_many
    refused: set[str] = set()

    def failing(self: Journal, entries: Entries, durable: bool = False) -> int:
        taken = list(entries)
        if durable and placed(taken):
            refused.update(placed(taken))
            time.sleep(0.03)
            raise Halt("the disk is gone")
        return whole(self, taken, durable)

    keys.setattr(Journal, "append_many", failing)
    with served(tmp_path) as bot:
        keys.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        keys.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        changed: list[Any] = []
        bot.venue.listen(lambda event: changed.append(event) if isinstance(event, OrderChanged) else None)
        assert main(["live", str(bot.file), "--yes", "--bars", "30"]) == 1
        assert refused
        assert not changed
    assert "the disk is gone" in capsys.readouterr().err
