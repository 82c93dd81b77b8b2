"""The verdict on the page: its table in plain words, and what was best in-sample against what it gave afterwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.research.luck import Overfitting, Row, Verdict
from engine.research.report.page import marked_table, quiet, section
from engine.research.report.text import DASH, signed
from engine.research.report_style import AMBER, BLUE, GREY, INK, Figure, axis, layout

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["halves_figure", "halves_section", "odds_section", "value_text"]

MOST_SPLITS = 1_500
PERCENT = (
    "loss_out_of_sample",
    "neighbours_earning",
    "total_return_at_2x_costs",
    "total_return_at_3x_costs",
    "drawdown_low",
    "reshuffled_low",
)
CHANCE = ("pbo", "deflated_sharpe", "probabilistic_sharpe", "spa_p", "spa_p_hold")
NAMES = {
    "pbo": "Probability of overfitting (pbo)",
    "deflated_sharpe": "Deflated Sharpe",
    "plateau": "Plateau",
    "trials": "Trials",
    "sharpe": "Sharpe, all bars",
    "sharpe_invested": "Sharpe, invested bars",
    "expected_max_sharpe": "Luck line",
    "probabilistic_sharpe": "Probabilistic Sharpe",
    "loss_out_of_sample": "Loss out of sample",
    "neighbours_earning": "Neighbours that earn",
    "min_backtest_years": "Minimum backtest, years",
    "min_track_record_years": "Minimum track record, years",
    "total_return_at_2x_costs": "Total return at twice the costs",
    "total_return_at_3x_costs": "Total return at three times the costs",
    "break_even_cost": "Break-even cost",
    "spa_p": "SPA p-value against cash",
    "spa_p_hold": "SPA p-value against buy and hold",
    "sharpe_low": "Sharpe, resampled, low end",
    "drawdown_low": "Drawdown, resampled, low end",
    "reshuffled_low": "Drawdown, trades reshuffled, low end",
}


def value_text(row: Row) -> str:
    """Return a number of the verdict as people read it; a dash for what cannot be said."""
    if math.isnan(row.value):
        return DASH
    if math.isinf(row.value):
        return "beyond any" if row.value > 0 else "none"
    if row.name == "trials":
        return f"{row.value:,.0f}"
    if row.name in PERCENT:
        return signed(f"{100 * row.value:,.1f}%")
    if row.name in CHANCE:
        return f"{row.value:.3f}"
    return signed(f"{row.value:,.2f}" if abs(row.value) >= 0.01 or row.value == 0 else f"{row.value:.2g}")


def odds_section(verdict: Verdict) -> str:
    """Return the verdict's table: the gate first, then what is told beside it."""
    rows = []
    for row in verdict.rows:
        said = "" if row.passed is None else "pass" if row.passed else "fail"
        name = NAMES.get(row.name, row.name.replace("_", " "))
        meaning = row.meaning[:1].upper() + row.meaning[1:] + "."
        rows.append(((name, row.gate), value_text(row), said, meaning))
    text = (
        "The three in bold are the gate: all must pass, and what cannot be said fails. The others inform. None of "
        "them knows the future, costs beyond those assumed, or trials made outside this store."
    )
    warned = [quiet(f"Warning: {line}.") for line in verdict.warnings]
    conclusion = f'<p class="conclusion">{told(verdict)}</p>'
    return section("How likely is it luck?", conclusion, *warned, quiet(text), marked_table(rows))


def told(verdict: Verdict) -> str:
    """Return the conclusion in one line of HTML, the word pass or fail in a frame."""
    from engine.research.report.text import cell

    kind = "pass" if verdict.passed else "fail"
    rest = verdict.conclusion.partition(": ")[2]
    return f'<b class="badge {kind}">{kind.upper()}</b> {cell(rest[:1].upper() + rest[1:])}.'


def halves_figure(found: Overfitting, bars_per_year: float) -> Figure:
    """Return the best of each half of history, in-sample against out of sample, at most 1,500 of the splits."""
    year = math.sqrt(bars_per_year)
    pairs = found.pairs * year
    at = np.unique(np.linspace(0, len(pairs) - 1, min(MOST_SPLITS, len(pairs))).round().astype(np.int64))
    some = pairs[at].astype(np.float32)
    low, high = float(pairs[:, 0].min()), float(pairs[:, 0].max())
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": some[:, 0],
            "y": some[:, 1],
            "name": "A split of history",
            "marker": {"color": BLUE, "size": 5, "opacity": 0.35},
            "hovertemplate": "in-sample %{x:.2f}, out of sample %{y:.2f}<extra></extra>",
        },
        rule([low, high], [low, high], "As good as in-sample", GREY, "dash"),
    ]
    if math.isfinite(found.slope):
        middle = pairs.mean(axis=0)
        ends = [float(middle[1] + found.slope * (x - middle[0])) for x in (low, high)]
        data.append(rule([low, high], ends, f"Fitted, slope {found.slope:.2f}".replace("-", "\u2212"), AMBER, "solid"))
    return {
        "data": data,
        "layout": layout(
            420,
            margin={"l": 58, "r": 14, "t": 56, "b": 52},
            xaxis=axis(title={"text": "best Sharpe in-sample"}, tickformat=".2~f"),
            yaxis=axis(title={"text": "its Sharpe out of sample"}, tickformat=".2~f", automargin=True),
            shapes=[
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": 0,
                    "y1": 0,
                    "line": {"color": INK, "width": 1},
                }
            ],
        ),
    }


def rule(x: list[float], y: list[float], name: str, colour: str, dash: str) -> Figure:
    """Return a straight line."""
    style = {"color": colour, "width": 2, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": style, "hoverinfo": "skip"}


def halves_section(evidence: Evidence, place: str | None) -> str:
    """Return the scatter with what it says; a sentence where there is none."""
    title = "In-sample against out of sample"
    found = evidence.verdict.overfitting
    if found is None or place is None:
        return section(title, quiet("Nothing to compare: fewer than two distinct trade lists, or too few bars."))
    count = len(found.pairs)
    shown = f"{MOST_SPLITS:,} of {count:,} ways" if count > MOST_SPLITS else f"All {count:,} ways"
    text = (
        f"{shown} to cut history into two halves: the Sharpe of whichever combination was best in one half, and "
        f"what it gave in the other. Over all of them it came out at or below the median {100 * found.pbo:.1f}% of "
        f"the time (PBO {found.pbo:.3f}) and lost money {100 * found.losing:.1f}% of the time. "
    )
    if math.isfinite(found.slope):
        slope = signed(f"{found.slope:.2f}")
        text += f"Slope {slope}: one more in-sample is worth so much more out of sample; below 0 a better past went "
        text += "with a worse rest, which the halves sharing one history partly makes so. "
    return section(title, quiet(text + "Same bars, only rearranged: this is no test on new data."), place, half=True)
