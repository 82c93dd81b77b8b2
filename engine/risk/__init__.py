"""Limits of an account in layers, and the checks in front of every entry."""

from __future__ import annotations

from engine.risk.limits import LimitNumbers, Limits

__all__ = ["LimitNumbers", "Limits"]
