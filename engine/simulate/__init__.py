"""Costs, the fill model, the plain simulation and its metrics."""

from __future__ import annotations

from engine.simulate.costs import Costs
from engine.simulate.run import REASONS, Decisions, Simulation, decide, decisions_of, simulate, simulate_program
from engine.simulate.tally import METRICS

__all__ = [
    "METRICS",
    "REASONS",
    "Costs",
    "Decisions",
    "Simulation",
    "decide",
    "decisions_of",
    "simulate",
    "simulate_program",
]
