"""Steps of other libraries in a graph: drawn, swept and simulated like any other, refused where bars come singly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.graph import Advance, Bar, Param, Signals, Strategy, bind, columns, ta, when
from engine.graph.expression import call
from engine.graph.foreign import ForeignStep, foreign_step
from engine.graph.resolve import signals_digest, steps_of
from engine.kernels.step import STEPS
from engine.live.replay import replay_program
from engine.manifest import write_manifest
from engine.research.prove import prove
from engine.research.space import Space
from engine.research.sweep import Sweep, sweep_bars
from engine.simulate import METRICS, Costs, simulate_program
from parquet_store import Usage
from parquet_store.errors import Failed
from tests.simulate.drawn import made_bars

Floats = NDArray[np.float64]
BARS = made_bars(np.random.default_rng(4), 900)


def spread(time: NDArray[np.int64], inputs: list[Floats], params: tuple[float, ...]) -> list[Floats]:
    """Return the change over ``length`` values of the first input, and the same over its scale."""
    (series, other), (length, scale) = inputs, params
    change = np.full(time.size, np.nan)
    n = int(length)
    change[n:] = series[n:] - other[: time.size - n]
    return [change, change / scale]


@pytest.fixture(autouse=True)
def _foreign() -> Iterator[None]:
    register()
    yield
    for name in [name for name in STEPS if name.startswith("made:")]:
        del STEPS[name]


def register(compute: Any = spread, versions: str = "1", name: str = "made:spread") -> ForeignStep:
    return foreign_step(
        name,
        "made Spread",
        compute,
        inputs=("series", "other"),
        outputs=("change", "scaled"),
        params=("length", "scale"),
        whole=(True, False),
        versions=versions,
    )


class Spreads(Strategy):
    """Foreign columns of a field, of the engine's own columns, and of another foreign one."""

    length = Param(5, low=1, high=50)
    smooth = Param(3, low=1, high=50)
    scale = Param(2.0, low=0.5, high=4.0, off=True)
    stop = Param(0.0, low=0.5, high=5.0, off=True)

    def signals(self, bar: Bar) -> Signals:
        mean = ta.sma(bar.close, self.smooth)
        of_mean = call("made:spread", (mean, bar.close), {"length": self.length, "scale": 1.0})[0]
        again = call("made:spread", (of_mean, ta.ema(of_mean, 4)), {"length": 2, "scale": self.scale + 1.0})[1]
        return Signals(
            entry=(of_mean < 0.0) & (again < 0.25),
            exit=when(self.scale, again > 0.5, of_mean > 0.0),
            stop=when(self.stop, self.stop * ta.atr(bar, 14)),
        )


def by_hand(length: int, smooth: int, scale: float) -> tuple[Floats, Floats]:
    """Return the two foreign columns of the strategy, its own ones taken from programs without foreign nodes."""
    mean = column_of(lambda bar: ta.sma(bar.close, smooth), BARS.close)
    of_mean = spread(BARS.time, [mean, BARS.close], (length, 1.0))[0]
    smoothed = column_of(lambda bar: ta.ema(bar.close, 4), of_mean)
    return of_mean, spread(BARS.time, [of_mean, smoothed], (2, scale + 1.0))[1]


def column_of(draw: Any, close: Floats) -> Floats:
    """Return a number the engine computes of this column."""
    from dataclasses import replace

    class Drawn(Strategy):
        def signals(self, bar: Bar) -> Signals:
            return Signals(entry=draw(bar) > 0.0)

    return columns(bind(Drawn()), replace(BARS, close=close)).values[0]


def test_a_foreign_column_reads_fields_own_columns_and_foreign_ones() -> None:
    program = bind(Spreads(), {"length": 7, "smooth": 4, "scale": 1.5})
    found = columns(program, BARS)
    of_mean, again = by_hand(7, 4, 1.5)
    places = [k for k, node in enumerate(program.nodes) if node.step == "made:spread"]
    assert len(places) == 2
    np.testing.assert_array_equal(found.read((places[0], 0)), of_mean)
    np.testing.assert_array_equal(found.read((places[1], 1)), again)
    entry = found.role("entry")
    assert entry is not None
    np.testing.assert_array_equal(entry, (of_mean < 0.0) & (again < 0.25))
    assert 20 < entry.sum() < 880


def test_tiles_and_cuts_give_the_same_bits() -> None:
    program = bind(Spreads())
    whole = columns(program, BARS).values
    np.testing.assert_array_equal(columns(program, BARS, tile=77).values, whole)
    np.testing.assert_array_equal(columns(program, BARS.slice(0, 400)).values, whole[:, :400])


