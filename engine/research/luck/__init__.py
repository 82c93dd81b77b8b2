"""How likely is it luck: what a sweep's winner is worth, after all that was tried."""

from __future__ import annotations

from engine.research.luck.cscv import Overfitting, cross_validate
from engine.research.luck.gather import gather, judge_run, record_run
from engine.research.luck.judge import Swept, judge
from engine.research.luck.ledger import Entry, Ledger, Trials
from engine.research.luck.rows import Row
from engine.research.luck.verdict import Verdict

__all__ = [
    "Entry",
    "Ledger",
    "Overfitting",
    "Row",
    "Swept",
    "Trials",
    "Verdict",
    "cross_validate",
    "gather",
    "judge",
    "judge_run",
    "record_run",
]
