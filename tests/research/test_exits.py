"""The search for the stop or target that fills, against the formula asked at each bar."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.jit import compiled_bare
from engine.kernels.grid import to_tick
from engine.research.exits import Market, market_of, resting_exit
from engine.simulate.formulas import NO_EXIT, protective_exit
from tests.simulate.drawn import made_bars


@compiled_bare
def search(market, side, price, stop_d, target_d, trailing, start, end, tick):  # type: ignore[no-untyped-def]
    return resting_exit(market, side, price, stop_d, target_d, trailing, start, end, tick)


def bar_by_bar(
    market: Market, side: float, price: float, distances: tuple[float, float], trailing: bool, bars: range, tick: float
) -> tuple[int, float, int]:
    """Return what ``resting_exit`` should."""
    best = price
    stop, target = to_tick(price - side * distances[0], tick), to_tick(price + side * distances[1], tick)
    for u in bars:
        if trailing and not math.isnan(distances[0]):
            best = max(best, market.open[u]) if side > 0 else min(best, market.open[u])
            stop = to_tick(best * (1.0 - side * (distances[0] / price)), tick)
        reason, level = protective_exit(side, market.open[u], market.high[u], market.low[u], stop, target)
        if reason != NO_EXIT:
            return int(reason), float(level), u
        best = max(best, market.high[u]) if side > 0 else min(best, market.low[u])
    return NO_EXIT, math.nan, bars.stop - 1


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("tick", [0.0, 0.25])
def test_the_first_fill_is_the_formulas(side: float, trailing: bool, tick: float) -> None:
    rng = np.random.default_rng(int(side) + 7)
    market = market_of(made_bars(rng, 700, 0.01, tick))
    reasons = []
    for _ in range(400):
        start = int(rng.integers(1, 699))
        end = min(699, start + int(rng.integers(0, 300)))
        price = float(market.open[start]) * (1.0 + 0.0005 * side)
        distances = [float(price * x) for x in rng.choice([math.nan, 0.01, 0.03, 0.1, 0.3], 2)]
        found = search(market, side, price, *distances, trailing, start, end, tick)
        wanted = bar_by_bar(market, side, price, (distances[0], distances[1]), trailing, range(start, end + 1), tick)
        assert found[0] == wanted[0]
        assert found[2] == wanted[2]
        assert found[1] == wanted[1] or (math.isnan(found[1]) and math.isnan(wanted[1]))
        reasons.append(found[0])
    assert min(reasons.count(reason) for reason in set(reasons)) > 20
    assert len(set(reasons)) == 3
