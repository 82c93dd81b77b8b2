"""Walking forward against plain simulations, sets of bars and sorted lists; no later bar changes a choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.graph import Sizing, bind, columns
from engine.graph.strategy import Strategy
from engine.research import sweep as sweeping
from engine.research.space import Draw, Space
from engine.research.sweep import Sweep, sweep_bars
from engine.research.walk import Fold, Scheme, folds_of, walk_forward
from engine.research.walk import score as scoring
from engine.research.walk.choose import Chooser
from engine.research.walk.course import WAYS_OUT, Course
from engine.research.walk.forward import Walked
from engine.research.walk.windows import bounds_of, length_of
from engine.simulate import Costs, decisions_of, simulate_program
from engine.strategies import STRATEGIES
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.naive import metrics as naive_metrics
from tests.research.made_strategies import FractionTurns, KellyTurns, LongTurns, RatioTurns, Turns
from tests.simulate.drawn import HOUR, made_bars, real_bars, run_naive

COSTS = Costs(short=True)
GRID = {"rsi_length": [2, 4, 9], "low_level": [25.0, 35.0, 45.0], "stop_atr": [0.0, 1.5]}


def reverting_bars(count: int, seed: int = 0) -> Bars:
    """Return bars whose prices come back, so that buying what is low earns."""
    rng, level = np.random.default_rng(seed), [0.0]
    for step in rng.normal(0.0, 0.01, count - 1):
        level.append(0.85 * level[-1] + step)
    close = 100.0 * np.exp(np.array(level))
    opened = np.concatenate([close[:1], close[:-1]])
    return bars_of(opened, np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999, close)


def bars_of(*prices: NDArray[np.float64]) -> Bars:
    """Return hourly bars of open, high, low and close."""
    count = prices[0].size
    time = (400_000 + np.arange(count)) * HOUR
    return Bars.from_arrays("made:A/B:1h", "1h", time, *prices, np.ones(count), bars_per_year=8_766, calendar="24/7")


def grid_of(strategy: type[Strategy] = Turns, **more: list[float]) -> Sweep:
    """Return a small sweep."""
    return Sweep(strategy, Space.of(strategy, GRID | more), COSTS)


# the windows


def spans(folds: Iterable[Fold]) -> list[tuple[Any, ...]]:
    return [(fold.train, fold.test, fold.counted) for fold in folds]


def test_anchored_windows_begin_at_the_first_bar_and_grow() -> None:
    assert spans(folds_of(20, 8_766, Scheme(folds=4))) == [
        ((0, 10), (10, 12), ((0, 10),)),
        ((0, 12), (12, 15), ((0, 12),)),
        ((0, 15), (15, 17), ((0, 15),)),
        ((0, 17), (17, 20), ((0, 17),)),
    ]


def test_rolling_windows_keep_the_length_of_the_first() -> None:
    assert spans(folds_of(20, 8_766, Scheme(folds=3, train="8", test="3", anchored=False))) == [
        ((3, 11), (11, 14), ((3, 11),)),
        ((6, 14), (14, 17), ((6, 14),)),
        ((9, 17), (17, 20), ((9, 17),)),
    ]


def test_the_last_test_window_ends_with_the_last_bar() -> None:
    # 25 bars: half are training, two windows of 5 fit, what is left over goes to the first training window
    assert [fold.test for fold in folds_of(25, 8_766, Scheme(test="5"))] == [(15, 20), (20, 25)]
    assert [fold.train for fold in folds_of(25, 8_766, Scheme(test="5"))] == [(0, 15), (0, 20)]
    assert [fold.test for fold in folds_of(25, 8_766, Scheme(test="3", folds=3))] == [(16, 19), (19, 22), (22, 25)]


def test_a_training_window_whose_length_is_told_beside_all_others_leaves_out_what_is_before_it() -> None:
    assert spans(folds_of(25, 8_766, Scheme(train="8", test="3", folds=3))) == [
        ((8, 16), (16, 19), ((8, 16),)),
        ((8, 19), (19, 22), ((8, 19),)),
        ((8, 22), (22, 25), ((8, 22),)),
    ]


def test_purge_and_embargo_leave_out_exactly_the_bars_they_name() -> None:
    scheme = Scheme(folds=4, purge=1, embargo=1)
    assert [fold.counted for fold in folds_of(20, 8_766, scheme)] == [
        ((0, 9),),
        ((0, 11),),
        ((0, 12), (13, 14)),
        ((0, 12), (13, 15)),
    ]
    rolling = replace(scheme, anchored=False, purge=2, embargo=2)
    assert [fold.counted for fold in folds_of(20, 8_766, rolling)] == [
        ((0, 8),),
        ((2, 10),),
        ((5, 12),),
        ((7, 12), (14, 15)),
    ]


def test_inner_parts_stand_apart_by_purge_and_embargo() -> None:
    (fold,) = folds_of(40, 8_766, Scheme(folds=1, train="32", inner=3, purge=2, embargo=1))
    assert fold.parts == (((0, 8),), ((11, 18),), ((21, 30),))
    assert fold.bars == 24


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_windows_hold_what_they_promise(data: st.DataObject) -> None:
    draw = data.draw
    bars = draw(st.integers(20, 300))
    scheme = Scheme(
        folds=draw(st.none() | st.integers(1, 8)),
        train=draw(st.none() | st.integers(5, 100).map(str) | st.just("0.3")),
        test=draw(st.none() | st.integers(2, 30).map(str)),
        anchored=draw(st.booleans()),
        purge=draw(st.integers(0, 6)),
        embargo=draw(st.integers(0, 6)),
        inner=draw(st.integers(1, 4)),
    )
    try:
        folds = folds_of(bars, 8_766, scheme)
    except Usage:
        return
    assert folds[-1].test[1] == bars
    assert all(a.test[1] == b.test[0] for a, b in itertools.pairwise(folds))
    if scheme.folds and scheme.train and scheme.test:
        assert folds[0].train[1] - folds[0].train[0] == length_of(scheme.train, "--train", bars, 8_766)
    elif scheme.anchored:
        assert folds[0].train[0] == 0
    for k, fold in enumerate(folds):
        assert fold.train[1] == fold.test[0]
        assert fold.train[0] == (
            folds[0].train[0] if scheme.anchored else fold.train[1] - (folds[0].train[1] - folds[0].train[0])
        )
        left_out = {t for other in folds[:k] for t in range(other.test[1], other.test[1] + scheme.embargo)}
        cuts = [fold.train[0] + (fold.train[1] - scheme.purge - fold.train[0]) * j // scheme.inner
                for j in range(scheme.inner + 1)]  # fmt: skip
        for j, part in enumerate(fold.parts):
            wanted = set(range(cuts[j] + scheme.embargo * (j > 0), cuts[j + 1] - scheme.purge * (j < scheme.inner - 1)))
            assert bars_in(part) == sorted(wanted - left_out)
        edges = set(bounds_of(folds, bars).tolist())
        assert all(edge in edges for span in fold.counted for edge in span)


def bars_in(spans: Iterable[tuple[int, int]]) -> list[int]:
    return [t for start, stop in spans for t in range(start, stop)]


def test_lengths_are_bars_shares_and_times() -> None:
    lengths = {"500": 500, "0.25": 250, ".5": 500, "2y": 17_532, "6mo": 4_383, "1w": 168, "10d": 240, "12h": 12}
    assert {text: length_of(text, "--train", 1_000, 8_766) for text in lengths} == lengths
    for text in ("1.5", "2 years", "-3", "", "0", "0.0001", "y"):
        with pytest.raises(Usage, match="--train"):
            length_of(text, "--train", 1_000, 8_766)


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        (Scheme(train="95"), "100 bars do not hold a training window of 95"),
        (Scheme(folds=60), "60 test windows"),
        (Scheme(test="60"), "100 bars do not hold"),
        (Scheme(test="30", folds=3, train="20"), "do not hold a training window of 20 and 3 test windows of 30"),
        (Scheme(test="1", folds=5), "a test window; expected at least 2"),
        (Scheme(purge=49), "fold 1: its training window of 50 bars keeps 1"),
        (Scheme(inner=5, embargo=9), "part 2 of 5"),
    ],
)
def test_windows_that_do_not_fit_say_what_to_do(scheme: Scheme, words: str) -> None:
    with pytest.raises(Usage, match=words):
        folds_of(100, 8_766, scheme)


def test_a_scheme_refuses_what_makes_no_sense() -> None:
    with pytest.raises(Usage, match='did you mean "sharpe"'):
        Scheme(by="sharp")
    for bad in ({"folds": 0}, {"purge": -1}, {"inner": 0}, {"min_trades": -1}):
        with pytest.raises(Usage, match="expected at least"):
            Scheme(**bad)  # type: ignore[arg-type]


# the choice, by a loop over plainly simulated combinations


def plain_returns(bars: Bars, sweep: Sweep) -> list[NDArray[np.float64]]:
    """Return every combination's return at every bar."""
    drawn, out = sweep.strategy(), []
    for combo in range(sweep.space.size):
        equity = simulate_program(bind(drawn, sweep.space.row(combo), sweep.sizing), bars, sweep.costs).equity
        out.append(np.array(naive_metrics.returns(equity.tolist(), sweep.costs.initial_cash)))
    return out


