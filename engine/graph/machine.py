"""A program in memory: its state and the tables by which compiled code finds everything.

The memory is flat: for each node its state, its ring and a canary word.  One node's row of the table holds the
address of its compiled step and where its inputs, outputs, parameters, state and ring lie.  History points the
table at columns, live at one slot a value; what runs is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.graph.apart import components
from engine.graph.node import FIELDS
from engine.graph.program import Program, Ref
from engine.jit import compiled
from engine.kernels.drive import address
from engine.kernels.memory import store_word
from engine.kernels.step import find_step
from parquet_store.errors import Halt

__all__ = ["Machine", "run_nodes"]

FUNCTION, INPUTS, OUTPUTS, PARAMS, STATE, RING, WIDTH = range(7)
CANARY = 3.0e-157
TILE = 4096
APART = 72  # values between rows of a tile: their starts do not meet in one set of the cache
WORD, PAIR = 8, 16  # bytes of a number, of a port


@intrinsic
def call_step(typing, function, start, stop, inputs, outputs, params, state, ring, anchors):
    """Call a compiled step by address."""

    def code(context, builder, signature, args):
        word, opaque = ir.IntType(64), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [opaque] + [word] * 8)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [ir.Constant(opaque, None), *args[1:]])
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.intp, *[types.uintp] * 6), code


@compiled
def run_nodes(table, moving, anchors, start, stop, tile):
    """Run every node over bars ``start`` to ``stop``, in tiles that stay in cache.

    ``moving`` has a row for each port of memory that holds one tile: where its address stands, and that memory.
    """
    at = start
    while at < stop:
        end = min(at + tile, stop)
        for k in range(moving.shape[0]):
            store_word(moving[k, 0], 0, moving[k, 1] - np.uintp(8) * np.uintp(at))  # the address bar 0 would have
        for k in range(table.shape[0]):
            row = table[k]
            call_step(row[0], at, end, row[1], row[2], row[3], row[4], row[5], np.uintp(anchors))
        at = end


class Machine:
    """The memory and the tables of one program; one thread at a time."""

    def __init__(self, program: Program) -> None:
        self.program = program
        steps = [find_step(node.step) for node in program.nodes]
        self.first_output = np.cumsum([0] + [len(s.outputs) for s in steps])
        self.outputs = int(self.first_output[-1])
        rings = [s.ring_size(node.params) for s, node in zip(steps, program.nodes, strict=True)]
        ends = np.cumsum([0] + [len(s.state) + ring + 1 for s, ring in zip(steps, rings, strict=True)])
        self.memory = np.zeros(int(ends[-1]))
        self.canaries = ends[1:] - 1
        self.memory[self.canaries] = CANARY
        self.constants = np.array([c for node in program.nodes for c in node.inputs if isinstance(c, float)] + [0.0])
        self.params = np.array([p for node in program.nodes for p in node.params] + [0.0])
        self.moving = np.zeros((0, 2), np.uint64)
        self.ports = np.zeros((sum(len(n.inputs) for n in program.nodes) + self.outputs, 2), np.uint64)
        known = {made.name: made for made in steps}
        functions = {name: 0 if made.compiled is None else address(made) for name, made in known.items()}
        ports, params, memory = (x.ctypes.data for x in (self.ports, self.params, self.memory))
        rows = [[0] * WIDTH for _ in steps]  # lists: a program may have thousands of nodes
        port = param = 0
        for k, (made, node, at) in enumerate(zip(steps, program.nodes, ends[:-1].tolist(), strict=True)):
            self.memory[at : at + len(made.state)] = made.state
            row = rows[k]
            row[FUNCTION] = functions[made.name]
            row[INPUTS] = ports + PAIR * port
            row[OUTPUTS] = ports + PAIR * (port + len(node.inputs))
            row[PARAMS] = params + WORD * param
            row[STATE] = memory + WORD * at
            row[RING] = memory + WORD * (at + len(made.state))
            port += len(node.inputs) + len(made.outputs)
            param += len(node.params)
        # the columns of foreign nodes are made before: compiled code never sees them
        self.rows = np.array([k for k, made in enumerate(steps) if made.compiled is not None], np.int64)
        self.table = np.array([rows[k] for k in self.rows], np.uint64).reshape(-1, WIDTH)

    def __reduce__(self) -> Any:
        raise TypeError("a machine holds addresses of this process: send the program, and the checkpoint of its state")

    def point(
        self, fields: list[NDArray[np.float64]], outputs: Sequence[NDArray[np.float64] | None], stride: int
    ) -> None:
        """Point the table at these arrays: five fields and an array for each output; stride 1 (columns) or 0 (live).

        An output of columns that is None is not kept: it has memory for one tile.
        """
        constants = self.constants.ctypes.data
        self.bench = np.empty((sum(x is None for x in outputs), TILE + APART))
        rows = iter(self.bench)
        bases = dict(zip(FIELDS, (x.ctypes.data for x in fields), strict=True))
        columns = [(next(rows) if x is None else x).ctypes.data for x in outputs]
        first = self.first_output.tolist()
        ports: list[tuple[int, int]] = []
        for k, node in enumerate(self.program.nodes):
            for ref in node.inputs:
                if isinstance(ref, str):
                    ports.append((bases[ref], stride))
                elif isinstance(ref, tuple):
                    ports.append((columns[first[ref[0]] + ref[1]], stride))
                else:
                    ports.append((constants, 0))
                    constants += WORD
            ports += [(columns[j], stride) for j in range(first[k], first[k + 1])]
        self.ports[:] = np.array(ports, np.uint64).reshape(self.ports.shape)
        passing = {address for address, x in zip(columns, outputs, strict=True) if x is None}
        word = self.ports.ctypes.data
        found = [(word + PAIR * k, port[0]) for k, port in enumerate(ports) if port[0] in passing]
        self.moving = np.array(found, np.uint64).reshape(-1, 2)

    def output(self, ref: Ref) -> int:
        """Return the place of a node's output among all outputs."""
        assert isinstance(ref, tuple)
        return int(self.first_output[ref[0]]) + ref[1]

    def run(self, flags: NDArray[np.uint8], start: int, stop: int) -> None:
        """Run all nodes over bars ``start`` to ``stop`` of the arrays pointed at."""
        self.run_at(np.uint64(flags.ctypes.data), start, stop)

    def run_at(self, flags: np.uint64, start: int, stop: int) -> None:
        """Do what `run` does, the flags given by address: asking an array for it costs more than the run of a bar."""
        run_nodes(self.table, self.moving, flags, start, stop, TILE)

    def parts(self) -> list[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
        """Return tables, and their moving ports, that several threads may run: no node of one reads another's.

        Those with most ports come first.
        """
        place = np.cumsum([0] + [len(find_step(node.step).outputs) + len(node.inputs) for node in self.program.nodes])
        starts = self.ports.ctypes.data + PAIR * place.astype(np.uint64)
        owner = np.searchsorted(starts, self.moving[:, 0], side="right") - 1
        groups = components(self.program)
        label = np.empty(len(self.program.nodes), np.int64)
        for k, nodes in enumerate(groups):
            label[nodes] = k
        weight = np.bincount(label, place[1:] - place[:-1])
        of_row, of_port = label[self.rows], label[owner]
        return [(self.table[of_row == k], self.moving[of_port == k]) for k in np.argsort(-weight, kind="stable")]

    def check_canaries(self) -> None:
        """Halt if a step wrote outside its own state and ring."""
        spoiled = np.flatnonzero(self.memory[self.canaries] != CANARY)
        if spoiled.size:
            node = int(spoiled[0])
            raise Halt(
                f"node {node} ({self.program.nodes[node].step}) wrote past its memory; "
                "its ring= must cover every index the step stores to"
            )
