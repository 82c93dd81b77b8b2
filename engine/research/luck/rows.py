"""The lines of a verdict's table: each number, what it means in one plain sentence, and whether it passes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.research.luck.verdict import Verdict

__all__ = ["GATE", "Row", "rows_of"]

GATE = {"pbo": 0.5, "deflated_sharpe": 0.95, "plateau": 0.0}
LIKELY = 0.05


@dataclass(frozen=True)
class Row:
    """One line of the verdict's table.

    Attributes
    ----------
    name : str
    value : float
        NaN where it cannot be said.
    meaning : str
        One plain sentence.
    passed : bool or None
        None where there is nothing to pass.
    gate : bool
        Whether the verdict as a whole hangs on it.
    """

    name: str
    value: float
    meaning: str
    passed: bool | None = None
    gate: bool = False


def rows_of(verdict: Verdict) -> tuple[Row, ...]:
    """Return the whole table, the gate's three first."""
    return (*gate_rows(verdict), *told_rows(verdict), *costs_rows(verdict), *resampled_rows(verdict))


def gate_rows(verdict: Verdict) -> Iterator[Row]:
    """Yield the three the verdict hangs on."""
    taken = "all" if verdict.lists == verdict.distinct_lists else f"the best and a sample, {verdict.lists:,}"
    yield Row(
        "pbo",
        verdict.pbo,
        f"how often the best of one half of history is at or below the median of the other half; over {taken} of "
        f"{verdict.distinct_lists:,} distinct trade lists; 0.5 and more is chance",
        verdict.pbo < GATE["pbo"],
        True,
    )
    yield Row(
        "deflated_sharpe",
        verdict.deflated_sharpe,
        f"chance that the true Sharpe ratio is above what the luckiest of {verdict.trials:,} trials shows",
        verdict.deflated_sharpe > GATE["deflated_sharpe"],
        True,
    )
    yield Row(
        "plateau",
        verdict.plateau,
        f"median Sharpe ratio of its {verdict.neighbours:,} neighbours in the space: above 0, small changes of the "
        "parameters still earn",
        verdict.plateau > GATE["plateau"],
        True,
    )


def told_rows(verdict: Verdict) -> Iterator[Row]:
    """Yield what was tried and what the candidate shows."""
    plans = f"{verdict.plans:,} plan{'s' if verdict.plans != 1 else ''}"
    yield Row(
        "trials",
        verdict.trials,
        f"combinations tried on this data so far, in {plans}; {verdict.known_trials:,} have a known Sharpe ratio",
    )
    yield Row("sharpe", verdict.sharpe, "the candidate's Sharpe ratio over all bars, a year")
    yield Row(
        "sharpe_invested",
        verdict.sharpe_invested,
        "the same over bars with a position alone: larger by construction, and not what an account earns",
    )
    yield Row("expected_max_sharpe", verdict.expected_max_sharpe, "what the best of so many trials shows without skill")
    yield Row(
        "probabilistic_sharpe",
        verdict.probabilistic_sharpe,
        "chance that the true Sharpe ratio is above 0, had this been the only trial",
    )
    if verdict.overfitting is not None:
        yield Row(
            "loss_out_of_sample",
            verdict.overfitting.losing,
            "how often the best of one half of history loses money in the other",
        )
    if verdict.neighbours:
        yield Row(
            "neighbours_earning",
            verdict.neighbours_earning,
            "share of the neighbours that end with a profit",
            verdict.neighbours_earning > 0.5,
        )
    yield Row(
        "min_backtest_years",
        verdict.min_backtest_years,
        f"years of history below which so many independent trials are expected to show a Sharpe ratio of 1 by "
        f"luck; there are {verdict.years:.1f}",
        verdict.years >= verdict.min_backtest_years,
    )
    yield Row(
        "min_track_record_years",
        verdict.min_track_record_years,
        f"years of such returns until a Sharpe ratio above 0 is sure to 95 %, had this been the only trial; there "
        f"are {verdict.years:.1f}",
        verdict.years >= verdict.min_track_record_years,
    )


def costs_rows(verdict: Verdict) -> Iterator[Row]:
    """Yield how it bears dearer trading."""
    if verdict.stress is None:
        return
    for level in verdict.stress.levels[1:]:
        yield Row(
            f"total_return_at_{level.factor:g}x_costs",
            level.total_return,
            f"total return at {level.factor:g} times fee and slippage",
            level.total_return > 0.0,
        )
    yield Row(
        "break_even_cost",
        verdict.stress.break_even,
        f"fee and slippage of a fill at which nothing is earned, as a fraction; assumed are {verdict.stress.cost:g}",
        verdict.stress.break_even > verdict.stress.cost,
    )


def resampled_rows(verdict: Verdict) -> Iterator[Row]:
    """Yield what resampled history says, if it was asked."""
    found = verdict.resampled
    if found is None:
        return
    for name, against, test in (("spa_p", "cash", found.cash), ("spa_p_hold", "buy and hold", found.buy_and_hold)):
        yield Row(
            name,
            test.p,
            f"p-value of Hansen's test that none of the {found.shortlist} best beats {against} by its mean return; "
            f"{test.better} do one by one{', the candidate too' if test.candidate else ', the candidate does not'}",
            test.p < LIKELY,
        )
    for name, what, middle in (
        ("sharpe_low", "Sharpe ratio", found.sharpe),
        ("drawdown_low", "worst drawdown", found.drawdown),
        ("reshuffled_low", "worst drawdown with its trades in random order", found.reshuffled),
    ):
        if math.isnan(middle.low):
            yield Row(name, middle.low, f"{what} of resampled histories: nothing was traded that could be resampled")
            continue
        text = f"{what}: 5 % of resampled histories are below this, half below {middle.middle:.3g}, 95 % below"
        yield Row(name, middle.low, f"{text} {middle.high:.3g}")