def plain_score(returns: NDArray[np.float64], bars: Bars, by: str) -> float:
    """Return the annualised figure of some returns, rounded as scores are; NaN where there was no position."""
    if not returns.any():
        return math.nan
    mean = returns.mean()
    value = mean * bars.bars_per_year if by == "return" else mean / returns.std(ddof=1) * math.sqrt(bars.bars_per_year)
    return round(float(value), 9)


def plain_choice(scores: list[float]) -> int:
    """Return the best, the first of equals."""
    return max(range(len(scores)), key=lambda k: (-math.inf if math.isnan(scores[k]) else scores[k], -k))


def plain_scores(every: list[NDArray[np.float64]], fold: Fold, bars: Bars, by: str) -> list[float]:
    out = []
    for returns in every:
        whole = plain_score(returns[bars_in(fold.counted)], bars, by)
        if len(fold.parts) > 1 and not math.isnan(whole):
            each = [plain_score(returns[bars_in(part)], bars, by) for part in fold.parts]
            whole = round(float(np.median([0.0 if math.isnan(x) else x for x in each])), 9)
        out.append(whole)
    return out


SCHEMES = [
    Scheme(folds=3),
    Scheme(folds=4, train="300", anchored=False, purge=10, embargo=20, by="return"),
    Scheme(test="150", train="250", inner=3, purge=5, embargo=5),
    Scheme(folds=2, anchored=False, inner=2, by="return"),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("strategy", [Turns, LongTurns, FractionTurns, KellyTurns])
def test_the_choice_is_that_of_plain_simulations(strategy: type[Strategy], scheme: Scheme) -> None:
    bars = made_bars(np.random.default_rng(17), 900)
    sweep = grid_of(strategy)
    walked, every = walk_forward(bars, sweep, scheme), plain_returns(bars, sweep)
    assert len(walked.folds) == len(folds_of(900, bars.bars_per_year, scheme))
    for tested in walked.folds:
        scores = plain_scores(every, tested.fold, bars, scheme.by)
        found = tested.choice
        assert found.combo == plain_choice(scores)
        assert found.score == pytest.approx(scores[found.combo], abs=2e-9)
        inside = every[found.combo][bars_in(tested.fold.counted)]
        assert found.sharpe == pytest.approx(plain_score(inside, bars, "sharpe"), abs=1e-8)
        assert found.annual_return == pytest.approx(inside.mean() * bars.bars_per_year, rel=1e-9)
        assert tested.params == sweep.space.row(found.combo)
        ends = tested.fold.counted[-1][1]
        plain = simulate_program(bind(strategy(), tested.params), bars.slice(0, ends), COSTS).trades
        assert found.trades == int(np.sum(plain["exit_bar"] >= tested.fold.train[0]))


def test_of_equal_scores_the_lowest_number_is_chosen() -> None:
    bars = made_bars(np.random.default_rng(3), 600)
    # the levels of a side that never trades change nothing
    sweep = Sweep(Turns, Space.of(Turns, {"low_level": [45.0, 35.0], "high_level": [94.9, 95.0, 94.8]}), COSTS)
    for tested in walk_forward(bars, sweep, Scheme(folds=2)).folds:
        assert tested.params["high_level"] == 94.9


def test_what_is_kept_does_not_depend_on_how_shards_come() -> None:
    rng = np.random.default_rng(8)
    score = np.round(rng.normal(size=500), 1)
    score[rng.random(500) < 0.1] = np.nan
    figures = scoring.Figures(score, score / 2.0, np.round(rng.normal(size=500), 1))
    unique = {}
    for k in sorted(range(500), key=lambda k: (-score[k], k) if score[k] == score[k] else (math.inf, k)):
        if score[k] == score[k]:
            unique.setdefault((score[k], figures.annual_return[k]), k)
    for keep in (1, 7, 64, 1_000):
        for cuts in ([0, 500], [0, 1, 100, 101, 500], list(range(0, 501, 50))):
            best = scoring.Best(keep)
            parts = list(itertools.pairwise(cuts))
            for a, b in parts[::-1]:
                part = (figures.score[a:b], figures.sharpe[a:b], figures.annual_return[a:b])
                best.add(np.arange(a, b), scoring.Figures(*part))
            assert [choice.combo for choice in best.choices] == list(unique.values())[:keep]


def test_by_plateau_the_candidate_with_the_best_neighbours_is_chosen() -> None:
    bars = made_bars(np.random.default_rng(21), 900)
    sweep = Sweep(Turns, Space.of(Turns, {"rsi_length": [2, 3, 4, 6], "low_level": [30.0, 35.0, 40.0]}), COSTS)
    every, scheme = plain_returns(bars, sweep), Scheme(folds=3, by="plateau")
    places = list(itertools.product(range(4), range(3)))
    for tested in walk_forward(bars, sweep, scheme).folds:
        scores = plain_scores(every, tested.fold, bars, "sharpe")
        medians = []
        for k, (a, b) in enumerate(places):
            near = [j for j, (c, d) in enumerate(places) if j != k and abs(a - c) <= 1 and abs(b - d) <= 1]
            medians.append(float(np.median([scores[j] for j in near])))
        assert tested.choice.combo == plain_choice(medians)
        assert tested.choice.score == pytest.approx(max(medians), abs=2e-9)
        assert tested.choice.sharpe == pytest.approx(scores[tested.choice.combo], abs=2e-9)
    with pytest.raises(Usage, match="no combination has a neighbour"):
        walk_forward(bars, Sweep(Turns, Space.of(Turns, {}), COSTS), scheme)


def test_a_fewest_number_of_trades_is_that_of_the_training_window() -> None:
    bars = made_bars(np.random.default_rng(5), 1_200)
    levels = {"low_level": [5.0, 8.0, 12.0, 20.0, 30.0], "high_level": [95.0, 90.0, 80.0, 70.0]}
    sweep = Sweep(Turns, Space.of(Turns, {"rsi_length": [7], **levels}), COSTS)
    every = plain_returns(bars, sweep)
    changed = 0
    for anchored in (True, False):
        scheme = Scheme(folds=3, train="400", anchored=anchored, purge=10)
        free = walk_forward(bars, sweep, scheme).folds
        for tested, without in zip(walk_forward(bars, sweep, replace(scheme, min_trades=9)).folds, free, strict=True):
            scores, (begin, _) = plain_scores(every, tested.fold, bars, "sharpe"), tested.fold.train
            part = bars.slice(0, tested.fold.train[1] - 10)
            for combo in range(sweep.space.size):
                trades = simulate_program(bind(Turns(), sweep.space.row(combo)), part, COSTS).trades
                if np.sum(trades["exit_bar"] >= begin) < 9:
                    scores[combo] = math.nan
            assert tested.choice.combo == plain_choice(scores)
            assert tested.choice.trades >= 9
            changed += tested.choice.combo != without.choice.combo
    assert changed > 0
    with pytest.raises(Usage, match="has 500 trades"):
        walk_forward(bars, sweep, Scheme(folds=3, min_trades=500))


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.sampled_from(["sharpe", "return", "plateau"]), st.integers(1, 3), st.booleans())
def test_no_bar_after_a_training_window_changes_its_choice(seed: int, by: str, inner: int, anchored: bool) -> None:
    rng = np.random.default_rng(seed)
    bars, sweep = made_bars(rng, 600), grid_of(KellyTurns if seed % 2 else Turns)
    scheme = Scheme(folds=4, anchored=anchored, purge=7, embargo=3, inner=inner, by=by, min_trades=int(seed % 3))
    folds = folds_of(600, bars.bars_per_year, scheme)
    whole, _ = Chooser(bars, sweep, folds, scheme).run()
    for k, fold in enumerate(folds):
        last = fold.counted[-1][1]
        assert last <= fold.test[0] - 7
        other = made_bars(rng, 600, 0.03)
        changed = {}
        for name in ("open", "high", "low", "close", "volume"):
            column = getattr(bars, name).copy()
            column[last:] = getattr(other, name)[last:]
            changed[name] = column
        mixed = Bars.from_arrays(
            bars.source, "1h", bars.time, **changed, bars_per_year=bars.bars_per_year, calendar="24/7"
        )
        found, _ = Chooser(mixed, sweep, folds, scheme).run()
        assert found[: k + 1] == whole[: k + 1]  # with every bit of the scores


