"""Programs as text and back, switches, sizes."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.graph import Bar, Param, Program, Signals, Size, Sizing, Strategy, bind, columns, ta, when
from engine.strategies import STRATEGIES
from parquet_store.errors import Failed, LockstepError, Usage
from tests.graph.drawing import Drawn, everything, made_bars, program_of, random_signals, same_bytes

TEXT = json.dumps(bind(STRATEGIES["mean_reversion"]()).as_json())


def through_text(program: Program) -> Program:
    return Program.from_json(json.loads(json.dumps(program.as_json(), sort_keys=True, allow_nan=False)))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_comes_back_from_text_with_its_digest(name: str) -> None:
    program = bind(STRATEGIES[name]())
    again = through_text(program)
    assert again == program
    assert again.digest == program.digest
    assert again.kernels() == program.kernels()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(random_signals())
def test_random_graphs_come_back_from_text_with_their_digest_and_bits(made: Signals) -> None:
    program = bind(Drawn(made))
    again = through_text(program)
    assert again == program
    assert again.digest == program.digest
    same_bytes(columns(program, made_bars(4, 60)).values, columns(again, made_bars(4, 60)).values, program)


def test_14_and_14_point_0_are_one_program() -> None:
    bar = Bar()
    one = program_of(entry=ta.rsi(bar.close, 14) < 30)
    other = program_of(entry=ta.rsi(bar.close, 14.0) < 30.0)  # type: ignore[arg-type]
    assert one.digest == other.digest
    text = TEXT.replace('"length": 14}', '"length": 14.0}')
    assert text != TEXT
    assert Program.from_json(json.loads(text)).digest == Program.from_json(json.loads(TEXT)).digest
    assert program_of(entry=ta.rsi(bar.close, 15) < 30).digest != one.digest


def test_a_program_depends_on_nothing_but_its_graph() -> None:
    strategy = STRATEGIES["mean_reversion"]
    assert bind(strategy(), {"rsi_length": 14.0}).digest == bind(strategy()).digest
    assert bind(strategy(), {"rsi_length": 15}).digest != bind(strategy()).digest
    bar = Bar()
    assert program_of(bar.close > 1, trailing=True).digest != program_of(bar.close > 1).digest
    assert program_of(bar.close > 1, max_hold=3).digest != program_of(bar.close > 1).digest
    assert program_of(bar.close > 1, size=Size.kelly(0.5)).digest != program_of(bar.close > 1).digest


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the text of mean reversion with one place changed; ``...`` deletes it."""
    data: dict[str, Any] = json.loads(TEXT)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("version",), 2, "program version 2: this release reads version 1"),
        (("nodes",), ..., "found .* expected version, nodes"),
        (("sizing",), ..., "expected version, nodes"),
        (("surplus",), 1, "expected version, nodes"),
        (("nodes",), {"0": 1}, "nodes: found .* expected a list"),
        (("nodes", 0), "rsi", "node 0: found 'rsi', expected step, inputs, params"),
        (("nodes", 0, "step"), ..., "node 0: .* expected step, inputs, params"),
        (("nodes", 0, "step"), "rsii", 'did you mean "rsi"'),
        (("nodes", 0, "step"), 7, "node 0: found 7, expected a str"),
        (("nodes", 0, "params"), {}, r"node 0 \(rsi\): its inputs or parameters are not those of the step"),
        (("nodes", 0, "params"), [14], "expected a dict"),
        (("nodes", 0, "params", "length"), "14", "found '14', expected a number"),
        (("nodes", 0, "params", "length"), True, "found True, expected a number"),
        (("nodes", 0, "params", "length"), 14.5, "whole number"),
        (("nodes", 0, "params", "length"), 10**400, "expected a number"),
        (("nodes", 0, "params", "length"), math.inf, "finite"),
        (("nodes", 0, "inputs"), [], "its inputs or parameters are not"),
        (("nodes", 0, "inputs"), ["clos"], "reads 'clos', which is no field"),
        (("nodes", 0, "inputs"), [[0, 0]], "no earlier node"),
        (("nodes", 0, "inputs"), [[5, 0]], "no earlier node"),
        (("nodes", 0, "inputs"), [[-1, 0]], "no earlier node"),
        (("nodes", 0, "inputs"), [None], "reads None"),
        (("nodes", 0, "inputs"), [math.nan], "finite number"),
        (("nodes", 1, "inputs", 0), [0, 1], "no earlier node"),
        (("nodes", 1, "inputs", 0), [0.0, 0.0], "no earlier node"),
        (("nodes", 1, "inputs", 0), [False, False], "no earlier node"),
        (("roles", "entri"), 1, 'did you mean "entry"'),
        (("roles", "entry"), [0, 0], "role entry: reads .* no condition"),
        (("roles", "entry"), "close", "no condition"),
        (("roles", "entry"), 2, "no condition"),
        (("roles", "stop"), [99, 0], "role stop: reads"),
        (("trailing",), "no", "trailing: found 'no', expected a bool"),
        (("trailing",), 1, "expected a bool"),
        (("max_hold",), -1, "max_hold is -1"),
        (("max_hold",), 1.5, "max_hold is 1.5"),
        (("max_hold",), None, "max_hold: found None"),
        (("sizing", "kind"), "kely", 'did you mean "kelly"'),
        (("sizing", "fraction"), "half", "sizing, fraction: found 'half'"),
        (("sizing", "fraction"), -1, "above 0"),
        (("sizing", "delta"), 1, "unknown number of sizing kelly"),
    ],
)
def test_text_that_is_no_program_is_refused(path: tuple[Any, ...], value: Any, told: str) -> None:
    with pytest.raises(LockstepError, match=told):
        Program.from_json(changed(path, value))


