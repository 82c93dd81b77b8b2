"""The report: its numbers are the simulation's, it loads nothing, it is bounded, and it refuses what does not agree."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from engine.graph import bind
from engine.research.report import gather, swept_bars, write_report
from engine.research.report.page import checked, page, section, table
from engine.research.report.sections import charts_of
from engine.research.report.text import metric_text, number_text, values_text
from engine.research.report_style import decimate
from engine.research.run import Request, Run, run_sweep
from engine.simulate import METRICS, Costs, simulate_program
from engine.strategies import find_strategy
from parquet_store import Failed, Store, Usage
from pipelines import load_bars
from tests.data import DATA, needs_data
from tests.parquet_store.made import made_bars

SOURCE, OTHER, LONG = "made:AAA/USD:1d", "made:BBB/USD:1d", "made:CCC/USD:1h"
VALUES = {
    "rsi_length": [2.0, 3.0, 5.0],
    "oversold": [20.0, 30.0, 40.0],
    "band_length": [4.0, 10.0],
    "band_width": [0.5],
    "var_limit": [0.0],
    "kelly_fraction": [0.0],
}


class Tags(HTMLParser):
    """Collects the tags of a page and the text of its table cells and headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.titles: list[str] = []
        self.words: list[str] = []
        self._open: str = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("td", "th"):
            self.cells.append(data)
        if self._open in ("h1", "h2"):
            self.titles.append(data)
        if self._open not in ("script", "style"):
            self.words.append(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("report") / "store")
    made.append(SOURCE, made_bars(500, "1d", "2020-01-01", seed=3))
    made.append(OTHER, made_bars(300, "1d", "2020-01-01", seed=4))
    made.append(LONG, made_bars(12_000, "1h", "2020-01-01", seed=5))
    return made


@pytest.fixture(scope="module")
def run(store: Store) -> Run:
    request = Request(
        "mean_reversion", VALUES, (SOURCE, OTHER), Costs(), where=("rsi_length < band_length",), name="small"
    )
    run_sweep(store, request)
    return Run.open(store, "small")


@pytest.fixture(scope="module")
def text(store: Store, run: Run) -> str:
    path = write_report(store, run)
    assert path == run.folder / "report.html"
    return path.read_text()


def test_every_section_is_there(text: str) -> None:
    titles = " | ".join(Tags(text).titles)
    for expected in (
        "mean_reversion on made:", "Equity and drawdown", "sharpe over", "sharpe of all combinations",
        "Trades on price", "The last trades, bar by bar", "Metrics", "Trade list", "The first 10 by sharpe",
        "The winner's parameters on every series", "What was run",
    ):  # fmt: skip
        assert expected in titles


def test_the_metrics_are_those_of_the_simulation(store: Store, run: Run, text: str) -> None:
    best = run.best("sharpe")
    names = list(run.plan["space"]["values"])
    middle = run.median("sharpe", best["source"])
    bars = load_bars(store, best["source"])
    programs = [bind(find_strategy("mean_reversion")(), {n: row[n] for n in names}) for row in (best, middle)]
    programs.append(bind(find_strategy("buy_and_hold")()))
    made = [simulate_program(program, bars, Costs()) for program in programs]
    cells = Tags(text).cells
    start = cells.index("Total return")
    for k, name in enumerate(METRICS):
        row = cells[start + 4 * k : start + 4 * k + 4]
        assert row[1:] == [metric_text(name, s.metrics[name]) for s in made], name


def test_every_closed_trade_of_a_short_list_is_a_row(store: Store, run: Run, text: str) -> None:
    made = gather(store, run, "sharpe").winner
    assert 0 < len(made.trades) <= 200
    cells = Tags(text).cells
    first = cells.index("Exit by") + 1
    rows = [cells[first + 10 * k : first + 10 * k + 10] for k in range(len(made.trades) + len(made.open_trade))]
    closed = [row for row in rows if row[4] != "open"]
    assert [row[7] for row in closed] == [metric_text("sharpe", float(p)) for p in made.trades["profit"][::-1]]
    assert [row[3] for row in closed] == [number_text(float(p)) for p in made.trades["entry_price"][::-1]]


def test_the_sharpe_convention_and_the_invested_sharpe_stand_beside_it(store: Store, run: Run, text: str) -> None:
    made = gather(store, run, "sharpe")
    words = " ".join(Tags(text).words)
    assert f"all bars, \u00d7 \u221a{made.bars.bars_per_year:,.10g}" in words
    assert f"invested bars only: {made.winner.metrics['sharpe_invested']:,.2f}" in words.replace("\u2212", "-")


