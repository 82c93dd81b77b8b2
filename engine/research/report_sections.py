"""What stands on the report's page and in which order: tiles, charts, tables, and what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.graph.scalar import tidy
from engine.research import report_grid as grid
from engine.research.report_figures import course_figure, distribution_figure, surface_figure
from engine.research.report_format import (
    LABELS,
    axis_form,
    bar_time,
    cell,
    metric_text,
    number_text,
    sharpe_note,
    values_text,
)
from engine.research.report_lines import drawn_lines
from engine.research.report_page import chart, definitions, quiet, section, table, tiles
from engine.research.report_style import Figure
from engine.research.report_trades import MOST_MARKS, detail_figure, trades_figure
from engine.simulate import METRICS, REASONS
from parquet_store.moments import to_text

if TYPE_CHECKING:
    from engine.research.report import Evidence

__all__ = ["charts_of", "sections_of"]

MOST_TRADES, TOP = 200, 10
HALF = ("surface", "distribution")


def charts_of(evidence: Evidence) -> dict[str, Figure]:
    """Return the page's figures by name; a run of one combination has none of the grid."""
    run, by, source = evidence.run, evidence.by, evidence.bars.source
    others = {"Buy and hold": evidence.hold, "Median combination": evidence.median}
    out = {
        "course": course_figure(evidence.winner, others),
        "trades": trades_figure(evidence.winner),
        "detail": detail_figure(evidence.winner, evidence.found, drawn_lines(evidence.found)),
    }
    names = tuple(name for name, _ in grid.influence(run, by, source)[:2])
    if names:
        surface = grid.surface(run, by, source, names, evidence.params(evidence.row))
        spread = grid.distribution(run, by, source)
        marked = {
            "Winner": evidence.winner.metrics[by],
            "Median": evidence.median.metrics[by],
            "Buy and hold": evidence.hold.metrics[by],
        }
        out["surface"] = surface_figure(surface, by, axis_form(by))
        out["distribution"] = distribution_figure(spread, by, axis_form(by), marked)
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
        return [("Buy and hold", metric_text(name, hold[name])), ("Median", metric_text(name, median[name]))]

    more: dict[str, list[str]] = {
        "sharpe": [
            sharpe_note(evidence.bars),
            f"invested bars only: {metric_text('sharpe', winner['sharpe_invested'])}",
        ],
        "max_drawdown": [f"longest: {metric_text('trades', winner['max_drawdown_bars'])} bars"],
        "trades": [
            f"{metric_text('win_rate', winner['win_rate'])} won",
            f"average {metric_text('avg_trade', winner['avg_trade'])}",
        ],
        "exposure": [f"fees paid: {metric_text('fees', winner['fees'])} of the initial cash"],
        "total_return": [f"{cash(evidence)} became {number_text(float(evidence.winner.equity[-1]), 5)}"],
        "cagr": [f"volatility {metric_text('volatility', winner['volatility'])} a year"],
    }
    return tiles(
        (LABELS[n].split(",")[0], metric_text(n, winner[n]), beside(n), lines) for n, lines in sorted_tiles(more)
    )


