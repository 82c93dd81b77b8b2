"""How long does a decision take with every limit in front of it and 100 positions open?

``python -m benchmarks.bench_risk [--calls 3500]``: one compiled call as the live loop makes it, a bar of one symbol
in, its decision reviewed by every limit of every layer out (value at risk and correlations with all 100 symbols held
among them), as Python sees it.  Beside it the same call without limits, and 20 such decisions at one moment.  Each
answer is compared with plain NumPy's before anything is timed: the correlations by ``numpy.corrcoef``.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from typing import Any

import numpy as np

from benchmarks.live_stages import quantiles
from benchmarks.measure import hourly_bars, keep
from engine.graph import Bar, Signals, Strategy, bind, ta
from engine.graph.together import Together
from engine.jit import compiled
from engine.live.deciding import OUT, Deciding
from engine.live.risk_rule import RiskRule
from engine.risk import Limits
from engine.risk.likeness import correlation
from engine.simulate import Costs
from pipelines.candles import Candle

HELD, HOUR = 100, 3_600_000
LIMITS = Limits(
    strategy={"value_at_risk": 0.9, "correlation": 0.999, "trades_per_day": 1_000_000, "losses_in_a_row": 1_000_000},
    position={"notional": "off"},
    portfolio={"exposure": 100.0, "correlated_positions": 1_000_000, "daily_loss": 0.99},
    account={"weekly_loss": 0.99, "drawdown": 0.99, "leverage": 100.0, "margin": 1.0, "liquidation_distance": 0.001},
)


class Always(Strategy):
    """Wants to be long, with a stop and a target."""

    def signals(self, bar: Bar) -> Signals:
        width = ta.atr(bar, 14)
        return Signals(entry=bar.close > 0.0, exit=bar.close < 0.0, stop=2 * width, target=5 * width)


@compiled
def one_correlation(history, a, b):  # type: ignore[no-untyped-def]
    return correlation(history, a, b, np.empty((2, 250)))


def made(limits: Limits | None, wanting: int) -> tuple[Deciding, np.ndarray[Any, Any]]:
    """Return accounts of which 100 hold a position and the rest want one, and the prices of all."""
    count = HELD + wanting
    bars, _ = hourly_bars(600 * 7 + count * 20)
    closes = np.stack([bars.close[20 * s : 20 * s + 4200] for s in range(count)])
    program = bind(Always())
    names = [f"S{s}@1h" for s in range(count)]
    times = tuple((HOUR * np.arange(1, 513)).tolist())
    rule = RiskRule(limits, closes={name: (times, tuple(closes[s, :512].tolist())) for s, name in enumerate(names)})
    costs = Costs(initial_cash=1e6 / count, leverage=3.0)
    rows = [(s, program, costs, 1.0 / count, f"P{s}") for s in range(count)]
    deciding = Deciding(Together([(name, program) for name in names]), rows, rule, paper=True, delayed=False)
    for s in range(count):
        price = closes[s, 511]
        deciding.legs[s]["mark"] = price
        if s < HELD:
            deciding.accounts[s]["side"] = 1.0
            deciding.accounts[s]["quantity"] = 100.0 / price
    return deciding, closes


def timed(limits: Limits | None, wanting: int, calls: int) -> dict[str, float]:
    """Return quantiles of a call that closes the bars of those that want to enter."""
    deciding, closes = made(limits, wanting)
    took = []

    def put(k: int, s: int, n: int, price: float) -> None:
        deciding.put(k, s, n + 1, Candle(0, price, price * 1.001, price * 0.999, price, 1.0), float("nan"))

    gc.collect()
    gc.disable()
    for n in range(calls):
        t = 512 + n
        for s in range(HELD + wanting):
            account, price = deciding.accounts[s], closes[s, t]
            account["side"] = account["due_side"] = account["due_close"] = 0.0
            account["quantity"], account["cash"] = 0.0, 1e6 / (HELD + wanting)
            account["stop"] = account["target"] = float("nan")
            if s < HELD:
                account["side"], account["quantity"] = 1.0, 100.0 / price
                put(s, s, n, float(price))
        deciding(HELD, HELD, HOUR * (513 + n))  # the bars of those that are held came first
        for k in range(wanting):
            put(k, HELD + k, n, float(closes[HELD + k, t]))
        began = time.perf_counter_ns()
        rows = deciding(wanting, wanting, HOUR * (513 + n))
        took.append(time.perf_counter_ns() - began)
        if n > 20 and not all(row[OUT.index("due_quantity")] > 0.0 for row in rows):
            raise SystemExit(f"call {n}: not every entry was let through: this measures something else")
    gc.enable()
    return quantiles(took[50:])


def review(calls: int = 3500, *, limits: bool = True) -> dict[str, float]:
    """Return quantiles of one decision, reviewed by every limit or by none, after the correlations were compared."""
    compare()
    return timed(LIMITS if limits else None, 1, calls)


def compare() -> None:
    """End with an error where a correlation is not NumPy's."""
    deciding, closes = made(LIMITS, 1)
    returns = closes[:, 262:512] / closes[:, 261:511] - 1.0
    history = deciding.history.arrays
    for s in range(HELD):
        mine, theirs = one_correlation(history, HELD, s), float(np.corrcoef(returns[HELD], returns[s])[0, 1])
        if abs(mine - theirs) > 1e-9:
            raise SystemExit(f"correlation with {s}: {mine}, NumPy says {theirs}")


def main() -> None:
    """Compare, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3500)
    asked = parser.parse_args()
    compare()
    result: dict[str, Any] = {
        "decision and review, 100 positions open": timed(LIMITS, 1, asked.calls),
        "decision without limits": timed(None, 1, asked.calls),
        "20 decisions and reviews at one moment": timed(LIMITS, 20, asked.calls),
        "load": round(os.getloadavg()[0], 1),
    }
    keep("bench_risk", result)
    for name, found in result.items():
        print(f"{name}: {found}")


if __name__ == "__main__":
    main()
