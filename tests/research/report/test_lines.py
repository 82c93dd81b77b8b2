"""Which values a chart shows, and on which axis."""

from __future__ import annotations

import pytest

from engine.graph import Bar, Signals, Strategy, bind, columns, ta
from engine.research.report.lines import Lines, drawn_lines, ref_text
from engine.strategies import find_strategy
from pipelines import Bars
from tests.parquet_store.made import made_bars


@pytest.fixture(scope="module")
def bars() -> Bars:
    frame = made_bars(400, "1d", "2020-01-01", seed=6)
    arrays = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return Bars.from_arrays("made:AAA/USD:1d", "1d", frame["ts"].to_physical().to_numpy(), *arrays)


def shown(
    strategy: Strategy, bars: Bars, values: dict[str, float] | None = None
) -> tuple[list[str], list[list[str]], Lines]:
    program = bind(strategy, values)
    lines = drawn_lines(columns(program, bars))
    levels = [ref_text(program, ref) for ref in lines.levels]
    return levels, [[ref_text(program, ref) for ref in panel.refs] for panel in lines.panels], lines


def test_bands_go_on_the_price_and_indices_below_it(bars: Bars) -> None:
    levels, panels, lines = shown(find_strategy("mean_reversion")(), bars)
    assert levels == ["mean(20) \u2212 2 \u00d7 std(20)", "mean(20) + 2 \u00d7 std(20)"]
    assert panels == [["rsi(14)"], ["value at risk(250, 0.05)"]]
    assert [sorted(panel.thresholds) for panel in lines.panels] == [[30.0, 70.0], [0.05]]


def test_a_part_that_is_switched_off_has_no_panel(bars: Bars) -> None:
    _, panels, _ = shown(find_strategy("mean_reversion")(), bars, {"var_limit": 0.0})
    assert panels == [["rsi(14)"]]


def test_an_earlier_high_and_an_average_are_prices(bars: Bars) -> None:
    levels, panels, _ = shown(find_strategy("ibs_band")(), bars)
    assert levels == ["highest(high, 10) \u2212 2.5 \u00d7 sma(high \u2212 low, 25)", "shift(high, 1)", "sma(300)"]
    assert panels == [["ibs"]]


class Crossing(Strategy):
    """Two averages crossing, and a line crossing its signal line."""

    def signals(self, bar: Bar) -> Signals:
        macd = ta.macd(bar.close, 5, 12, 4)
        fast, slow = ta.ema(bar.close, 10), ta.vwap(bar, 30)
        return Signals(entry=fast.crossed_above(slow), exit=macd.line.crossed_below(macd.signal))


def test_a_crossing_shows_each_value_once(bars: Bars) -> None:
    levels, panels, _ = shown(Crossing(), bars)
    assert sorted(levels) == ["ema(10)", "vwap(30)"]
    assert len(panels) == 1
    assert len(panels[0]) == 2
    assert sorted(panels[0]) == ["macd.line(5, 12, 4)", "macd.signal(5, 12, 4)"]


class Ratios(Strategy):
    """Products and quotients of prices, distances and plain numbers."""

    def signals(self, bar: Bar) -> Signals:
        middle = (bar.high + bar.low) / 2.0
        return Signals(
            entry=(bar.close < 0.98 * middle) & (ta.atr(bar, 5) / bar.close > 0.02),
            exit=(bar.close - ta.sma(bar.close, 9) > ta.atr(bar, 5)) | (ta.zscore(bar.close, 9) > 1.0),
        )


def test_arithmetic_keeps_what_a_value_measures(bars: Bars) -> None:
    levels, panels, _ = shown(Ratios(), bars)
    assert levels == ["0.98 \u00d7 (high + low) / 2"]
    assert [sorted(panel) for panel in panels] == [
        ["atr(5) / close"],
        ["atr(5)", "close \u2212 sma(9)"],
        ["(close \u2212 mean(9)) / std(9)"],
    ]


def test_a_strategy_that_compares_only_raw_prices_draws_nothing_more(bars: Bars) -> None:
    levels, panels, _ = shown(find_strategy("buy_and_hold")(), bars)
    assert levels == []
    assert panels == []
