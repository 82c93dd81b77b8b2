"""The report's tables: metrics, trades, the best combinations, the series, and what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.graph.scalar import tidy
from engine.research.report.grid import by_source
from engine.research.report.page import definitions, quiet, section, table
from engine.research.report.text import LABELS, bar_time, counted, metric_text, number_text, sharpe_note
from engine.simulate import METRICS, REASONS
from parquet_store.moments import to_text

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["metrics_section", "plan_section", "series_section", "top_section", "trade_section"]

MOST_TRADES, TOP = 200, 10


def metrics_section(evidence: Evidence) -> str:
    """Return every metric of the three accounts."""
    accounts = {"Winner": evidence.winner, "Median combination": evidence.median, "Buy and hold": evidence.hold}
    if not evidence.swept:
        del accounts["Median combination"]
    sets = [s.metrics for s in accounts.values()]
    rows = [[LABELS[name], *(metric_text(name, m[name]) for m in sets)] for name in METRICS]
    text = (
        f"Sharpe and Sortino: {sharpe_note(evidence.bars)}, risk-free rate 0. Volatility likewise. Drawdowns at closes."
    )
    head = ["Metric", *accounts]
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
    text = f"The last {MOST_TRADES} of {count:,} closed trades" if count > MOST_TRADES else counted(count)
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
        [
            str(row["source"]),
            *(metric_text(evidence.by, row[f"{k} of all"]) for k in ("best", "median")),
            *(metric_text(n, row[n]) for n in shown),
        ]
        for row in by_source(evidence.run, evidence.by, int(evidence.row["combo"]))
    ]
    head = ["Series", f"Best {evidence.by} of all", f"Median {evidence.by} of all", *(LABELS[n] for n in shown)]
    text = "Best and median: over all combinations on that series. Beside them, the winner's own parameters there."
    return section("The winner's parameters on every series", quiet(text), table(head, rows))


def plan_section(evidence: Evidence) -> str:
    """Return what was run, exactly enough to run it again."""
    run, plan = evidence.run, evidence.run.plan
    costs = {name: value for name, value in plan["costs"].items() if value not in (0, False)}

    def shown(value: Any) -> str:
        return f"{value:,.10g}" if isinstance(value, int | float) and value is not True else str(value)

    sizing = plan["sizing"] or evidence.found.program.sizing.as_json()
    origin = "set for the run" if plan["sizing"] else "the strategy's own, for the winner"
    items = [("Run", run.name), ("Strategy", str(plan["strategy"])), ("Backend", str(plan["backend"]))]
    items += [(f"Parameter {name}", evidence.covered(name)) for name in evidence.values]
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