def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    found = Tags(text)
    assert [tag for tag, _ in found.tags if tag in ("link", "iframe", "img", "object", "embed", "base")] == []
    for _, attributes in found.tags:
        assert not {"src", "href", "srcset", "action", "data"} & set(attributes)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_is_below_8_megabytes(text: str) -> None:
    assert 1_000_000 < len(text.encode()) < 8_000_000


def test_a_constraint_is_shown_escaped(text: str) -> None:
    assert "rsi_length &lt; band_length" in text
    assert "rsi_length < band_length" in " ".join(Tags(text).words)


def test_names_cannot_become_markup() -> None:
    bad = "</script><script>alert(1)</script><b>"
    charts = {"one": {"data": [{"type": "scatter", "x": [1], "y": [2], "name": html.escape(bad)}], "layout": {}}}
    made = page(bad, [section(bad, table([bad], [[bad]]))], charts)
    assert bad not in made
    assert "alert(1)</script>" not in made
    assert Tags(made).cells == [bad, bad]
    assert sum(tag == "script" for tag, _ in Tags(made).tags) == 2


def test_charts_hold_the_course_of_the_account(store: Store, run: Run) -> None:
    evidence = gather(store, run, "sharpe")
    traces = charts_of(evidence)["course"]["data"]
    winner = [t for t in traces if t["name"] == "Winner"]
    equity, below = winner[0]["y"], winner[1]["y"]
    metrics = evidence.winner.metrics
    assert equity[-1] == pytest.approx(10_000.0 * (1.0 + metrics["total_return"]), rel=1e-12)
    assert below.min() == pytest.approx(metrics["max_drawdown"], rel=1e-12)
    assert {t["name"] for t in traces} == {"Winner", "Buy and hold", "Median combination"}


def test_charts_of_many_bars_and_trades_stay_small(store: Store) -> None:
    values = {"rsi_length": [2.0], "oversold": [50.0], "overbought": [50.0], "band_length": [2.0], "band_width": [0.1]}
    off = {"var_limit": [0.0], "kelly_fraction": [0.0], "stop_atr": [0.0]}
    run_sweep(store, Request("mean_reversion", values | off, (LONG,), Costs(fee=0.0, slippage=0.0), name="many"))
    evidence = gather(store, Run.open(store, "many"), "sharpe")
    assert len(evidence.winner.trades) > 1_200
    charts = charts_of(evidence)
    assert not any(name.startswith("surface") for name in charts)  # one combination: nothing to compare
    for figure in charts.values():
        for trace in figure["data"]:
            assert len(trace["x"]) <= 5_000
    marks = [t for t in charts["trades"]["data"] if "Exit" in t["name"]]
    assert sum(len(t["x"]) for t in marks) == 1_000
    words = Tags(write_report(store, Run.open(store, "many")).read_text())
    assert any(f"The last 200 of {len(evidence.winner.trades):,} closed trades" in w for w in words.words)
    assert "Median combination" not in words.cells


def test_every_figure_is_one_that_plotly_accepts(store: Store, run: Run) -> None:
    charts = charts_of(gather(store, run, "calmar"))
    found = set(checked(charts))
    assert {"course", "trades", "detail", "distribution", "halves", "parallel"} <= found
    assert {"surface-0-median", "surface-0-best"} <= found


def test_what_is_undefined_is_a_dash(store: Store) -> None:
    never = VALUES | {"oversold": [1.0], "band_width": [6.0]}
    run_sweep(store, Request("mean_reversion", never, (SOURCE,), Costs(), name="never"))
    path = write_report(store, Run.open(store, "never"), by="total_return")
    cells = Tags(path.read_text()).cells
    first = cells.index("Sharpe, all bars")  # of the verdict; that of the metrics follows
    assert cells[first + 1] == "\u2013"
    row = cells[cells.index("Sharpe, all bars", first + 1) :][:4]
    assert row[1:3] == ["\u2013", "\u2013"]
    assert row[3] != "\u2013"  # buy and hold has one
    assert cells[cells.index("Closed trades") + 1] == "0"
    assert re.search(r"\bnan\b|\bNone\b(?! (of|is)\b)", " ".join(Tags(path.read_text()).words)) is None


def test_bars_stored_later_do_not_change_the_report(store: Store) -> None:
    source = "made:GROWS/USD:1d"
    every = made_bars(400, "1d", "2020-01-01", seed=8)
    store.append(source, every.head(300))
    run_sweep(store, Request("mean_reversion", VALUES, (source,), Costs(), name="grows"))
    run = Run.open(store, "grows")
    before = gather(store, run, "sharpe").winner.metrics
    store.append(source, every)
    bars = swept_bars(store, run, source)
    assert len(bars) == 300
    np.testing.assert_equal(gather(store, run, "sharpe").winner.metrics, before)


