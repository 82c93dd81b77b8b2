"""Drivers of a program: history in one go or in tiles, one bar at a time, a preview, a checkpoint."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.foreign import foreign_columns, refuse_foreign
from engine.graph.machine import TILE, Machine, run_nodes
from engine.graph.node import FIELDS
from engine.graph.program import Program, Ref
from engine.kernels.column import ANCHOR_BARS, anchors
from engine.kernels.spare import column_memory
from parquet_store.errors import Failed, Usage
from pipelines import Bars

__all__ = ["Advance", "Columns", "columns"]

MAGIC = b"LKST1\n"


@dataclass(frozen=True)
class Columns:
    """Outputs of nodes over history.

    Attributes
    ----------
    program : Program
    values : ndarray of float64, shape (kept outputs, bars)
        In the order of the nodes; NaN is unknown; conditions are 1.0 and 0.0.
    fields : dict of str to ndarray of float64, shape (bars,)
    rows : dict of (int, int) to int
        Where in ``values`` an output of a node is, for those that were kept.
    """

    program: Program
    values: NDArray[np.float64]
    fields: Mapping[str, NDArray[np.float64]]
    rows: Mapping[tuple[int, int], int]

    def read(self, ref: Ref) -> NDArray[np.float64]:
        """Return what a reference reads, shape (bars,).

        Raises
        ------
        Usage
            The output was not among the ``only`` of `columns`.
        """
        if isinstance(ref, str):
            return self.fields[ref]
        if isinstance(ref, tuple):
            if ref not in self.rows:
                raise Usage(f"output {ref[1]} of node {ref[0]} was not kept: name it in only= of columns()")
            values: NDArray[np.float64] = self.values[self.rows[ref]]
            return values
        return np.full(self.values.shape[1], ref)

    def role(self, name: str) -> NDArray[np.float64] | None:
        """Return the values of a role of the signals, None if the program has none."""
        ref = self.program.role(name)
        return None if ref is None else self.read(ref)


def columns(
    program: Program,
    bars: Bars,
    tile: int | None = None,
    only: Iterable[Ref] | None = None,
    threads: int = 1,
) -> Columns:
    """Run a program over history.

    Parameters
    ----------
    program : Program
    bars : Bars
    tile : int, optional
        Cut the run into calls of this many bars, at least 1; the bits do not depend on it.
    only : iterable of Ref, optional
        The outputs to keep; all if not given.  What is not kept has memory for one tile and costs none for the rest.
    threads : int
        Nodes that do not read each other run on up to so many threads; the bits do not depend on it.
    """
    if tile is not None and tile < 1:
        raise Usage(f"tiles of {tile} bars: expected at least 1")
    if threads < 1:
        raise Usage(f"{threads} threads: expected at least 1")
    machine = Machine(program)
    n = len(bars)
    foreign = list(foreign_columns(program, bars))
    every = [(node, k) for node, count in enumerate(np.diff(machine.first_output).tolist()) for k in range(count)]
    wanted = set(every if only is None else only) | {(node, k) for node, made in foreign for k in range(len(made))}
    rows = {ref: row for row, ref in enumerate(ref for ref in every if ref in wanted)}
    values = column_memory(len(rows), n)
    fields = {name: getattr(bars, name) for name in FIELDS}
    machine.point(list(fields.values()), [values[rows[ref]] if ref in rows else None for ref in every], 1)
    for node, made in foreign:
        for k, column in enumerate(made):
            values[rows[node, k]] = column
    flags = anchors(bars.number)

    def run(part: tuple[NDArray[np.uint64], NDArray[np.uint64]]) -> None:
        for start in range(0, n, tile or max(n, 1)):
            run_nodes(*part, np.uint64(flags.ctypes.data), start, min(n, start + (tile or n)), TILE)

    if threads == 1:
        run((machine.table, machine.moving))
    else:
        left = deque(machine.parts())

        def work() -> None:
            while left:
                with suppress(IndexError):  # another thread took the last one
                    run(left.popleft())

        jobs = [_helpers(threads - 1).submit(work) for _ in range(threads - 1)]
        work()
        for job in jobs:
            job.result()
    machine.check_canaries()
    return Columns(program, values, fields, rows)


@functools.cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Return threads that stay: starting one takes as long as a column of a hundred thousand bars."""
    return ThreadPoolExecutor(count, "columns")