def sorted_tiles(more: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Return the tiles in reading order."""
    return [(name, more[name]) for name in ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "exposure")]


def grid_section(evidence: Evidence, place: str) -> str:
    """Return the metric over the parameters that matter most."""
    ranked = [name for name, _ in grid.influence(evidence.run, evidence.by, evidence.bars.source)]
    shown = ranked[:2]
    text = f"Median {evidence.by} over all other parameters; the ring marks the winner."
    if len(ranked) > 2:
        text = f"The two of {len(ranked)} swept parameters that move the mean most. {text}"
    return section(f"{evidence.by} over {' and '.join(shown)}", quiet(text), place, half=True)


def spread_section(evidence: Evidence, place: str) -> str:
    """Return how the metric is distributed over all combinations."""
    found = grid.distribution(evidence.run, evidence.by, evidence.bars.source)
    text = f"{found.known:,} combinations"
    if found.unknown:
        text += f"; {found.unknown:,} more have no {evidence.by} (they never traded, or never varied)"
    if found.beyond:
        text += f"; {found.beyond:,} lie beyond the axis and are counted in the last bars"
    return section(f"{evidence.by} of all combinations", quiet(text + "."), place, half=True)


def metrics_section(evidence: Evidence) -> str:
    """Return every metric of the three accounts."""
    sets = [s.metrics for s in (evidence.winner, evidence.median, evidence.hold)]
    rows = [[LABELS[name], *(metric_text(name, m[name]) for m in sets)] for name in METRICS]
    text = (
        f"Sharpe and Sortino: {sharpe_note(evidence.bars)}, risk-free rate 0. Volatility likewise. Drawdowns at closes."
    )
    head = ["Metric", "Winner", "Median combination", "Buy and hold"]
    return section("Metrics", quiet(text), table(head, rows, main=1, signs=(1, 2, 3)))


def trade_section(evidence: Evidence) -> str:
    """Return the last trades, the latest first."""
    made, bars = evidence.winner, evidence.bars
    trades = np.concatenate([made.trades[-MOST_TRADES:], made.open_trade])[::-1]
    first = len(made.trades) + len(made.open_trade)
    rows = []
    for k, t in enumerate(trades):
        is_open = t["exit_bar"] < 0
        rows.append(
            [
                f"{first - k:,}",
                "long" if t["side"] > 0 else "short",
                bar_time(bars, int(t["entry_bar"])),
                number_text(float(t["entry_price"])),
                "open" if is_open else bar_time(bars, int(t["exit_bar"])),
                number_text(float(t["exit_price"])),
                number_text(float(t["quantity"])),
                metric_text("sharpe", float(t["profit"])),
                metric_text("avg_trade", float(t["profit"] / (t["quantity"] * t["entry_price"]))),
                "marked at the last close" if is_open else REASONS[int(t["reason"])].replace("_", " "),
            ]
        )
    head = [
        "No.",
        "Side",
        "Entry bar",
        "Entry",
        "Exit bar",
        "Exit",
        "Quantity",
        "Net profit",
        "Of the entry",
        "Exit by",
    ]
    count = len(made.trades)
    text = f"The last {MOST_TRADES} of {count:,} closed trades" if count > MOST_TRADES else f"{count:,} closed trades"
    text += ", latest first; prices with slippage, profits after fees; times are the bars' opens, UTC."
    return section("Trade list", quiet(text), table(head, rows, signs=(7, 8)))


def top_section(evidence: Evidence) -> str:
    """Return the best combinations on the winner's series."""
    names = evidence.swept
    shown = list(dict.fromkeys([evidence.by, "sharpe", "cagr", "max_drawdown", "trades", "exposure"]))
    rows = [
        [f"{k}", *(f"{tidy(float(row[n])):,.6g}" for n in names), *(metric_text(n, row[n]) for n in shown)]
        for k, row in enumerate(evidence.run.top(TOP, evidence.by, source=evidence.bars.source), start=1)
    ]
    head = ["Rank", *names, *(LABELS[n] for n in shown)]
    return section(f"The first {len(rows)} by {evidence.by}", table(head, rows))


def series_section(evidence: Evidence) -> str:
    """Return how the winner's parameters did on every series of the run."""
    shown = list(dict.fromkeys([evidence.by, "sharpe", "cagr", "max_drawdown", "trades"]))
    rows = [
        [str(row["source"]), metric_text(evidence.by, row["median of all"]), *(metric_text(n, row[n]) for n in shown)]
        for row in grid.by_source(evidence.run, evidence.by, int(evidence.row["combo"]))
    ]
    head = ["Series", f"Median {evidence.by} of all", *(LABELS[n] for n in shown)]
    return section("The winner's parameters on every series", table(head, rows))


def plan_section(evidence: Evidence) -> str:
    """Return what was run, exactly enough to run it again."""
    run, plan = evidence.run, evidence.run.plan
    costs = {name: value for name, value in plan["costs"].items() if value not in (0, False)}

    def shown(value: Any) -> str:
        return f"{value:,.10g}" if isinstance(value, int | float) and value is not True else str(value)

    sizing = plan["sizing"] or evidence.found.program.sizing.as_json()
    origin = "set for the run" if plan["sizing"] else "the strategy's own, for the winner"
    items = [("Run", run.name), ("Strategy", str(plan["strategy"])), ("Backend", str(plan["backend"]))]
    items += [(f"Parameter {name}", values_text(values)) for name, values in evidence.values.items()]
    items += [("Constraint", str(text)) for text in plan["space"]["where"]]
    items += [
        ("Costs", ", ".join(f"{name} {shown(value)}" for name, value in costs.items())),
        ("Sizing", f"{sizing['kind']} ({', '.join(f'{k} {v:g}' for k, v in sizing.items() if k != 'kind')}), {origin}"),
        ("Decisions", "at the close of a bar, filled at the open of the next one"),
    ]
    for data in plan["sources"]:
        items.append(
            (
                f"Data {data['source']}",
                f"{data['bars']:,} bars, {to_text(data['first'])} to {to_text(data['last'])} UTC, {data['calendar']}, "
                f"{data['bars_per_year']:,.10g} bars a year, fingerprint {data['fingerprint']}",
            )
        )
    return section("What was run", definitions([*items, ("Plan", str(plan.get("digest", "")))]))