def test_changed_bars_are_refused_by_name(store: Store) -> None:
    source = "made:CHANGES/USD:1d"
    bars = made_bars(300, "1d", "2020-01-01", seed=9)
    store.append(source, bars)
    run_sweep(store, Request("mean_reversion", VALUES, (source,), Costs(), name="changes"))
    run = Run.open(store, "changes")
    write_report(store, run)
    kept = (run.folder / "report.html").read_bytes()
    store.append(source, bars[150].with_columns(pl.col("volume") + 1.0))
    with pytest.raises(Failed, match=r"made:CHANGES/USD:1d: the stored bars .* have changed .* sweep again"):
        write_report(store, run)
    assert (run.folder / "report.html").read_bytes() == kept


def test_a_table_that_is_not_what_the_engine_gives_is_refused(store: Store) -> None:
    run_sweep(store, Request("mean_reversion", VALUES, (SOURCE,), Costs(), name="altered"))
    run = Run.open(store, "altered")
    rows = pq.read_table(run.part(0))
    place = rows.schema.get_field_index("total_return")
    wrong = pq.read_table(run.part(0)).column("total_return").to_numpy() * (1.0 + 1e-6)
    pq.write_table(rows.set_column(place, rows.schema.field(place), [wrong]), run.part(0))
    with pytest.raises(Failed, match=r"total_return is .* when simulated, .* in the table"):
        write_report(store, Run.open(store, "altered"))


def test_another_metric_and_another_place_are_taken(store: Store, run: Run, tmp_path: Path) -> None:
    path = write_report(store, run, tmp_path / "new" / "page.html", by="win_rate")
    assert path == tmp_path / "new" / "page.html"
    assert "win_rate of all combinations" in Tags(path.read_text()).titles


def test_a_folder_and_an_unknown_metric_are_usage_errors(store: Store, run: Run, tmp_path: Path) -> None:
    with pytest.raises(Usage, match="is a folder"):
        write_report(store, run, tmp_path)
    with pytest.raises(Usage, match='did you mean "sharpe"'):
        write_report(store, run, by="sharp")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("total_return", 4.76, "+476.0%"),
        ("total_return", 12345.678, "+1,234,567.8%"),
        ("cagr", -0.0345, "\u22123.45%"),
        ("avg_trade", -0.000001, "0.00%"),
        ("max_drawdown", -0.203, "\u221220.3%"),
        ("win_rate", 0.5, "50.0%"),
        ("sharpe", -1.234, "\u22121.23"),
        ("trades", 12345.0, "12,345"),
        ("open_trade", 1.0, "yes"),
        ("sharpe", math.nan, "\u2013"),
        ("sharpe", None, "\u2013"),
    ],
)
def test_metrics_read_as_people_write_them(name: str, value: float | None, expected: str) -> None:
    assert metric_text(name, value) == expected


def test_long_even_lists_of_values_read_as_a_range() -> None:
    assert values_text([float(v) for v in range(10, 50, 5)]) == "10 to 45 by 5 (8 values)"
    assert values_text([14.0, 21.0]) == "14, 21"
    assert values_text([0.05]) == "0.05"


@pytest.mark.parametrize("seed", range(5))
def test_thinned_series_keep_their_ends_extremes_and_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(size=int(rng.integers(10, 50_000))))
    values[rng.random(values.size) < 0.2] = np.nan
    at = decimate(values, 1_000)
    assert at.size <= 1_000
    assert (np.diff(at) > 0).all()
    assert at[0] == 0
    assert at[-1] == values.size - 1
    assert np.nanmin(values[at]) == np.nanmin(values)
    assert np.nanmax(values[at]) == np.nanmax(values)


@needs_data
def test_a_report_on_real_bars_holds_the_sweep_s_best_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.append("yahoo:QQQ:1d", pl.read_parquet(DATA / "yahoo_QQQ_1d_adj.parquet"))
    values = {"width": [1.5, 2.0, 2.5, 3.0], "strength": [0.2, 0.3, 0.4]}
    summary = run_sweep(
        store, Request("ibs_band", values, ("yahoo:QQQ:1d",), replace(Costs(), fee=0.0005), name="real")
    )
    text = write_report(store, Run.open(store, "real")).read_text()
    found = Tags(text)
    best = summary.best["metrics"]
    assert found.cells[found.cells.index("Total return") + 1] == metric_text("total_return", best["total_return"])
    assert any("4,232 bars from 1999-03-10 to 2015-12-31" in w for w in found.words)
    assert any("\u221a252" in w for w in found.words)
    assert len(text.encode()) < 8_000_000
