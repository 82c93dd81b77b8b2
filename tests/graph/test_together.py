"""Many programs in one call: the bytes of each program alone, whoever else is advanced beside it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.graph import Advance, Bar, Program, Signals, bind, columns, ta
from engine.graph.node import FIELDS
from engine.graph.resolve import ROLES
from engine.graph.together import Together
from engine.strategies import STRATEGIES
from parquet_store.errors import Failed, Halt, Usage
from pipelines import Bars
from tests.data import BAR_FILES, needs_data
from tests.graph.drawing import Drawn, Floats, everything, made_bars, program_of, random_signals, real_bars

HOURS = [name for name, (_, _, timeframe) in BAR_FILES.items() if timeframe == "1h"][:3]
Series = list[tuple[str, Bars]]


def rows(bars: Bars) -> Floats:
    return np.stack([getattr(bars, name) for name in FIELDS], axis=1)


def crossing(length: int) -> Program:
    bar = Bar()
    mean = ta.sma(bar.close, length)
    return program_of(bar.close > mean, exit=bar.close < mean, stop=ta.atr(bar, 5), target=bar.high)


def hold_against_alone(programs: list[tuple[str, Program]], series: Series, seed: int, through: bool = False) -> None:
    """Advance with symbols absent at random; every value and role must be that of ``Advance`` and of ``columns``."""
    random = np.random.default_rng(seed)
    made = Together(programs)
    assert made.symbols == tuple(dict.fromkeys(symbol for symbol, _ in programs))
    bars = [dict(series)[symbol] for symbol in made.symbols]
    alone = [Advance(program) for _, program in programs]
    batch = [columns(program, dict(series)[symbol]) for symbol, program in programs]
    fields, at = [rows(b) for b in bars], np.zeros(len(bars), np.int64)
    turn = 0
    while left := [s for s in range(len(bars)) if at[s] < len(bars[s])]:
        chosen = np.array([s for s in left if len(left) == 1 or random.random() < 0.7], np.int64)
        random.shuffle(chosen)
        numbers = np.array([bars[s].number[at[s]] for s in chosen], np.int64)
        closed = np.array([fields[s][at[s]] for s in chosen]).reshape(-1, 5)
        roles = made.advance(chosen, numbers, closed)
        for p, (symbol, program) in enumerate(programs):
            s = made.place[symbol]
            if s in chosen:
                alone[p].advance(int(bars[s].number[at[s]]), *fields[s][at[s]].tolist())
                assert made.values(p).tobytes() == alone[p].values.tobytes(), (turn, symbol)
                assert made.values(p).tobytes() == np.ascontiguousarray(batch[p].values[:, at[s]]).tobytes()
            refs = [program.role(role) for role in ROLES]
            early = alone[p].last is None
            told = np.array(
                [r if isinstance(r, float) else np.nan if r is None or early else alone[p].read(r) for r in refs]
            )
            assert roles[p].tobytes() == told.tobytes(), (turn, symbol)
        at[chosen] += 1
        turn += 1
        if through and turn % 97 == 0:
            made = Together.resume(programs, made.checkpoint())
    made.check_canaries()


def test_programs_of_several_symbols_have_the_bytes_of_each_alone() -> None:
    series = [("A", made_bars(1, 400)), ("B", made_bars(2, 300)), ("C", made_bars(3, 350))]
    programs = [("B", everything()), ("A", crossing(7)), ("C", everything()), ("A", everything()), ("C", crossing(7))]
    hold_against_alone(programs, series, 4, through=True)


def test_symbols_with_the_same_programs_share_one_table_and_not_their_values() -> None:
    series = [(name, made_bars(k + 1, 250)) for k, name in enumerate("ABCD")]
    same = [(name, program) for name, _ in series for program in (everything(), crossing(7), crossing(9))]
    periods = Together(same)._groups[:, 4]
    assert periods.all()
    assert periods.max() > 1
    hold_against_alone(same, series, 6, through=True)
    other = [*same[:-1], ("D", crossing(8))]
    assert not Together(other)._groups[:, 4].all()
    hold_against_alone(other, series, 7)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(random_signals(), min_size=1, max_size=5), st.integers(0, 999))
def test_random_programs_have_the_bytes_of_each_alone(drawn: list[Signals], seed: int) -> None:
    names = ("A", "B", "C")
    series = [(name, made_bars(k + 1, 120 + 30 * k)) for k, name in enumerate(names)]
    programs = [(names[(seed + k) % 3], bind(Drawn(signals))) for k, signals in enumerate(drawn)]
    hold_against_alone(programs, series, seed)


@needs_data
def test_the_strategies_over_real_hours_have_the_bytes_of_each_alone() -> None:
    series = [(name, real_bars(name, 900 + 37 * k, 1_300)) for k, name in enumerate(HOURS)]
    programs = [(name, bind(made())) for name, _ in series for made in STRATEGIES.values()]
    hold_against_alone(programs, series, 5)


def test_unknown_prices_are_unknown_and_change_no_state() -> None:
    bars = made_bars(6, 200)
    fields = rows(bars)
    fields[50:60, 3] = np.nan
    fields[70, 4] = np.inf
    made, alone = Together([("A", everything())]), Advance(everything())
    for t in range(len(bars)):
        made.advance(np.array([0]), bars.number[t : t + 1], fields[t : t + 1])
        alone.advance(int(bars.number[t]), *fields[t].tolist())
        assert made.values(0).tobytes() == alone.values.tobytes()


def test_history_in_one_call_has_the_bytes_of_bar_by_bar() -> None:
    bars = made_bars(1, 1_400)
    programs = [("A", everything()), ("B", crossing(3)), ("B", everything())]
    at_once, singly = Together(programs), Together(programs)
    at_once.follow("B", bars.slice(0, 900))
    at_once.follow("B", bars.slice(900, 1_400))
    fields = rows(bars)
    for t in range(len(bars)):
        singly.advance(np.array([1]), bars.number[t : t + 1], fields[t : t + 1])
    assert at_once.checkpoint() == singly.checkpoint()
    with pytest.raises(Failed, match="expected one after"):
        at_once.follow("B", bars.slice(900, 901))


def test_equal_nodes_of_one_symbol_are_one_node_and_of_two_symbols_two() -> None:
    one = Together([("A", crossing(7))]).nodes
    assert Together([("A", crossing(7)), ("A", crossing(7))]).nodes == one
    assert Together([("A", crossing(7)), ("B", crossing(7))]).nodes == 2 * one
    assert one < Together([("A", crossing(7)), ("A", crossing(8))]).nodes < 2 * one


@pytest.mark.parametrize(
    ("symbols", "numbers", "told"),
    [
        ([0, 2], [9, 9], "number 2: the symbol is not one of"),
        ([0, -1], [9, 9], "number -1: the symbol is not one of"),
        ([1, 0], [9, 5], r"A \(number 0\): the symbol closes a bar that is not later than its last one \(5\)"),
        ([1, 0, 1], [9, 9, 10], r"B \(number 1\): the symbol is there twice"),
    ],
)
def test_a_call_with_one_wrong_bar_changes_nothing(symbols: list[int], numbers: list[int], told: str) -> None:
    made = Together([("A", crossing(3)), ("B", crossing(3))])
    made.advance(np.array([0, 1]), np.array([5, 5]), np.ones((2, 5)))
    before = made.checkpoint()
    with pytest.raises(Failed, match=told):
        made.advance(np.array(symbols), np.array(numbers), np.full((len(symbols), 5), 2.0))
    assert made.checkpoint() == before
    made.advance(np.array([0, 1]), np.array([6, 6]), np.ones((2, 5)))
    assert made.last.tolist() == [6, 6]


def test_no_bar_at_all_is_no_error() -> None:
    made = Together([("A", crossing(3))])
    before = made.checkpoint()
    made.advance(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 5)))
    assert made.checkpoint() == before


def test_a_checkpoint_of_others_or_a_damaged_one_is_refused_and_changes_nothing() -> None:
    programs = [("A", crossing(3)), ("B", crossing(4))]
    made = Together(programs)
    made.advance(np.array([0, 1]), np.array([5, 5]), np.ones((2, 5)))
    data = made.checkpoint()
    others = [
        [("A", crossing(4)), ("B", crossing(3))],
        [("A", crossing(3)), ("C", crossing(4))],
        [("A", crossing(3))],
        [("B", crossing(4)), ("A", crossing(3))],
    ]
    for other in others:
        fresh = Together(other)
        before = fresh.checkpoint()
        with pytest.raises(Failed, match="belongs to other symbols, programs or kernels"):
            fresh.restore(data)
        assert fresh.checkpoint() == before
    for k in (0, 40, 75, len(data) - 1):
        with pytest.raises(Failed, match=r"damaged|belongs to other"):
            Together.resume(programs, data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :])
    with pytest.raises(Failed, match="damaged"):
        Together.resume(programs, data[:-1])


def test_a_copy_and_a_pickle_go_on_by_themselves() -> None:
    made = Together([("A", crossing(3))])
    made.advance(np.array([0]), np.array([5]), np.ones((1, 5)))
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other.checkpoint() == made.checkpoint()
        other.advance(np.array([0]), np.array([6]), np.ones((1, 5)))
        assert other.checkpoint() != made.checkpoint()


def test_a_spoiled_canary_halts() -> None:
    made = Together([("A", crossing(3))])
    made.memory[made._canaries[0]] = 1.0
    with pytest.raises(Halt, match="past its ring"):
        made.checkpoint()


def test_a_program_without_nodes_reads_its_fields_and_constants() -> None:
    made = Together([("A", Program((), (("entry", 1.0), ("stop", "high"))))])
    roles = made.advance(np.array([0]), np.array([5]), np.array([[1.0, 4.0, 0.5, 2.0, 3.0]]))
    assert roles[0, 0] == 1.0
    assert roles[0, 4] == 4.0
    assert made.read(0, "close") == 2.0
    assert made.values(0).size == 0


def test_no_program_is_refused() -> None:
    with pytest.raises(Usage, match="no program"):
        Together([])
