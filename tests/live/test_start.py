"""What a bot is asked to start with is refused before anything is connected to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.graph import Bar, Signals, Strategy, ta
from engine.live.start import load_plan
from engine.settings import load_settings
from parquet_store.errors import Usage
from tests.live.served import put_manifest


class StopAndTarget(Strategy):
    """Long, with both."""

    def signals(self, bar: Bar) -> Signals:
        rsi, level = ta.rsi(bar.close, 5), ta.atr(bar, 5)
        return Signals(entry=rsi < 45.0, exit=rsi > 55.0, stop=level, target=2.0 * level)


def settings_text(venue: str, quote: str, *files: str, market: str = "spot") -> str:
    rows = "".join(
        f'[[manifests]]\npath = "{name}"\nsymbols = ["BTC/{quote}"]\nshare = 0.5\n{more}\n'
        for name, _, more in (one.partition("|") for one in files)
    )
    return f'mode = "live"\nlive = true\n[venue]\nname = "{venue}"\nmarket = "{market}"\n{rows}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two manifests of one program."""
    put_manifest(tmp_path / "one.json", StopAndTarget())
    shutil.copy(tmp_path / "one.json", tmp_path / "two.json")
    return tmp_path


def plan_of(folder: Path, text: str) -> list[str]:
    (folder / "bot.toml").write_text(text)
    return sorted(load_plan(load_settings(folder / "bot.toml")).sources.values())


def test_a_stop_and_a_target_need_a_spot_venue_with_pairs(folder: Path) -> None:
    assert plan_of(folder, settings_text("binance", "USDT", "one.json")) == ["binance:BTC/USDT:1h"]
    with pytest.raises(Usage, match="binds what is held to one order; trade it on binance or a perpetual"):
        plan_of(folder, settings_text("coinbase", "USD", "one.json"))
    paper = settings_text("coinbase", "USD", "one.json").replace('"live"', '"paper"')
    assert plan_of(folder, paper) == ["coinbase:BTC/USD:1h"]


def test_one_series_has_one_history_of_the_manifests_timeframe(folder: Path) -> None:
    with pytest.raises(Usage, match="two histories"):
        plan_of(folder, settings_text("binance", "USDT", "one.json", 'two.json|history = "made:BTC/USDT:1h"'))
    with pytest.raises(Usage, match="another timeframe"):
        plan_of(folder, settings_text("binance", "USDT", 'one.json|history = "made:BTC/USDT:1d"'))
