"""A new step is tried before it is used, and a mistake is told with its name."""

from __future__ import annotations

import pytest

from engine.kernels.step import STEPS, find_step
from engine.kernels.trial import try_step
from parquet_store.errors import Usage
from tests.kernels.test_step import SOURCE, Maker, make  # noqa: F401  (a fixture)

HEAD = "import numpy as np\nfrom engine.kernels.memory import load, store\nfrom engine.kernels.step import step\n"


@pytest.mark.parametrize("name", ["moments", "var", "adx", "shift", "ibs", "where"])
def test_the_engines_own_steps_pass(name: str) -> None:
    try_step(find_step(name))


def test_a_sound_step_of_a_user_passes(make: Maker) -> None:  # noqa: F811
    try_step(make(SOURCE).own_step)


@pytest.mark.parametrize(
    ("declared", "arguments", "body", "told"),
    [
        ("", "state, x", "return state, 1 // 0", "raises ZeroDivisionError"),
        ("", "state, x", "return state", "expected \\(state, output\\)"),
        ("state=(0.0,)", "state, x", "return (), x", "a state of 0 numbers, declared 1"),
        ("", "state, x", "return state, (x, x)", "expected a"),
        ("", "state, x", "return state, (x,)", "expected a"),
        ("ring=lambda length: length", "state, ring, x, *, length: int", "return state, load(ring, length)", "outside"),
        ("", "state, x", "return state, float(str(x)[:4])", "cannot be compiled|compiled and"),
        ("", "state, x", "return state, float(f'{x:.3f}')", "cannot be compiled"),
    ],
)
def test_a_mistake_is_told(make: Maker, declared: str, arguments: str, body: str, told: str) -> None:  # noqa: F811
    made = make(f"{HEAD}@step(outputs=('a',), {declared})\ndef bad({arguments}):\n    {body}\n").bad
    with pytest.raises(Usage, match=told) as caught:
        try_step(made)
    assert "own_steps:bad" in str(caught.value)


def test_a_step_that_differs_when_compiled_is_told(make: Maker) -> None:  # noqa: F811
    # whole numbers have no bound in plain Python and 64 bits when compiled
    body = "    return state, float((length * 3 + 2**62) * 2 // 3)\n"
    made = make(f"{HEAD}@step(outputs=('a',))\ndef wraps(state, x, *, length: int):\n{body}").wraps
    with pytest.raises(Usage, match="in plain Python"):
        try_step(made)
    assert "own_steps:wraps" in STEPS
