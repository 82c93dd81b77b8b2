"""Tiles tile by tile: every node over some bars, compared while they are in cache, then the next bars.

A column exists whole only where combinations read it.  Nodes that do not read each other run on several threads;
each thread has a machine for its own ones, whose state goes on from tile to tile.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from engine.graph.apart import components
from engine.graph.expression import FIELDS
from engine.graph.machine import Machine
from engine.graph.program import Program, ProgramNode
from engine.kernels.column import anchors
from engine.kernels.step import find_step
from engine.research.bitmap import fill_bitmaps, words_of
from engine.research.private import rows_of
from pipelines import Bars

__all__ = ["Tiles"]

SMALL = 1 << 15  # bars x nodes that are not worth a second thread


class Tiles:
    """The columns of a program over bars, one tile at a time.

    Parameters
    ----------
    bars : Bars
    program : Program
    tile : int
        Bars, a multiple of 64.
    whole : dict of int to ndarray of float64, shape (at least bars,)
        For outputs that are wanted whole: where they go.
    workers : int
    """

    def __init__(
        self, bars: Bars, program: Program, tile: int, whole: dict[int, NDArray[np.float64]], workers: int
    ) -> None:
        self.bars, self.tile, n = bars, tile, len(bars)
        parts = split(program, workers if n * len(program.nodes) > SMALL else 1)
        outputs = sum(len(find_step(node.step).outputs) for node in program.nodes)
        self.bench = rows_of(outputs, tile)
        begin, width = self.bench.ctypes.data, self.bench.shape[1]
        fields = [getattr(bars, name) for name in FIELDS]
        self.sources = np.array(
            [x.ctypes.data for x in fields] + [begin + 8 * k * width for k in range(outputs)], np.uint64
        )
        self.moving = np.ones(self.sources.size, np.bool_)
        self.moving[: len(fields)] = False
        for k, column in whole.items():
            self.sources[len(fields) + k] = column.ctypes.data
            self.moving[len(fields) + k] = False
        self.machines: list[Machine] = []
        self.ports: list[NDArray[np.bool_]] = []
        end = begin + self.bench.nbytes
        for part, places in parts:
            machine = Machine(part)
            machine.point(fields, [whole[k] if k in whole else self.bench[k] for k in places], 1)
            self.machines.append(machine)
            # constants lie elsewhere, so what lies on the bench are its columns
            self.ports.append((machine.ports[:, 0] >= begin) & (machine.ports[:, 0] < end))
        self.flags = anchors(bars.number)

    def fill(
        self,
        tasks: NDArray[np.int64],
        levels: NDArray[np.float64],
        bitmaps: NDArray[np.uint64],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Compute every column and, tile by tile, the bitmaps that ``tasks`` ask for."""
        n, lanes = len(self.bars), len(self.machines)
        for start in range(0, n, self.tile):
            stop = min(n, start + self.tile)
            if start:
                back = np.uint64(8 * self.tile)
                self.sources[self.moving] -= back  # the address bar 0 would have
                for machine, ports in zip(self.machines, self.ports, strict=True):
                    machine.ports[ports, 0] -= back
            jobs = [pool.submit(machine.run, self.flags, start, stop) for machine in self.machines[1:]]
            self.machines[0].run(self.flags, start, stop)
            for job in jobs:
                job.result()
            if not len(tasks):
                continue
            cuts = np.linspace(start // 64, words_of(stop), lanes + 1).astype(int).tolist()
            spans = list(itertools.pairwise(cuts))
            jobs = [pool.submit(self._compare, tasks, levels, bitmaps, a, b) for a, b in spans[1:]]
            self._compare(tasks, levels, bitmaps, *spans[0])
            for job in jobs:
                job.result()
        for machine in self.machines:
            machine.check_canaries()

    def _compare(
        self, tasks: NDArray[np.int64], levels: NDArray[np.float64], bitmaps: NDArray[np.uint64], first: int, last: int
    ) -> None:
        fill_bitmaps(tasks, levels, self.sources, len(self.bars), bitmaps, first, last)


def split(program: Program, parts: int) -> list[tuple[Program, list[int]]]:
    """Return programs that together have all nodes, with the places of their outputs among those of the whole.

    Nodes that read each other, directly or not, stay together; at most ``parts`` programs, at least one.
    """
    first = np.cumsum([0] + [len(find_step(node.step).outputs) for node in program.nodes]).tolist()
    if parts == 1:
        return [(program, list(range(first[-1])))]
    members = components(program)
    loads: list[list[int]] = [[] for _ in range(max(1, min(parts, len(members))))]
    for nodes in members:
        min(loads, key=len).extend(nodes)
    return [_part(program.nodes, sorted(load), first) for load in loads]


def _part(nodes: Sequence[ProgramNode], chosen: list[int], first: list[int]) -> tuple[Program, list[int]]:
    place = {k: at for at, k in enumerate(chosen)}
    made = tuple(
        ProgramNode(
            nodes[k].step,
            tuple((place[ref[0]], ref[1]) if isinstance(ref, tuple) else ref for ref in nodes[k].inputs),
            nodes[k].params,
        )
        for k in chosen
    )
    return Program(made, ()), [output for k in chosen for output in range(first[k], first[k + 1])]
