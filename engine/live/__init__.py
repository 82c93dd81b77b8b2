"""The live side: so far the replay of a manifest, one bar at a time."""

from __future__ import annotations

from engine.live.replay import ReplayReport, replay, replay_program

__all__ = ["ReplayReport", "replay", "replay_program"]