def test_the_account_looks_at_no_bar_after_its_window() -> None:
    bars = made_bars(np.random.default_rng(2), 700)
    sweep, scheme = grid_of(), Scheme(folds=4, train="300")
    whole = walk_forward(bars, sweep, scheme)
    cut = whole.folds[1].fold.test[1]
    first = walk_forward(bars.slice(0, cut), sweep, Scheme(folds=2, train="300"))
    assert [t.fold for t in first.folds] == [t.fold for t in whole.folds[:2]]
    size = first.course.equity.size
    assert first.course.equity.tobytes() == whole.course.equity[:size].tobytes()


# the account


def slow_course(bars: Bars, walked: Walked, sweep: Sweep) -> tuple[list[float], list[bool], list[Any]]:
    """Return (equity, invested, trades with their fold) of the naive simulation, window by window."""
    cash, equity, invested, trades = sweep.costs.initial_cash, list[float](), list[bool](), list[Any]()
    for tested in walked.folds:
        begin, end = tested.fold.test
        program = bind(sweep.strategy(), tested.params)
        decided = decisions_of(columns(program, bars))
        part = {
            name: value[begin - 1 : end] if isinstance(value, np.ndarray) else value
            for name, value in vars(decided).items()
        }
        costs = replace(sweep.costs, initial_cash=cash)
        found = run_naive(bars.slice(begin - 1, end), type(decided)(**part), costs, program.sizing)
        course = [float(x) for x in found.equity]
        assert course[0] == cash
        made = [(t.entry_bar + begin - 1, t.exit_bar + begin - 1, t.side, t.reason, t.exit_price) for t in found.trades]
        still = found.open_trade
        if still:
            close = float(bars.close[end - 1])
            price = close * (1.0 - still.side * costs.slippage)
            course[-1] += still.side * still.quantity * (price - close) - costs.fee * still.quantity * price
            made.append((still.entry_bar + begin - 1, end - 1, still.side, "window_end", price))
        equity += course[1:]
        invested += list(found.invested)[1:]
        trades += made
        cash = course[-1]
    return equity, invested, trades


