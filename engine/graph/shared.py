"""The nodes of many programs: equal ones of a symbol once, and in groups that one compiled loop can advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import FIELDS
from engine.graph.program import Program, Ref
from engine.kernels.step import find_step

__all__ = ["Shared"]

Read = tuple[int, int]  # (node, output), (-1, cell of a field) or (-2, constant)
FIELD, CONSTANT = -1, -2


class Shared:
    """Distinct nodes of programs, their groups, and the cell each output has.

    Cells are five fields a symbol, then the outputs group by group, then constants.

    Attributes
    ----------
    nodes : list of (symbol, step, inputs, params)
    groups : list of (depth, step)
        Nodes of one step that need equally many others first; in this order each group reads earlier ones only.
    rows : list of list of int
        The nodes of each group, by symbol.
    starts : ndarray of int32, shape (groups, symbols + 1)
        Where the rows of each symbol start in a group.
    outputs : list of int
        The cell of each group's first output.
    constants : dict of float to int
    cells : int
        How many there are.
    """

    def __init__(self, programs: Sequence[tuple[str, Program]], place: Mapping[str, int]) -> None:
        self.programs, self.place = programs, place
        self.nodes: list[tuple[int, str, tuple[Read, ...], tuple[float, ...]]] = []
        self.constants: dict[float, int] = {}
        self.of: list[list[int]] = []  # the node here of each node of each program
        known: dict[tuple[int, str, tuple[Read, ...], tuple[float, ...]], int] = {}
        depth: list[int] = []
        for symbol, program in programs:
            s = place[symbol]
            own: list[int] = []
            for node in program.nodes:
                reads = tuple(self._read(s, own, ref) for ref in node.inputs)
                key = (s, node.step, reads, node.params)
                at = known.get(key)
                if at is None:
                    at = known[key] = len(self.nodes)
                    self.nodes.append(key)
                    depth.append(1 + max((depth[n] for n, _ in reads if n >= 0), default=0))
                own.append(at)
            self.of.append(own)
            for _, ref in program.roles:
                if isinstance(ref, float):
                    self.constants.setdefault(ref, len(self.constants))
        self._group(depth)

    def _read(self, symbol: int, own: Sequence[int], ref: Ref) -> Read:
        if isinstance(ref, str):
            return FIELD, len(FIELDS) * symbol + FIELDS.index(ref)
        if isinstance(ref, tuple):
            return own[ref[0]], ref[1]
        return CONSTANT, self.constants.setdefault(ref, len(self.constants))

    def _group(self, depth: Sequence[int]) -> None:
        members: dict[tuple[int, str], list[int]] = {}
        for k, node in enumerate(self.nodes):
            members.setdefault((depth[k], node[1]), []).append(k)
        self.groups = sorted(members)
        self.rows = [sorted(members[group], key=lambda k: self.nodes[k][0]) for group in self.groups]
        symbols = np.arange(len(self.place) + 1)
        self.starts = np.zeros((len(self.groups), len(self.place) + 1), np.int32)
        self.outputs: list[int] = []
        self.first: NDArray[np.int64] = np.zeros(len(self.nodes), np.int64)
        at = len(FIELDS) * len(self.place)
        for g, ((_, step), rows) in enumerate(zip(self.groups, self.rows, strict=True)):
            self.starts[g] = np.searchsorted([self.nodes[k][0] for k in rows], symbols)
            self.outputs.append(at)
            made = len(find_step(step).outputs)
            self.first[rows] = at + made * np.arange(len(rows))
            at += made * len(rows)
        self.after = at
        self.cells = at + len(self.constants)

    def inputs_of(self, group: int) -> list[list[int]]:
        """Return the cells that the rows of a group read."""
        first, after = self.first.tolist(), self.after
        return [
            [first[n] + k if n >= 0 else k if n == FIELD else after + k for n, k in self.nodes[row][2]]
            for row in self.rows[group]
        ]

    def params_of(self, group: int) -> list[tuple[float, ...]]:
        """Return the parameters of the rows of a group."""
        return [self.nodes[row][3] for row in self.rows[group]]

    def cell(self, program: int, ref: Ref) -> int:
        """Return the cell that a reference of a program reads."""
        if isinstance(ref, str):
            return len(FIELDS) * self.place[self.programs[program][0]] + FIELDS.index(ref)
        if isinstance(ref, tuple):
            return int(self.first[self.of[program][ref[0]]]) + ref[1]
        return self.after + self.constants[ref]

    def outputs_of(self, program: int) -> NDArray[np.int64]:
        """Return the cells of every output of a program, in its order."""
        counts = [len(find_step(node.step).outputs) for node in self.programs[program][1].nodes]
        return np.array(
            [self.first[n] + k for n, count in zip(self.of[program], counts, strict=True) for k in range(count)],
            np.int64,
        )
