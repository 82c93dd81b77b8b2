"""Steps of other libraries: for research only, computed over a whole history at once, never compiled.

A foreign step is a node of the graph like any other: drawn, swept and merged by its parameters.  It has no scalar form,
so nothing can advance it by one bar: export and the live side refuse it, and its columns are made before the compiled
nodes run.  Nothing but a trial keeps it from looking ahead.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.graph.machine import Machine
from engine.graph.node import FIELDS
from engine.graph.program import Program, ProgramNode, Ref
from engine.kernels.column import anchors
from engine.kernels.step import STEPS, Step, find_step
from parquet_store.errors import Failed, Usage
from pipelines import Bars

__all__ = ["Compute", "ForeignStep", "foreign_columns", "foreign_step", "refuse_foreign"]

MOST = 1 << 26  # bytes of columns kept
Floats = NDArray[np.float64]
Compute = Callable[[NDArray[np.int64], list[Floats], tuple[float, ...]], Sequence[Any]]
_LAST: OrderedDict[tuple[ForeignStep, tuple[float, ...], bytes], list[Floats]] = OrderedDict()


@dataclass(frozen=True, eq=False)
class ForeignStep(Step):
    """An indicator of another library.

    Attributes
    ----------
    title : str
        Library and name in words, as in ``talib ULTOSC``.
    compute : callable
        From open times (milliseconds since the Unix epoch), inputs and parameters to a column for each output.
    """

    title: str
    compute: Compute

    def check(self, values: Sequence[float]) -> tuple[float, ...]:
        """Return the parameters as floats; whole ones may be 0 or negative, their range is the library's own affair.

        Raises
        ------
        Usage
            A parameter is missing, no number or not finite, or not whole where it must be.
        """
        if len(values) != len(self.params):
            raise Usage(f"{self.title}: got {len(values)} parameters, expected {', '.join(self.params) or 'none'}")
        found = tuple(float(value) for value in values)
        for name, whole, value in zip(self.params, self.whole, found, strict=True):
            if not math.isfinite(value) or (whole and value != math.floor(value)):
                raise Usage(f"{self.title}: {name} is {value:g}, expected a {'whole' if whole else 'finite'} number")
        return found

    def columns(self, time: NDArray[np.int64], inputs: list[Floats], params: tuple[float, ...]) -> list[Floats]:
        """Return the outputs over a history as the drivers of compiled steps write them: one NaN, no infinity, no -0.0.

        Raises
        ------
        Failed
            The library gives another number of columns or of values than it should.
        """
        made = [np.asarray(column, np.float64) for column in self.compute(time, inputs, params)]
        if len(made) != len(self.outputs) or any(column.shape != time.shape for column in made):
            shapes = ", ".join(str(column.shape) for column in made)
            raise Failed(
                f"{self.title}{params}: gave columns of shapes {shapes or 'none'}, expected {len(self.outputs)} "
                f"({', '.join(self.outputs)}) of {time.size:,} values"
            )
        return [np.where(np.isfinite(column), column + 0.0, np.nan) for column in made]


def foreign_step(
    name: str,
    title: str,
    compute: Compute,
    *,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    params: tuple[str, ...] = (),
    whole: tuple[bool, ...] = (),
    versions: str = "",
) -> ForeignStep:
    """Register a step of another library and return it.

    Parameters
    ----------
    name : str
        Under which graphs know it; with a colon, so that it is never taken for one of the engine's own.
    versions : str
        Of whatever its numbers depend on; part of its digest, and so of a sweep's plan.
    """

    def refused(*arguments: Any) -> NoReturn:
        raise Usage(f"{title}: has no scalar form; it is computed over a whole history at once")

    said = ("foreign", name, inputs, outputs, params, whole, versions)
    made = ForeignStep(
        name=name,
        function=refused,
        inputs=inputs,
        outputs=outputs,
        params=params,
        whole=whole,
        state=(),
        ring=None,
        has_ring=False,
        has_anchor=False,
        sees_unknown=True,
        counts=(),
        settled=None,
        block=None,
        compiled=None,
        told=lambda: hashlib.sha256(repr(said).encode()).hexdigest(),
        original=refused,
        title=title,
        compute=compute,
    )
    STEPS[name] = made
    return made


def refuse_foreign(program: Program, what: str) -> None:
    """Refuse a program with foreign nodes, naming the steps that would have to exist.

    Raises
    ------
    Usage
    """
    found = {node.step: step for node in program.nodes if isinstance(step := find_step(node.step), ForeignStep)}
    if found:
        raise Usage(f"{what} needs steps that advance bar by bar: {'; '.join(map(_missing, found.values()))}")


def _missing(step: ForeignStep) -> str:
    reads = f"inputs {', '.join(name.rstrip('_') for name in step.inputs)}"
    if step.params:
        reads += f" and parameters {', '.join(step.params)}"
    outputs = f" and outputs {', '.join(step.outputs)}" if len(step.outputs) > 1 else ""
    return (
        f"{step.title} has no step: write it as an @indicator named {step.title.split()[1].lower()} with {reads}"
        f"{outputs}, use that in the strategy and sweep again"
    )


def foreign_columns(program: Program, bars: Bars) -> Iterator[tuple[int, list[Floats]]]:
    """Yield the place of each foreign node among the program's and its outputs, each shape (bars,).

    Raises
    ------
    Usage, Failed
        The library refuses the parameters, or gives something else than columns.
    """
    steps = {k: step for k, node in enumerate(program.nodes) if isinstance(step := find_step(node.step), ForeignStep)}
    again = _below(program, [ref for k in steps for ref in program.nodes[k].inputs], ())
    made: dict[int, list[Floats]] = {}
    for k, step in steps.items():
        node = program.nodes[k]
        found = _remembered(step, bars.time, _read(program, node.inputs, bars, made), node.params)
        if k in again:
            made[k] = found
        yield k, found


def _remembered(
    step: ForeignStep, time: NDArray[np.int64], inputs: list[Floats], params: tuple[float, ...]
) -> list[Floats]:
    """Return the outputs of a step; the last ones are kept, since the parts of a sweep ask for the same again."""
    check = hashlib.sha256()
    for column in (time, *inputs):
        check.update(np.ascontiguousarray(column).tobytes())
    key = step, params, check.digest()
    if key in _LAST:
        _LAST.move_to_end(key)
        return _LAST[key]
    made = step.columns(time, inputs, params)
    for column in made:
        column.setflags(write=False)
    _LAST[key] = made
    while sum(column.nbytes for columns in _LAST.values() for column in columns) > MOST and len(_LAST) > 1:
        _LAST.popitem(last=False)
    return made


def _below(program: Program, refs: Sequence[Ref], made: Container[int]) -> list[int]:
    """Return the places of the nodes that references read, in order, those they read too unless they are made."""
    needed, queue = set[int](), [ref[0] for ref in refs if isinstance(ref, tuple)]
    while queue:
        k = queue.pop()
        if k not in needed:
            needed.add(k)
            if k not in made:
                queue += [ref[0] for ref in program.nodes[k].inputs if isinstance(ref, tuple)]
    return sorted(needed)


def _read(program: Program, refs: tuple[Ref, ...], bars: Bars, made: dict[int, list[Floats]]) -> list[Floats]:
    """Return columns by reference, after running the compiled nodes they need; foreign ones are there already."""
    kept = _below(program, refs, made)
    place = {k: at for at, k in enumerate(kept)}

    def moved(ref: Ref) -> Ref:
        return (place[ref[0]], ref[1]) if isinstance(ref, tuple) else ref

    def part(k: int) -> ProgramNode:
        node = program.nodes[k]
        inputs = () if k in made else tuple(moved(ref) for ref in node.inputs)
        return ProgramNode(node.step, inputs, node.params)

    machine = Machine(Program(tuple(part(k) for k in kept), ()))
    values = [np.empty(len(bars)) for _ in range(machine.outputs)]
    for k in kept:
        for j, column in enumerate(made.get(k, ())):
            values[machine.output((place[k], j))] = column
    fields = {name: getattr(bars, name) for name in FIELDS}
    machine.point(list(fields.values()), values, 1)
    machine.run(anchors(bars.number), 0, len(bars))
    machine.check_canaries()

    def read(ref: Ref) -> Floats:
        if isinstance(ref, str):
            return np.ascontiguousarray(fields[ref])
        if isinstance(ref, tuple):
            return values[machine.output(moved(ref))]
        return np.full(len(bars), ref)

    return [read(ref) for ref in refs]