@pytest.mark.parametrize("budget", [1 << 28, 200_000])
def test_a_sweep_over_foreign_parameters_is_the_plain_simulation(budget: int) -> None:
    given = {"length": [2, 5, 9], "smooth": [2, 3], "scale": [0.0, 1.0, 2.0], "stop": [0.0, 2.0]}
    sweep = Sweep(Spreads, Space.of(Spreads, given), Costs())
    rows = 0
    for found in sweep_bars(BARS, sweep, budget=budget):
        for combo, row in zip(found.shard.combo.tolist(), found.metrics, strict=True):
            plain = simulate_program(bind(Spreads(), sweep.space.row(combo)), BARS, sweep.costs)
            np.testing.assert_allclose(row, list(plain.metrics.values()), rtol=1e-10, atol=1e-12)
            rows += bool(row[METRICS.index("trades")] > 5)
    assert rows > 20


def test_equal_calls_are_one_node_and_each_distinct_one_is_computed_once() -> None:
    asked: list[tuple[float, ...]] = []

    def counting(time: NDArray[np.int64], inputs: list[Floats], params: tuple[float, ...]) -> list[Floats]:
        asked.append(params)
        return spread(time, inputs, params)

    register(counting)
    given = {"length": [2, 5], "smooth": [3], "scale": [1.0, 2.0], "stop": [0.0, 2.0]}
    list(sweep_bars(BARS, Sweep(Spreads, Space.of(Spreads, given), Costs())))
    assert sorted(asked) == [(2.0, 1.0), (2.0, 2.0), (2.0, 2.0), (2.0, 3.0), (2.0, 3.0), (5.0, 1.0)]


def test_what_is_not_finite_is_unknown_and_zero_has_one_sign() -> None:
    odd = np.resize([np.inf, -np.inf, np.nan, -0.0, 1.5], len(BARS))
    register(lambda time, inputs, params: [odd, odd])
    program = bind(Spreads())
    first = columns(program, BARS).read((next(k for k, n in enumerate(program.nodes) if n.step == "made:spread"), 0))
    expected = np.resize([np.nan, np.nan, np.nan, 0.0, 1.5], len(BARS))
    assert first.tobytes() == expected.tobytes()


def test_a_library_that_gives_no_columns_is_told() -> None:
    register(lambda time, inputs, params: [np.zeros(3)])
    with pytest.raises(Failed, match=r"made Spread.*shapes \(3,\), expected 2 \(change, scaled\) of 900 values"):
        columns(bind(Spreads()), BARS)


def test_parameters_are_checked_by_the_step() -> None:
    class Half(Spreads):
        scale = Param(2.0, low=0.1, high=4.0)

        def signals(self, bar: Bar) -> Signals:
            return Signals(call("made:spread", (bar.close, bar.open), {"length": self.scale, "scale": 1.0})[0] > 0.0)

    with pytest.raises(Usage, match=r"made Spread: length is 2.5, expected a whole number"):
        bind(Half(), {"scale": 2.5})
    assert bind(Half(), {"scale": 2.0}).nodes[0].params == (2.0, 1.0)


def test_the_version_of_the_library_is_part_of_a_plan() -> None:
    drawn = Spreads().drawn
    before = steps_of(drawn)
    register(versions="2")
    assert steps_of(drawn)["made:spread"] != before["made:spread"]
    assert signals_digest(drawn) == signals_digest(Spreads().drawn)
    assert bind(Spreads(), {"length": 6}).digest != bind(Spreads(), {"length": 7}).digest


def test_export_replay_and_live_refuse_and_name_the_step_that_would_have_to_exist(tmp_path: Path) -> None:
    program = bind(Spreads())
    missing = (
        r"made Spread has no step: write it as an @indicator named spread with inputs series, other and parameters "
        r"length, scale and outputs change, scaled"
    )
    with pytest.raises(Usage, match=f"an export needs steps that advance bar by bar: {missing}"):
        write_manifest(tmp_path / "m.json", program, Costs(), BARS, strategy="spreads", params={}, evidence={})
    assert not list(tmp_path.iterdir())
    with pytest.raises(Usage, match=missing):
        Advance(program)
    with pytest.raises(Usage, match=missing):
        replay_program(program, Costs(), BARS)


def test_prove_finds_a_library_that_looks_ahead_and_only_there() -> None:
    honest = prove(bind(Spreads()), BARS, Costs(), cuts=8, starts=3)
    assert honest.lookahead == ()
    assert honest.warmup

    def ahead(time: NDArray[np.int64], inputs: list[Floats], params: tuple[float, ...]) -> list[Floats]:
        change, scaled = spread(time, inputs, params)
        return [change, scaled / np.nanmax(np.abs(scaled), initial=1.0)]  # of the whole history

    register(ahead)
    found = prove(bind(Spreads()), BARS, Costs(), cuts=8, starts=3).lookahead
    faults = {(item.subject.step, item.subject.output) for item in found if not item.inherited}
    assert faults == {("made:spread", "scaled")}
