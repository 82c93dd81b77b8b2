"""Buy at the first decision and never sell: what every strategy has to beat."""

from __future__ import annotations

from engine.graph import Bar, Condition, Signals, Strategy


class BuyAndHold(Strategy):
    """The benchmark: all in from the second bar on."""

    def signals(self, bar: Bar) -> Signals:
        always: Condition = bar.close > 0.0
        return Signals(entry=always, exit=False)
