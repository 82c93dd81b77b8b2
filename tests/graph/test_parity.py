"""History in one go, in tiles, resumed from a checkpoint and bar by bar: the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.graph import Advance, Bar, Program, Signals, bind, columns, ta
from engine.graph.apart import components
from engine.graph.machine import Machine
from engine.graph.program import ProgramNode
from engine.kernels.column import anchors
from engine.kernels.step import STEPS
from engine.strategies import STRATEGIES
from parquet_store.errors import Failed, Halt, Usage
from pipelines import Bars
from tests.data import BAR_FILES, needs_data
from tests.graph.drawing import (
    FIELDS,
    Drawn,
    advanced,
    everything,
    made_bars,
    program_of,
    random_signals,
    real_bars,
    same_bytes,
)

some = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def hold_parity(program: Program, bars: Bars, cut: int, tile: int) -> None:
    """Compare all drivers over the same bars; the live one previews, is checkpointed and resumed."""
    whole = columns(program, bars).values
    same_bytes(whole, columns(program, bars, tile).values, program)
    live = Advance(program)
    head = advanced(live, bars, 0, cut)
    state = live.checkpoint()
    live.preview(int(bars.number[cut]) + 7, 3.0, 9.0, 1.0, 2.0, 5.0)
    assert live.checkpoint() == state
    resumed = Advance.resume(Program.from_json(program.as_json()), state)
    tail = advanced(live, bars, cut, len(bars))
    same_bytes(whole, np.concatenate([head, tail], axis=1), program)
    same_bytes(tail, advanced(resumed, bars, cut, len(bars)), program)
    assert live.checkpoint() == resumed.checkpoint()


def test_the_program_of_everything_has_every_step_of_the_engine() -> None:
    own = {name for name in STEPS if ":" not in name}
    assert {node.step for node in everything().nodes} == own


def test_the_made_bars_have_gaps_anchors_and_unknown_values() -> None:
    bars = made_bars()
    assert (np.diff(bars.number) > 1).any()
    assert anchors(bars.number).sum() >= 2
    values = columns(everything(), bars).values
    assert np.isnan(values[:, 200:]).any()
    assert not np.isnan(values).all(axis=1).any()


@pytest.mark.parametrize(("cut", "tile"), [(1, 1), (300, 97), (1_499, 1_500), (324, 4_096)])
def test_every_indicator_is_the_same_bytes_in_every_driver(cut: int, tile: int) -> None:
    hold_parity(everything(), made_bars(), cut, tile)


APART = Program(
    (
        ProgramNode("ema", ("close",), (20.0,)),
        ProgramNode("moments", ("close",), (20.0,)),
        ProgramNode("multiply", (2.0, (1, 1)), ()),
        ProgramNode("adx", ("high", "low", "close"), (14.0,)),
        ProgramNode("subtract", ((1, 0), (2, 0)), ()),
        ProgramNode("less", ("close", (0, 0)), ()),
    ),
    (),
)


def test_threads_give_the_same_bytes_and_none_is_refused() -> None:
    made = made_bars(3, 9_000)
    whole = columns(APART, made)
    for threads in (2, 5):
        same_bytes(whole.values, columns(APART, made, threads=threads).values, APART)
        kept = columns(APART, made, 700, [(4, 0), (5, 0)], threads)
        assert (kept.read((4, 0)).view(np.uint64) == whole.read((4, 0)).view(np.uint64)).all()
        assert (kept.read((5, 0)).view(np.uint64) == whole.read((5, 0)).view(np.uint64)).all()
    with pytest.raises(Usage, match="0 threads: expected at least 1"):
        columns(APART, made, threads=0)


def test_nodes_that_read_each_other_stay_together() -> None:
    assert components(APART) == [[1, 2, 4], [0, 5], [3]]
    assert [len(rows) for rows, _ in Machine(APART).parts()] == [3, 1, 2]  # by what they read and write


@pytest.mark.parametrize("bars", [100, 4_096, 4_097, 9_000])
def test_only_what_is_asked_for_is_kept_and_it_is_the_same_bytes(bars: int) -> None:
    program, made = everything(), made_bars(2, bars)
    whole = columns(program, made)
    refs = list(whole.rows)
    assert len(refs) == whole.values.shape[0]
    for asked in (refs[::7], refs[3::5], refs[-1:], []):
        for found in (columns(program, made, only=asked), columns(program, made, 700, asked)):
            assert list(found.rows) == asked
            assert found.values.shape == (len(asked), bars)
            for ref in asked:
                assert (found.read(ref).view(np.uint64) == whole.read(ref).view(np.uint64)).all(), ref
    with pytest.raises(Usage, match=r"output 0 of node 0 was not kept: name it in only="):
        columns(program, made, only=refs[1:]).read((0, 0))


@some
@given(random_signals(), st.integers(0, 4), st.integers(0, 498), st.integers(1, 600))
def test_random_graphs_are_the_same_bytes_in_every_driver(made: Signals, seed: int, cut: int, tile: int) -> None:
    hold_parity(bind(Drawn(made)), made_bars(seed, 500), cut, tile)


@some
@given(random_signals(), st.integers(1, 499))
def test_later_bars_change_nothing_before_them(made: Signals, cut: int) -> None:
    program, bars = bind(Drawn(made)), made_bars(3, 500)
    same_bytes(columns(program, bars).values[:, :cut], columns(program, bars.slice(0, cut)).values, program)


@needs_data
@pytest.mark.parametrize("name", sorted(BAR_FILES))
def test_every_bar_file_is_the_same_bytes_in_every_driver(name: str) -> None:
    bars = real_bars(name)
    for made in STRATEGIES.values():
        program = bind(made())
        whole = columns(program, bars).values
        same_bytes(whole, columns(program, bars, 5_003).values, program)
        same_bytes(whole[:, :1_000], advanced(Advance(program), bars, 0, min(1_000, len(bars))), program)
    part = bars.slice(max(0, len(bars) // 2 - 700), len(bars) // 2 + 700)
    hold_parity(everything(), part, len(part) // 3, 501)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_sample_is_the_same_bytes_in_every_driver(name: str, sample: Bars) -> None:
    hold_parity(bind(STRATEGIES[name]()), sample, 2_000, 777)


def test_a_later_start_is_the_same_bytes_after_the_first_anchor_with_a_full_window() -> None:
    bar, n = Bar(), 30
    windows = [ta.sma(bar.close, n), ta.std(bar.close, n), ta.zscore(bar.close, n), *ta.bollinger(bar.close, n)]
    windows += [ta.vwap(bar, n), ta.highest(bar.high, n), ta.lowest(bar.low, n), ta.value_at_risk(bar.close, n)]
    windows += [ta.roc(bar.close, n), bar.close.shift(n), ta.ibs(bar)]
    wanted = windows[0] > 0
    for x in windows[1:]:
        wanted = wanted | (x > 0)
    program, bars = program_of(entry=wanted), made_bars(5, 4_000)
    whole = columns(program, bars).values
    for start in (1, 77, 1_000):
        late = bars.slice(start)
        marks = np.flatnonzero(anchors(late.number))
        first = int(marks[marks > n][0])
        same_bytes(whole[:, start + first :], columns(program, late).values[:, first:], program)
        assert (whole[:, start:] != columns(program, late).values).any(), "before the anchor something may differ"


def test_a_preview_is_what_the_bar_would_give_and_leaves_no_trace() -> None:
    bars, program = made_bars(2, 400), everything()
    ghosted, plain = Advance(program), Advance(program)
    for t in range(400):
        bar = [float(getattr(bars, name)[t]) for name in FIELDS]
        number = int(bars.number[t])
        for k in range(3):
            ghosted.preview(number, *(x * (1.0 + 0.3 * k) for x in bar))
        seen = ghosted.preview(number, *bar)
        plain.advance(number, *bar)
        assert seen.tobytes() == plain.values.tobytes()
        if t % 7 == 0:
            with pytest.raises(Failed):
                plain.preview(number, *bar)
        ghosted.advance(number, *bar)
    assert ghosted.checkpoint() == plain.checkpoint()


def test_two_live_programs_share_no_state() -> None:
    bars, program = made_bars(2, 300), everything()
    alone = advanced(Advance(program), bars, 0, 300)
    one, other = Advance(program), Advance(program)
    for t in range(300):
        advanced(other, made_bars(9, 300), t, t + 1)
        same_bytes(advanced(one, bars, t, t + 1), alone[:, t : t + 1], program)


def test_a_bar_that_is_not_later_is_refused_and_changes_nothing() -> None:
    live = Advance(everything())
    advanced(live, made_bars(), 0, 50)
    before = live.checkpoint()
    for number in (live.last, (live.last or 0) - 1):
        with pytest.raises(Failed, match="expected a later one"):
            live.advance(number or 0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert live.checkpoint() == before


def test_a_damaged_or_foreign_checkpoint_is_refused() -> None:
    live = Advance(everything())
    advanced(live, made_bars(), 0, 50)
    state = live.checkpoint()
    for at in (0, 40, 75, len(state) // 2, len(state) - 1):
        wrong = bytearray(state)
        wrong[at] ^= 1
        with pytest.raises(Failed, match="damaged"):
            Advance.resume(live.program, bytes(wrong))
    for short in (b"", state[:50], state[:-8]):
        with pytest.raises(Failed, match="damaged"):
            Advance.resume(live.program, short)
    with pytest.raises(Failed, match="another program"):
        Advance.resume(bind(STRATEGIES["ibs_band"]()), state)


def test_a_fresh_checkpoint_resumes_as_fresh() -> None:
    program = everything()
    resumed = Advance.resume(program, Advance(program).checkpoint())
    assert resumed.last is None
    same_bytes(advanced(resumed, made_bars(), 0, 400), columns(program, made_bars()).values[:, :400], program)


def test_a_write_past_a_steps_memory_halts() -> None:
    live = Advance(everything())
    live.machine.memory[live.machine.canaries[3]] = 1.0
    with pytest.raises(Halt, match=r"node 3 .*wrote past its memory"):
        live.checkpoint()


def test_no_bars_and_no_nodes_are_fine_and_no_tile_is_not() -> None:
    bars = made_bars()
    assert columns(everything(), bars.slice(0, 0)).values.shape[1] == 0
    still = program_of(entry=True)
    assert still.nodes == ()
    assert columns(still, bars).role("entry").tolist() == [1.0] * len(bars)  # type: ignore[union-attr]
    assert columns(still, bars).role("stop") is None
    advanced(Advance(still), bars, 0, 3)
    for tile in (0, -5):
        with pytest.raises(Usage, match="at least 1"):
            columns(everything(), bars, tile)


def test_a_copy_of_a_live_program_has_a_memory_of_its_own() -> None:
    import copy
    import pickle

    bars, program = made_bars(3, 60), everything()
    live = Advance(program)
    fields = list(zip(bars.number, *(getattr(bars, n) for n in FIELDS), strict=True))
    for row in fields[:50]:
        live.advance(int(row[0]), *map(float, row[1:]))
    before = live.checkpoint()
    for other in (copy.deepcopy(live), pickle.loads(pickle.dumps(live))):
        other.advance(int(fields[50][0]), *map(float, fields[50][1:]))
        assert live.checkpoint() == before
    with pytest.raises(TypeError, match="addresses"):
        pickle.dumps(live.machine)
