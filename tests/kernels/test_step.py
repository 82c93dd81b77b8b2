"""What a step is: its declaration, its parameters, its digest, and the driver's promises to any user's step."""

from __future__ import annotations

import importlib.util
import math
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import engine.kernels
from engine.kernels.column import column, plain_column
from engine.kernels.drive import step_type
from engine.kernels.step import STEPS, find_step, step
from parquet_store.errors import Usage

Maker = Callable[[str], ModuleType]

SOURCE = '''
import numpy as np
from engine.jit import inlined
from engine.kernels import average
from engine.kernels.memory import load, store
from engine.kernels.step import step

OFFSET = 2.0
TABLE = np.array([1.0, 3.0])


@inlined
def inner(x):
    """Double."""
    return x * 2.0


@inlined
def outer(x):
    return inner(x) + OFFSET + TABLE[1]


def room(length):
    return length + 1


@step(outputs=("a",), state=(0.0, 0.0), ring=lambda length, weight: room(length))
def own_step(state, ring, x, *, length: int, weight):
    """Say something."""
    seen, value = average.seeded(state[0], state[1], outer(x), length, weight)
    store(ring, length, value)
    return (seen, value), load(ring, length)
'''


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Maker]:
    """Write modules with steps and import them; forget their steps afterwards."""
    before = dict(STEPS)
    count = 0

    def maker(source: str) -> ModuleType:
        nonlocal count
        count += 1
        path = tmp_path / str(count) / "own_steps.py"
        path.parent.mkdir()
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("own_steps", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["own_steps"] = module
        spec.loader.exec_module(module)
        return module

    yield maker
    sys.modules.pop("own_steps", None)
    STEPS.clear()
    STEPS.update(before)


def test_a_users_step_is_named_by_its_module_and_runs_like_the_engines(make: Maker) -> None:
    made = make(SOURCE).own_step
    assert made.name == "own_steps:own_step"
    assert find_step("own_steps:own_step") is made
    x = np.array([1.0, np.nan, 2.0, 5.0])
    (found,) = column(made, [x], (2, 0.5))
    (slow,) = plain_column(made, [x], (2, 0.5))
    np.testing.assert_array_equal(found, [7.0, np.nan, 8.0, 11.5])
    assert found.tobytes() == slow.tobytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x * 2.0", "x * 3.0"),  # a function called by a function it calls
        ("OFFSET = 2.0", "OFFSET = 2.5"),
        ("np.array([1.0, 3.0])", "np.array([1.0, 4.0])"),
        ("return length + 1", "return length + 2"),  # called by the ring's size
        ("room(length)\n)", "room(length) + 3\n)"),
        ("length: int", "length"),
        ("state=(0.0, 0.0)", "state=(0.0, 1.0)"),
        ('outputs=("a",)', 'outputs=("b",)'),
        ("average.seeded(", "average.other("),
    ],
)
def test_an_edit_that_can_change_a_result_changes_the_digest(make: Maker, old: str, new: str) -> None:
    source = SOURCE.replace("room(length))", "room(length)\n)")
    assert old in source
    assert make(source).own_step.digest != make(source.replace(old, new)).own_step.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Say something."""', '"""Say something else."""'),
        ('    """Double."""\n', ""),
        ("return x * 2.0", "return (x  *  2.0)  # twice"),
        ("OFFSET = 2.0", "UNUSED = 7.0\nOFFSET = 2.0"),
    ],
)
def test_a_comment_a_docstring_or_an_unrelated_line_does_not_change_the_digest(make: Maker, old: str, new: str) -> None:
    assert old in SOURCE
    assert make(SOURCE).own_step.digest == make(SOURCE.replace(old, new)).own_step.digest


def test_an_edited_helper_is_seen_by_the_compiled_step(make: Maker) -> None:
    x = np.array([1.0])
    assert column(make(SOURCE).own_step, [x], (1, 0.5))[0][0] == 7.0
    assert column(make(SOURCE.replace("x * 2.0", "x * 3.0")).own_step, [x], (1, 0.5))[0][0] == 8.0


def test_the_disk_cache_holds_names_of_steps_and_nothing_of_their_modules(make: Maker) -> None:
    kind = step_type(make(SOURCE).own_step)
    stored = pickle.dumps(kind)
    assert len(stored) < 300
    sys.modules.pop("own_steps")
    assert pickle.loads(stored) == kind


def test_steps_of_the_engine_have_different_digests() -> None:
    assert len({made.digest for made in STEPS.values()}) == len(STEPS)


def test_a_step_may_have_many_inputs_parameters_and_outputs(make: Maker) -> None:
    made = make(
        "from engine.kernels.step import step\n"
        "@step(outputs=('x', 'y'), state=(1.0,))\n"
        "def wide(state, a, b, c, d, e, f, *, p, q: int, r, s: int, t, u):\n"
        "    return (state[0] + 1.0,), (a + b + c + d + e + f, state[0] * (p + q * r + s * t + u))\n"
    ).wide
    rows = [np.array([float(k), 10.0 * k]) for k in range(1, 7)]
    x, y = column(made, rows, (1.5, 2, 3.0, 4, 5.0, 6.0))
    assert x.tolist() == [21.0, 210.0]
    assert y.tolist() == [33.5, 67.0]


def test_a_result_that_is_no_number_is_the_one_unknown_and_zero_has_no_sign(make: Maker) -> None:
    made = make(
        "from engine.kernels.step import step\n"
        "@step(outputs=('x',))\ndef ratio(state, a, b):\n    return state, a / b\n"
    ).ratio
    (found,) = column(made, [np.array([1.0, -1.0, 0.0, -0.0, 1e308]), np.array([0.0, 0.0, 0.0, 5.0, 1e-9])])
    assert found.tobytes() == np.array([np.nan, np.nan, np.nan, 0.0, np.nan]).tobytes()


def test_plain_python_refuses_an_index_outside_the_ring(make: Maker) -> None:
    source = (
        "from engine.kernels.memory import load\nfrom engine.kernels.step import step\n"
        "@step(outputs=('x',), ring=lambda length: length)\n"
        "def over(state, ring, a, *, length: int):\n    return state, load(ring, length - {})\n"
    )
    with pytest.raises(IndexError):
        plain_column(make(source.format(0)).over, [np.ones(3)], (2,))
    with pytest.raises(IndexError):
        plain_column(make(source.format(3)).over, [np.ones(3)], (2,))
    assert plain_column(make(source.format(1)).over, [np.ones(3)], (2,))[0].tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("arguments", "declared", "told"),
    [
        ("x, state", "", "arguments are state"),
        ("state, x, ring", "", "arguments are state"),
        ("state, *x", "", "arguments are state"),
        ("state", "", "at least one input"),
        ("state, ring, x", "", "go together"),
        ("state, x", "ring=lambda: 3", "go together"),
        ("state, x", "outputs=()", "outputs is"),
        ("state, x", "outputs=('a', 'a')", "outputs is"),
    ],
)
def test_a_wrong_form_is_refused_with_a_reason(make: Maker, arguments: str, declared: str, told: str) -> None:
    given = declared if "outputs" in declared else "outputs=('a',), " + declared
    with pytest.raises(Usage, match=told):
        make(f"from engine.kernels.step import step\n@step({given})\ndef bad({arguments}):\n    return state, 1.0\n")


def test_a_step_without_source_is_refused_and_none_takes_the_name_of_the_engines(make: Maker) -> None:
    hidden: dict[str, Callable[..., object]] = {}
    exec("def hidden(state, x):\n    return state, x\n", hidden)
    with pytest.raises(Usage, match="source cannot be read"):
        step(outputs=("a",))(hidden["hidden"])
    made = make(
        "from engine.kernels.step import step\n@step(outputs=('a',), name='rsi')\ndef f(state, x): return state, x\n"
    ).f
    assert made.name == "own_steps:rsi"
    assert find_step("rsi").function.__module__ == "engine.kernels.momentum"


@pytest.mark.parametrize("value", [0, -1, 2.5, math.nan, math.inf, 1_000_001, "long", None])
def test_a_length_is_a_whole_number_in_its_range(value: object) -> None:
    with pytest.raises(Usage, match="sma: length is"):
        find_step("sma").check([value])  # type: ignore[list-item]


def test_parameters_are_counted_and_whole_floats_are_lengths() -> None:
    assert find_step("sma").check([14]) == find_step("sma").check([14.0]) == (14.0,)
    assert find_step("var").check([250, 0.05]) == (250.0, 0.05)
    for values in ([], [1, 2]):
        with pytest.raises(Usage, match="expected length"):
            find_step("sma").check(values)
    with pytest.raises(Usage, match="level is nan"):
        find_step("var").check([250, math.nan])


def test_wrong_inputs_and_names_are_told_apart() -> None:
    with pytest.raises(Usage, match="expected 3 of one length"):
        column(find_step("atr"), [np.ones(3)], (2,))
    with pytest.raises(Usage, match="expected 3 of one length"):
        column(find_step("atr"), [np.ones(3), np.ones(3), np.ones(4)], (2,))
    with pytest.raises(Usage, match="ema"):
        find_step("emma")


def test_a_ring_size_that_is_no_count_is_refused(make: Maker) -> None:
    source = (
        "from engine.kernels.step import step\n"
        "@step(outputs=('x',), ring=lambda length: {})\n"
        "def f(state, ring, a, *, length: int):\n    return state, a\n"
    )
    for size in ("length / 2", "-length"):
        with pytest.raises(Usage, match="expected a count"):
            make(source.format(size)).f.ring_size((3.0,))


def test_the_package_exports_what_it_says_sorted() -> None:
    assert engine.kernels.__all__ == sorted(engine.kernels.__all__)
    assert all(hasattr(engine.kernels, name) for name in engine.kernels.__all__)