@pytest.mark.parametrize("strategy", [Turns, LongTurns, FractionTurns])
def test_the_stitched_account_is_the_naive_one_window_by_window(strategy: type[Strategy]) -> None:
    bars = made_bars(np.random.default_rng(41), 1_000)
    sweep = grid_of(strategy)
    walked = walk_forward(bars, sweep, Scheme(folds=6))
    equity, invested, trades = slow_course(bars, walked, sweep)
    course = walked.course
    np.testing.assert_allclose(course.equity, equity, rtol=1e-9)
    assert course.invested.tolist() == invested
    ours = [
        (t["entry_bar"], t["exit_bar"], t["side"], WAYS_OUT[t["reason"]], pytest.approx(t["exit_price"]))
        for t in course.trades
    ]
    assert trades == ours
    assert any(way == "window_end" for *_, way, _ in trades)
    figures = naive_metrics.metrics(
        equity,
        10_000.0,
        [],
        invested,
        bars.number[500:].tolist(),
        HOUR,
        bars.bars_per_year,
        float(course.trades["fees"].sum()),
    )
    mine = course.metrics(bars)
    for name in ("total_return", "cagr", "volatility", "sharpe", "sharpe_invested", "sortino", "max_drawdown",
                 "max_drawdown_bars", "exposure", "fees", "calmar"):  # fmt: skip
        assert mine[name] == pytest.approx(figures[name], rel=1e-8), name
    assert mine["trades"] == len(trades)
    assert mine["win_rate"] == pytest.approx(np.mean(course.trades["profit"] > 0.0))


