"""Tiles in tiles: the same bits whatever the tile, the threads and what is wanted whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.graph import Bar, Param, Signals, Strategy, bind, columns, ta, when
from engine.graph.program import Program
from engine.graph.resolve import switches
from engine.research import tiles
from engine.research.bitmap import words_of
from engine.research.prepare import divided, shapes
from engine.research.space import Space
from engine.research.tiles import Tiles, split
from engine.research.words import LESS
from tests.research.made_strategies import Turns
from tests.research.swept import pack
from tests.simulate.drawn import made_bars


def program_of_many() -> Program:
    """Return a program whose nodes fall into several groups, one with chains and shared inputs."""

    class Many(Strategy):
        def signals(self, bar: Bar) -> Signals:
            line = ta.macd(bar.close, 5, 9, 4)
            band = ta.bollinger(bar.close, 20, 1.5)
            short = (ta.rsi(bar.close, 5) < 40.0) & (ta.adx(bar, 7).adx > 20.0)
            return Signals(
                entry=(line.line > line.signal) & (bar.close < band.middle),
                exit=ta.vwap(bar, 30) > bar.close.shift(3),
                short_entry=short,
                stop=ta.atr(bar, 14) * 2.0,
            )

    return bind(Many())


@pytest.mark.parametrize("count", [1, 64, 65, 1_000, 4_097])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_tile_and_no_thread_changes_a_bit(count: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "SMALL", 0)
    bars, program = made_bars(np.random.default_rng(count), count), program_of_many()
    program = Program(program.nodes, ())
    whole_first = Tiles(bars, program, 64 * words_of(count), {}, 1)
    outputs = len(whole_first.bench)
    nothing = np.zeros((0, 4), np.int64), np.zeros((0, 2)), np.zeros((0, words_of(count)), np.uint64)
    with ThreadPoolExecutor(workers) as pool:
        whole_first.fill(*nothing, pool)
        wanted = whole_first.bench[:, :count].copy()
        assert np.isfinite(wanted[:, -1]).any() or count < 65
        # every output against its neighbour, in tiles, with some of them whole
        tasks = np.array([(LESS, 5 + k, 5 + (k + 1) % outputs, k) for k in range(outputs)], np.int64)
        for tile in (64, 192, 4_096):
            kept = {k: np.full(count, 7.0) for k in range(0, outputs, 3)}
            bitmaps = np.full((outputs, words_of(count)), 0xDEADBEEF, np.uint64)
            made = Tiles(bars, program, tile, kept, workers)
            assert len(made.machines) == workers
            made.fill(tasks, np.zeros((outputs, 2)), bitmaps, pool)
            for k, column in kept.items():
                assert column.tobytes() == wanted[k].tobytes()
            for k in range(outputs):
                np.testing.assert_array_equal(bitmaps[k], pack(wanted[k] < wanted[(k + 1) % outputs]))


def test_the_columns_are_those_of_the_program() -> None:
    bars, program = made_bars(np.random.default_rng(5), 900), program_of_many()
    found = columns(program, bars)
    made = Tiles(bars, Program(program.nodes, ()), 1_024, {}, 1)
    with ThreadPoolExecutor(1) as pool:
        made.fill(np.zeros((0, 4), np.int64), np.zeros((0, 2)), np.zeros((0, 15), np.uint64), pool)
    assert made.bench[:, :900].tobytes() == found.values.tobytes()


def test_nodes_that_read_each_other_stay_together() -> None:
    program = program_of_many()
    for parts in (1, 2, 5, 100):
        made = split(program, parts)
        assert 1 <= len(made) <= parts
        assert sorted(place for _, places in made for place in places) == list(range(sum(len(p) for _, p in made)))
        assert sorted(node.step for part, _ in made for node in part.nodes) == sorted(n.step for n in program.nodes)
        for part, _ in made:
            for k, node in enumerate(part.nodes):
                assert all(ref[0] < k for ref in node.inputs if isinstance(ref, tuple))


def test_more_switches_than_a_word_has_bits() -> None:
    class Switched(Strategy):
        level = Param(0, low=0, high=200)

        def signals(self, bar: Bar) -> Signals:
            found = bar.close > 0.0
            for k in range(80):
                found = found & when(self.level // (k + 1), bar.close > float(k), bar.open > float(k))
            return Signals(entry=found, exit=bar.close < bar.open)

    drawn = Switched().drawn
    assert len(switches(drawn)) == 80
    (shard,) = Space.of(Switched, {"level": [0.0, 1.0, 50.0, 80.0, 81.0]}).shards()
    found = [places.tolist() for _, places in shapes(drawn, None, shard)]
    assert sorted(found) == [[0], [1], [2], [3, 4]]


def test_a_part_is_divided_by_the_parameter_that_owns_most() -> None:
    (shard,) = Space.of(Turns, {"rsi_length": [3, 5, 8], "low_level": [30.0, 40.0, 45.0, 47.0]}).shards()
    for owned, parts, sizes in (
        ({"rsi_length": 5.0, "low_level": 2.0}, 2, [8, 4]),
        ({"rsi_length": 5.0, "low_level": 9.0}, 3, [6, 3, 3]),
        ({"rsi_length": 5.0}, 100, [4, 4, 4]),
        ({"trailing": 9.0}, 2, []),
        ({}, 2, []),
    ):
        masks = divided(shard, owned, parts)
        assert [int(mask.sum()) for mask in masks] == sizes
        assert not masks or (np.sum(masks, axis=0) == 1).all()
