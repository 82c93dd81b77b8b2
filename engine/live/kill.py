"""The kill switch: a file beside the journal, by the command, by a person or by a signal.

A run that sees it cancels its orders, leaves its positions at market and ends; none starts while the file is there.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Final

from engine.live.events import Killed
from engine.live.node import Node
from parquet_store.errors import Failed
from parquet_store.write import telling_disk_errors, write_whole

__all__ = ["KILL", "kill", "rearm", "refuse_killed", "watched"]

KILL: Final = "kill.json"
LOOK_S: Final = 0.05


def kill(folder: Path, reason: str) -> None:
    """Have the run with its journal in a folder cancel, leave and end, and no other start."""
    body = json.dumps({"time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "reason": reason}).encode()
    with telling_disk_errors(folder):
        write_whole(folder / KILL, lambda file: file.write(body))


def rearm(folder: Path) -> bool:
    """Let runs start again; return whether they were kept from it."""
    there = (folder / KILL).exists()
    (folder / KILL).unlink(missing_ok=True)
    return there


def why(folder: Path) -> str:
    """Return when and why it was killed; empty if it was not.  A file that says nothing counts: a person made it."""
    try:
        body = (folder / KILL).read_bytes()
    except OSError:
        return ""
    try:
        found = json.loads(body)
        return f"{found['reason']} ({found['time']})"
    except (ValueError, KeyError, TypeError):
        return f"the file {KILL} is there"


def refuse_killed(folder: Path) -> None:
    """Refuse to start while the file is there.

    Raises
    ------
    Failed
        It is.
    """
    reason = why(folder)
    if reason:
        raise Failed(f"{folder / KILL}: killed: {reason}; when all is well, lockstep kill --rearm lets it start again")


async def watched(node: Node, folder: Path) -> None:
    """Look for the file while a node runs; once it is there, have it leave everything, and then end."""
    while not (folder / KILL).exists():  # asked of the system's cache: microseconds
        await asyncio.sleep(LOOK_S)
    node.put(Killed(why(folder), node.clock.now_ns()))
    await node.settled()
    while not node.loop.flat:
        await asyncio.sleep(LOOK_S)
    node.stop()
