"""The verdict on a candidate: each number, what it means in plain words, and whether it passes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.manifest import without_nan
from engine.research.luck.cscv import Overfitting
from engine.research.luck.resample import Resampled
from engine.research.luck.rows import GATE, Row, rows_of
from engine.research.luck.stress import Stress

__all__ = ["Verdict"]

SHORT = 2.0  # years of history below which anything is warned of
REASONS = {
    "pbo": "fewer than two distinct trade lists, or too few bars to compare halves",
    "deflated_sharpe": "no known Sharpe ratio",
    "plateau": "no neighbour was swept",
}


@dataclass(frozen=True, eq=False)
class Verdict:
    """How likely a candidate is luck.

    Sharpe ratios are annualised, fractions are not percent, NaN is what cannot be said.

    Attributes
    ----------
    source : str
    combo : int or None
        The candidate's number; None where no combination of the sweep has a known Sharpe ratio.
    params : dict of str to float
    bars : int
    years : float
        Of history, by elapsed time.
    trials, known_trials, plans : int
        Of all plans that the ledger knows for this data, this one included.
    sharpe, sharpe_invested : float
        The candidate's, over all bars and over those with a position.
    expected_max_sharpe : float
        What the best of so many trials shows without skill.
    probabilistic_sharpe, deflated_sharpe : float
        Chance that the true Sharpe ratio is above 0, and above ``expected_max_sharpe``.
    pbo : float
        Probability of backtest overfitting.
    lists, distinct_lists : int
        Trade lists it was computed over, of how many distinct ones.
    plateau, neighbours_earning : float
        Median Sharpe ratio of the candidate's neighbours, and the share of them with a total return above 0.
    neighbours : int
    min_backtest_years, min_track_record_years : float
        Below the first, the best of so many is expected to show a Sharpe ratio of 1 by luck; from the second on the
        candidate's own would be sure to 95 %, had it been the only one.
    stress : Stress or None
    resampled : Resampled or None
        None in a sweep; in reports and exports SPA, step-wise test, intervals.
    overfitting : Overfitting or None
        The splits behind ``pbo``.
    """

    source: str
    combo: int | None
    params: dict[str, float]
    bars: int
    years: float
    trials: int
    known_trials: int
    plans: int
    sharpe: float
    sharpe_invested: float
    expected_max_sharpe: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    pbo: float
    lists: int
    distinct_lists: int
    plateau: float
    neighbours: int
    neighbours_earning: float
    min_backtest_years: float
    min_track_record_years: float
    stress: Stress | None
    resampled: Resampled | None = None
    overfitting: Overfitting | None = field(default=None, repr=False)

    @property
    def spa_p(self) -> float:
        """Hansen's p-value that nothing in the shortlist beats cash; NaN in a sweep."""
        return self.resampled.cash.p if self.resampled else math.nan

    @property
    def passed(self) -> bool:
        """Whether all three of the gate pass; what cannot be said fails."""
        return not self.failures

    @property
    def failures(self) -> tuple[str, ...]:
        """Each number of the gate that fails, and what it would have to be."""
        found = []
        for name, limit in GATE.items():
            value, word = getattr(self, name), "below" if name == "pbo" else "above"
            if math.isnan(value):
                found.append(f"{name} cannot be said ({REASONS[name]}), expected {word} {limit:g}")
            elif not (value < limit if name == "pbo" else value > limit):
                found.append(f"{name} {value:.3g}, expected {word} {limit:g}")
        return tuple(found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to warn of: too little history for anything, or for so many trials."""
        found = []
        if self.years < SHORT:
            found.append(
                f"the history has {self.years:.2f} years, less than {SHORT:g}: what is best in it may hold for one "
                "kind of market only"
            )
        if self.years < self.min_backtest_years:
            found.append(
                f"the history has {self.years:.2f} years; after {self.trials:,} trials on this data at least "
                f"{self.min_backtest_years:.1f} are needed before a Sharpe ratio of 1 is more than the luckiest of "
                "them shows by chance"
            )
        return tuple(found)

    @property
    def conclusion(self) -> str:
        """The verdict in one line."""
        if self.passed:
            return (
                f"passes: unlikely to be luck after {self.trials:,} trials (deflated_sharpe "
                f"{self.deflated_sharpe:.3g}, pbo {self.pbo:.3g}, plateau {self.plateau:.3g})"
            )
        if len(self.failures) == 1 and self.pbo >= GATE["pbo"]:
            return (
                f"fails: they beat luck as a group (deflated_sharpe {self.deflated_sharpe:.3g}, plateau "
                f"{self.plateau:.3g}), but which of them is best is chance: {self.failures[0]}"
            )
        return f"fails: may well be luck after {self.trials:,} trials: {'; '.join(self.failures)}"

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table, the gate's three first."""
        return rows_of(self)

    def as_json(self) -> dict[str, Any]:
        """Return plain data, null for what cannot be said."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "overfitting"}
        plain["stress"] = None if self.stress is None else asdict(self.stress)
        plain["resampled"] = None if self.resampled is None else asdict(self.resampled)
        if self.overfitting is not None:
            plain |= {"degradation_slope": self.overfitting.slope, "loss_out_of_sample": self.overfitting.losing}
        plain |= {"spa_p": self.spa_p, "passed": self.passed, "failures": self.failures, "conclusion": self.conclusion}
        plain["warnings"] = self.warnings
        plain["rows"] = [{name: getattr(row, name) for name in row.__dataclass_fields__} for row in self.rows]
        found: dict[str, Any] = without_nan(plain)
        return found
