"""Buy a weak close below a falling band, sell the first strong one: a published rule for equity indices."""

from __future__ import annotations

from engine.graph import Bar, Param, Signals, Strategy, ta, when


class IbsBand(Strategy):
    """Internal bar strength under a volatility band, out above yesterday's high or below the long average.

    Source: Quantitativo, "A Mean Reversion Strategy with 2.11 Sharpe", 2024; that figure is the Sharpe ratio over
    invested days only.  ``trend_length=0`` switches the exit below the long average off.
    """

    range_length = Param(25, low=2, high=500)
    high_length = Param(10, low=2, high=500)
    width = Param(2.5, low=0.1, high=10.0)
    strength = Param(0.3, low=0.01, high=1.0)
    trend_length = Param(300, low=2, high=2000, off=True)

    def signals(self, bar: Bar) -> Signals:
        reach = self.width * ta.sma(bar.high - bar.low, self.range_length)
        band = ta.highest(bar.high, self.high_length) - reach
        below_trend = when(self.trend_length, bar.close < ta.sma(bar.close, self.trend_length), False)
        return Signals(
            entry=(bar.close < band) & (ta.ibs(bar) < self.strength),
            exit=(bar.close > bar.high.shift(1)) | below_trend,
        )
