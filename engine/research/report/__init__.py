"""The report of a sweep: one page, verdict first, that needs nothing else to be read."""

from __future__ import annotations

from engine.research.report.write import Evidence, gather, swept_bars, write_report

__all__ = ["Evidence", "gather", "swept_bars", "write_report"]
