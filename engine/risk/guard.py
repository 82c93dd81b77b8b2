"""What the position limits add to a program: a stop where it has none, and a longest time to hold."""

from __future__ import annotations

import math
from dataclasses import replace

from engine.graph.program import Program, ProgramNode
from engine.risk.limits import PositionLimits
from parquet_store import Timeframe
from parquet_store.errors import Usage

__all__ = ["guarded"]


def guarded(program: Program, limits: PositionLimits, timeframe: str) -> Program:
    """Return the program with what the limits add.

    Parameters
    ----------
    program : Program
    limits : PositionLimits
    timeframe : str
        Of its bars.

    Returns
    -------
    Program
        With a stop at ``stop_atr`` average true ranges if it has none, and ``max_hold`` at most the bars that
        ``holding_hours`` begin; the same object if nothing is added.

    Raises
    ------
    Usage
        A month has no fixed number of hours.
    """
    if limits.stop_atr != "off" and program.role("stop") is None:
        at = len(program.nodes)
        length = float(limits.stop_atr_length) if limits.stop_atr_length != "off" else 14.0
        width = ProgramNode("atr", ("high", "low", "close"), (length,))
        if width in program.nodes:
            at = program.nodes.index(width)
            nodes = program.nodes
        else:
            nodes = (*program.nodes, width)
        wide = ProgramNode("multiply", ((at, 0), float(limits.stop_atr)), ())
        program = replace(program, nodes=(*nodes, wide), roles=(*program.roles, ("stop", (len(nodes), 0))))
    if limits.holding_hours != "off":
        length_ms = Timeframe.parse(timeframe).milliseconds
        if length_ms is None:
            raise Usage(f"position.holding_hours: bars of {timeframe} have no fixed length; leave it off")
        most = math.ceil(float(limits.holding_hours) * 3_600_000 / length_ms)
        if program.max_hold == 0 or program.max_hold > most:
            program = replace(program, max_hold=most)
    return program
