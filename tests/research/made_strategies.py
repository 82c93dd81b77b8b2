"""Strategies for tests: both sides, every way out, sizes that are parameters."""

from __future__ import annotations

from engine.graph import Bar, Param, Signals, Size, Strategy, ta, when


class Turns(Strategy):
    """Both sides of an RSI; stop, target, trailing and the longest hold are parameters."""

    rsi_length = Param(7, low=2, high=50)
    low_level = Param(35.0, low=5.0, high=50.0)
    high_level = Param(65.0, low=50.0, high=95.0)
    stop_atr = Param(1.5, low=0.1, high=10.0, off=True)
    target_atr = Param(2.5, low=0.1, high=20.0, off=True)
    trailing = Param(0, low=0, high=1)
    max_hold = Param(0, low=0, high=200)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.rsi_length)
        reach = ta.atr(bar, 14)
        return Signals(
            entry=rsi < self.low_level,
            exit=ta.crossed_above(rsi, 50.0),
            short_entry=rsi > self.high_level,
            short_exit=ta.crossed_below(rsi, 50.0),
            stop=when(self.stop_atr, self.stop_atr * reach),
            target=when(self.target_atr, self.target_atr * reach),
            trailing=self.trailing,
            max_hold=self.max_hold,
            size=self.size(),
        )

    def size(self) -> Size:
        """All in, as if none were given."""
        return Size.all_in()


class LongTurns(Strategy):
    """The long side alone, as a spot market wants it."""

    rsi_length = Param(7, low=2, high=50)
    low_level = Param(35.0, low=5.0, high=50.0)
    stop_atr = Param(0.0, low=0.1, high=10.0, off=True)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.rsi_length)
        stop = when(self.stop_atr, self.stop_atr * ta.atr(bar, 14))
        return Signals(entry=rsi < self.low_level, exit=rsi > 50.0, stop=stop)


class FractionTurns(Turns):
    """A fraction of the equity that is a parameter."""

    fraction = Param(0.3, low=0.01, high=3.0)

    def size(self) -> Size:
        return Size.fixed_fraction(self.fraction * 0.5)


class RatioTurns(Turns):
    """Jones's fixed ratio, both numbers parameters."""

    delta = Param(100.0, low=0.0, high=10_000.0)
    unit = Param(1.0, low=0.001, high=1_000.0)

    def size(self) -> Size:
        return Size.fixed_ratio(self.delta, self.unit)


class RiskTurns(Turns):
    """A share of the equity lost at the stop."""

    risk = Param(0.01, low=0.001, high=0.2)

    def size(self) -> Size:
        return Size.atr_risk(self.risk)


class KellyTurns(Turns):
    """Kelly's bet, its fraction and cap parameters; 0 switches it off."""

    fraction = Param(0.5, low=0.01, high=1.0, off=True)
    cap = Param(0.25, low=0.01, high=1.0)

    def size(self) -> Size:
        return when(self.fraction, Size.kelly(self.fraction, self.cap), Size.all_in(0.9))
