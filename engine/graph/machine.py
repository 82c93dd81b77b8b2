"""A program in memory: its state and the tables by which compiled code finds everything.

The memory is flat: for each node its state, its ring and a canary word.  One node's row of the table holds the
address of its compiled step and where its inputs, outputs, parameters, state and ring lie.  History points the
table at columns, live at one slot a value; what runs is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.graph.node import FIELDS
from engine.graph.program import Program, Ref
from engine.jit import compiled
from engine.kernels.drive import address
from engine.kernels.step import find_step
from parquet_store.errors import Halt

__all__ = ["Machine", "run_nodes"]

FUNCTION, INPUTS, OUTPUTS, PARAMS, STATE, RING, WIDTH = range(7)
CANARY = 3.0e-157
TILE = 4096


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
def run_nodes(table, anchors, start, stop, tile):
    """Run every node over bars ``start`` to ``stop``, in tiles that stay in cache."""
    at = start
    while at < stop:
        end = min(at + tile, stop)
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
        self.ports = np.zeros((sum(len(n.inputs) for n in program.nodes) + self.outputs, 2), np.uint64)
        self.table = np.zeros((len(steps), WIDTH), np.uint64)
        port = param = 0
        for k, (made, node) in enumerate(zip(steps, program.nodes, strict=True)):
            at = int(ends[k])
            self.memory[at : at + len(made.state)] = made.state
            row = self.table[k]
            row[FUNCTION] = address(made) if made.compiled is not None else 0
            row[INPUTS] = self.ports[port:].ctypes.data
            row[OUTPUTS] = self.ports[port + len(node.inputs) :].ctypes.data
            row[PARAMS] = self.params[param:].ctypes.data
            row[STATE] = self.memory[at:].ctypes.data
            row[RING] = self.memory[at + len(made.state) :].ctypes.data
            port += len(node.inputs) + len(made.outputs)
            param += len(node.params)
        # the columns of foreign nodes are made before: compiled code never sees them
        self.table = self.table[np.array([made.compiled is not None for made in steps], np.bool_)]

    def __reduce__(self) -> Any:
        raise TypeError("a machine holds addresses of this process: send the program, and the checkpoint of its state")

    def point(self, fields: list[NDArray[np.float64]], outputs: list[NDArray[np.float64]], stride: int) -> None:
        """Point the table at these arrays: five fields and an array for each output; stride 1 (columns) or 0 (live)."""
        port = constant = 0
        bases = [x.ctypes.data for x in fields], [x.ctypes.data for x in outputs]
        for k, node in enumerate(self.program.nodes):
            for ref in node.inputs:
                if isinstance(ref, str):
                    self.ports[port] = bases[0][FIELDS.index(ref)], stride
                elif isinstance(ref, tuple):
                    self.ports[port] = bases[1][self.output(ref)], stride
                else:
                    self.ports[port] = self.constants[constant:].ctypes.data, 0
                    constant += 1
                port += 1
            for j in range(self.first_output[k], self.first_output[k + 1]):
                self.ports[port] = bases[1][j], stride
                port += 1

    def output(self, ref: Ref) -> int:
        """Return the place of a node's output among all outputs."""
        assert isinstance(ref, tuple)
        return int(self.first_output[ref[0]]) + ref[1]

    def run(self, flags: NDArray[np.uint8], start: int, stop: int) -> None:
        """Run all nodes over bars ``start`` to ``stop`` of the arrays pointed at."""
        self.run_at(np.uint64(flags.ctypes.data), start, stop)

    def run_at(self, flags: np.uint64, start: int, stop: int) -> None:
        """Do what `run` does, the flags given by address: asking an array for it costs more than the run of a bar."""
        run_nodes(self.table, flags, start, stop, TILE)

    def check_canaries(self) -> None:
        """Halt if a step wrote outside its own state and ring."""
        spoiled = np.flatnonzero(self.memory[self.canaries] != CANARY)
        if spoiled.size:
            node = int(spoiled[0])
            raise Halt(
                f"node {node} ({self.program.nodes[node].step}) wrote past its memory; "
                "its ring= must cover every index the step stores to"
            )
