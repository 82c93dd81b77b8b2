"""What a person may ask of a running bot, by files beside its journal: limits, trading on, a look at the venue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from engine.live.events import AccountStreamCut, Limited, Rearmed
from engine.live.node import Node
from engine.risk import Limits
from parquet_store.write import telling_disk_errors, write_whole

__all__ = ["LIMITS", "REARM", "RECONCILE", "adjusted", "ask_limits", "ask_rearm", "ask_reconcile"]

REARM: Final = "rearm.json"
LIMITS: Final = "limits.json"
RECONCILE: Final = "reconcile.json"
LOOK_S: Final = 0.05


def ask_rearm(folder: Path, reason: str) -> None:
    """Have the run trade on after a loss stopped it, or the next one that goes on from its journal."""
    put(folder / REARM, json.dumps({"reason": reason}))


def ask_limits(folder: Path, limits: Limits) -> None:
    """Have the run take other limits, if none of them lets more than its own."""
    put(folder / LIMITS, limits.model_dump_json())


def ask_reconcile(folder: Path) -> None:
    """Have the run ask the venue for its orders and what the account holds, and compare."""
    put(folder / RECONCILE, "{}")


def put(file: Path, text: str) -> None:
    """Write a file whole."""
    with telling_disk_errors(file.parent):
        write_whole(file, lambda out: out.write(text.encode()))


async def adjusted(node: Node, folder: Path, say: Callable[[str], None]) -> None:
    """Look for the files while a node runs; what they ask for becomes an event, and they are taken away.

    A file is renamed before it is read, so that one that comes meanwhile is not taken for it, and is gone once the
    journal has its event.
    """
    while True:
        for name, take in ((REARM, rearmed), (LIMITS, limited), (RECONCILE, reconciled)):
            taken = folder / f"{name}.taken"  # one that is there already was not finished with
            if (folder / name).exists() and not taken.exists():  # asked of the system's cache: microseconds
                (folder / name).rename(taken)
            if taken.exists():
                take(node, content_of(taken), say)
                await asyncio.sleep(LOOK_S)  # longer than events wait to be written
                taken.unlink(missing_ok=True)
        await asyncio.sleep(LOOK_S)


def content_of(file: Path) -> dict[str, Any]:
    """Return what a file asks for; a person's own file may say nothing."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def rearmed(node: Node, content: dict[str, Any], say: Callable[[str], None]) -> None:
    """Pass a rearming on."""
    node.put(Rearmed(str(content.get("reason", "a person")), node.clock.now_ns()))


def reconciled(node: Node, content: dict[str, Any], say: Callable[[str], None]) -> None:
    """Have the venue asked for everything: what the account holds, and every order."""
    node.put(AccountStreamCut(node.clock.now_ns()))
    node.look()


def limited(node: Node, content: dict[str, Any], say: Callable[[str], None]) -> None:
    """Pass tighter limits on; say which of others let more."""
    if node.loop.limits is None:
        say("limits: the run has none, and takes none while it runs; start it again")
        return
    try:
        limits = Limits(**content)
    except ValidationError as error:
        say(f"limits: {LIMITS} says no limits: {error.errors()[0]['msg']}; those before hold")
        return
    looser = limits.looser_than(node.loop.limits)
    if looser:
        say(f"limits: those before hold; to let more takes a new start: {', '.join(looser)}")
        return
    node.put(Limited(limits.model_dump_json(), node.clock.now_ns()))
