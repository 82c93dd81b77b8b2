"""What stands on the report's page and in which order: head tiles, charts with a sentence each, tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.graph.scalar import tidy
from engine.research.report import grid
from engine.research.report.figures import course_figure, curve_figure, distribution_figure
from engine.research.report.forward import forward_figure, forward_section
from engine.research.report.lines import drawn_lines
from engine.research.report.maps import SHARE, map_figure
from engine.research.report.months import months_section
from engine.research.report.odds import halves_figure, halves_section, odds_section, told
from engine.research.report.page import chart, choices, quiet, section, tiles
from engine.research.report.parallel import BEST, MOST, parallel_figure, sampled
from engine.research.report.tables import metrics_section, plan_section, series_section, top_section, trade_section
from engine.research.report.text import (
    LABELS,
    axis_form,
    bar_time,
    cell,
    counted,
    metric_text,
    number_text,
    sharpe_note,
)
from engine.research.report.trades import MOST_MARKS, detail_figure, trades_figure
from engine.research.report_style import Figure

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["charts_of", "sections_of"]

MOST_AXES, MOST_LINES = 6, 6
CELLS = 12_000  # of all heatmaps together
TILES = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "exposure")


def charts_of(evidence: Evidence) -> dict[str, Figure]:
    """Return the page's figures by name; a run of one combination has none of the grid."""
    run, by, source, bars = evidence.run, evidence.by, evidence.bars.source, evidence.bars
    others = {"Buy and hold": evidence.hold}
    if evidence.swept:
        others["Median combination"] = evidence.median
    out = {
        "course": course_figure(evidence.winner, others),
        "trades": trades_figure(evidence.winner),
        "detail": detail_figure(evidence.winner, evidence.found, drawn_lines(evidence.found)),
    }
    if evidence.swept:
        out |= maps_of(evidence)
        for name in dict.fromkeys([by, "sharpe"]):
            found = grid.distribution(run, name, source)
            if found.known:
                place = "distribution" if name == by else "distribution-sharpe"
                out[place] = distribution_figure(found, name, axis_form(name), marked(evidence, name))
        lines = sampled(run, by, source, tuple(evidence.ranked[:MOST_LINES]))
        if len(lines.rows) > 1:
            out["parallel"] = parallel_figure(lines, by, axis_form(by))
    if evidence.verdict.overfitting is not None:
        out["halves"] = halves_figure(evidence.verdict.overfitting, bars.bars_per_year)
    if evidence.walk is not None:
        out["forward"] = forward_figure(evidence.walk.course(source))
    return out


