"""What stands beside the winner on the page: the verdict, its months, its walk-forward; and narrow screens."""

from __future__ import annotations

import html
import math
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from engine.research.report import Evidence, gather, write_report
from engine.research.report.figures import distribution_figure
from engine.research.report.forward import command
from engine.research.report.grid import Distribution
from engine.research.report.months import monthly, yearly
from engine.research.report.text import counted
from engine.research.report_style import log_ticks
from engine.research.run import Request, Run, run_sweep
from engine.research.walk import newest_walk
from engine.simulate import Costs
from parquet_store import Store
from tests.data import DATA, needs_data
from tests.parquet_store.made import made_bars

SOURCE = "made:AAA/USD:1d"
VALUES = {"rsi_length": [2.0, 3.0, 5.0], "oversold": [30.0, 40.0], "band_width": [0.5], "var_limit": [0.0]}
COSTS = Costs(fee=0.0005, initial_cash=5_000.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("companions") / "store")
    made.append(SOURCE, made_bars(700, "1d", "2020-01-11", seed=3))
    return made


@pytest.fixture(scope="module")
def evidence(store: Store) -> Evidence:
    run_sweep(store, Request("mean_reversion", VALUES, (SOURCE,), COSTS, name="small"))
    return gather(store, Run.open(store, "small"), "sharpe")


@pytest.fixture(scope="module")
def text(store: Store, evidence: Evidence) -> str:
    return write_report(store, evidence.run).read_text()