@pytest.mark.parametrize("data", [None, 1, "x", [], {}, [1, 2]])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(Failed, match="reads version 1"):
        Program.from_json(data)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in plain data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path] * bool(path) + [found for key, value in items for found in places(value, (*path, key))]


junk = st.one_of(
    st.just(...), st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.lists(st.integers(-2, 20), min_size=2, max_size=2),
)  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from(places(json.loads(TEXT))), junk)
def test_any_one_change_gives_a_program_or_a_clear_refusal(path: tuple[Any, ...], value: Any) -> None:
    data = changed(path, copy.deepcopy(value))
    try:
        made = Program.from_json(data)
    except LockstepError as error:
        assert len(str(error)) > 15  # noqa: PT017
        return
    again = through_text(made)
    assert again.digest == made.digest
    columns(made, made_bars(1, 40))


class Switched(Strategy):
    length = Param(5, low=2, high=50, off=True)
    level = Param(2.0, low=0.5, high=9.0, off=True)
    hold = Param(7, low=1, high=50, off=True)

    def signals(self, bar: Bar) -> Signals:
        average = when(self.length, ta.sma(bar.close, self.length), bar.open)
        return Signals(
            entry=(bar.close > average) & when(self.level, ta.ibs(bar) < self.level, True),
            exit=~when(self.level, ta.rsi(bar.close, 9) > self.level, False),
            stop=when(self.level, 10 / self.level),
            target=when(self.length, when(self.level, self.level * ta.atr(bar, self.length), 3.0)),
            trailing=when(self.level, True, False),
            max_hold=when(self.hold, 2 * self.hold, 0),
            size=when(self.level, Size.kelly(self.level / 4), Size.fixed_fraction(0.5)),
        )


def test_a_parameter_of_0_switches_a_part_off_and_its_nodes_are_not_in_the_program() -> None:
    on, off = bind(Switched()), bind(Switched(), {"length": 0, "level": 0, "hold": 0})
    assert {node.step for node in on.nodes} == {"sma", "less", "ibs", "both", "rsi", "less_equal", "atr", "multiply"}
    assert {node.step for node in off.nodes} == {"less"}
    assert [on.role("stop"), off.role("stop"), off.role("target")] == [5.0, None, None]
    assert (on.trailing, on.max_hold, on.sizing) == (True, 14, Sizing.of("kelly", fraction=0.5))
    assert (off.trailing, off.max_hold, off.sizing) == (False, 0, Sizing.of("fixed_fraction", fraction=0.5))
    assert off.role("exit") == 1.0
    assert bind(Switched(), {"level": 0}).role("target") == 3.0


def test_a_sizing_given_overrides_the_one_of_the_signals() -> None:
    strategy = STRATEGIES["mean_reversion"]()
    wanted = Sizing.of("fixed_ratio", delta=500, unit=0.1)
    program = bind(strategy, sizing=wanted)
    assert program.sizing == wanted
    assert program.nodes == bind(strategy).nodes
    assert program.digest != bind(strategy).digest
    assert through_text(program).sizing == wanted
    with pytest.raises(Usage, match="needs a stop"):
        bind(strategy, {"stop_atr": 0}, Sizing.of("atr_risk", risk=0.01))
    risky = Drawn(Signals(entry=Bar().close > 1, size=Size.atr_risk(0.01)))
    with pytest.raises(Usage, match="needs a stop"):
        bind(risky)
    assert bind(risky, sizing=Sizing()).sizing == Sizing()


def test_conditions_that_are_always_true_or_false_are_folded_away() -> None:
    rising = Bar().close > Bar().open
    assert program_of(entry=rising & True).nodes == program_of(entry=rising).nodes
    assert program_of(entry=rising | True).role("entry") == 1.0
    assert program_of(entry=rising & False).nodes == ()
    assert program_of(entry=rising | rising).nodes == program_of(entry=rising).nodes
    assert program_of(entry=~(rising & False)).role("entry") == 1.0


def test_nodes_come_after_what_they_read_and_none_comes_twice() -> None:
    for program in (everything(), *(bind(made()) for made in STRATEGIES.values())):
        assert len(set(program.nodes)) == len(program.nodes)
        for k, node in enumerate(program.nodes):
            assert all(ref[0] < k for ref in node.inputs if isinstance(ref, tuple))
