"""Binance's streams make a message only for those who listen to it, once for all of them."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

import pytest

from engine.venue.binance import futures_say, say
from tests.venue import client as spot
from tests.venue import futures_client as futures

pytest.importorskip("ccxt")


@pytest.mark.parametrize(("kind", "ticker"), [(spot, say), (futures, futures_say)])
def test_a_message_nobody_listens_to_is_not_made(
    kind: Any, ticker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(name: str) -> Any:
        def make(*what: Any, **more: Any) -> dict[str, Any]:
            made.append(name)
            return {"e": name}

        return make

    for name in ("kline", "trade", "plain"):
        monkeypatch.setattr(say, name, counted(name))
    monkeypatch.setattr(ticker, "ticker", counted("ticker"))
    venue = kind.made_venue()
    symbol = next(iter(venue.tapes))

    async def run() -> None:
        async with kind.trading(venue) as (client, server):
            made.clear()  # what the markets were told with
            assert venue.release()
            assert made == []
            watching = asyncio.ensure_future(client.watch_ohlcv(symbol, "1h"))
            lines = server.wire._streams.lines
            for _ in range(600):
                if any(line.streams for line in lines):
                    break
                await asyncio.sleep(0.005)
            assert venue.release()
            assert made == ["kline", "kline"], "the candle at its open and at its close, and nothing else"
            watching.cancel()

    asyncio.run(run())
