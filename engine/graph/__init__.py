"""The signal graph: what a strategy builds, the program it becomes, and the drivers of a program."""

from __future__ import annotations

import engine.kernels  # noqa: F401  (registers the engine's own steps)
from engine.graph import ta
from engine.graph.drive import Advance, Columns, columns
from engine.graph.expression import Bar, Condition, Number, when
from engine.graph.program import Program, Sizing, bind
from engine.graph.scalar import Param
from engine.graph.strategy import Signals, Size, Strategy
from engine.graph.ta import indicator

__all__ = [
    "Advance",
    "Bar",
    "Columns",
    "Condition",
    "Number",
    "Param",
    "Program",
    "Signals",
    "Size",
    "Sizing",
    "Strategy",
    "bind",
    "columns",
    "indicator",
    "ta",
    "when",
]