def test_the_stitched_return_is_the_product_of_the_folds() -> None:
    bars = made_bars(np.random.default_rng(6), 1_000)
    walked = walk_forward(bars, grid_of(), Scheme(folds=7, anchored=False))
    course, figures = walked.course, walked.course.metrics(bars)
    folds = [1.0 + tested.metrics["total_return"] for tested in walked.folds]
    assert 1.0 + figures["total_return"] == pytest.approx(math.prod(folds), rel=1e-12)
    assert 1.0 + figures["total_return"] == pytest.approx(np.prod(1.0 + course.returns), rel=1e-12)
    assert course.equity[-1] - 10_000.0 == pytest.approx(course.trades["profit"].sum(), rel=1e-9)
    assert figures["trades"] == sum(tested.metrics["trades"] for tested in walked.folds)
    assert course.position[[tested.fold.test[1] - 501 for tested in walked.folds]].tolist() == [0.0] * 7
    held = np.zeros(500, np.bool_)
    for trade in course.trades:
        held[trade["entry_bar"] - 500 : trade["exit_bar"] - 500 + 1] = True
    assert (held == course.invested).all()


def test_the_first_decision_is_made_at_the_close_before_the_window() -> None:
    bars = made_bars(np.random.default_rng(1), 400)
    strategy = STRATEGIES["buy_and_hold"]
    walked = walk_forward(bars, Sweep(strategy, Space.of(strategy, {}), Costs()), Scheme(folds=4))
    begins = [tested.fold.test[0] for tested in walked.folds]
    assert walked.course.trades["entry_bar"].tolist() == begins
    np.testing.assert_allclose(walked.course.trades["entry_price"], bars.open[begins] * 1.0005, rtol=1e-15)
    ends = [tested.fold.test[1] - 1 for tested in walked.folds]
    np.testing.assert_allclose(walked.course.trades["exit_price"], bars.close[ends] * 0.9995, rtol=1e-15)
    # in one window it is buy and hold
    single = walk_forward(bars, Sweep(strategy, Space.of(strategy, {}), Costs()), Scheme(folds=1))
    assert single.course.equity.tobytes() == single.hold.equity.tobytes()


