"""Many programs live: all whose symbols closed a bar are advanced by one compiled call.

Nodes are stored by step and not by program: those that run the same step and depend on nothing later form a group,
their states behind each other, and one call of the group's compiled loop advances them.  Programs of one symbol see
the same bars from the first on, so nodes that are equal are one node.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.graph.foreign import refuse_foreign
from engine.graph.machine import CANARY, WORD
from engine.graph.node import FIELDS
from engine.graph.program import Program, Ref
from engine.graph.resolve import ROLES
from engine.graph.shared import Shared
from engine.graph.turn import NEVER, advance_rows, follow_rows
from engine.kernels.rows import packed, row_words, rows_address
from engine.kernels.step import find_step
from parquet_store.errors import Failed, Halt, Usage
from pipelines import Bars

__all__ = ["SymbolState", "Together"]

MAGIC = b"LKSM1\n"
WHY = ("is not one of the symbols", "closes a bar that is not later than its last one", "is there twice")


class SymbolState(NamedTuple):
    """The state of one symbol's programs: its last bar, their memory, cells and roles."""

    last: int
    memory: NDArray[np.float64]
    cells: NDArray[np.float64]
    roles: NDArray[np.float64]


class Together:
    """Programs of many symbols, one compiled call for all bars that close at once.

    Parameters
    ----------
    programs : sequence of (str, Program)
        A symbol, or any name of a series of bars, and a program that follows it; a symbol may have several.

    Attributes
    ----------
    programs : tuple of (str, Program)
    symbols : tuple of str
        Each symbol once, in the order of its first program: what the numbers of `advance` mean.
    roles : ndarray of float64, shape (programs, 6)
        What entry, exit, short_entry, short_exit, stop and target read after the last bar of the program's symbol;
        NaN is unknown, before the first bar unless it is a constant, or no such role.
    last : ndarray of int64, shape (symbols,)
        The number of each symbol's last bar, -2**63 before the first.
    nodes : int
        Nodes that are advanced, equal ones of a symbol counted once.
    arrays : tuple of ndarray
        What compiled code needs to advance them itself, by `engine.graph.turn.advance_rows`.

    Raises
    ------
    Usage
        No program, or one has steps of other libraries, which cannot advance by a bar.
    """

    def __init__(self, programs: Sequence[tuple[str, Program]]) -> None:
        if not programs:
            raise Usage("no program to advance: give at least one (symbol, program)")
        for program in {id(program): program for _, program in programs}.values():
            refuse_foreign(program, "live trading")
        self.programs = tuple(programs)
        self.symbols = tuple(dict.fromkeys(symbol for symbol, _ in programs))
        self.place = {symbol: k for k, symbol in enumerate(self.symbols)}
        self._shared = shared = Shared(programs, self.place)
        self.nodes = len(shared.nodes)
        count = len(self.symbols)
        self.cells = np.full(shared.cells, np.nan)  # bars, outputs, constants
        self.cells[shared.cells - len(shared.constants) :] = list(shared.constants)
        self.roles = np.full((len(programs), len(ROLES)), np.nan)
        self.last = np.full(count, NEVER)
        self._fresh = np.zeros(count, np.uint8)
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = {}
        self._runs = np.zeros((count, 2), np.int64)
        self._starts = shared.starts
        self._link()
        self._lay_out()
        self._fixed = (
            self._groups, self._starts, self.cells, self.last, self._fresh,
            self._links, self._link_starts, self.roles.reshape(-1),
        )  # fmt: skip
        self.arrays: tuple[Any, ...] = (*self._fixed, self._runs)

    def _link(self) -> None:
        """List which cell each role of each program reads, by symbol; a constant is read here, once."""
        found = []
        for p, (symbol, program) in enumerate(self.programs):
            for k, role in enumerate(ROLES):
                ref = program.role(role)
                if isinstance(ref, float):
                    self.roles[p, k] = ref
                elif ref is not None:
                    found.append((self.place[symbol], self._shared.cell(p, ref), p * len(ROLES) + k))
        links = np.array(sorted(found), np.int64).reshape(-1, 3)
        self._links = np.ascontiguousarray(links[:, 1:], np.uint32)
        self._link_starts = np.searchsorted(links[:, 0], np.arange(len(self.symbols) + 1)).astype(np.int64)

    def _lay_out(self) -> None:
        """Lay out each group's states, then its rings, each with a canary; and the table of each group's rows."""
        shared = self._shared
        steps = [find_step(name) for _, name in shared.groups]
        rings = [
            [made.ring_size(params) for params in shared.params_of(g)] if made.has_ring else []
            for g, made in enumerate(steps)
        ]
        sizes = [
            len(rows) * len(made.state) + sum(ring) + len(ring)
            for made, rows, ring in zip(steps, shared.rows, rings, strict=True)
        ]
        self.memory = np.zeros(sum(sizes) + 1)
        self._tables: list[NDArray[np.uint64]] = []
        self._groups = np.zeros((len(steps), 5), np.uint64)
        cells, memory, flags = (x.ctypes.data for x in (self.cells, self.memory, self._fresh))
        canaries: list[int] = []
        at = 0
        owners: list[NDArray[np.int64]] = []
        for g, (made, rows, ring) in enumerate(zip(steps, shared.rows, rings, strict=True)):
            symbols = np.array([shared.nodes[n][0] for n in rows], np.int64)
            owners.append(np.repeat(symbols, len(made.state)))
            if made.has_ring:
                owners.append(np.repeat(symbols, np.array(ring, np.int64) + 1))
            table = np.zeros((len(rows), row_words(made)), np.uint64)
            inputs = np.array(shared.inputs_of(g), np.int64).reshape(len(rows), len(made.inputs))
            table[:, : len(made.inputs)] = cells + WORD * inputs
            states = memory + WORD * at
            self.memory[at : at + len(rows) * len(made.state)] = np.tile(made.state, len(rows))
            at += len(rows) * len(made.state)
            word = len(made.inputs)
            if made.has_ring:
                ends = np.cumsum(np.array(ring, np.int64) + 1)
                table[:, word] = memory + WORD * (at + ends - 1 - np.array(ring, np.int64))
                canaries += (at + ends - 1).tolist()
                at += int(ends[-1])
                word += 1
            if made.has_anchor:
                table[:, word] = flags + np.array([shared.nodes[n][0] for n in rows], np.int64)
                word += 1
            params = np.array(shared.params_of(g), np.float64).reshape(len(rows), len(made.params))
            table[:, word:] = params.view(np.uint64)
            each = np.diff(self._starts[g])
            table, period = packed(table, len(each) if (each == each[0]).all() else 0, len(made.params))
            self._tables.append(table)
            outputs = cells + WORD * shared.outputs[g]
            self._groups[g] = rows_address(made), table.ctypes.data, outputs, states, period
        self._owners = np.concatenate([*owners, np.array([-1])])  # the symbol of each word
        self._canaries = np.array(canaries, np.int64)
        self.memory[self._canaries] = CANARY

    def advance(
        self, symbols: NDArray[np.int64], numbers: NDArray[np.int64], bars: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Advance every program of some symbols by one closed bar each.

        Parameters
        ----------
        symbols : ndarray of int64, shape (k,)
            Places in ``symbols``, each at most once; fastest in ascending order.
        numbers : ndarray of int64, shape (k,)
            The bars' absolute numbers.
        bars : ndarray of float64, shape (k, 5)
            Open, high, low, close, volume.

        Returns
        -------
        ndarray of float64, shape (programs, 6)
            ``roles``; rows of programs whose symbol is not in the call are as they were.

        Raises
        ------
        Failed
            A symbol is unknown or there twice, or its bar is not later than the one before; nothing has changed.
        """
        wrong = advance_rows(*self._fixed, symbols, numbers, bars, self._runs)
        if wrong >= 0:
            raise self.refused(wrong, symbols, numbers)
        return self.roles

    def refused(self, wrong: int, symbols: NDArray[np.int64], numbers: NDArray[np.int64]) -> Failed:
        """Return the error of what `engine.graph.turn.advance_rows` refused."""
        k, why = divmod(wrong, len(WHY))
        symbol = int(symbols[k])
        name = f"{self.symbols[symbol]} (number {symbol})" if why else f"number {symbol}"
        before = f" ({self.last[symbol]})" if why == 1 else ""
        return Failed(f"bar {numbers[k]} of {name}: the symbol {WHY[why]}{before}; nothing was advanced")

    def follow(self, symbol: str, bars: Bars) -> None:
        """Advance every program of one symbol by bars of history, in order, in one call.

        Raises
        ------
        Failed
            The first bar is not later than the symbol's last one; nothing has changed.
        """
        at = self.place[symbol]
        if not len(bars):
            return
        if bars.number[0] <= self.last[at]:
            raise Failed(f"{symbol}: history starts at bar {bars.number[0]}, expected one after {self.last[at]}")
        fields = np.stack([getattr(bars, name) for name in FIELDS], axis=1)
        follow_rows(*self._fixed, at, bars.number, fields)

    def values(self, program: int) -> NDArray[np.float64]:
        """Return every output of a program after its last bar, as ``Advance.values``, shape (outputs,)."""
        found: NDArray[np.float64] = self.cells[self._shared.outputs_of(program)]
        return found

    def read(self, program: int, ref: Ref) -> float:
        """Return what a reference of a program reads after its last bar."""
        return float(self.cells[self._shared.cell(program, ref)])

    def check_canaries(self) -> None:
        """Halt if a step wrote outside its own ring."""
        if (self.memory[self._canaries] != CANARY).any():
            raise Halt("a step wrote past its ring: its ring= must cover every index the step stores to")

    def checkpoint(self) -> bytes:
        """Return the state of all programs as bytes, with the digests that say what they belong to."""
        self.check_canaries()
        parts = [self.last.tobytes(), self.memory.tobytes(), self.cells.tobytes(), self.roles.tobytes()]
        body = b"".join(parts)
        return MAGIC + self.digest + hashlib.sha256(body).digest() + body

    def restore(self, data: bytes) -> None:
        """Go on where ``checkpoint`` was taken; as it was before if the bytes are refused.

        Raises
        ------
        Failed
            The bytes are damaged or belong to other symbols, programs or kernels.
        """
        head, own, check, body = data[:6], data[6:38], data[38:70], memoryview(data)[70:]
        if head != MAGIC or hashlib.sha256(body).digest() != check:
            raise Failed("checkpoint: damaged or not a checkpoint; replay the history from its origin instead")
        into = (self.last, self.memory, self.cells, self.roles.reshape(-1))
        if own != self.digest or len(body) != sum(x.nbytes for x in into):
            raise Failed(
                "checkpoint: belongs to other symbols, programs or kernels; replay the history from its origin"
            )
        at = 0
        for part in into:
            part[:] = np.frombuffer(body[at : at + part.nbytes], part.dtype)
            at += part.nbytes

    def take(self, symbol: str) -> SymbolState:
        """Return a copy of the state of one symbol's programs."""
        at = self.place[symbol]
        words, cells, programs = self._parts(at)
        return SymbolState(int(self.last[at]), self.memory[words], self.cells[cells], self.roles[programs])

    def put(self, symbol: str, state: SymbolState) -> None:
        """Go on with one symbol's programs where ``take`` was; the others are not touched."""
        at = self.place[symbol]
        words, cells, programs = self._parts(at)
        self.last[at], self.memory[words], self.cells[cells] = state.last, state.memory, state.cells
        self.roles[programs] = state.roles

    def _parts(self, at: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return which words, cells and programs are a symbol's."""
        known = self._kept.get(at)
        if known is None:
            cells = [np.arange(len(FIELDS)) + len(FIELDS) * at]
            for g, (_, step) in enumerate(self._shared.groups):
                count = len(find_step(step).outputs)
                first = self._shared.outputs[g]
                cells.append(np.arange(first + count * self._starts[g, at], first + count * self._starts[g, at + 1]))
            programs = [p for p, (symbol, _) in enumerate(self.programs) if self.place[symbol] == at]
            words = np.flatnonzero(self._owners == at)
            known = self._kept[at] = words, np.concatenate(cells), np.array(programs, np.int64)
        return known

    @classmethod
    def resume(cls, programs: Sequence[tuple[str, Program]], data: bytes) -> Together:
        """Return programs that go on where ``checkpoint`` was taken; errors are those of `restore`."""
        made = cls(programs)
        made.restore(data)
        return made

    def __reduce__(self) -> Any:
        """Copy and pickle by checkpoint: addresses are never shared or sent."""
        return Together.resume, (self.programs, self.checkpoint())

    @property
    def digest(self) -> bytes:
        """What a checkpoint belongs to: symbols, programs and the kernels they use, 32 bytes."""
        digest = hashlib.sha256()
        for symbol, program in self.programs:
            name = symbol.encode()
            digest.update(struct.pack("<q", len(name)) + name + program.digest.encode())
        steps = sorted({name for _, name in self._shared.groups})
        digest.update(repr([(name, find_step(name).digest) for name in steps]).encode())
        return digest.digest()
