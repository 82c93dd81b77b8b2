"""What stands on the report's page and in which order: head tiles, charts with a sentence each, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.graph.scalar import tidy
from engine.research.report import grid
from engine.research.report.figures import course_figure, distribution_figure, surface_figure
from engine.research.report.text import LABELS, axis_form, bar_time, cell, metric_text, number_text, sharpe_note
from engine.research.report.lines import drawn_lines
from engine.research.report.page import chart, quiet, section, tiles
from engine.research.report_style import Figure
from engine.research.report.tables import metrics_section, plan_section, series_section, top_section, trade_section
from engine.research.report.trades import MOST_MARKS, detail_figure, trades_figure

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["charts_of", "sections_of"]

TILES = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "exposure")


def charts_of(evidence: Evidence) -> dict[str, Figure]:
    """Return the page's figures by name; a run of one combination has none of the grid."""
    run, by, source = evidence.run, evidence.by, evidence.bars.source
    others = {"Buy and hold": evidence.hold}
    if evidence.swept:
        others["Median combination"] = evidence.median
    out = {
        "course": course_figure(evidence.winner, others),
        "trades": trades_figure(evidence.winner),
        "detail": detail_figure(evidence.winner, evidence.found, drawn_lines(evidence.found)),
    }
    names = tuple(evidence.ranked[:2])
    if names:
        surface = grid.surface(run, by, source, names, evidence.params(evidence.row))
        marked = {
            "Winner": evidence.winner.metrics[by],
            "Median": evidence.median.metrics[by],
            "Buy and hold": evidence.hold.metrics[by],
        }
        out["surface"] = surface_figure(surface, by, axis_form(by))
        out["distribution"] = distribution_figure(evidence.spread, by, axis_form(by), marked)
    return out


def sections_of(evidence: Evidence, charts: dict[str, Figure]) -> list[str]:
    """Return the page's header and sections as HTML."""

    def place(name: str) -> str:
        return chart(name, charts[name]["layout"]["height"])

    made = evidence.winner
    hint = "Drag to enlarge a part, double-click to return."
    out = [
        header(evidence),
        section(
            "Equity and drawdown",
            quiet(f"Each account starts with {cash(evidence)}, same costs. {hint}"),
            place("course"),
        ),
    ]
    if "surface" in charts:
        out += [grid_section(evidence, place("surface")), spread_section(evidence, place("distribution"))]
    count = len(made.trades)
    which = f"the last {MOST_MARKS:,} of {count:,} trades" if count > MOST_MARKS else f"all {count:,} closed trades"
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
    return [*out, plan_section(evidence)]


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
            f"invested bars only: {metric_text('sharpe', winner['sharpe_invested'])}",
        ],
        "max_drawdown": [f"longest: {metric_text('trades', winner['max_drawdown_bars'])} bars"],
        "trades": won if winner["trades"] > 0 else ["none was closed"],
        "exposure": [f"fees paid: {metric_text('fees', winner['fees'])} of the initial cash"],
        "total_return": [f"{cash(evidence)} became {number_text(float(evidence.winner.equity[-1]), 5)}"],
        "cagr": [f"volatility {metric_text('volatility', winner['volatility'])} a year"],
    }
    return tiles(
        (LABELS[name].split(",")[0], metric_text(name, winner[name]), beside(name), more[name]) for name in TILES
    )


def grid_section(evidence: Evidence, place: str) -> str:
    """Return the metric over the parameters that matter most."""
    ranked = evidence.ranked
    shown = ranked[:2]
    text = f"Median {evidence.by} over all other parameters; the ring marks the winner."
    if len(ranked) > 2:
        text = f"The two of {len(ranked)} swept parameters that move the mean most. {text}"
    return section(f"{evidence.by} over {' and '.join(shown)}", quiet(text), place, half=True)


def spread_section(evidence: Evidence, place: str) -> str:
    """Return how the metric is distributed over all combinations."""
    found = evidence.spread
    text = f"{found.known:,} combinations"
    if found.unknown:
        text += f"; {found.unknown:,} more have no {evidence.by} (they never traded, or never varied)"
    if found.beyond:
        text += f"; {found.beyond:,} lie beyond the axis and are counted in the last bars"
    return section(f"{evidence.by} of all combinations", quiet(text + "."), place, half=True)
