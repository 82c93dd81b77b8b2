"""Research: sweeps, their tables, reports and proofs; ``portfolio`` is what a notebook asks for."""

from __future__ import annotations

from typing import Any

__all__ = ["portfolio"]


def __getattr__(name: str) -> Any:
    if name == "portfolio":  # when it is asked for: no command should wait for what only a notebook needs
        from engine.research.notebook import portfolio

        return portfolio
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
