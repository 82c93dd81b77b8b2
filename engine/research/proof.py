"""What a proof of look-ahead and warm-up compares and finds, as plain records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.graph import Program
from engine.graph.program import Ref
from engine.graph.scalar import tidy
from engine.kernels.step import find_step

__all__ = ["ACCOUNT", "NEAR", "Difference", "Proof", "Subject", "Warmup", "most", "subjects"]

NEAR = 1e-9  # relative
ACCOUNT = ("order", "equity")


@dataclass(frozen=True)
class Subject:
    """One column that is compared: an output of a node, a decision, or a column of the simulated account.

    Attributes
    ----------
    name : str
        ``node 3 (rsi).rsi``, a role of the signals such as ``entry``, ``order`` (quantity), or ``equity``.
    step, output : str or None
        Of a node; None for the others.
    reads : str
        Its inputs and parameters in words.
    parents : tuple of str
        The subjects it is computed from.
    """

    name: str
    step: str | None
    output: str | None
    reads: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A value that changed when later bars were taken away.

    Attributes
    ----------
    subject : Subject
    bar, time : int
        The first bar that differs, and its open time in milliseconds since the Unix epoch.
    cut : int
        Bars kept: the last one kept is bar ``cut - 1``.
    whole, alone : float
        The value with all bars and with those up to the cut; NaN is unknown.
    inherited : bool
        Whether something the subject is computed from differs on that bar or earlier: the fault lies there.
    """

    subject: Subject
    bar: int
    time: int
    cut: int
    whole: float
    alone: float
    inherited: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        told = {"node": self.subject.name, "step": self.subject.step, "output": self.subject.output}
        return told | {name: getattr(self, name) for name in ("bar", "time", "cut", "whole", "alone", "inherited")}


@dataclass(frozen=True)
class Warmup:
    """How many bars after a start a subject still differs from the run from the origin, the most over all starts.

    Attributes
    ----------
    subject : Subject
    bars, near : int or None
        Bars to byte equality and to ``NEAR``, from there to the end; None: not within the bars seen.
    """

    subject: Subject
    bars: int | None
    near: int | None


@dataclass(frozen=True)
class Proof:
    """What was found.

    Attributes
    ----------
    bars : int
    cuts, starts : tuple of int
        Bars kept by each cut; the first bar of each later start.
    lookahead : tuple of Difference
        At most one for each subject and cut, causes before what inherits from them.
    warmup, decisions : tuple of Warmup
        Of nodes, and of the roles of the signals.
    outside : dict of str to tuple of str
        By step, the sequences of numbers it reads from its module: no cut of the bars shows what those know.
    """

    bars: int
    cuts: tuple[int, ...]
    starts: tuple[int, ...]
    lookahead: tuple[Difference, ...]
    warmup: tuple[Warmup, ...]
    decisions: tuple[Warmup, ...]
    outside: dict[str, tuple[str, ...]]

    @property
    def replay_bars(self) -> int | None:
        """Bars a later start needs until every node is byte-equal; None: one of them never was."""
        return most([item.bars for item in self.warmup])

    @property
    def near_bars(self) -> int | None:
        """Bars a later start needs until every node is within ``NEAR``; None: one of them never was."""
        return most([item.near for item in self.warmup])

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "bars": self.bars,
            "cuts": list(self.cuts),
            "starts": list(self.starts),
            "lookahead": [item.as_json() for item in self.lookahead],
            "warmup": {item.subject.name: item.bars for item in self.warmup},
            "warmup_near": {item.subject.name: item.near for item in self.warmup},
            "decisions": {item.subject.name: item.bars for item in self.decisions},
            "decisions_near": {item.subject.name: item.near for item in self.decisions},
            "reads": {item.subject.name: item.subject.reads for item in (*self.warmup, *self.decisions)},
            "replay_bars": self.replay_bars,
            "near_bars": self.near_bars,
            "outside": {name: list(found) for name, found in self.outside.items()},
        }


def most(counts: Sequence[int | None]) -> int | None:
    """Return the largest count, 0 if there are none, None if one is unknown."""
    known = [count for count in counts if count is not None]
    return None if len(known) < len(counts) else max(known, default=0)


def subjects(program: Program) -> list[Subject]:
    """Return all that is compared, in an order in which each follows what it is computed from."""
    made: list[Subject] = []
    names: dict[Ref, str] = {}

    def parents(refs: tuple[Ref, ...]) -> tuple[str, ...]:
        return tuple(names[ref] for ref in refs if ref in names)

    for k, node in enumerate(program.nodes):
        step = find_step(node.step)
        settings = [f"{name}={tidy(value)}" for name, value in zip(step.params, node.params, strict=True)]
        reads = ", ".join([*(spoken(program, ref) for ref in node.inputs), *settings])
        above = parents(node.inputs)
        for j, output in enumerate(step.outputs):
            names[k, j] = f"node {k} ({node.step}).{output}"
            made.append(Subject(names[k, j], node.step, output, reads, above))
    roles = [Subject(name, None, None, spoken(program, ref), parents((ref,))) for name, ref in program.roles]
    every = tuple(item.name for item in roles)
    return [*made, *roles, *(Subject(name, None, None, "the decisions, prices and costs", every) for name in ACCOUNT)]


def spoken(program: Program, ref: Ref) -> str:
    """Return what a reference reads in words."""
    if isinstance(ref, tuple):
        return f"node {ref[0]}.{find_step(program.nodes[ref[0]].step).outputs[ref[1]]}"
    return ref if isinstance(ref, str) else str(tidy(ref))
