"""A program: the concrete graph as plain data, the form that is exported, swept and advanced."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.graph.node import FIELDS, NEGATED, Field, Level, Node, Out, ordered
from engine.graph.resolve import ROLES, resolve
from engine.graph.scalar import tidy
from engine.graph.strategy import Strategy
from engine.kernels.step import find_step
from parquet_store.errors import Failed, Usage, unknown

__all__ = ["Program", "ProgramNode", "Ref", "Sizing", "bind"]

CONDITIONS = frozenset((*NEGATED, "shift_condition"))  # steps that are true or false
Ref = str | float | tuple[int, int]  # a field of the bar, a constant, (node, output)
MOST_BARS = 10**9


@dataclass(frozen=True)
class ProgramNode:
    """One step with concrete inputs and parameters."""

    step: str
    inputs: tuple[Ref, ...]
    params: tuple[float, ...]


@dataclass(frozen=True)
class Sizing:
    """A size rule with concrete numbers; see ``Size``."""

    kind: str = "all_in"
    numbers: tuple[tuple[str, float], ...] = (("fraction", 0.995),)

    def number(self, name: str) -> float:
        """Return one of its numbers by name, 0 if the rule has none of that name."""
        return dict(self.numbers).get(name, 0.0)

    @classmethod
    def of(cls, kind: str, **numbers: float) -> Sizing:
        """Return the rule, checked, unset numbers at their defaults."""
        from engine.graph.strategy import Size

        made = Size.of(kind, **numbers)
        out = tuple((name, float(value.evaluate({}))) for name, value in made.numbers)
        for name, value in out:
            if not math.isfinite(value) or value <= 0.0:
                raise Usage(f"sizing {kind}: {name} is {value:g}, expected a number above 0")
        return cls(kind, out)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as plain data."""
        return {"kind": self.kind, **{name: tidy(value) for name, value in self.numbers}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sizing:
        """Return the rule from plain data."""
        numbers = {name: _number(value, f"sizing, {name}") for name, value in data.items() if name != "kind"}
        return cls.of(str(data.get("kind")), **numbers)


@dataclass(frozen=True)
class Program:
    """A concrete graph.

    Attributes
    ----------
    nodes : tuple of ProgramNode
        In an order in which every node follows its inputs.
    roles : dict of str to Ref
        What each role of the signals reads: entry, exit, short_entry, short_exit, stop, target.
    trailing : bool
    max_hold : int
    sizing : Sizing
    """

    nodes: tuple[ProgramNode, ...]
    roles: tuple[tuple[str, Ref], ...]
    trailing: bool = False
    max_hold: int = 0
    sizing: Sizing = Sizing()

    def role(self, name: str) -> Ref | None:
        """Return what a role reads, None if the program has no such role."""
        return dict(self.roles).get(name)

    def as_json(self) -> dict[str, Any]:
        """Return the program as plain data, whole numbers without a point."""
        return {
            "version": 1,
            "nodes": [
                {
                    "step": node.step,
                    "inputs": [_ref_json(ref) for ref in node.inputs],
                    "params": {k: tidy(v) for k, v in zip(find_step(node.step).params, node.params, strict=True)},
                }
                for node in self.nodes
            ],
            "roles": {name: _ref_json(ref) for name, ref in self.roles},
            "trailing": self.trailing,
            "max_hold": self.max_hold,
            "sizing": self.sizing.as_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Program:
        """Return the program from plain data, everything checked.

        Raises
        ------
        Failed
            Something is missing, too much or of another type; a node reads a later node or a field or output that
            does not exist; a role of the signals reads no condition.
        Usage
            A step or role is unknown (nearest name given), or a parameter is out of range.
        """
        if not isinstance(data, Mapping) or data.get("version") != 1:
            found = data.get("version") if isinstance(data, Mapping) else data
            raise Failed(f"program version {found!r}: this release reads version 1")
        _keys(data, ("version", "nodes", "roles", "trailing", "max_hold", "sizing"), "")
        nodes: list[ProgramNode] = []
        for k, item in enumerate(_plain(data["nodes"], list, "nodes")):
            where = f"node {k}"
            _keys(item, ("step", "inputs", "params"), where)
            made = find_step(_plain(item["step"], str, where))
            where += f" ({made.name})"
            given, read = _plain(item["params"], dict, where), _plain(item["inputs"], list, where)
            if set(given) != set(made.params) or len(read) != len(made.inputs):
                raise Failed(f"program {where}: its inputs or parameters are not those of the step")
            params = made.check([_number(given[name], where) for name in made.params])
            nodes.append(ProgramNode(made.name, tuple(_ref_read(ref, nodes, where) for ref in read), params))
        found_roles = _plain(data["roles"], dict, "roles")
        for name in found_roles:
            if name not in ROLES:
                raise unknown("role", name, ROLES)
        refs = {name: _ref_read(found_roles[name], nodes, f"role {name}") for name in ROLES if name in found_roles}
        for name in ROLES[:4]:
            if name in refs and not _is_condition(refs[name], nodes):
                raise Failed(f"program role {name}: reads {found_roles[name]!r}, which is no condition, 0 or 1")
        hold = max_hold(_number(data["max_hold"], "max_hold"))
        sizing = Sizing.from_json(_plain(data["sizing"], dict, "sizing"))
        return cls(tuple(nodes), tuple(refs.items()), _plain(data["trailing"], bool, "trailing"), hold, sizing)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the program as text."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def kernels(self) -> dict[str, str]:
        """Return the digest of every step it uses, by name."""
        return {name: find_step(name).digest for name in sorted({node.step for node in self.nodes})}


def bind(strategy: Strategy, values: Mapping[str, float] | None = None, sizing: Sizing | None = None) -> Program:
    """Return the strategy's program for concrete parameters.

    Parameters
    ----------
    strategy : Strategy
    values : mapping of str to float, optional
        Parameters that differ from the defaults; checked against their bounds.
    sizing : Sizing, optional
        Overrides the size rule the signals carry.

    Raises
    ------
    Usage
        Unknown parameter, value out of bounds, a length that does not come out whole.
    """
    known = strategy.values(values)
    shape = resolve(strategy.drawn, lambda s: s.evaluate(known) != 0.0)
    nodes: list[ProgramNode] = []
    index: dict[ProgramNode, int] = {}
    refs: dict[Node, Ref] = {}

    def ref(node: Node) -> Ref:
        if isinstance(node, Field):
            return node.name
        if isinstance(node, Level):
            return constant(float(node.scalar.evaluate(known)))
        assert isinstance(node, Out)
        params = find_step(node.call.step).check([s.evaluate(known) for s in node.call.params])
        made = ProgramNode(node.call.step, tuple(refs[x] for x in node.call.inputs), params)
        if made not in index:
            index[made] = len(nodes)
            nodes.append(made)
        return index[made], node.index

    for root in shape.nodes.values():
        for node in ordered(root):
            if node not in refs:
                refs[node] = ref(node)
    roles = tuple((name, refs[node]) for name, node in shape.nodes.items())
    if sizing is None:
        sizing = Sizing.of(shape.size.kind, **{n: float(s.evaluate(known)) for n, s in shape.size.numbers})
    if sizing.kind == "atr_risk" and "stop" not in shape.nodes:
        raise Usage("sizing atr_risk needs a stop: give Signals a stop, or choose another sizing")
    hold = max_hold(float(shape.max_hold.evaluate(known)))
    return Program(tuple(nodes), roles, bool(shape.trailing.evaluate(known)), hold, sizing)


def max_hold(value: float) -> int:
    """Return the number of bars, or say that it is not one."""
    if not math.isfinite(value) or value != math.floor(value) or not 0 <= value <= MOST_BARS:
        raise Usage(f"max_hold is {value:g}, expected a whole number of bars from 0 to {MOST_BARS:,}")
    return int(value)


def constant(value: float) -> float:
    """Return a constant of the graph in canonical form."""
    if not math.isfinite(value):
        raise Usage(f"a constant of the graph comes out as {value}, expected a finite number")
    return value + 0.0


def _ref_json(ref: Ref) -> Any:
    return list(ref) if isinstance(ref, tuple) else ref if isinstance(ref, str) else tidy(ref)


def _ref_read(ref: Any, nodes: list[ProgramNode], where: str) -> Ref:
    if isinstance(ref, str) and ref in FIELDS:
        return ref
    if isinstance(ref, int | float) and not isinstance(ref, bool):
        return constant(_number(ref, where))
    if isinstance(ref, list | tuple) and len(ref) == 2 and all(type(x) is int for x in ref):
        node, output = ref
        if 0 <= node < len(nodes) and 0 <= output < len(find_step(nodes[node].step).outputs):
            return node, output
    raise Failed(f"program {where}: reads {ref!r}, which is no field, no finite number and no earlier node")


def _is_condition(ref: Ref, nodes: list[ProgramNode]) -> bool:
    if isinstance(ref, tuple):
        return nodes[ref[0]].step in CONDITIONS
    return ref in (0.0, 1.0)


def _keys(item: Any, expected: tuple[str, ...], where: str) -> None:
    found = sorted(item) if isinstance(item, dict) else item
    if not isinstance(item, Mapping) or set(item) != set(expected):
        raise Failed(f"program {where or 'text'}: found {found!r}, expected {', '.join(expected)}")


def _plain(item: Any, kind: type[Any], where: str) -> Any:
    if not isinstance(item, kind):
        raise Failed(f"program {where}: found {item!r}, expected a {kind.__name__}")
    return item


def _number(item: Any, where: str) -> float:
    try:
        if isinstance(item, int | float) and not isinstance(item, bool):
            return float(item)
    except OverflowError:
        pass
    raise Failed(f"program {where}: found {item!r}, expected a number")
