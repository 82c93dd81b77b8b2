"""What a run says of its orders, each in a line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.cli.bot_log import BotLog
from engine.execution.orders import OrderRequest
from engine.live.actions import AmendOrder, CancelOrder, FetchQuote, PlaceOrder

ORDER = OrderRequest("BTC/USDT", "buy", "limit", 0.5, "abc", price=100.25)


def test_orders_are_told_placed_moved_and_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    moved = replace(ORDER, quantity=0.499, price=100.5)
    actions = [PlaceOrder(ORDER), FetchQuote("BTC/USDT"), AmendOrder(moved, "7"), CancelOrder(moved, "7")]
    BotLog("info", ["100.5"]).heard(actions, 0)
    lines = [line.partition(" BTC/USDT: ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["order: limit buy 0.5 at 100.25 (abc)", "move to 0.499 at *** (abc)", "cancel abc"]
