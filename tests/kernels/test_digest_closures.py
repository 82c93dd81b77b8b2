"""Functions of one factory share a name; a step's digest tells what they close over."""

from __future__ import annotations

from typing import Any

from engine.jit import inlined
from engine.kernels.digest import meaning


def make(factor: float) -> Any:
    @inlined
    def inner(x: Any) -> Any:
        return x * factor

    return inner


double = make(2.0)
other = make(3.0)


def step_of() -> str:
    def both_step(state: Any, price: Any) -> Any:
        return state, double(price) + other(price)

    return meaning(both_step, {}, ())


def test_the_second_function_of_a_factory_counts(monkeypatch: Any) -> None:
    before = step_of()
    assert step_of() == before
    monkeypatch.setitem(globals(), "other", make(7.0))
    assert step_of() != before
