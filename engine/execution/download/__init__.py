"""History from a venue into the store: asked for once, kept whole at any moment, gaps asked for again."""

from __future__ import annotations

from engine.execution.download.run import download
from engine.execution.download.told import Done, Wanted

__all__ = ["Done", "Wanted", "download"]
