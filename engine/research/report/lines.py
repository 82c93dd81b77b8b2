"""Which of a program's values a chart shows: what its signals compare, on the price axis or in a panel of its own."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np

from engine.graph.drive import Columns
from engine.graph.program import Program, Ref
from engine.graph.scalar import tidy
from engine.kernels.step import find_step

__all__ = ["Lines", "Panel", "drawn_lines", "ref_text"]

PRICES = ("open", "high", "low", "close")
COMPARISONS = ("less", "less_equal", "equal", "not_equal")
SMOOTHERS = ("sma", "ema", "wilder", "highest", "lowest", "shift", "negate", "absolute")
DISTANCES = ("atr", "true_range")
OPERATORS = {"add": "+", "subtract": "\u2212", "multiply": "\u00d7", "divide": "/"}
NAMES = {"var": "value at risk", "minimum": "min", "maximum": "max", "absolute": "abs", "logarithm": "log"}
MOST_LEVELS, MOST_PANELS = 6, 3


@dataclass
class Panel:
    """Values that share an axis which is not the price's, and the constants they are compared with."""

    refs: list[Ref] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)


@dataclass
class Lines:
    """What a chart of the program shows beside the price."""

    levels: list[Ref] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)


def drawn_lines(found: Columns) -> Lines:
    """Return the values the signals of a program compare, sorted by where they can be drawn.

    A value that is a price (a band, an average, an earlier high) goes on the price axis; any other (an index, a
    ratio, a difference of prices) into a panel, together with what it is compared with.
    """
    pairs = compared(found.program)
    seen = {ref for pair in pairs for ref in pair if not isinstance(ref, float)}
    lines = Lines()
    for pair in pairs:
        values = [ref for ref in pair if not isinstance(ref, float) and not is_echo(found.program, ref, seen)]
        others = [ref for ref in values if quantity(found, ref) != "price"]
        lines.levels += [r for r in values if r not in others and r not in PRICES and r not in lines.levels]
        if others:
            panel = next((p for p in lines.panels if set(p.refs) & set(others)), None)
            if panel is None:
                panel = Panel()
                lines.panels.append(panel)
            panel.refs += [r for r in others if r not in panel.refs]
            panel.thresholds += [r for r in pair if isinstance(r, float) and r not in panel.thresholds]
    return Lines(lines.levels[:MOST_LEVELS], lines.panels[:MOST_PANELS])


def compared(program: Program) -> list[tuple[Ref, Ref]]:
    """Return both sides of every comparison the signals rest on, in the order of the roles."""
    out: list[tuple[Ref, Ref]] = []
    known: set[int] = set()

    def walk(ref: Ref) -> None:
        if not isinstance(ref, tuple) or ref[0] in known:
            return
        known.add(ref[0])
        node = program.nodes[ref[0]]
        if node.step in COMPARISONS:
            out.append((node.inputs[0], node.inputs[1]))
        elif node.step in ("both", "either", "shift_condition", "where"):
            for item in node.inputs:
                walk(item)

    for name, ref in program.roles:
        if name not in ("stop", "target"):
            walk(ref)
    return out


def is_echo(program: Program, ref: Ref, seen: Set[object]) -> bool:
    """Return whether a value is only the earlier one of another that is compared too, as in a crossing."""
    if not isinstance(ref, tuple):
        return False
    node = program.nodes[ref[0]]
    return node.step == "shift" and node.inputs[0] in seen


def quantity(found: Columns, ref: Ref) -> str:
    """Return what a reference measures: ``price``, ``distance`` (between prices), ``constant`` or ``other``."""
    if isinstance(ref, str):
        return "price" if ref in PRICES else "other"
    if isinstance(ref, float):
        return "constant"
    node = found.program.nodes[ref[0]]
    kinds = [quantity(found, item) for item in node.inputs]
    if node.step in SMOOTHERS:
        return kinds[0]
    if node.step == "moments":
        return kinds[0] if ref[1] == 0 else "distance" if kinds[0] in ("price", "distance") else "other"
    if node.step in DISTANCES:
        return "distance"
    if node.step == "vwap":
        return "price"
    if node.step in ("minimum", "maximum", "where"):
        rest = set(kinds[-2:]) - {"constant"}
        return rest.pop() if len(rest) == 1 else "other"
    if node.step in OPERATORS:
        return operated(node.step, kinds[0], kinds[1])
    if ":" in node.step and "price" in kinds:  # a user's own step: what it gives tells what it is
        return "price" if near_price(found, ref) else "other"
    return "other"


def operated(step: str, left: str, right: str) -> str:
    """Return what an arithmetic operation on two quantities measures."""
    if step in ("add", "subtract"):
        if left == right:
            return "distance" if step == "subtract" and left == "price" else left
        if "other" in (left, right):
            return "other"
        return "price" if "price" in (left, right) else "distance"
    if right == "constant" or (step == "multiply" and left == "constant"):
        return left if right == "constant" else right
    if step == "multiply" and "other" in (left, right):
        return right if left == "other" else left
    return "other"


def near_price(found: Columns, ref: Ref) -> bool:
    """Return whether nearly all known values lie between half the close and twice the close."""
    values, close = found.read(ref), found.fields["close"]
    known = np.isfinite(values)
    if not known.any():
        return False
    ratio = values[known] / close[known]
    return bool(np.mean((ratio > 0.5) & (ratio < 2.0)) > 0.95)


def ref_text(program: Program, ref: Ref) -> str:
    """Return a reference as people write it: ``sma(300)``, ``mean(20) - 2 x std(20)`` with proper signs."""
    if isinstance(ref, str):
        return ref
    if isinstance(ref, float):
        return f"{tidy(ref):,.6g}"
    node = program.nodes[ref[0]]
    inner = [ref_text(program, item) for item in node.inputs]
    if node.step in OPERATORS:
        tight = [
            f"({text})" if node.step in ("multiply", "divide", "subtract") and is_sum(program, item) and k else text
            for k, (text, item) in enumerate(zip(inner, node.inputs, strict=True))
        ]
        if node.step in ("multiply", "divide") and is_sum(program, node.inputs[0]):
            tight[0] = f"({inner[0]})"
        return f"{tight[0]} {OPERATORS[node.step]} {tight[1]}"
    step = find_step(node.step)
    name = ("mean", "std")[ref[1]] if node.step == "moments" else NAMES.get(node.step, node.step.rpartition(":")[2])
    if len(step.outputs) > 1 and node.step != "moments":
        name = f"{name}.{step.outputs[ref[1]]}"
    usual = node.inputs == ("close",) or (len(node.inputs) > 1 and all(isinstance(item, str) for item in node.inputs))
    arguments = [*([] if usual else inner), *(f"{tidy(p):g}" for p in node.params)]
    return f"{name}({', '.join(arguments)})" if arguments else name


def is_sum(program: Program, ref: Ref) -> bool:
    """Return whether a reference is a sum or a difference, which needs brackets inside a product."""
    return isinstance(ref, tuple) and program.nodes[ref[0]].step in ("add", "subtract")
