"""Sweeps beyond one machine: Ray's workers compute the parts of a run, or batches of free points."""

from __future__ import annotations

from engine.research.cluster.drive import compute_on_cluster
from engine.research.cluster.points import Evaluator, cluster_evaluator

__all__ = ["Evaluator", "cluster_evaluator", "compute_on_cluster"]
