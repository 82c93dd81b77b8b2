"""Values, constraints and the enumeration of a space."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Param, Signals, Strategy
from engine.research.ranges import parse_values
from engine.research.space import Draw, Space
from parquet_store import Usage


class Three(Strategy):
    """Three parameters: two whole ones and a number that may be off."""

    fast = Param(5, low=1, high=1_000_000)
    slow = Param(20, low=1, high=1_000_000)
    width = Param(2.0, low=0.5, high=4.0, off=True)

    def signals(self, bar):  # type: ignore[no-untyped-def]
        return Signals(entry=bar.close > self.width, exit=bar.close < self.fast * self.slow)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14", [14.0]),
        ("14,21", [14.0, 21.0]),
        (" 1.5 , -2 ,3e2", [1.5, -2.0, 300.0]),
        ("20:40:5", [20.0, 25.0, 30.0, 35.0, 40.0]),
        ("20:41:5", [20.0, 25.0, 30.0, 35.0, 40.0]),
        ("5:5:1", [5.0]),
        ("0:0.3:0.1", [0.0, 0.1, 0.2, 0.3]),  # the last one is neither lost nor 0.30000000000000004
        ("1:2:0.25,7", [1.0, 1.25, 1.5, 1.75, 2.0, 7.0]),
        ("-1:1:1", [-1.0, 0.0, 1.0]),
        ("0.7:2.1:0.7", [0.7, 1.4, 2.1]),
    ],
)
def test_values_are_read(text: str, expected: list[float]) -> None:
    assert parse_values(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'values "": expected a number or start:stop:step'),
        ("a", 'values "a"'),
        ("1,,2", 'values ""'),
        ("1:2", 'values "1:2"'),
        ("1:2:3:4", 'values "1:2:3:4"'),
        ("nan", 'values "nan"'),
        ("inf", 'values "inf"'),
        ("1:inf:1", 'values "1:inf:1"'),
        ("1:5:0", "has no values; expected start <= stop and step > 0"),
        ("1:5:-1", "has no values"),
        ("5:1:1", "has no values"),
        ("1:1e12:1", "1,000,000,000,000 values"),
        ("1:2:1e-300", r"1e\+300 values; expected at most"),
        ("0:1e300:1e-300", "inf values; expected at most"),
    ],
)
def test_values_that_cannot_be_read_say_why(text: str, message: str) -> None:
    with pytest.raises(Usage, match=message):
        parse_values(text)


def test_a_huge_range_is_refused_before_memory_is_taken() -> None:
    tracemalloc.start()
    with pytest.raises(Usage, match="999,999,999 values"):
        parse_values("1:999999999:1")
    with pytest.raises(Usage, match="expected at most 1,000,000 for one parameter"):
        parse_values(",".join(["1:900000:1"] * 3))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


@settings(max_examples=200, deadline=None)
@given(st.integers(-50, 50), st.integers(0, 200), st.sampled_from([0.1, 0.25, 0.01, 3.0, 0.7]))
def test_a_range_has_its_stop_and_its_count(start: int, steps: int, stride: float) -> None:
    values = parse_values(f"{start}:{start + steps * stride!r}:{stride!r}")
    assert len(values) == steps + 1
    assert values == [round(start + i * stride, 12) for i in range(steps + 1)]
    assert len(set(values)) == len(values)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True),
    st.lists(st.sampled_from([0.0, 0.5, 1.25, 3.0]), min_size=1, max_size=4, unique=True),
    st.sampled_from([(), ("fast < slow",), ("fast < slow", "width > 0"), ("fast + width < slow",), ("fast % 2 = 0",)]),
    st.sampled_from([1, 3, 7, 1 << 18]),
)
def test_shards_are_the_product_in_order_filtered(
    fast: list[int], slow: list[int], width: list[float], where: tuple[str, ...], block: int
) -> None:
    rules = {
        "fast < slow": lambda f, s, w: f < s,
        "width > 0": lambda f, s, w: w > 0,
        "fast + width < slow": lambda f, s, w: f + w < s,
        "fast % 2 = 0": lambda f, s, w: f % 2 == 0,
    }
    product = list(itertools.product(fast, slow, width))
    expected = [(k, c) for k, c in enumerate(product) if all(rules[text](*c) for text in where)]
    given_values = {"fast": fast, "slow": slow, "width": width}
    if not expected:
        with pytest.raises(Usage, match=rf"no combination is left: {len(product)} before, 0 after"):
            Space.of(Three, given_values, where)
        return
    space = Space.of(Three, given_values, where)
    assert space.size == len(product)
    found = []
    for shard in space.shards(block=block):
        assert 0 < len(shard) <= block
        rows = zip(*(space.values[name][shard.digits[name]].tolist() for name in space.values), strict=True)
        found += list(zip(shard.combo.tolist(), rows, strict=True))
        for combo in shard.combo.tolist():
            assert tuple(space.row(combo).values()) == product[combo]
    assert found == expected


def test_what_is_not_given_stays_at_its_default_and_doubles_count_once() -> None:
    space = Space.of(Three, {"slow": [30, 30.0, 10]})
    assert {name: values.tolist() for name, values in space.values.items()} == {
        "fast": [5.0],
        "slow": [30.0, 10.0],
        "width": [2.0],
    }
    assert space.as_json() == {
        "values": {"fast": [5], "slow": [30, 10], "width": [2]},
        "where": [],
        "when": [],
        "draw": None,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fsat": [1.0]}, 'unknown parameter of three "fsat": did you mean "fast"'),
        ({"fast": [0.0]}, "parameter fast = 0: expected a whole number from 1"),
        ({"fast": [2.5]}, "parameter fast = 2.5: expected a whole number"),
        ({"width": [0.2]}, r"parameter width = 0.2: expected a number from 0.5 to 4 \(or 0: off\)"),
        ({"width": [math.nan]}, "parameter width = nan"),
        ({"fast": []}, "parameter fast: no values given"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, list[float]], message: str) -> None:
    with pytest.raises(Usage, match=message):
        Space.of(Three, values)


def test_more_than_a_thousand_million_combinations_ask_for_a_yes() -> None:
    many = {"fast": list(range(1, 40_001)), "slow": list(range(1, 40_001))}
    with pytest.raises(Usage, match=r"1,600,000,000 combinations: more than 10\^9; .* --yes"):
        Space.of(Three, many)
    space = Space.of(Three, many, yes=True)
    assert space.size == 1_600_000_000
    assert space.row(space.size - 1) == {"fast": 40_000.0, "slow": 40_000.0, "width": 2.0}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("fast <", "constraint 'fast <' cannot be read"),
        ("fsat < slow", 'parameter in constraint .* "fsat": did you mean "fast"'),
        ("fast < 'a'", "is not true or false"),
        ("fast - slow", "constraint 'fast - slow' is not true or false"),
        ("fast", "constraint 'fast' is not true or false"),
        ("fast < max(slow)", 'unknown function in constraint .* "max": .*greatest'),
        ("fast < Avg (slow)", 'unknown function in constraint .* "Avg"'),
    ],
)
def test_a_constraint_that_says_nothing_is_refused(where: str, message: str) -> None:
    with pytest.raises(Usage, match=message):
        Space.of(Three, {"fast": [1, 2, 3], "slow": [2, 3]}, [where])


def test_a_constraint_may_use_functions_of_one_combination() -> None:
    values = {"fast": [1, 2, 3, 4, 5], "slow": [2, 3]}
    rules = {
        "abs(fast - slow) <= 1": lambda f, s: abs(f - s) <= 1,
        "fast in (1, 5) or not (slow > 2)": lambda f, s: f in (1, 5) or not s > 2,
        "greatest(fast, slow) = 3": lambda f, s: max(f, s) == 3,
        "fast between 2 and 4": lambda f, s: 2 <= f <= 4,
        "case when fast > 3 then slow = 2 else true end": lambda f, s: s == 2 if f > 3 else True,
        "fast / slow >= 1.5": lambda f, s: f / s >= 1.5,
    }
    for text, holds in rules.items():
        space = Space.of(Three, values, [text])
        found = [tuple(space.row(k).values())[:2] for shard in space.shards() for k in shard.combo.tolist()]
        assert found == [c for c in itertools.product(values["fast"], values["slow"]) if holds(*c)], text


def test_a_constraint_without_parameters_or_with_an_unknown_answer() -> None:
    space = Space.of(Three, {"fast": [1, 2, 3]}, ["1 < 2"])
    assert sum(len(shard) for shard in space.shards()) == 3
    with pytest.raises(Usage, match="no combination is left"):
        Space.of(Three, {"fast": [1, 2, 3]}, ["1 > 2"])
    with pytest.raises(Usage, match="no combination is left"):
        Space.of(Three, {"fast": [1, 2, 3]}, ["fast < null"])


def test_a_part_of_a_shard_keeps_numbers_and_digits_together() -> None:
    space = Space.of(Three, {"fast": [1, 2, 3], "slow": [4, 5]})
    (shard,) = space.shards()
    part = shard.part(2, 5)
    assert part.combo.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(part.digits["fast"], [1, 1, 2])


def drawn(space: Space) -> list[tuple[float, ...]]:
    """Return the parameters of every combination a space visits."""
    return [
        row
        for shard in space.shards()
        for row in zip(*(shard.column(name).tolist() for name in space.values), strict=True)
    ]


@given(
    fast=st.lists(st.integers(1, 60), min_size=1, max_size=9, unique=True),
    slow=st.lists(st.integers(1, 60), min_size=1, max_size=9, unique=True),
    count=st.integers(1, 120),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_a_draw_is_a_part_of_the_grid_without_doubles_and_the_same_each_time(
    fast: list[int], slow: list[int], count: int, seed: int
) -> None:
    values = {"fast": fast, "slow": slow}
    whole = Space.of(Three, values)
    space = Space.of(Three, values, draw=Draw(count, seed, {}))
    combos = [combo for shard in space.shards() for combo in shard.combo.tolist()]
    assert len(combos) == min(count, whole.size) == space.count() == space.positions
    assert combos == sorted(set(combos))
    assert set(drawn(space)) <= set(drawn(whole))
    again = Space.from_json(space.as_json(), space.whole)
    assert [combo for shard in again.shards() for combo in shard.combo.tolist()] == combos
    assert [space.row(combo) for combo in combos] == [whole.row(combo) for combo in combos]


def test_a_draw_from_a_very_large_grid_keeps_its_constraint() -> None:
    values = {
        "fast": list(range(1, 5001)),
        "slow": list(range(1, 5001)),
        "width": [0.5 + k / 1000 for k in range(3000)],
    }
    space = Space.of(Three, values, ["fast < slow"], draw=Draw(5000, 3, {}))
    rows = drawn(space)
    assert len(set(rows)) == len(rows) == 5000
    assert all(fast < slow for fast, slow, _ in rows)
    other = Space.of(Three, values, ["fast < slow"], draw=Draw(5000, 4, {}))
    assert len(set(drawn(other)) & set(rows)) < 100


def test_points_drawn_from_intervals_fill_them_and_whole_parameters_stay_whole() -> None:
    draw = Draw(4000, 7, {"fast": (3.0, 20.0), "width": (1.0, 2.5)})
    space = Space.of(Three, {"slow": [30, 50]}, ["fast * width < 30"], draw=draw)
    rows = np.array(drawn(space))
    assert len(rows) == 4000
    assert (rows[:, 0] * rows[:, 2] < 30).all()
    assert set(rows[:, 0]) == set(range(3, 21))
    assert set(rows[:, 1]) == {30.0, 50.0}
    assert 1.0 <= rows[:, 2].min() < 1.01
    assert 2.49 < rows[:, 2].max() <= 2.5
    assert len(set(rows[:, 2])) == 4000  # no two share a width
    assert [tuple(space.row(k).values()) for k in (0, 17, 3999)] == [tuple(rows[k]) for k in (0, 17, 3999)]
    cut = [combo for a, b in ((0, 1500), (1500, 4000)) for shard in space.shards(a, b) for combo in shard.combo]
    assert cut == list(range(4000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draw": Draw(10, 0, {"fsat": (1.0, 2.0)})}, 'did you mean "fast"'),
        ({"draw": Draw(10, 0, {"width": (0.1, 2.0)})}, "parameter width = 0.1: expected a number from 0.5 to 4"),
        ({"given": {"fast": [1.0]}, "draw": Draw(10, 0, {"fast": (1.0, 2.0)})}, "as values and as an interval"),
        ({"draw": Draw(10, 0, {"fast": (5.2, 5.8)})}, "parameter fast: no whole number from 5.2 to 5.8"),
        (
            {"draw": Draw(10, 0, {"fast": (3.0, 5.0)}), "where": ["fast > 6"]},
            "no combination is left: 1,000 points drawn, 0 after --where 'fast > 6'",
        ),
        ({"when": [("fsat", "width > 0")]}, 'did you mean "fast"'),
        ({"when": [("fast", "width")]}, "constraint 'width' is not true or false: expected a comparison"),
        ({"when": [("fast", "widht > 0")]}, 'did you mean "width"'),
    ],
)
def test_a_wrong_draw_or_condition_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Usage, match=message):
        Space.of(Three, arguments.pop("given", {}), **arguments)


def test_a_parameter_that_depends_on_another_is_varied_only_where_it_counts() -> None:
    values = {"fast": [5, 6, 7], "width": [0, 1, 2]}
    space = Space.of(Three, values, when=[("fast", "width > 0")])
    assert sorted((fast, width) for fast, _, width in drawn(space)) == [
        (5, 0), (5, 1), (5, 2), (6, 1), (6, 2), (7, 1), (7, 2),
    ]  # fmt: skip
    free = Space.of(Three, {"width": [0, 1]}, when=[("fast", "width > 0")], draw=Draw(500, 1, {"fast": (3.0, 9.0)}))
    rows = drawn(free)
    assert {fast for fast, _, width in rows if width == 0} == {5.0}
    assert {fast for fast, _, width in rows if width == 1} == set(range(3, 10))