class Advance:
    """A program live: one closed bar at a time, one compiled call a bar.

    Attributes
    ----------
    values : ndarray of float64, shape (outputs,)
        Every output after the last bar; NaN is unknown.
    last : int or None
        The number of the last bar.

    Raises
    ------
    Usage
        The program has steps of other libraries, which cannot advance by a bar.
    """

    def __init__(self, program: Program) -> None:
        refuse_foreign(program, "live trading")
        self.program = program
        self.machine = Machine(program)
        self.last: int | None = None
        self.bar = np.empty(len(FIELDS))
        self.values = np.full(self.machine.outputs, np.nan)
        self._flag = np.zeros(1, np.uint8)
        self._flag_at = np.uint64(self._flag.ctypes.data)
        self.machine.point(
            [self.bar[k:] for k in range(len(FIELDS))], [self.values[k:] for k in range(self.values.size)], 0
        )

    def advance(self, number: int, open: float, high: float, low: float, close: float, volume: float) -> None:
        """Advance by one closed bar.

        Raises
        ------
        Failed
            The bar is not later than the last one; nothing has changed.
        """
        if self.last is not None and number <= self.last:
            raise Failed(f"bar {number} follows bar {self.last}: expected a later one; a closed bar never comes twice")
        self.bar[:] = open, high, low, close, volume
        self._flag[0] = self.last is not None and number // ANCHOR_BARS != self.last // ANCHOR_BARS
        self.machine.run_at(self._flag_at, 0, 1)
        self.last = number

    def preview(
        self, number: int, open: float, high: float, low: float, close: float, volume: float
    ) -> NDArray[np.float64]:
        """Return the values the forming bar would give if it closed now; leaves no trace."""
        kept = self.machine.memory.copy(), self.values.copy(), self.bar.copy(), self.last
        try:
            self.advance(number, open, high, low, close, volume)
            return self.values.copy()
        finally:
            self.machine.memory[:], self.values[:], self.bar[:] = kept[:3]
            self.last = kept[3]

    def read(self, ref: Ref) -> float:
        """Return what a reference reads after the last bar."""
        if isinstance(ref, str):
            return float(self.bar[FIELDS.index(ref)])
        if isinstance(ref, tuple):
            return float(self.values[self.machine.output(ref)])
        return ref

    def checkpoint(self) -> bytes:
        """Return the whole state as bytes, with the digests that say what it belongs to."""
        self.machine.check_canaries()
        last = -(2**63) if self.last is None else self.last
        body = struct.pack("<q", last) + self.machine.memory.tobytes() + self.values.tobytes() + self.bar.tobytes()
        return MAGIC + _belongs(self.program) + hashlib.sha256(body).digest() + body

    def __reduce__(self) -> Any:
        """Copy and pickle by checkpoint: addresses are never shared or sent."""
        return Advance.resume, (self.program, self.checkpoint())

    @classmethod
    def resume(cls, program: Program, data: bytes) -> Advance:
        """Return a program that goes on where ``checkpoint`` was taken.

        Raises
        ------
        Failed
            The bytes are damaged or belong to another program or to other kernels.
        """
        head, own, check, body = data[:6], data[6:38], data[38:70], data[70:]
        if head != MAGIC or hashlib.sha256(body).digest() != check:
            raise Failed("checkpoint: damaged or not a checkpoint; replay the history from its origin instead")
        if own != _belongs(program):
            raise Failed("checkpoint: belongs to another program or other kernels; replay the history from its origin")
        made = cls(program)
        sizes = [made.machine.memory.size, made.values.size, made.bar.size]
        last = struct.unpack("<q", body[:8])[0]
        parts = np.split(np.frombuffer(body[8:]), np.cumsum(sizes)[:-1])
        made.machine.memory[:], made.values[:], made.bar[:] = parts
        made.last = None if last == -(2**63) else last
        return made


def _belongs(program: Program) -> bytes:
    return hashlib.sha256(repr((program.digest, program.kernels())).encode()).digest()
