"""Walk forward over one series: one sweep for all folds, a choice in each, one account through what comes after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engine.graph import bind
from engine.research.luck.ledger import Entry
from engine.research.sweep import BUDGET, Sweep
from engine.research.walk.choose import Chooser
from engine.research.walk.course import Course, run_window, stitched
from engine.research.walk.score import Choice
from engine.research.walk.windows import Fold, Scheme, folds_of
from engine.strategies import STRATEGIES
from pipelines import Bars

__all__ = ["Tested", "Walked", "walk_forward"]

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Tested:
    """A fold, what was chosen in it and how that did.

    Attributes
    ----------
    fold : Fold
    choice : Choice
    params : dict of str to float
    course : Course
        Through the test window.
    metrics : dict of str to float
        Out of sample.
    """

    fold: Fold
    choice: Choice
    params: dict[str, float]
    course: Course
    metrics: dict[str, float]


@dataclass(frozen=True, eq=False)
class Walked:
    """A walk-forward over one series.

    Attributes
    ----------
    bars : Bars
    folds : tuple of Tested
    course, hold : Course
        Of the stitched account and of buy and hold, through all test windows.
    trials : Entry
        What the ledger is told, its plan left empty.
    """

    bars: Bars
    folds: tuple[Tested, ...]
    course: Course
    hold: Course
    trials: Entry

    @property
    def annual_returns(self) -> tuple[float, float]:
        """Mean return a bar times bars a year: of the choices in-sample (mean of the folds), out of sample."""
        inside = float(np.mean([tested.choice.annual_return for tested in self.folds]))
        return inside, float(np.mean(self.course.returns)) * self.bars.bars_per_year

    @property
    def sharpes(self) -> tuple[float, float]:
        """Sharpe ratios: of the choices in-sample (mean of the folds), of the stitched account out of sample."""
        inside = float(np.mean([tested.choice.sharpe for tested in self.folds]))
        return inside, self.course.metrics(self.bars)["sharpe"]

    @property
    def efficiency(self) -> float:
        """Annual return out of sample over that in-sample; NaN where in-sample is not above 0."""
        return ratio(*self.annual_returns)

    @property
    def efficiency_sharpe(self) -> float:
        """Sharpe ratio out of sample over that in-sample; NaN where in-sample is not above 0."""
        return ratio(*self.sharpes)


def ratio(inside: float, outside: float) -> float:
    """Return out of sample over in-sample, NaN where that says nothing."""
    return outside / inside if inside > 0.0 else math.nan


def walk_forward(
    bars: Bars,
    sweep: Sweep,
    scheme: Scheme,
    *,
    threads: int | None = None,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> Walked:
    """Choose in each training window, test in the window after it, and put the tests together.

    All folds share one sweep of the whole series: what a combination did in a window is the difference of two of its
    sums, so that ten folds cost little more than one sweep.

    Parameters
    ----------
    bars : Bars
    sweep : Sweep
    scheme : Scheme
    threads, budget, progress
        As for ``sweep_bars``.

    Raises
    ------
    Usage
        The windows do not fit, no combination holds a position in a training window, or as ``sweep_bars``.
    """
    folds = folds_of(len(bars), bars.bars_per_year, scheme)
    choices, trials = Chooser(bars, sweep, folds, scheme, threads, budget).run(progress)
    drawn, tested = sweep.strategy(), list[Tested]()
    cash = sweep.costs.initial_cash
    for fold, choice in zip(folds, choices, strict=True):
        params = sweep.space.row(choice.combo)
        profit = cash - sweep.costs.initial_cash  # all of it is closed at the end of a window
        course = run_window(bars, bind(drawn, params, sweep.sizing), fold.test, sweep.costs, cash, profit)
        closed = course.past["exit_bar"]
        trades = int(np.sum((closed >= fold.train[0]) & (closed < fold.counted[-1][1])))
        tested.append(Tested(fold, replace(choice, trades=trades), params, course, course.metrics(bars)))
        cash = float(course.equity[-1])
    course = stitched([item.course for item in tested])
    holding = bind(STRATEGIES["buy_and_hold"]())
    hold = run_window(bars, holding, course.window, sweep.costs, sweep.costs.initial_cash)
    return Walked(bars, tuple(tested), course, hold, trials)