def maps_of(evidence: Evidence) -> dict[str, Figure]:
    """Return a heatmap of the median and one of the best for any two parameters, or a curve over the only one."""
    run, by, source, form = evidence.run, evidence.by, evidence.bars.source, axis_form(evidence.by)
    params = evidence.params(evidence.row)
    if len(evidence.ranked) == 1:
        found = grid.surface(run, by, source, (evidence.ranked[0],), params)
        return {"surface": curve_figure(found, by, form)}
    out, pairs = {}, pairs_of(evidence)
    cells = max(12, min(grid.MOST_CELLS, math.isqrt(CELLS // len(pairs))))
    for k, names in enumerate(pairs):
        found = grid.surface(run, by, source, names, params, cells)
        for what in ("median", "best"):
            out[f"surface-{k}-{what}"] = map_figure(found, by, form, what == "best")
    return out


def pairs_of(evidence: Evidence) -> list[tuple[str, str]]:
    """Return every two of the parameters that move the metric's mean most, those that move it more first."""
    return list(itertools.combinations(evidence.ranked[:MOST_AXES], 2))


def marked(evidence: Evidence, name: str) -> dict[str, float]:
    """Return the figures of a metric that its distribution marks."""
    accounts = {"Winner": evidence.winner, "Median": evidence.median, "Buy and hold": evidence.hold}
    out = {label: made.metrics[name] for label, made in accounts.items()}
    if name == "sharpe":
        out["Luck line"] = evidence.verdict.expected_max_sharpe
    return out


def sections_of(evidence: Evidence, charts: dict[str, Figure], searched: Sequence[str] = ()) -> list[str]:
    """Return the page's header and sections as HTML, those of a search before what was run."""

    def place(name: str) -> str:
        return chart(name, charts[name]["layout"]["height"])

    made = evidence.winner
    hint = "Drag to enlarge a part, double-click to return."
    out = [
        header(evidence),
        odds_section(evidence.verdict),
        section(
            "Equity and drawdown",
            quiet(f"Each account starts with {cash(evidence)}, same costs. {hint}"),
            place("course"),
        ),
    ]
    if evidence.swept:
        if "distribution-sharpe" in charts:
            out.append(spread_section(evidence, "sharpe", place("distribution-sharpe")))
        if "distribution" in charts:
            out.append(spread_section(evidence, evidence.by, place("distribution")))
        out.append(halves_section(evidence, place("halves") if "halves" in charts else None))
        out.append(grid_section(evidence, charts))
        if "parallel" in charts:
            out.append(lines_section(evidence, place("parallel")))
    out.append(forward_section(evidence, evidence.walk, place("forward") if "forward" in charts else None))
    out.append(months_section(evidence))
    count = len(made.trades)
    which = (
        f"the last {MOST_MARKS:,} of {count:,} trades"
        if count > MOST_MARKS
        else f"{'all ' * (count > 1)}{counted(count)}"
    )
    which = which if count else "no closed trade"
    out += [
        section(
            "Trades on price", quiet(f"The close, logarithmic, with {which} at their fill prices."), place("trades")
        ),
        section(
            "The last trades, bar by bar",
            quiet("With what the signals compare: prices on the price axis, other values below it, thresholds dotted."),
            place("detail"),
        ),
        metrics_section(evidence),
        trade_section(evidence),
    ]
    if evidence.swept:
        out.append(top_section(evidence))
    if len(evidence.run.sources) > 1:
        out.append(series_section(evidence))
    return [*out, *searched, plan_section(evidence)]


def cash(evidence: Evidence) -> str:
    """Return the initial cash as text."""
    return number_text(evidence.run.costs.initial_cash)


def swept_text(evidence: Evidence, row: dict[str, Any]) -> str:
    """Return the parameters of a row that were swept (all of them where none was)."""
    names = evidence.swept or list(evidence.values)
    return ", ".join(f"{name} {tidy(float(row[name])):,.6g}" for name in names) or "no parameters"


def header(evidence: Evidence) -> str:
    """Return the title, a sentence on the winner, and the tiles."""
    run, bars, by = evidence.run, evidence.bars, evidence.by
    total = run.sql(f"select count(*) from results where source = {grid.text(bars.source)}")[1][0][0]
    best = (
        f"Best of {total:,} combinations by {by} ({metric_text(by, evidence.winner.metrics[by])})"
        if total > 1
        else "The one combination"
    )
    lines = [
        f"{bars.source}, {len(bars):,} bars from {bar_time(bars, 0)} to {bar_time(bars, len(bars) - 1)} (UTC).",
        f"{best}: {swept_text(evidence, evidence.row)}.",
    ]
    if total > 1:
        lines.append(
            "The best of many is flattered by the choice; the median combination shows what an average pick gave."
        )
    body = "".join(f"<p{' class=quiet' if k == 2 else ''}>{cell(text)}</p>" for k, text in enumerate(lines))
    body += f'<p class="conclusion">{told(evidence.verdict)}</p>'
    title = f"<h1>{cell(run.plan['strategy'])} on {cell(bars.source)}</h1>"
    return "\n".join(["<header>", title, body, head_tiles(evidence), "</header>"])


def head_tiles(evidence: Evidence) -> str:
    """Return the winner's main figures, each beside those of buy and hold and of the median."""
    winner, hold, median = (s.metrics for s in (evidence.winner, evidence.hold, evidence.median))

    def beside(name: str) -> list[tuple[str, str]]:
        rows = [("Buy and hold", metric_text(name, hold[name]))]
        return [*rows, ("Median", metric_text(name, median[name]))] if evidence.swept else rows

    won = [
        f"{metric_text('win_rate', winner['win_rate'])} won",
        f"average {metric_text('avg_trade', winner['avg_trade'])}",
    ]
    more: dict[str, list[str]] = {
        "sharpe": [
            sharpe_note(evidence.bars),
            f"Sharpe, invested bars only: {metric_text('sharpe', winner['sharpe_invested'])}",
        ],
        "max_drawdown": [f"longest: {metric_text('trades', winner['max_drawdown_bars'])} bars"],
        "trades": won if winner["trades"] > 0 else ["none was closed"],
        "exposure": [f"fees paid: {metric_text('fees', winner['fees'])} of the initial cash"],
        "total_return": [f"{cash(evidence)} became {number_text(float(evidence.winner.equity[-1]), 5)}"],
        "cagr": [f"volatility {metric_text('volatility', winner['volatility'])} a year"],
    }
    return tiles((LABELS[name], metric_text(name, winner[name]), beside(name), more[name]) for name in TILES)


def grid_section(evidence: Evidence, charts: dict[str, Figure]) -> str:
    """Return the metric over any two parameters, or over the only one."""
    by, ranked = evidence.by, evidence.ranked
    if len(ranked) == 1:
        text = f"{by} of each value; the ring marks the winner."
        return section(f"{by} over {ranked[0]}", quiet(text), chart("surface", charts["surface"]["layout"]["height"]))
    pairs = pairs_of(evidence)
    text = "Median: over all other parameters. Best: the best of them, which is flattered by the choice. The ring "
    text += "marks the winner's cell."
    if grid.rising(by):
        text += (
            f" The outline is the plateau: cells joined to the winner's, side by side, that have at least "
            f"{100 * SHARE:.0f}% of its value; where its value is not above 0 there is none. A winner alone in its "
            "outline is a needle, most likely luck."
        )
    if len(ranked) > MOST_AXES:
        text += f" The {MOST_AXES} of {len(ranked)} parameters that move the mean most, those that move it more first."
    if any(axis.drawn or not axis.listed for axis in evidence.axes.values()):
        text += " Intervals and long lists are put together in cells."
    menus = [
        ("Parameters", [(str(k), f"{a} and {b}") for k, (a, b) in enumerate(pairs)]),
        ("Shown", [("median", f"median {by}"), ("best", f"best {by}")]),
    ]
    first = "surface-0-median"
    place = chart("surface", charts[first]["layout"]["height"], first)
    return section(f"{by} over two parameters", quiet(text), choices("surface", menus), place)


def lines_section(evidence: Evidence, place: str) -> str:
    """Return combinations as lines over the parameters."""
    found = evidence.spread.known
    which = "All" if found <= MOST else f"The {BEST} best and an even sample by rank, at most {MOST} in all, of the"
    text = (
        f"{which} {found:,} combinations with a known {evidence.by}, a line each through its parameters to its "
        f"{evidence.by} on the right: the higher the bluer, the lower the redder, the best drawn last. Where the blue "
        "lines fan out over a parameter, it does not matter much; where they meet, it does. Drag along an axis to "
        "keep the lines that pass there."
    )
    if len(evidence.ranked) > MOST_LINES:
        text += f" The {MOST_LINES} parameters of {len(evidence.ranked)} that move the mean most."
    return section("Combinations as lines", quiet(text), place)


def spread_section(evidence: Evidence, by: str, place: str) -> str:
    """Return how a metric is distributed over all combinations, for the Sharpe ratio against luck."""
    found = evidence.spread if by == evidence.by else grid.distribution(evidence.run, by, evidence.bars.source)
    text = f"{found.known:,} combinations"
    if found.unknown:
        text += f"; {found.unknown:,} more have no {by} (they never traded, or never varied)"
    if found.beyond:
        text += f"; {found.beyond:,} lie beyond the axis and are counted in the last bars"
    text += "."
    luck = evidence.verdict.expected_max_sharpe
    if by == "sharpe" and math.isfinite(luck):
        beyond = grid.above(evidence.run, by, evidence.bars.source, luck)
        where = "above" if evidence.winner.metrics["sharpe"] > luck else "not above"
        text += (
            f" The luck line, {metric_text('sharpe', luck)}, is what the best of {evidence.verdict.trials:,} trials "
            f"on this data is expected to show without any skill: the winner is {where} it, {beyond:,} of the "
            "combinations are. Sharpe over all bars."
        )
    return section(f"{by} of all combinations", quiet(text), place, half=True)
