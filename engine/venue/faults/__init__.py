"""Faults of the local exchange on command: what real venues do wrong, by name, from a seed, and written down."""

from engine.venue.faults.faults import Faults
from engine.venue.faults.table import TABLE

__all__ = ["TABLE", "Faults"]
