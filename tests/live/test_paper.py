"""Paper orders with a latency meet the first price the stream shows after it, by the simulation's own kernel."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph import Bar, Param, Signals, Strategy, bind, ta
from engine.graph.together import Together
from engine.live.events import CandlesStreamed
from engine.live.loop import Loop
from engine.live.setup import FeedRule, Placement, Setup, series_of
from engine.live.subaccount import Terms
from engine.simulate import Costs, simulate_program
from pipelines import Bars
from pipelines.candles import Candle
from tests.venue.client import HOUR, made_bars

COSTS = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0)
SERIES = series_of("BTC/USDT", "1h")
MS, SECOND = 1_000_000, 1_000_000_000


class Closes(Strategy):
    """In and out often, by closes alone: an open counts for fills only."""

    length = Param(5, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.length)
        return Signals(entry=rsi < 50.0, exit=rsi > 50.0)


def on_paper(bars: Bars, met: np.ndarray, latency_s: float) -> Loop:
    """Stream bars with a price that is shown one and a half seconds after each open; return the loop."""
    program = bind(Closes())
    first_ns = int(bars.time[0]) * MS
    before = Candle(first_ns - HOUR * MS, 1.0, 1.0, 1.0, 1.0, 1.0)
    loop = Loop(
        Setup(
            (Placement("paper", "d" * 64, "BTC/USDT", "1h", program, COSTS),),
            Together([(SERIES, program)]).checkpoint(),
            {SERIES: before},
            FeedRule(),
            Terms(paper=True, latency_ns=int(latency_s * SECOND)),
        )
    )
    for k in range(len(bars)):
        open_ns = int(bars.time[k]) * MS
        o, h, l, c, v = (float(getattr(bars, name)[k]) for name in ("open", "high", "low", "close", "volume"))
        shown = (
            (0, Candle(open_ns, o, o, o, o, 0.0)),
            (3 * SECOND // 2, Candle(open_ns, o, max(o, met[k]), min(o, met[k]), float(met[k]), 0.5)),
            (2 * SECOND, Candle(open_ns, o, h, l, (h + l) / 2.0, 1.0)),
            (HOUR * MS - 1, Candle(open_ns, o, h, l, c, v)),
        )
        for after_ns, candle in shown:
            loop.step([CandlesStreamed(SERIES, (candle,), open_ns + after_ns)])
    return loop


@pytest.mark.parametrize(("latency_s", "meets"), [(0.0, "open"), (1.0, "met"), (1.9, "middle"), (60.0, "close")])
def test_an_order_fills_at_the_price_shown_after_the_latency(latency_s: float, meets: str) -> None:
    bars = made_bars(80, seed=3)
    met = np.round(0.25 * bars.low + 0.75 * bars.high, 2)
    prices = {"open": bars.open, "met": met, "middle": (bars.low + bars.high) / 2.0, "close": bars.close}[meets]
    loop = on_paper(bars, met, latency_s)
    moved = Bars.from_arrays(
        bars.source, "1h", bars.time, prices, bars.high, bars.low, bars.close, bars.volume
    )  # the same closes, so the same decisions
    expected = simulate_program(bind(Closes()), moved, COSTS).trades
    found = loop.accounts[0].trades
    complete = expected[expected["exit_bar"] < len(bars) - 1]
    assert len(complete) > 5
    for name in ("entry_bar", "exit_bar", "quantity", "entry_price", "exit_price", "fees", "profit"):
        np.testing.assert_array_equal(found[name][: len(complete)], complete[name])
