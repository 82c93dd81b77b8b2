"""The trades the venue makes add up to its bars, whatever the bars are."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.venue.market import Market
from engine.venue.tape import Tape
from pipelines import Bars
from pipelines.candles import BuiltCandle, CandleBuilder, Trade
from tests.data import DATA, needs_data
from tests.venue.client import COSTS, made_bars

FILES = {
    "binance_BTC-USDT-PERP_1m.parquet": "1m",
    "binance_XRP-ETH_1m.parquet": "1m",
    "binance_BTC-USDT_1h.parquet": "1h",
    "coinbase_BTC-USD_1h.parquet": "1h",
}


def tape_of(bars: Bars, length_ms: int) -> Tape:
    """Return a tape all of whose bars were shown."""
    return Tape(Market.of("BTC/USD", COSTS), bars, length_ms, len(bars))


def assert_adds_up(tape: Tape, timeframe: str) -> int:
    """Build candles of all trades and compare; return how many bars had trades."""
    bars = tape.bars
    builder = CandleBuilder(timeframe, since_ns=0)
    made = [one for at in range(len(bars)) for one in tape.trades_of(at)]
    told = [x for t in made for x in builder.add(Trade(t.trade_id, t.time_ms * 1_000_000, t.price, t.quantity))]
    told += builder.at((int(bars.time[-1]) + 2 * tape.length_ms) * 1_000_000)
    candles = [one.candle for one in told if isinstance(one, BuiltCandle)]
    assert len(candles) == len(told), "none is late"
    traded = bars.volume > 0.0
    assert [one.missing for one in told if isinstance(one, BuiltCandle)] == [0] * len(candles), "numbered without gaps"
    assert [one.open_ns // 1_000_000 for one in candles] == bars.time[traded].tolist()
    for name in ("open", "high", "low", "close", "volume"):
        assert [getattr(one, name) for one in candles] == getattr(bars, name)[traded].tolist(), name
    return len(candles)


@needs_data
@pytest.mark.parametrize("name", sorted(FILES))
def test_the_trades_made_of_real_bars_are_those_bars_again(name: str) -> None:
    frame = pl.read_parquet(DATA / name)[:3000]
    columns = [frame[column].to_numpy() for column in ("open", "high", "low", "close", "volume")]
    time = frame["ts"].dt.epoch("ms").to_numpy()
    timeframe = FILES[name]
    bars = Bars.from_arrays(f"made:BTC/USD:{timeframe}", timeframe, time, *columns)
    assert assert_adds_up(tape_of(bars, 3_600_000 if timeframe == "1h" else 60_000), timeframe) > 500


def test_a_bar_without_volume_has_no_trades_and_the_last_trades_lie_before_it() -> None:
    bars = made_bars(30)
    volume = np.array(bars.volume)
    volume[[10, 28, 29]] = 0.0
    columns = [np.array(getattr(bars, name)) for name in ("open", "high", "low", "close")]
    tape = tape_of(Bars.from_arrays("made:BTC/USD:1h", "1h", np.array(bars.time), *columns, volume), 3_600_000)
    assert assert_adds_up(tape, "1h") == 27
    assert tape.trades_of(10) == []
    assert [one.trade_id for one in tape.trades(5)] == [104, 105, 106, 107, 108]
    first, last = int(bars.time[9]) + 1, int(bars.time[11])
    inside = tape.trades(100, first, last)
    assert [one.trade_id for one in inside] == [38, 39, 40, 41]
    assert tape.trades(2, first, last) == inside[-2:]
