"""Conditions over unknown values against a naive evaluation with three truth values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Bar, Condition, Signals, bind, columns
from tests.graph.drawing import Drawn, raw_bars

BAR = Bar()
OPERATORS: dict[str, Any] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
values = st.sampled_from([math.nan, -1.0, 0.0, 1.0, 2.0])
sides = st.one_of(st.sampled_from(["close", "open", "high"]), st.sampled_from([0.0, 1.0]))
leaves = st.tuples(st.sampled_from(sorted(OPERATORS)), st.sampled_from(["close", "open", "high"]), sides)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("~"), inner),
        st.tuples(st.just("shift"), inner, st.integers(0, 3)),
        st.tuples(st.sampled_from(["&", "|"]), inner, inner),
    ),
    max_leaves=8,
)


def built(tree: Any) -> Condition:
    """Return the tree as a graph."""
    head, *rest = tree
    if head == "~":
        return ~built(rest[0])
    if head == "shift":
        return built(rest[0]).shift(rest[1])
    if head in "&|":
        left, right = built(rest[0]), built(rest[1])
        return left & right if head == "&" else left | right
    x, y = (getattr(BAR, side) if isinstance(side, str) else side for side in rest)
    made: Condition = OPERATORS[head](x, y)
    return made


def naive(tree: Any, fields: dict[str, list[float]], t: int) -> bool | None:
    """Return the tree's truth on bar t: true, false or None, unknown."""
    head, *rest = tree
    if head == "~":
        found = naive(rest[0], fields, t)
        return None if found is None else not found
    if head == "shift":
        return naive(rest[0], fields, t - rest[1]) if t >= rest[1] else None
    if head in "&|":
        found_two = [naive(side, fields, t) for side in rest]
        decides = head == "|"
        if decides in found_two:
            return decides
        return None if None in found_two else not decides
    x, y = (fields[side][t] if isinstance(side, str) else side for side in rest)
    return None if math.isnan(x) or math.isnan(y) else bool(OPERATORS[head](x, y))


@settings(max_examples=300)
@given(
    trees,
    st.integers(1, 12).flatmap(lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=3, max_size=3)),
)
def test_a_condition_is_true_where_it_is_known_to_be_and_its_negation_where_it_is_known_not_to_be(
    tree: Any, drawn: list[list[float]]
) -> None:
    fields = dict(zip(("close", "open", "high"), drawn, strict=True))
    made = built(tree)
    found = columns(bind(Drawn(Signals(entry=made, exit=~made, short_entry=~~made))), raw_bars(**fields))
    truth = [naive(tree, fields, t) for t in range(len(drawn[0]))]
    expected = {"entry": True, "exit": False, "short_entry": True}
    for role, wanted in expected.items():
        column = found.role(role)
        assert column is not None
        np.testing.assert_array_equal(column, [1.0 if x is wanted else 0.0 for x in truth])


@given(trees)
def test_two_negations_are_none(tree: Any) -> None:
    made = built(tree)
    assert (~~made).node == made.node
