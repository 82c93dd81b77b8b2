"""Orders, brokers and venues; so far the paper broker."""

from __future__ import annotations

from engine.execution.paper import PaperBroker

__all__ = ["PaperBroker"]
