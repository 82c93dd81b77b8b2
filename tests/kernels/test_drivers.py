"""The drivers: pieces, prefixes, restarts, plain Python and compiled code give the same bytes."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt
import pytest

from engine.kernels.column import anchors, column, plain_column
from engine.kernels.drive import address
from engine.kernels.step import STEPS, Step, find_step
from tests.data import needs_data
from tests.kernels.cases import CASES, Case, Floats, made_bars, real_bars

CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2, *[ctypes.c_uint64] * 6)
CANARY = 3.25e-157
OWN = sorted(name for name in STEPS if ":" not in name)


def pieces(
    made: Step, inputs: list[Floats], params: tuple[float, ...], flags: npt.NDArray[np.uint8], cuts: list[int]
) -> list[Floats]:
    """Run a step in pieces, its memory carried from one call to the next between canaries."""
    n = inputs[0].size
    outputs = [np.full(n, 7.0) for _ in made.outputs]
    into = np.array([(x.ctypes.data, 1) for x in inputs], np.uint64)
    out = np.array([(x.ctypes.data, 1) for x in outputs], np.uint64)
    values = np.array((*made.check(params), CANARY))
    size, ring_size = len(made.state), made.ring_size(params)
    state, ring = np.full(size + 2, CANARY), np.full(ring_size + 2, CANARY)
    state[1 : 1 + size], ring[1 : 1 + ring_size] = made.state, 0.0
    function = CALL(address(made))
    for start, stop in zip([0, *cuts], [*cuts, n], strict=True):
        held = state.copy(), ring.copy()  # a checkpoint: another place in memory
        function(
            None,
            start,
            stop,
            into.ctypes.data,
            out.ctypes.data,
            values.ctypes.data,
            held[0].ctypes.data + 8,
            held[1].ctypes.data + 8,
            flags.ctypes.data,
        )
        state, ring = held
        assert (state[[0, -1]] == CANARY).all()
        assert (ring[[0, -1]] == CANARY).all()
    assert values[-1] == CANARY
    return outputs


def same_bytes(a: tuple[Floats, ...] | list[Floats], b: tuple[Floats, ...] | list[Floats]) -> None:
    for x, y in zip(a, b, strict=True):
        differ = np.flatnonzero(x.view(np.uint64) != y.view(np.uint64))
        assert differ.size == 0, f"{differ.size} bars differ, first {differ[0]}: {x[differ[0]]!r}, {y[differ[0]]!r}"


@pytest.mark.parametrize("unknown", [0.0, 0.1])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_run_tiles_and_single_bars_are_the_same_bytes(case: Case, unknown: float) -> None:
    bars, made = made_bars(unknown=unknown), find_step(case.step)
    inputs, flags = case.of(bars), anchors(bars["number"])
    whole = column(made, inputs, case.params, bars["number"])
    n = inputs[0].size
    same_bytes(whole, pieces(made, inputs, case.params, flags, [1, 2, 130, 131, 900]))
    same_bytes(whole, pieces(made, inputs, case.params, flags, list(range(1, n))))


@needs_data
@pytest.mark.parametrize("case", CASES, ids=str)
def test_real_bars_in_tiles_are_the_same_bytes(case: Case) -> None:
    for name in ("binance_XRP-ETH_1m.parquet", "bitfinex_BTC-USD_1m.parquet"):
        bars, made = real_bars(name), find_step(case.step)
        inputs, flags = case.of(bars), anchors(bars["number"])
        whole = column(made, inputs, case.params, bars["number"])
        same_bytes(whole, pieces(made, inputs, case.params, flags, list(range(7, inputs[0].size, 97))))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_later_bars_change_nothing_before_them(case: Case) -> None:
    bars, made = made_bars(unknown=0.02), find_step(case.step)
    whole = column(made, case.of(bars), case.params, bars["number"])
    for cut in (1, 57, 640, 1_001):
        short = column(made, [x[:cut] for x in case.of(bars)], case.params, bars["number"][:cut])
        same_bytes([x[:cut].copy() for x in whole], short)
    spoiled = [np.concatenate([x[:640], x[640:] * 3.0 + 1.0]) for x in case.of(bars)]
    changed = column(made, spoiled, case.params, bars["number"])
    same_bytes([x[:640].copy() for x in whole], [x[:640].copy() for x in changed])


WINDOWED = [c for c in CASES if c.step in ("sma", "moments", "vwap", "highest", "lowest", "var", "roc")]


@pytest.mark.parametrize("case", WINDOWED, ids=str)
def test_runs_from_different_bars_are_the_same_bytes_from_the_first_anchor_after_the_window_is_full(case: Case) -> None:
    bars, made = made_bars(seed=5, bars=5_000), find_step(case.step)
    number = bars["number"]
    whole = column(made, case.of(bars), case.params, number)
    for start in (1, 333, 1_500):
        late = column(made, [x[start:] for x in case.of(bars)], case.params, number[start:])
        marks = np.flatnonzero(anchors(number[start:]))
        first = int(marks[marks > case.params[0]][0])
        assert first < 1_700
        same_bytes([x[start + first :].copy() for x in whole], [x[first:].copy() for x in late])


def test_without_an_anchor_runs_from_different_bars_differ_in_bits() -> None:
    calm = 100.0 + np.random.default_rng(5).normal(0.0, 1.0, 900)  # nothing else asks for a fresh sum
    still = np.arange(10, 910)  # all in one block
    whole = column(find_step("moments"), [calm], (20,), still)[1]
    late = column(find_step("moments"), [calm[7:]], (20,), still[7:])[1]
    assert (whole[7 + 100 :] != late[100:]).any()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_compiled_code_and_plain_python_are_the_same_bytes(case: Case) -> None:
    bars = {key: value[250:850] for key, value in made_bars(unknown=0.03).items()}
    made = find_step(case.step)
    compiled = column(made, case.of(bars), case.params, bars["number"])
    same_bytes(compiled, plain_column(made, case.of(bars), case.params, bars["number"]))


@pytest.mark.parametrize("case", [c for c in CASES if not find_step(c.step).sees_unknown], ids=str)
def test_an_unknown_bar_gives_unknown_and_is_otherwise_as_if_it_had_not_been(case: Case) -> None:
    bars, made = made_bars(seed=9, bars=700), find_step(case.step)
    number = np.arange(700)  # one block: an unknown bar must not carry an anchor away
    holes = np.random.default_rng(2).random(700) < 0.2
    whole = column(made, case.of(bars), case.params, number)
    for hole in range(len(case.inputs)):
        inputs = []
        for k, x in enumerate(case.of(bars)):
            stretched = np.full(700 + holes.sum(), np.nan if k == hole else 3.0)
            stretched[np.arange(700) + np.cumsum(holes)] = x
            inputs.append(stretched)
        at = np.arange(700) + np.cumsum(holes)
        found = column(made, inputs, case.params, np.zeros(at[-1] + 1, np.int64))
        same_bytes([x[at].copy() for x in found], whole)
        assert all(np.isnan(np.delete(x, at)).all() for x in found)


def test_every_step_of_the_engine_has_a_case_or_is_an_operator() -> None:
    operators = {
        "add",
        "subtract",
        "multiply",
        "divide",
        "negate",
        "absolute",
        "logarithm",
        "minimum",
        "maximum",
        "where",
    }
    operators |= {"less", "less_equal", "equal", "not_equal", "both", "either", "shift_condition"}
    assert set(OWN) == set(operators) | {case.step for case in CASES}
