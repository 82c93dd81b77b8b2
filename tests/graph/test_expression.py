"""Operators, parameters and what a graph refuses."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from engine.graph import Bar, Condition, Number, Param, Signals, Size, Sizing, Strategy, bind, ta, when
from engine.graph.scalar import tidy
from parquet_store.errors import Usage
from tests.graph.drawing import Drawn, Floats, program_of, raw_bars, read, values_of

NAN = math.nan
A = [1.0, -2.0, 0.0, NAN, 5.0, 3.0]
B = [2.0, -2.0, 0.0, 1.0, NAN, 4.0]
BARS = raw_bars(close=A, open=B)
BAR = Bar()
a, b = BAR.close, BAR.open


def same(found: Floats, expected: Any) -> None:
    np.testing.assert_array_equal(found, np.array(expected, np.float64))


ARITHMETIC: list[tuple[Any, list[float]]] = [
    (a + b, [3, -4, 0, NAN, NAN, 7]),
    (a - b, [-1, 0, 0, NAN, NAN, -1]),
    (a * b, [2, 4, 0, NAN, NAN, 12]),
    (a / b, [0.5, 1, NAN, NAN, NAN, 0.75]),
    (a + 2, [3, 0, 2, NAN, 7, 5]),
    (2 + a, [3, 0, 2, NAN, 7, 5]),
    (a - 2, [-1, -4, -2, NAN, 3, 1]),
    (2 - a, [1, 4, 2, NAN, -3, -1]),
    (2 * a, [2, -4, 0, NAN, 10, 6]),
    (a * 2, [2, -4, 0, NAN, 10, 6]),
    (a / 2, [0.5, -1, 0, NAN, 2.5, 1.5]),
    (6 / a, [6, -3, NAN, NAN, 1.2, 2]),
    (np.float64(2) - a, [1, 4, 2, NAN, -3, -1]),
    (a * np.float32(2), [2, -4, 0, NAN, 10, 6]),
    (np.int64(2) * a, [2, -4, 0, NAN, 10, 6]),
    (-a, [-1, 2, 0, NAN, -5, -3]),
    (abs(a), [1, 2, 0, NAN, 5, 3]),
    (ta.abs(a), [1, 2, 0, NAN, 5, 3]),
    (ta.min(a, b), [1, -2, 0, NAN, NAN, 3]),
    (ta.max(a, b), [2, -2, 0, NAN, NAN, 4]),
    (ta.max(a, 2), [2, 2, 2, NAN, 5, 3]),
    (ta.log(abs(a)), [0.0, math.log(2), NAN, NAN, math.log(5), math.log(3)]),
    (ta.log(a), [0.0, NAN, NAN, NAN, math.log(5), math.log(3)]),
    (ta.where(a > 0, a, b), [1, -2, 0, 1, 5, 3]),
    (ta.where(a > 0, 7, b), [7, -2, 0, 1, 7, 7]),
    (a.shift(0), A),
    (a.shift(2), [NAN, NAN, *A[:-2]]),
    (BAR.typical, [(1 + 1 + x) / 3 for x in A]),
    (sum([a, b, 1]), [4, -3, 1, NAN, NAN, 8]),
]


@pytest.mark.parametrize(("made", "expected"), ARITHMETIC)
def test_arithmetic_is_what_python_says_and_unknown_stays_unknown(made: Number, expected: list[float]) -> None:
    same(values_of(made, BARS), expected)


COMPARISONS: list[tuple[Any, list[int]]] = [
    (a < b, [1, 0, 0, 0, 0, 1]),
    (a <= b, [1, 1, 1, 0, 0, 1]),
    (a > b, [0, 0, 0, 0, 0, 0]),
    (a >= b, [0, 1, 1, 0, 0, 0]),
    (a == b, [0, 1, 1, 0, 0, 0]),
    (a != b, [1, 0, 0, 0, 0, 1]),
    (a < 3, [1, 1, 1, 0, 0, 0]),
    (a > 3, [0, 0, 0, 0, 1, 0]),
    (3 > a, [1, 1, 1, 0, 0, 0]),  # noqa: SIM300
    (3 <= a, [0, 0, 0, 0, 1, 1]),  # noqa: SIM300
    (3 == a, [0, 0, 0, 0, 0, 1]),  # noqa: SIM300
    (3 != a, [1, 1, 1, 0, 1, 0]),  # noqa: SIM300
    (np.float64(3) > a, [1, 1, 1, 0, 0, 0]),
    (np.float64(3) == a, [0, 0, 0, 0, 0, 1]),
    ((a > 0) & (b > 3), [0, 0, 0, 0, 0, 1]),
    ((a > 0) | (b > 0), [1, 0, 0, 1, 1, 1]),
    ((a > 0) & True, [1, 0, 0, 0, 1, 1]),
    (True & (a > 0), [1, 0, 0, 0, 1, 1]),
    (False | (a > 0), [1, 0, 0, 0, 1, 1]),
    ((a > 0) & False, [0, 0, 0, 0, 0, 0]),
    ((a > 0) | True, [1, 1, 1, 1, 1, 1]),
    ((a > 0) & ~(a > 0), [0, 0, 0, 0, 0, 0]),
    ((a > 0).shift(0), [1, 0, 0, 0, 1, 1]),
    ((a > 0).shift(1), [0, 1, 0, 0, 0, 1]),
    (~(a > 0).shift(1), [0, 0, 1, 1, 0, 0]),
]


@pytest.mark.parametrize(("made", "expected"), COMPARISONS)
def test_conditions_are_what_python_says_and_unknown_is_false(made: Condition, expected: list[int]) -> None:
    same(read(program_of(entry=made), BARS), expected)


def test_crossings_need_all_four_values() -> None:
    bars = raw_bars(close=[1, 3, 3, 2, 2, 1, NAN, 4, 1, 4], open=[2, 2, 3, 2, 2, 2, 2, 2, NAN, 2])
    same(read(program_of(entry=a.crossed_above(b)), bars), [0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    same(read(program_of(entry=ta.crossed_below(a, b)), bars), [0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    same(read(program_of(entry=ta.crossed_above(a, 2)), bars), [0, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    same(read(program_of(entry=ta.crossed_below(2, a)), bars), [0, 1, 0, 0, 0, 0, 0, 0, 0, 1])


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: bool(a > b),
        lambda: (a > b) and (b > a),
        lambda: not (a > b),
        lambda: 1 < a < 3,
        lambda: min(a, b),
        lambda: bool(a),
        lambda: int(a),
        lambda: float(a),
        lambda: math.log(a),  # type: ignore[arg-type]
        lambda: list(a),  # type: ignore[call-overload]
        lambda: 3 in a,  # type: ignore[operator]
        lambda: len(a),
        lambda: [x for x in a > b],  # type: ignore[attr-defined]
    ],
)
def test_truth_and_iteration_are_refused_with_the_way_out(misuse: Any) -> None:
    with pytest.raises(Usage, match=r"where\(condition, a, b\)"):
        misuse()


@pytest.mark.parametrize(
    ("misuse", "told"),
    [
        (lambda: (a > b) == (b > a), "combine them with"),
        (lambda: (a > b) != True, "combine them with"),  # noqa: E712
        (lambda: ta.sma(a > b, 3), "expected a number"),
        (lambda: ta.sma(a, 2.5), "whole number"),
        (lambda: ta.sma(a, 0), "whole number"),
        (lambda: ta.sma(BAR, 5), "expected a number"),
        (lambda: ta.where(a, a, b), "expected a condition"),
        (lambda: a.shift(-1), "later bar is never visible"),
        (lambda: a.shift(1.5), "whole number of bars"),
        (lambda: a.shift(NAN), "whole number of bars"),
        (lambda: a.shift("1"), "whole number of bars"),
        (lambda: a.shift(True), "whole number of bars"),
        (lambda: (a > b).shift(-3), "later bar is never visible"),
        (lambda: a + math.inf, "finite"),
        (lambda: a < NAN, "finite"),
        (lambda: when(5, a, b), "expected a parameter"),
        (lambda: BAR.clos, 'did you mean "close"'),
        (lambda: ta.rsii(a, 3), 'did you mean "rsi"'),
        (lambda: Size.of("kely"), 'did you mean "kelly"'),
        (lambda: Size.of("kelly", fractio=1), 'did you mean "fraction"'),
        (lambda: Sizing.of("kelly", fraction=0.0), "above 0"),
        (lambda: Size.of("atr_risk"), "risk not given"),
    ],
)
def test_a_misuse_says_what_was_expected(misuse: Any, told: str) -> None:
    with pytest.raises(Usage, match=told):
        misuse()


@pytest.mark.parametrize("misuse", [lambda: a + "x", lambda: (a > b) & 1, lambda: a & b, lambda: ~a, lambda: a + True])
def test_operators_between_strangers_are_type_errors(misuse: Any) -> None:
    with pytest.raises(TypeError):
        misuse()


def test_equal_nodes_have_one_digest_and_different_ones_do_not() -> None:
    assert ta.sma(a, 14).node == ta.sma(Bar().close, 14.0).node
    assert (a < 30).node == (30.0 > a).node  # noqa: SIM300
    assert hash((a + 1).node) == hash((a + 1.0).node)
    assert (a - 0.0).node == (a - -0.0).node
    assert ta.sma(a, 14).node != ta.sma(a, 15).node
    assert ta.sma(a, 14).node != ta.ema(a, 14).node
    assert (a - b).node != (b - a).node
    assert ta.adx(BAR).plus.node != ta.adx(BAR).minus.node
    assert tidy(14.0) == 14
    assert isinstance(tidy(14.0), int)


def test_one_step_with_several_outputs_is_one_node() -> None:
    band, moved = ta.bollinger(a, 20, 2.0), ta.adx(BAR, 5)
    program = program_of(entry=(a < band.lower) | (a > band.upper), exit=(moved.plus < moved.minus) & (moved.adx > 9))
    steps = [node.step for node in program.nodes]
    assert steps.count("moments") == 1
    assert steps.count("adx") == 1


class Pair(Strategy):
    fast = Param(10, low=0, high=50)
    slow = Param(30, low=0, high=100)
    ratio = Param(1.5, low=0.0, high=4.0)

    def signals(self, bar: Bar) -> Signals:
        average = ta.sma(bar.close, 2 * self.fast)
        other = ta.sma(bar.close, (self.slow + self.fast) // 2)
        level = (self.ratio - 1) / -self.slow + 3 // self.ratio
        return Signals(entry=(average < self.ratio * other) & (self.ratio < bar.open), exit=bar.close > level)


def test_arithmetic_on_parameters_is_kept_until_they_are_known() -> None:
    program = bind(Pair(), {"fast": 7, "slow": 21})
    assert [node.params for node in program.nodes if node.step == "sma"] == [(14.0,)]  # 2 * 7 and (21 + 7) // 2
    constants = {ref for node in program.nodes for ref in node.inputs if isinstance(ref, float)}
    assert constants == {1.5, 0.5 / -21.0 + 2.0}
    assert np.array_equal(Pair.params["fast"].evaluate({"fast": np.arange(3)}), np.arange(3)), (
        "values may be arrays, one for each combination"
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fast": 0, "slow": 30}, "sma: length is 0, expected a whole number"),
        ({"fast": 10, "slow": 0}, "comes out as -?inf"),
        ({"fast": 10.5}, "fast = 10.5: expected a whole number from 0 to 50"),
        ({"fast": 51}, "fast = 51: expected a whole number from 0 to 50"),
        ({"fast": NAN}, "fast = nan: expected"),
        ({"fast": "ten"}, "fast = 'ten': expected"),
        ({"fats": 10}, 'did you mean "fast"'),
        ({"ratio": 0.0}, "comes out as"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(Usage, match=told):
        bind(Pair(), values)


def test_parameters_refuse_to_be_known_while_the_graph_is_built() -> None:
    p = Pair.fast
    for misuse in (
        lambda: bool(p),
        lambda: int(p),
        lambda: float(p),
        lambda: range(p),  # type: ignore[call-overload]
        lambda: list(p),  # type: ignore[call-overload]
        lambda: p < 5,
        lambda: p >= Pair.slow,
        lambda: p == 5,
        lambda: p != 5.0,
        lambda: np.float64(5) == p,
        lambda: 2 * p > 3,
    ):
        with pytest.raises(Usage, match=r"when\(parameter, then, otherwise\)"):
            misuse()


def test_a_comparison_of_a_parameter_with_the_bar_is_a_condition() -> None:
    for made in (Pair.fast < a, Pair.fast == a, a != Pair.fast, Pair.fast >= a):
        assert isinstance(made, Condition)


class Delayed(Strategy):
    delay = Param(2, low=0, high=5)

    def signals(self, bar: Bar) -> Signals:
        late = (bar.close > 0).shift(self.delay)
        return Signals(entry=late, exit=~late, stop=bar.close.shift(self.delay))


def test_a_shift_by_a_parameter_may_come_out_as_0() -> None:
    from engine.graph import columns

    for delay in range(4):
        found = columns(bind(Delayed(), {"delay": delay}), BARS)
        known = columns(bind(Drawn(Signals((a > 0).shift(delay), ~(a > 0).shift(delay), stop=a.shift(delay)))), BARS)
        for role in ("entry", "exit", "stop"):
            assert found.role(role).tobytes() == known.role(role).tobytes()  # type: ignore[union-attr]


class Typo(Strategy):
    rsi_length = Param(14, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=ta.rsi(bar.close, self.rsi_lenght) < 30)


class Broken(Strategy):
    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close < "30")


class Nothing(Strategy):
    def signals(self, bar: Bar) -> Signals:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Typo, 'did you mean "rsi_length"'),
        (Broken, r"strategy broken: TypeError in .*test_expression.py, line \d+"),
        (Nothing, "returned NoneType, expected Signals"),
    ],
)
def test_a_mistake_in_signals_is_told(made: type[Strategy], told: str) -> None:
    with pytest.raises(Usage, match=told):
        bind(made())


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        (Signals(entry=a), "entry is .* expected a condition"),  # type: ignore[arg-type]
        (Signals(entry=a > 0, stop=a > 0), "stop is .* expected a number"),  # type: ignore[arg-type]
        (Signals(entry=a > 0, size=0.5), "size is 0.5"),  # type: ignore[arg-type]
        (Signals(entry=a > 0, trailing=a > 0), "trailing is"),  # type: ignore[arg-type]
        (Signals(entry=a > 0, max_hold=2.5), "max_hold is 2.5"),  # type: ignore[arg-type]
        (Signals(entry=a > 0, max_hold=-1), "max_hold is -1"),
        (Signals(entry=a > 0, size=Size.atr_risk(0.01)), "needs a stop"),
        (Signals(entry=a > Param(5, low=1, high=9)), "attribute of its strategy's class"),
    ],
)
def test_signals_of_another_kind_are_told(signals: Signals, told: str) -> None:
    with pytest.raises(Usage, match=told):
        bind(Drawn(signals))


def test_a_parameter_out_of_its_own_bounds_or_with_a_taken_name_is_told_at_the_class() -> None:
    with pytest.raises(Usage, match="length = 90: expected a whole number from 2 to 50"):

        class Wrong(Strategy):
            length = Param(90, low=2, high=50)

    with pytest.raises(Usage, match="cannot be named values"):

        class Taken(Strategy):
            values = Param(9, low=2, high=50)  # type: ignore[assignment]


def test_a_parameter_that_a_subclass_fixes_is_none() -> None:
    class Fixed(Pair):
        fast = 8  # type: ignore[assignment]

    assert list(Fixed.params) == ["slow", "ratio"]
    assert (16.0,) in {node.params for node in bind(Fixed()).nodes}
    with pytest.raises(Usage, match="unknown parameter"):
        bind(Fixed(), {"fast": 9})


def test_graphs_whose_parts_are_shared_and_deep_take_linear_time() -> None:
    start = time.process_time()
    x, c = a, a > 0
    for k in range(60):
        x = x + x
        c = (c & (x > k)) | (c & (x < -k))
    program = program_of(entry=c, exit=~c, stop=x)
    assert len(program.nodes) < 1_000
    deep, held = a, a > 0
    for _ in range(3_000):
        deep = deep + 1
        held = ~(held | (a < b)).shift(1)
    assert len(program_of(entry=held, exit=~held, stop=deep).nodes) > 9_000
    assert time.process_time() - start < 20.0
