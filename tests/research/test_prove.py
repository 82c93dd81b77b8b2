"""Nothing of the engine looks ahead; what is made to look ahead is named; warm-up is what a slow count says."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import engine.research.prove as module
from engine.graph import Advance, Bar, Columns, Number, Program, Signals, bind, columns, indicator, ta
from engine.graph.machine import Machine
from engine.graph.node import Level, out
from engine.graph.scalar import Fixed
from engine.kernels.memory import load, store
from engine.kernels.step import find_step, step
from engine.research.proof import Proof, Subject, subjects
from engine.research.prove import prove
from engine.simulate import Costs
from engine.strategies import STRATEGIES
from parquet_store.errors import Usage
from pipelines import Bars
from tests.data import BAR_FILES, needs_data
from tests.graph.drawing import Drawn, everything, made_bars, program_of, random_signals, real_bars

COSTS = Costs(fee=0.001, slippage=0.0007, short=True)
KEPT = np.zeros(1)  # memory that outlives a run
LABELS = np.sin(np.arange(4_000.0))


@indicator(outputs=("value",), state=(0.0,), ring=lambda: 1)
def peek(state, ring, average, volume):  # type: ignore[no-untyped-def]
    """Read the memory of the node before it, which is at the end of its tile by then, but never in the trial."""
    return state, load(ring, -3) if volume > 150.0 else average


@indicator(outputs=("value",), state=(0.0,))
def labelled(state, price):  # type: ignore[no-untyped-def]
    """Read numbers that were there before the bars."""
    (seen,) = state
    return (seen + 1.0,), LABELS[int(seen)] + 0.0 * price


@step(outputs=("value",))
def high_water(state, price, address):  # type: ignore[no-untyped-def]
    """Keep the highest price in memory that outlives the run; declared without the trial, which would refuse it."""
    if price > load(int(address), 0):
        store(int(address), 0, price)
    return state, load(int(address), 0)


def kept_high(price: Number) -> Number:
    """Return the highest price that ``KEPT`` has ever seen."""
    address = Level(Fixed(float(KEPT.ctypes.data)))  # as an input: as a constant of the step it would be compiled in
    return Number(out(high_water.name, (price.node, address)))


def loud(bars: Bars) -> Bars:
    """Return bars with a volume of 200 on every tenth."""
    return replace(bars, volume=np.where(np.arange(len(bars)) % 10 == 7, 200.0, 1.0))


def named(proof: Proof) -> dict[str, int | None]:
    return {item.subject.name: item.bars for item in proof.warmup}


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_no_strategy_of_the_engine_looks_ahead(name: str) -> None:
    proof = prove(bind(STRATEGIES[name]()), made_bars(3, 1_200), COSTS, cuts=10, starts=2)
    assert proof.lookahead == ()
    assert len(proof.cuts) == 10


def test_no_step_of_the_engine_looks_ahead() -> None:
    proof = prove(everything(), made_bars(1, 1_500), COSTS, cuts=8, starts=4)
    assert proof.lookahead == ()
    assert {item.subject.step for item in proof.warmup} == set(everything().kernels())


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(random_signals())
def test_no_random_strategy_looks_ahead(made: Signals) -> None:
    assert prove(bind(Drawn(made)), made_bars(2, 300), COSTS, cuts=4, starts=1).lookahead == ()


@needs_data
@pytest.mark.parametrize("name", sorted(BAR_FILES)[::6])
def test_real_bars_are_proven(name: str) -> None:
    bars = real_bars(name, 0, 6_000)
    proof = prove(bind(STRATEGIES["mean_reversion"]()), bars, COSTS, cuts=5, starts=3)
    assert proof.lookahead == ()
    assert proof.replay_bars is not None
    assert 250 <= proof.replay_bars <= len(bars) - max(proof.starts)


def test_a_step_that_reads_memory_it_does_not_own_is_named() -> None:
    bar, bars = Bar(), loud(made_bars(1, 900))
    program = program_of(entry=bar.close > peek(ta.ema(bar.close, 10), bar.volume))
    proof = prove(program, bars, COSTS, cuts=12, starts=1)
    causes = [item for item in proof.lookahead if not item.inherited]
    assert {(item.subject.name, item.subject.output) for item in causes} == {
        (f"node 1 ({program.nodes[1].step}).value", "value")
    }
    assert program.nodes[1].step.endswith(":peek")
    assert [item.cut for item in causes] == [cut for cut in proof.cuts if cut > 17]
    assert {item.bar for item in causes} == {17}, "the first loud bar with a known average"
    whole = columns(program_of(stop=ta.ema(bar.close, 10)), bars).values[0]
    for item in causes:
        assert (item.whole, item.alone) == (whole[-1], whole[item.cut - 1])
        assert item.time == bars.time[17]
    inherited = [item.subject.name for item in proof.lookahead if item.inherited]
    assert set(inherited) <= {"node 2 (less).value", "entry", "order", "equity"}
    assert {"node 2 (less).value", "entry"} <= set(inherited)


@pytest.mark.parametrize("before", [0, 1])
def test_a_step_that_keeps_a_global_is_found_whatever_ran_before(before: int) -> None:
    bars, program = made_bars(1, 600), program_of(stop=kept_high(Bar().close))
    KEPT[0] = 0.0
    for _ in range(before):  # the global knows the highest price already
        columns(program, bars)
    proof = prove(program, bars, COSTS, cuts=5, starts=1)
    assert [(item.subject.step, item.bar) for item in proof.lookahead if not item.inherited] == [
        (high_water.name, 0)
    ] * 5


def shifted(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    """Break the driver: every read of the close is some bars off, straight from memory."""
    right = Machine.point

    def wrong(self: Machine, fields: list[Any], outputs: list[Any], stride: int) -> None:
        close = fields[3]
        address = close.ctypes.data + 8 * places
        moved = type("Moved", (), {"ctypes": type("At", (), {"data": address})})
        right(self, [*fields[:3], moved, fields[4]], outputs, stride)  # type: ignore[list-item]

    monkeypatch.setattr(Machine, "point", wrong)


def inner(bars: Bars) -> Bars:
    """Return all bars but the first and the last, which stay in memory on both sides."""
    return bars.slice(1, len(bars) - 1)


def test_a_driver_that_reads_the_next_bar_is_found_at_every_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, bars = Bar(), inner(made_bars(1, 700))
    shifted(monkeypatch, 1)
    proof = prove(program_of(entry=True, stop=ta.sma(bar.close, 5)), bars, COSTS, cuts=20, starts=1)
    causes = [item for item in proof.lookahead if not item.inherited]
    assert [(item.subject.name, item.bar) for item in causes] == [
        ("node 0 (sma).sma", cut - 1) for cut in proof.cuts if cut >= 5
    ]


def test_a_driver_that_reads_the_bar_before_the_start_needs_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    program, bars = program_of(entry=Bar().close * 1 > 0, stop=Bar().close * 2), inner(made_bars(1, 700))
    assert set(named(prove(program, bars, COSTS, cuts=1, starts=5)).values()) == {0}
    shifted(monkeypatch, -1)
    assert named(prove(program, bars, COSTS, cuts=1, starts=5))["node 2 (multiply).value"] == 1


def broken(change: Callable[[Any, int], None]) -> Callable[[Program, Bars], Columns]:
    def run(program: Program, bars: Bars) -> Columns:
        found = columns(program, bars)
        change(found.values, len(bars))
        return found

    return run


def test_one_bit_of_one_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, bars = Bar(), made_bars(1, 600)

    def change(values: Any, n: int) -> None:
        if 250 < n < 600:
            values[2, 250] = np.nextafter(values[2, 250], np.inf)

    monkeypatch.setattr(module, "columns", broken(change))
    program = program_of(entry=bar.close > ta.std(bar.close, 9), stop=ta.atr(bar, 5))
    proof = prove(program, bars, COSTS, cuts=30, starts=1)
    causes = {(item.subject.name, item.bar) for item in proof.lookahead if not item.inherited}
    assert causes == {("node 1 (less).value", 250)}
    assert sorted({item.cut for item in proof.lookahead}) == [cut for cut in proof.cuts if cut > 250]


def test_an_account_that_looks_ahead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module.simulate

    def wrong(bars: Bars, *rest: Any) -> Any:
        found = right(bars, *rest)
        found.ordered[40:41] = len(bars)
        return found

    monkeypatch.setattr(module, "simulate", wrong)
    proof = prove(bind(STRATEGIES["ibs_band"]()), made_bars(1, 600), COSTS, cuts=6, starts=1)
    assert {(item.subject.name, item.bar, item.inherited) for item in proof.lookahead} == {("order", 40, False)}


def test_numbers_from_outside_the_bars_are_told() -> None:
    bars = made_bars(1, 400)
    program = program_of(stop=labelled(Bar().close))
    proof = prove(program, bars, COSTS, cuts=3, starts=3)
    assert proof.outside == {program.nodes[0].step: ("LABELS (4,000 values)",)}
    assert proof.lookahead == (), "the labels do not change with the bars"
    assert list(named(proof).values()) == [None], "they follow a count from the start"
    assert prove(everything(), bars, COSTS, cuts=1, starts=1).outside == {}


def slow_warmup(program: Program, bars: Bars, start: int) -> list[tuple[int | None, int | None]]:
    """Advance from the origin and from a start, bar by bar, and count plainly until all outputs agree for good."""

    def run(first: int) -> list[list[float]]:
        live, rows = Advance(program), []
        for t in range(first, len(bars)):
            live.advance(int(bars.number[t]), *(float(getattr(bars, f)[t]) for f in module.FIELDS))
            rows.append(live.values.tolist())
        return rows

    whole, late = run(0)[start:], run(start)
    found: list[tuple[int | None, int | None]] = []
    for j in range(len(late[0])):
        bits = near = 0
        for t, (a, b) in enumerate((x[j], y[j]) for x, y in zip(whole, late, strict=True)):
            if struct.pack("d", a) != struct.pack("d", b):
                bits = t + 1
                if not math.isclose(a, b, rel_tol=1e-9):
                    near = t + 1
        found.append((None if bits == len(late) else bits, None if near == len(late) else near))
    return found


def test_warmup_is_what_a_slow_count_says() -> None:
    program, bars = everything(), made_bars(4, 700)
    proof = prove(program, bars, COSTS, cuts=1, starts=2, seed=2)
    slow = [slow_warmup(program, bars, start) for start in proof.starts]
    for k, item in enumerate(proof.warmup):
        for found, each in ((item.bars, [one[k][0] for one in slow]), (item.near, [one[k][1] for one in slow])):
            expected = None if None in each else max(x for x in each if x is not None)
            assert found == expected, item.subject.name
    assert any(item.bars is None for item in proof.warmup)
    assert len({item.bars for item in proof.warmup}) > 10


def test_windows_need_their_length_and_running_totals_never_agree() -> None:
    bar = Bar()
    program = program_of(
        entry=bar.close > ta.highest(bar.close, 30),
        exit=bar.close < bar.close.shift(7),
        stop=ta.true_range(bar),
        target=ta.obv(bar),
    )
    proof = prove(program, made_bars(1, 1_500), COSTS)
    by_step = {item.subject.step: item.bars for item in proof.warmup if item.subject.step not in ("less", "shift")}
    assert by_step == {"highest": 29, "true_range": 1, "obv": None}
    assert named(proof)["node 2 (shift).value"] == 7
    decisions = {item.subject.name: item.bars for item in proof.decisions}
    assert decisions["stop"] == 1
    assert decisions["target"] is None
    assert decisions["exit"] == named(proof)["node 3 (less).value"] in range(1, 8)
    assert (proof.replay_bars, proof.near_bars) == (None, None)


def test_anchored_sums_agree_from_the_first_anchor_after_the_window_is_full() -> None:
    bars, length = made_bars(1, 4_000), 50
    proof = prove(program_of(stop=ta.sma(Bar().close, length)), bars, COSTS, cuts=1, starts=20)
    block = bars.number // 1024
    anchors = np.flatnonzero(block[1:] != block[:-1]) + 1
    bounds = [int(anchors[anchors >= start + length][0]) - start for start in proof.starts]
    (found,) = named(proof).values()
    assert found is not None
    assert length - 1 < found <= max(bounds)
    assert proof.near_bars == length - 1


def test_a_recursive_average_is_near_long_before_its_bytes_agree() -> None:
    proof = prove(program_of(stop=ta.ema(Bar().close, 400)), made_bars(1, 5_000), COSTS, cuts=1)
    (item,) = proof.warmup
    forgets = math.log(1e-9) / math.log(1 - 2 / 401)
    assert item.bars is None
    assert item.near is None or 0.5 * forgets < item.near < 1.5 * forgets
    short = prove(program_of(stop=ta.ema(Bar().close, 10)), made_bars(1, 1_500), COSTS, cuts=1).warmup[0]
    assert short.near is not None
    assert short.bars is not None
    assert 0.5 < short.near * math.log(1 - 2 / 11) / math.log(1e-9) < 1.5
    assert short.near < short.bars


def test_the_same_seed_draws_the_same_bars() -> None:
    program, bars = program_of(entry=Bar().close > 1), made_bars(1, 500)
    first, same, other = (prove(program, bars, COSTS, seed=seed) for seed in (7, 7, 8))
    assert first == same
    assert first.cuts != other.cuts
    assert len(set(first.cuts)) == 25
    assert (min(first.cuts) > 0, max(first.cuts) < 500, max(first.starts) <= 250) == (True, True, True)


def test_few_bars_are_cut_everywhere_and_one_is_refused() -> None:
    program, bars = program_of(entry=Bar().close > 1), made_bars(1, 500)
    proof = prove(program, bars.slice(0, 6), COSTS)
    assert (proof.cuts, proof.starts) == ((1, 2, 3, 4, 5), (1, 2, 3))
    assert prove(program, bars.slice(0, 2), COSTS).cuts == (1,)
    with pytest.raises(Usage, match="cannot be cut"):
        prove(program, bars.slice(0, 1), COSTS)
    for wrong in ({"cuts": 0}, {"starts": 0}, {"seed": -1}):
        with pytest.raises(Usage, match="expected at least"):
            prove(program, bars, COSTS, **wrong)  # type: ignore[arg-type]


def test_a_proof_is_plain_data_and_progress_counts_runs() -> None:
    seen: list[tuple[int, int]] = []
    program = bind(STRATEGIES["ibs_band"]())
    proof = prove(program, made_bars(1, 500), COSTS, cuts=3, starts=2, progress=lambda *given: seen.append(given))
    assert seen == [(k, 7) for k in range(1, 8)]
    told = json.loads(json.dumps(proof.as_json()))
    assert told["lookahead"] == []
    assert told["warmup"] == named(proof)
    assert set(told["reads"]) == set(told["warmup"]) | set(told["decisions"])


def test_subjects_name_their_step_and_what_they_read() -> None:
    bar = Bar()
    known = subjects(program_of(entry=ta.rsi(bar.close, 14) < 30.5, stop=ta.bollinger(bar.close, 20, 2.0).lower))
    assert known[:2] == [
        Subject("node 0 (rsi).rsi", "rsi", "rsi", "close, length=14", ()),
        Subject("node 1 (less).value", "less", "value", "node 0.rsi, 30.5", ("node 0 (rsi).rsi",)),
    ]
    assert [item.name for item in known[-7:]][-2:] == ["order", "equity"]
    assert next(item for item in known if item.name == "entry").parents == ("node 1 (less).value",)
    assert find_step("rsi").outputs == ("rsi",)
