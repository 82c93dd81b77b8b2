"""A sweep's rows beside the plain simulation of the same combinations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import Sizing, bind
from engine.graph.strategy import Strategy
from engine.research.bitmap import words_of
from engine.research.events import run_combination
from engine.research.exits import market_of
from engine.research.scan import new_streams
from engine.research.space import Space
from engine.research.sweep import Sweep, sweep_bars
from engine.simulate import METRICS, Costs, Decisions, simulate_program
from engine.simulate.account import TRADE
from engine.simulate.costs import sizing_numbers
from engine.simulate.formulas import KELLY_WINDOW
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, metrics
from pipelines import Bars


def pack(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return flags as words, bar 0 in the lowest bit of the first."""
    padded = np.zeros(64 * words_of(flags.size), np.bool_)
    padded[: flags.size] = flags
    return np.packbits(padded, bitorder="little").view(np.uint64)


def run_events(
    bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return (closed trades, metrics) of the sweep's own kernel for these decisions."""
    tally, trades, none = np.empty(len(TALLY)), np.zeros(4 * len(bars) + 2, TRADE), np.empty(0)
    signals = (decisions.long_entry, decisions.long_exit, decisions.short_entry, decisions.short_exit)
    closed, _ = run_combination(
        market_of(bars),
        tuple(pack(x) for x in signals),
        bool(decisions.short_entry.any()),
        none if decisions.stop is None else decisions.stop,
        none if decisions.target is None else decisions.target,
        bool(decisions.trailing),
        int(decisions.max_hold),
        sizing_numbers(sizing),
        costs.numbers(),
        np.array([0, len(bars)]),
        (new_streams(len(bars)), np.empty(KELLY_WINDOW)),
        tally,
        np.empty((1, 2)),
        trades,
    )
    assert closed <= trades.size
    figures = metrics(tally[None], len(bars), years_of(bars), bars.bars_per_year, costs.initial_cash)[0]
    return trades[:closed], figures


def assert_figures(found: NDArray[np.float64], expected: dict[str, float], about: str = "") -> None:
    """Hold every metric to 1e-10 relative, 1e-12 absolute."""
    assert list(expected) == list(METRICS)
    wanted = np.array(list(expected.values()))
    same = np.isclose(found, wanted, rtol=1e-10, atol=1e-12, equal_nan=True)
    wrong = [
        f"{name}: {a!r} is not {b!r}" for name, a, b, ok in zip(METRICS, found, wanted, same, strict=True) if not ok
    ]
    assert not wrong, f"{about}: {'; '.join(wrong)}"


def rows_of(bars: Bars, sweep: Sweep, **options: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (numbers of the combinations, their metrics) of a whole sweep."""
    parts = list(sweep_bars(bars, sweep, **options))
    return np.concatenate([part.shard.combo for part in parts]), np.concatenate([part.metrics for part in parts])


def space_of(strategy: type[Strategy], where: tuple[str, ...] = (), **given: list[float]) -> Space:
    """Return a strategy's space."""
    return Space.of(strategy, given, where)


def assert_swept_is_plain(bars: Bars, sweep: Sweep) -> int:
    """Hold every row of a sweep to the plain simulation of its program; return how many trades it took."""
    combos, rows = rows_of(bars, sweep)
    drawn, trades = sweep.strategy(), 0
    for combo, row in zip(combos.tolist(), rows, strict=True):
        params = sweep.space.row(combo)
        plain = simulate_program(bind(drawn, params, sweep.sizing), bars, sweep.costs)
        assert_figures(row, plain.metrics, str(params))
        trades += plain.trades.size
    return trades
