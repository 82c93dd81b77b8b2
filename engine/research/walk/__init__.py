"""Walk-forward: choose in each training window, test in what comes after, all from one sweep."""

from __future__ import annotations

from engine.research.walk.forward import Walked, walk_forward
from engine.research.walk.keep import Walk, load_walk, newest_walk, run_walk, walks
from engine.research.walk.windows import Fold, Scheme, folds_of

__all__ = [
    "Fold",
    "Scheme",
    "Walk",
    "Walked",
    "folds_of",
    "load_walk",
    "newest_walk",
    "run_walk",
    "walk_forward",
    "walks",
]