def test_kelly_knows_the_trades_before_the_window() -> None:
    bars, costs = reverting_bars(1_500), replace(COSTS, fee=0.0, slippage=0.00001)
    values = {"rsi_length": [3.0], "low_level": [40.0], "fraction": [1.0], "cap": [0.5], "stop_atr": [0.0]}
    sweep = Sweep(KellyTurns, Space.of(KellyTurns, values), costs)
    (tested,) = walk_forward(bars, sweep, Scheme(folds=1, train="1200")).folds
    first = tested.course.trades[0]
    decided = first["entry_bar"] - 1
    # the signal stream is that of any size; trades of the window itself come after its first
    stream = simulate_program(bind(Turns(), {"rsi_length": 3, "low_level": 40, "stop_atr": 0}), bars, costs).trades
    known = stream[stream["exit_bar"] < 1_200][-50:]
    sides, entry, out = known["side"], known["entry_price"], known["exit_price"]
    returns = (sides * (out - entry) - costs.fee * (entry + out)) / entry
    assert len(returns) == 50
    wins, losses = returns[returns > 0], -returns[returns <= 0]
    p, b = wins.size / 50, wins.mean() / losses.mean()
    bet = min(max(p - (1 - p) / b, 0.0), 0.5)
    assert bet > 0.0
    reference = bars.close[decided] * (1 + first["side"] * costs.slippage)
    assert first["quantity"] == pytest.approx(bet * 10_000.0 / reference, rel=1e-9)


