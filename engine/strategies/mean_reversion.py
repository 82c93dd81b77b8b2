"""Buy what is oversold and statistically cheap while its risk is bounded; leave when either reverses."""

from __future__ import annotations

from engine.graph import Bar, Param, Signals, Size, Strategy, ta, when

ATR_LENGTH = 14


class MeanReversion(Strategy):
    """RSI and Bollinger bands, entries only below a value-at-risk limit, half Kelly, a stop of 2 x ATR.

    ``stop_atr=0``, ``var_limit=0`` and ``kelly_fraction=0`` each switch a part off; with all three off it is the
    plain RSI and bands strategy, all in.  ``var_limit`` is the loss of one bar, as a fraction.
    """

    rsi_length = Param(14, low=2, high=500)
    oversold = Param(30.0, low=1.0, high=60.0)
    overbought = Param(70.0, low=40.0, high=99.0)
    band_length = Param(20, low=2, high=1000)
    band_width = Param(2.0, low=0.1, high=6.0)
    stop_atr = Param(2.0, low=0.1, high=20.0, off=True)
    var_length = Param(250, low=20, high=5000)
    var_limit = Param(0.05, low=0.0001, high=0.9, off=True)
    kelly_fraction = Param(0.5, low=0.01, high=1.0, off=True)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.rsi_length)
        band = ta.bollinger(bar.close, self.band_length, self.band_width)
        risk = ta.value_at_risk(bar.close, self.var_length)
        return Signals(
            entry=(rsi < self.oversold) & (bar.close < band.lower) & when(self.var_limit, risk < self.var_limit, True),
            exit=(rsi > self.overbought) | (bar.close > band.upper),
            stop=when(self.stop_atr, self.stop_atr * ta.atr(bar, ATR_LENGTH)),
            size=when(self.kelly_fraction, Size.kelly(self.kelly_fraction), Size.all_in()),
        )
