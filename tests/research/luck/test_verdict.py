"""A sweep's verdict: every number by another way, what cannot be said fails, the ledger counts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.graph import Sizing, bind
from engine.research.luck import Ledger, Swept, Trials, Verdict, cross_validate, judge, judge_run
from engine.research.luck.judge import compared, ranking, shortlist_of
from engine.research.luck.resample import returns_of
from engine.research.luck.rows import GATE
from engine.research.luck.sharpe import deflated_sharpe, moments_of
from engine.research.run import Request, run_sweep
from engine.research.space import Space
from engine.research.sweep import Sweep
from engine.research.table import Run
from engine.simulate import Costs, simulate_program
from parquet_store import Store
from pipelines import load_bars
from tests.parquet_store.made import made_bars as made_rows
from tests.research.luck.made import swept_of
from tests.research.luck.test_cscv import sums_of
from tests.research.made_strategies import LongTurns, Turns
from tests.simulate.drawn import made_bars

BARS = made_bars(np.random.default_rng(1), 1_200)
KEYS = {"trials", "pbo", "deflated_sharpe", "expected_max_sharpe", "spa_p", "plateau", "passed"}
VALUES = {"rsi_length": [3.0, 5.0, 8.0], "low_level": [25.0, 35.0, 45.0], "stop_atr": [0.0, 2.0]}


def sweep_of(values: dict[str, list[float]] = VALUES, sizing: Sizing | None = None) -> Sweep:
    return Sweep(LongTurns, Space.of(LongTurns, values), Costs(), sizing)


@pytest.fixture(scope="module")
def swept() -> Swept:
    return swept_of(BARS, sweep_of())


@pytest.fixture(scope="module")
def verdict(swept: Swept) -> Verdict:
    return judge(swept)


def test_every_number_is_what_the_plain_simulations_give(swept: Swept, verdict: Verdict) -> None:
    plain = [simulate_program(bind(LongTurns(), swept.sweep.space.row(c)), BARS, Costs()) for c in swept.combo.tolist()]
    sharpe = np.array([p.metrics["sharpe"] for p in plain])
    best = int(np.nanargmax(sharpe))
    assert (verdict.combo, verdict.params) == (best, swept.sweep.space.row(best))
    assert verdict.sharpe == plain[best].metrics["sharpe"]
    assert verdict.sharpe_invested == plain[best].metrics["sharpe_invested"]
    year = BARS.bars_per_year
    variance = float(np.var(sharpe[np.isfinite(sharpe)] / math.sqrt(year), ddof=1))
    own = moments_of(returns_of(plain[best]))
    assert own.sharpe * math.sqrt(year) == pytest.approx(verdict.sharpe, rel=1e-9)
    expected = deflated_sharpe(own.sharpe, len(plain), variance, len(BARS), own.skewness, own.kurtosis)
    assert verdict.deflated_sharpe == pytest.approx(expected, rel=1e-8)
    assert (verdict.trials, verdict.known_trials, verdict.plans) == (18, int(np.isfinite(sharpe).sum()), 1)
    kept: dict[tuple[tuple[int, int], ...], int] = {}
    for k in np.argsort(-sharpe, kind="stable").tolist():
        trades = plain[k].trades
        key = tuple(zip(trades["entry_bar"].tolist(), trades["exit_bar"].tolist(), strict=True))
        if math.isfinite(sharpe[k]) and trades.size + plain[k].open_trade.size:
            kept.setdefault((*key, *((int(t["entry_bar"]), -1) for t in plain[k].open_trade)), k)
    assert verdict.lists == verdict.distinct_lists == len(kept) > 5
    neighbours = []
    for k, row in enumerate(swept.sweep.space.row(c) for c in swept.combo.tolist()):
        steps = [abs(VALUES[n].index(row[n]) - VALUES[n].index(verdict.params[n])) for n in VALUES]
        if max(steps) == 1:
            neighbours.append(k)
    assert verdict.neighbours == len(neighbours)
    assert verdict.plateau == pytest.approx(float(np.median(np.nan_to_num(sharpe[neighbours]))), rel=1e-9)
    earning = np.mean([plain[k].metrics["total_return"] > 0 for k in neighbours])
    assert verdict.neighbours_earning == pytest.approx(earning)


def test_overfitting_is_that_of_the_whole_returns(swept: Swept, verdict: Verdict) -> None:
    order = ranking(swept.sharpe)
    _, places = compared(swept, order)
    combos = swept.combo[places]
    returns = np.stack([returns_of(simulate_program(swept.program(c), BARS, Costs())) for c in combos.tolist()])
    sums, lengths = sums_of(returns, 16)
    np.testing.assert_allclose(swept.block_sums(combos), sums, rtol=1e-8, atol=1e-12)
    expected = cross_validate(sums.astype(np.float32).astype(np.float64), lengths)
    assert expected is not None
    assert verdict.pbo == pytest.approx(expected.pbo, abs=2e-4)
    assert verdict.overfitting is not None
    np.testing.assert_allclose(verdict.overfitting.pairs, expected.pairs, rtol=1e-4, atol=1e-6)


def test_the_json_has_every_key_and_no_number_that_is_none(verdict: Verdict) -> None:
    data = verdict.as_json()
    assert set(data) >= KEYS
    assert data["spa_p"] is None
    assert isinstance(data["passed"], bool)
    json.dumps(data, allow_nan=False)
    assert [row["name"] for row in data["rows"] if row["gate"]] == list(GATE)
    assert {"trials", "sharpe", "sharpe_invested", "min_backtest_years", "break_even_cost"} <= {
        row["name"] for row in data["rows"]
    }
    for row in data["rows"]:
        assert len(row["meaning"]) > 20
        assert row["passed"] in (True, False, None)
    assert data["conclusion"].startswith("passes" if data["passed"] else "fails")
    for name in GATE:
        assert name in data["conclusion"] or name not in " ".join(data["failures"])


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, []),
        ({"pbo": 0.5}, ["pbo 0.5, expected below 0.5"]),
        ({"deflated_sharpe": 0.95}, ["deflated_sharpe 0.95, expected above 0.95"]),
        ({"plateau": 0.0}, ["plateau 0, expected above 0"]),
        ({"pbo": math.nan}, ["pbo cannot be said (fewer than two distinct trade lists"]),
        ({"plateau": math.nan, "pbo": 0.7}, ["pbo 0.7", "plateau cannot be said (no neighbour was swept)"]),
        ({"deflated_sharpe": math.nan}, ["deflated_sharpe cannot be said (no known Sharpe ratio)"]),
    ],
)
def test_the_gate_wants_all_three_and_names_what_fails(
    verdict: Verdict, change: dict[str, float], failing: list[str]
) -> None:
    made = replace(verdict, **({"pbo": 0.49, "deflated_sharpe": 0.951, "plateau": 0.01} | change))
    assert made.passed == (not failing)
    assert len(made.failures) == len(failing)
    for text, start in zip(made.failures, failing, strict=True):
        assert text.startswith(start)
    assert made.as_json()["passed"] is made.passed


def test_one_combination_fails_with_its_plain_reasons() -> None:
    found = judge(swept_of(BARS, sweep_of({"rsi_length": [5.0], "low_level": [45.0]})))
    assert found.expected_max_sharpe == 0.0
    assert found.deflated_sharpe == found.probabilistic_sharpe
    assert math.isnan(found.pbo)
    assert math.isnan(found.plateau)
    assert not found.passed
    assert "no neighbour was swept" in found.conclusion
    json.dumps(found.as_json(), allow_nan=False)


def test_a_sweep_that_never_trades_fails_and_does_not_fall_over() -> None:
    found = judge(swept_of(BARS, sweep_of({"rsi_length": [49.0, 50.0], "low_level": [5.0, 6.0]})), resampled=True)
    assert found.combo is None
    assert found.params == {}
    assert (found.trials, found.known_trials, found.distinct_lists) == (4, 0, 0)
    assert len(found.failures) == 3
    json.dumps(found.as_json(), allow_nan=False)


def test_the_more_were_tried_the_less_the_best_is_worth(swept: Swept, verdict: Verdict) -> None:
    own = swept.entry("own")
    before = math.inf
    for others in (0, 100, 100_000):
        trials = Trials.pooled([(own.trials, own.known, own.mean, own.square), (others, 0, 0.0, 0.0)])
        found = judge(swept, trials)
        assert found.trials == 18 + others
        assert found.deflated_sharpe < before
        before = found.deflated_sharpe
    assert judge(swept, Trials(1, 3, 3, 0.0, 0.1)).trials == 18  # a ledger that lost count is not believed
    assert judge(swept, Trials.pooled([])).deflated_sharpe == verdict.deflated_sharpe


def test_another_candidate_has_its_own_sharpe_and_plateau_and_the_sweeps_overfitting(
    swept: Swept, verdict: Verdict
) -> None:
    worst = int(swept.combo[ranking(swept.sharpe)[-1]])
    found = judge(swept, combo=worst)
    assert found.combo == worst
    assert found.sharpe == pytest.approx(np.nanmin(swept.sharpe))
    assert found.pbo == verdict.pbo
    assert found.deflated_sharpe < verdict.deflated_sharpe


def test_neither_threads_nor_another_call_change_a_number(swept: Swept, verdict: Verdict) -> None:
    assert judge(swept, threads=2).as_json() == judge(swept, threads=1).as_json() == verdict.as_json()


def test_of_many_lists_the_best_and_a_seeded_sample_are_compared() -> None:
    rng = np.random.default_rng(2)
    m = 20_000
    sharpe = np.where(rng.random(m) < 0.1, np.nan, rng.normal(0, 1, m))
    lists = rng.integers(0, 9_000, m).astype(np.uint64)
    sums = rng.normal(0, 0.001, (m, 16, 2)) ** 2
    swept = Swept(
        BARS, sweep_of(), np.arange(m), sharpe, lists, lambda combos: sums[combos], lambda combos: sharpe[combos]
    )
    order = ranking(sharpe)
    distinct, every = compared(swept, order, None)
    assert distinct == every.size == np.unique(lists[np.isfinite(sharpe) & (lists != 0)]).size
    assert np.all(np.diff(sharpe[every]) <= 0)
    for place in every[::500].tolist():
        assert sharpe[place] == np.nanmax(sharpe[lists == lists[place]])
    again, places = compared(swept, order)
    assert (again, places.size) == (distinct, 4_096)
    assert np.array_equal(places, compared(swept, order)[1])
    assert np.array_equal(places[:256], every[:256])
    rest = np.searchsorted(-sharpe[every], -sharpe[places[256:]])
    assert np.unique(lists[places]).size == 4_096
    assert abs(rest.mean() - (256 + distinct) / 2) < 100  # drawn evenly from all the others
    assert compared(swept, order, distinct)[1].size == distinct


def test_the_shortlist_is_the_candidate_and_the_best_others(swept: Swept) -> None:
    order = ranking(swept.sharpe)
    third = int(swept.combo[order[2]])
    found, hold = shortlist_of(swept, order, third, simulate_program(swept.program(third), BARS, Costs()), 4)
    sharpes = [simulation.metrics["sharpe"] for simulation in found]
    assert sharpes[0] == pytest.approx(swept.sharpe[order[2]])
    assert sharpes[1] == pytest.approx(swept.sharpe[order[0]])
    assert sharpes[1:] == sorted(sharpes[1:], reverse=True)
    assert len({simulation.trades.tobytes() for simulation in found}) == len(found) == 4
    assert hold.trades.size == 0
    assert hold.open_trade.size == 1


def test_the_full_verdict_adds_what_is_resampled() -> None:
    swept = swept_of(BARS.slice(0, 300), sweep_of())
    verdict, found = judge(swept), judge(swept, resampled=True)
    assert 0.0 <= found.spa_p <= 1.0
    assert found.as_json()["spa_p"] == found.spa_p
    names = [row.name for row in found.rows]
    assert names[: len(verdict.rows)] == [row.name for row in verdict.rows]
    assert {"spa_p", "spa_p_hold", "sharpe_low", "drawdown_low", "reshuffled_low"} <= set(names)
    assert found.passed == verdict.passed


def test_another_size_rule_is_the_one_that_is_judged() -> None:
    half = Sizing.of("fixed_fraction", fraction=0.5)
    swept = swept_of(BARS, sweep_of(sizing=half))
    found = judge(swept)
    plain = simulate_program(bind(LongTurns(), found.params), BARS, Costs(), half)
    assert found.sharpe == plain.metrics["sharpe"] == pytest.approx(np.nanmax(swept.sharpe))


def test_a_runs_trials_are_recorded_once_and_those_of_others_on_the_data_add(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, source in enumerate(("made:A/B:1h", "made:C/D:1h")):
        store.append(source, made_rows(800, seed=seed))
    address = str(Path(__file__).parent.parent / "made_strategies.py") + ":LongTurns"
    request = Request(address, VALUES, ("made:A/B:1h",), Costs(), name="first")
    run_sweep(store, request)
    bars = load_bars(store, "made:A/B:1h")
    first = judge_run(store, Run.open(store, "first"), bars)
    assert (first.trials, first.plans) == (18, 1)
    assert judge_run(store, Run.open(store, "first"), bars).as_json() == first.as_json()
    expected = judge(swept_of(bars, sweep_of()))
    for name in ("combo", "params", "sharpe", "deflated_sharpe", "plateau", "neighbours_earning", "distinct_lists"):
        assert getattr(first, name) == pytest.approx(getattr(expected, name), rel=1e-6), name
    assert first.pbo == expected.pbo

    more = {"rsi_length": [4.0, 6.0], "low_level": [30.0, 40.0]}
    run_sweep(store, replace(request, values=more, name="second"))
    run_sweep(store, replace(request, values=more, name="elsewhere", sources=("made:C/D:1h",)))
    judge_run(store, Run.open(store, "elsewhere"), load_bars(store, "made:C/D:1h"))
    second = judge_run(store, Run.open(store, "second"), bars)
    assert (second.trials, second.plans) == (22, 2)
    again = judge_run(store, Run.open(store, "first"), bars)
    assert again.trials == 22
    assert again.deflated_sharpe != first.deflated_sharpe
    assert Ledger(tmp_path).trials("made:C/D:1h", 0, 1 << 60).trials == 4


def test_strategies_that_turn_short_are_judged_as_they_trade() -> None:
    costs = Costs(short=True)
    swept = swept_of(BARS, Sweep(Turns, Space.of(Turns, {"rsi_length": [3.0, 7.0], "stop_atr": [0.0, 1.0]}), costs))
    found = judge(swept)
    plain = simulate_program(bind(Turns(), found.params), BARS, costs)
    assert found.sharpe == plain.metrics["sharpe"]
    assert (plain.trades["side"] < 0).any()


def test_short_history_is_warned_of_alone_and_against_the_number_of_trials(verdict: Verdict) -> None:
    cases = ((1.9, 1.0, 1), (2.0, 1.0, 0), (2.0, 2.1, 1), (0.5, 9.0, 2), (30.0, math.nan, 0))
    for years, least, count in cases:
        told = replace(verdict, years=years, min_backtest_years=least)
        assert len(told.warnings) == count
        assert told.as_json()["warnings"] == list(told.warnings)
    first, second = replace(verdict, years=0.5, min_backtest_years=9.0, trials=1_000).warnings
    assert first.startswith("the history has 0.50 years, less than 2")
    assert "after 1,000 trials on this data at least 9.0 are needed" in second