def test_a_fixed_ratio_counts_the_profit_of_earlier_windows() -> None:
    bars = reverting_bars(1_200)
    values = {"rsi_length": [2.0, 3.0, 5.0], "delta": [5.0], "unit": [1.0]}
    sweep = Sweep(RatioTurns, Space.of(RatioTurns, values), replace(COSTS, fee=0.0, slippage=0.00001))
    walked = walk_forward(bars, sweep, Scheme(folds=3))
    for tested in walked.folds[1:]:
        profit = tested.course.begin - 10_000.0
        units = 1
        while 5.0 * (units + 1) * units / 2 <= profit:
            units += 1
        assert tested.course.trades[0]["quantity"] == units
    assert walked.folds[1].course.trades[0]["quantity"] > 1


def test_a_ruined_account_stays_out_of_the_market() -> None:
    bars = made_bars(np.random.default_rng(7), 900, 0.04)
    values = {"rsi_length": [2.0, 3.0], "stop_atr": [0.0], "target_atr": [0.0], "fraction": [3.0]}
    sweep = Sweep(FractionTurns, Space.of(FractionTurns, values), replace(COSTS, leverage=100.0))
    sizing = Sizing.of("fixed_fraction", fraction=60.0)
    walked = walk_forward(bars, replace(sweep, sizing=sizing), Scheme(folds=5))
    ruin = next(k for k, tested in enumerate(walked.folds) if tested.course.equity[-1] <= 0.0)
    assert ruin < 4
    for tested in walked.folds[ruin + 1 :]:
        assert not tested.course.invested.any()
        assert not tested.course.returns.any()
    assert walked.course.equity[-1] == walked.folds[ruin].course.equity[-1]
    assert walked.course.metrics(bars)["total_return"] <= -1.0


def test_efficiency_is_out_of_sample_over_in_sample() -> None:
    bars = made_bars(np.random.default_rng(19), 1_000)
    walked = walk_forward(bars, grid_of(), Scheme(folds=5))
    inside = np.mean([tested.choice.annual_return for tested in walked.folds])
    assert inside > 0.0
    assert walked.efficiency == pytest.approx(np.mean(walked.course.returns) * bars.bars_per_year / inside)
    sharpe = np.mean([tested.choice.sharpe for tested in walked.folds])
    assert walked.efficiency_sharpe == pytest.approx(walked.course.metrics(bars)["sharpe"] / sharpe)
    dear = Sweep(LongTurns, Space.of(LongTurns, {"rsi_length": [2]}), Costs(fee=0.05))
    losing = walk_forward(bars, dear, Scheme(folds=2))
    assert losing.annual_returns[0] < 0.0
    assert math.isnan(losing.efficiency)


# what it costs, and what must not matter


def outcome(walked: Walked) -> tuple[Any, ...]:
    return [tested.choice for tested in walked.folds], walked.course.equity.tobytes(), walked.hold.equity.tobytes()