def words(text: str) -> str:
    """What a page says, without its markup and scripts."""
    body = re.sub(r"<(script|style)>.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))


def test_months_and_years_are_what_the_account_made_of_them(evidence: Evidence) -> None:
    made = evidence.winner
    dates = made.bars.time.astype("datetime64[ms]").astype("datetime64[M]").astype(str).tolist()
    last: dict[str, float] = {}
    for date, equity in zip(dates, made.equity.tolist(), strict=True):
        last[date] = equity
    before, expected = made.costs.initial_cash, {}
    for date, equity in last.items():
        expected[int(date[:4]), int(date[5:])] = equity / before - 1.0
        before = equity
    assert monthly(made) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    grown = np.prod([1.0 + value for value in yearly(made).values()])
    assert grown == pytest.approx(1.0 + made.metrics["total_return"], rel=1e-12)
    year = min(yearly(made))
    of_year = [1.0 + value for (y, _), value in monthly(made).items() if y == year]
    assert math.prod(of_year) - 1.0 == pytest.approx(yearly(made)[year], rel=1e-12)


def test_the_verdict_s_every_line_and_its_conclusion_are_on_the_page(evidence: Evidence, text: str) -> None:
    said = words(text)
    for row in evidence.verdict.rows:
        assert row.meaning[1:] in said
    kind = "PASS" if evidence.verdict.passed else "FAIL"
    assert said.count(f"{kind} ") >= 2
    assert evidence.verdict.conclusion.partition(": ")[2][1:] in said
    assert f"PBO {evidence.verdict.pbo:.3f}" in said
    assert "Sharpe, invested bars" in said


def test_the_walk_forward_it_asks_for_is_of_this_very_plan(store: Store, evidence: Evidence, text: str) -> None:
    line = command(evidence)
    assert line in words(text)
    assert "--fee 0.0005 --initial-cash 5000" in line
    assert main([*shlex.split(line)[1:], "--folds", "3", "--name", "asked", "--store", str(store.root)]) == 0
    assert (
        main([*shlex.split(line)[1:], "--folds", "2", "--fee", "0.01", "--name", "later", "--store", str(store.root)])
        == 0
    )
    for plan, name in (("", "later"), (evidence.run.plan["digest"], "asked"), ("another", "later")):
        found = newest_walk(store, "mean_reversion", SOURCE, plan)
        assert found is not None
        assert found.name == name
    again = words(write_report(store, evidence.run).read_text())
    assert "Stored as asked; it chose among the same combinations" in again


def test_a_search_s_walk_forward_draws_from_its_intervals(evidence: Evidence) -> None:
    space = evidence.run.plan["space"] | {"draw": {"count": 0, "seed": 3, "intervals": {"oversold": [20.0, 40.0]}}}
    run = Run(evidence.run.folder)
    run.plan = evidence.run.plan | {"space": space, "sizing": {"kind": "kelly", "fraction": 0.5, "cap": 0.25}}
    line = command(replace(evidence, run=run))
    assert "--param oversold=20:40" in line
    assert "--sample 1000 --seed 3" in line
    assert line.endswith("--sizing kelly:fraction=0.5,cap=0.25")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (9_600.0, 20_000.0, [10_000, 12_000, 14_000, 16_000, 18_000, 20_000]),
        (9_990.0, 10_110.0, [10_000, 10_020, 10_040, 10_060, 10_080, 10_100]),
        (3_700.0, 26_000.0, [5_000, 7_000, 10_000, 15_000, 20_000]),
        (1.0, 1_000.0, [1, 10, 100, 1_000]),
        (5.0, 5.0, [5]),
    ],
)
def test_the_ticks_of_a_logarithmic_axis_are_round_and_apart(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium to lay the page out")
def test_on_a_narrow_screen_nothing_of_the_verdict_or_the_months_is_cut_off(text: str, tmp_path: Path) -> None:
    script = """<script>
    const wide = (one) => one.scrollWidth - one.clientWidth;
    const told = [document.documentElement, ...document.querySelectorAll(".scroll")].filter((one) => wide(one) > 0)
      .map((one) => one.tagName == "HTML" ? "page" : one.querySelector("table").className);
    document.title = "cut off: " + window.innerWidth + " " + told.join(" ");
    </script></body>"""
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", script))
    line = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--dump-dom"]
    found = subprocess.run([*line, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>cut off: (\d+) ?(.*?)</title>", found)
    assert title is not None
    assert int(title[1]) <= 500
    assert not {"page", "verdict", "months"} & set(title[2].split())


@needs_data
@pytest.mark.slow
def test_the_published_rule_s_report_tells_both_conventions_and_the_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert main([
        "data", "import", str(DATA / "yahoo_QQQ_1d_adj.parquet"), "--venue", "yahoo", "--symbol", "QQQ",
        "--timeframe", "1d", "--store", str(store.root),
    ]) == 0  # fmt: skip
    around = {
        "range_length": [23.0, 24.0, 25.0, 26.0, 27.0], "high_length": [8.0, 9.0, 10.0, 11.0, 12.0],
        "width": [2.3, 2.4, 2.5, 2.6, 2.7], "strength": [0.2, 0.25, 0.3, 0.35, 0.4],
        "trend_length": [200.0, 250.0, 300.0],
    }  # fmt: skip
    free = Costs(fee=0.0, slippage=0.0)
    run_sweep(store, Request("ibs_band", around, ("yahoo:QQQ:1d",), free, name="ibs"))
    path = write_report(store, Run.open(store, "ibs"))
    said = words(path.read_text())
    assert "Best of 1,875 combinations by sharpe" in said
    assert re.search(r"Sharpe, all bars [01]\.\d\d", said)
    assert re.search(r"Sharpe, invested bars only: [12]\.\d\d", said)
    assert "which of them is best is chance: pbo" in said
    assert path.stat().st_size < 6_000_000


def test_a_marked_figure_stands_where_it_is_or_is_said_to_be_beyond_the_axis() -> None:
    found = Distribution(0.0, 0.1, [1, 4, 2, 0, 3, 1, 0, 0, 1, 2], 14, 0, 0)
    marked = {"Winner": 1.0, "Median": 0.4, "Luck line": 2.4, "Buy and hold": -7.0}
    figure = distribution_figure(found, "sharpe", ".2f", marked)
    lines = {trace["name"]: trace["x"][0] for trace in figure["data"] if trace["type"] == "scatter"}
    assert lines == pytest.approx({
        "Winner 1.00": 1.0, "Median 0.40": 0.4, "Luck line 2.40": 2.4,
        "Buy and hold \u22127.00, beyond the axis": -1.5,
    })  # fmt: skip
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < -1.5 < 2.4 < high


def test_one_trade_is_one_trade() -> None:
    assert [counted(n) for n in (0, 1, 1_200)] == ["0 closed trades", "1 closed trade", "1,200 closed trades"]