@pytest.mark.parametrize("scheme", [Scheme(folds=4), Scheme(folds=3, by="plateau", inner=2, min_trades=3)], ids=str)
def test_threads_and_shards_do_not_change_a_bit(scheme: Scheme, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = made_bars(np.random.default_rng(9), 700)
    ways = {"low_level": np.linspace(20, 50, 31).tolist(), "rsi_length": list(range(2, 14)), "stop_atr": [0.0, 1.0]}
    sweep = Sweep(LongTurns, Space.of(LongTurns, ways), COSTS)
    alone = walk_forward(bars, sweep, scheme, threads=1)
    assert outcome(walk_forward(bars, sweep, scheme, threads=2)) == outcome(alone)
    assert outcome(walk_forward(bars, sweep, scheme, threads=3, budget=100_000)) == outcome(alone)
    monkeypatch.setattr(Chooser, "block", 100)
    found = walk_forward(bars, sweep, scheme, threads=2)
    assert outcome(found) == outcome(alone)
    mine, theirs = found.trials, alone.trials
    assert (mine.trials, mine.known) == (theirs.trials, theirs.known) == (744, mine.known)
    assert (mine.mean, mine.square) == pytest.approx((theirs.mean, theirs.square), rel=1e-12)


def test_ten_folds_are_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = made_bars(np.random.default_rng(10), 1_000)
    sweep, rows = grid_of(), list[int]()
    run, prepare, prepared = sweeping.run_shard, sweeping.prepare, list[int]()
    monkeypatch.setattr(sweeping, "run_shard", lambda b, ready, *rest: (
        rows.append(len(ready.work.streams) * len(b)), run(b, ready, *rest))[1])  # fmt: skip
    monkeypatch.setattr(sweeping, "prepare", lambda *given: (prepared.append(1), prepare(*given))[1])
    list(sweep_bars(bars, sweep))
    once = sum(rows), len(prepared)
    rows.clear()
    prepared.clear()
    walk_forward(bars, sweep, Scheme(folds=10, anchored=False, inner=3, purge=2, embargo=2))
    assert (sum(rows), len(prepared)) == once


def test_drawn_points_and_constraints_are_walked() -> None:
    bars = made_bars(np.random.default_rng(14), 600)
    draw = Draw(40, 3, {"low_level": (20.0, 50.0), "rsi_length": (2.0, 12.0)})
    for space in (
        Space.of(LongTurns, {}, draw=draw),
        Space.of(LongTurns, {"rsi_length": [2, 3, 5, 8], "low_level": [20.0, 30.0, 45.0]}, ["rsi_length > 2"]),
    ):
        for by in ("sharpe", "plateau"):
            walked = walk_forward(bars, Sweep(LongTurns, space, COSTS), Scheme(folds=3, by=by))
            assert walked.trials.trials == space.count()
            for tested in walked.folds:
                assert tested.params == space.row(tested.choice.combo)
                assert tested.params["rsi_length"] > 2 or space.free


def test_a_training_window_without_a_position_is_refused() -> None:
    bars = made_bars(np.random.default_rng(4), 300)
    strategy = STRATEGIES["mean_reversion"]
    sweep = Sweep(strategy, Space.of(strategy, {"oversold": [20, 30], "var_length": [250]}), Costs())
    with pytest.raises(Usage, match=r"fold 1, 100 training bars .*no combination holds a position; give a longer"):
        walk_forward(bars, sweep, Scheme(train="100"))


@needs_data
def test_six_years_of_hours() -> None:
    bars = real_bars("binance_BTC-USDT_1h.parquet", 0, 60_000)
    strategy = STRATEGIES["mean_reversion"]
    off = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
    ways = {"rsi_length": [7, 14], "oversold": [25, 35], "overbought": [60, 75], "band_width": [1.0, 2.0]}
    sweep = Sweep(strategy, Space.of(strategy, off | ways), Costs())
    walked = walk_forward(bars, sweep, Scheme(train="2y", test="6mo", anchored=False, min_trades=20))
    assert len(walked.folds) == 7
    assert walked.folds[-1].fold.test[1] == len(bars) == 52_462
    every = plain_returns(bars, sweep)
    for tested in walked.folds:
        scores = plain_scores(every, tested.fold, bars, "sharpe")
        assert tested.choice.trades >= 20
        assert tested.choice.score == pytest.approx(scores[tested.choice.combo], abs=2e-9)
    equity, _, trades = slow_course(bars, replace(walked, folds=walked.folds[:2]), sweep)
    np.testing.assert_allclose(walked.course.equity[: len(equity)], equity, rtol=1e-9)
    assert len(trades) > 20
    assert isinstance(walked.hold, Course)
    assert walked.hold.metrics(bars)["trades"] == 1
