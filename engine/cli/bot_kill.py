"""Words to a running bot, as commands: killed and waited for, rearmed, given other limits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.cli.output import Output
from parquet_store.errors import Failed, Usage

if TYPE_CHECKING:
    from engine.settings import BotSettings

__all__ = ["killed", "limited", "rearmed", "reconciled"]

PATIENCE_S: Final = 15.0
PUBLISHED_S: Final = 2.0  # the status is written twice a second


def killed(folder: Path, reason: str, out: Output, *, json: bool) -> None:
    """Throw the switch, wait for the run to end, and say what it holds then.

    Raises
    ------
    Failed
        The run did not end in time, or ended with something held.
    """
    from engine.live.kill import kill
    from engine.live.status import STATUS, read_status

    began = time.monotonic()
    kill(folder, reason)
    place = folder / STATUS
    try:
        found = read_status(place)
    except Usage:
        found = {"running": False, "accounts": []}
    ran = found["running"]
    while found["running"] and time.monotonic() < began + PATIENCE_S:
        time.sleep(0.05)
        found = read_status(place)
    took = time.monotonic() - began
    left = [] if found.get("mode") == "paper" else holdings(found)
    if found["running"]:
        raise Failed(f"the run has not ended after {took:.0f} s and holds {', '.join(left) or 'nothing'}: look at it")
    if left:
        raise Failed(
            f"{'ended with' if ran else 'no bot runs; its last one held'} {', '.join(left)}: close it yourself"
        )
    if json:
        out.document({"ran": ran, "seconds": round(took, 3), "left": left, "reason": reason})
    else:
        out.say(f"{f'flat and ended after {took:.1f} s' if ran else 'no bot runs'}; none starts until rearmed")


def holdings(found: dict[str, Any]) -> list[str]:
    """Return positions and orders of a status in words."""
    return [
        f"{one['quantity']:g} {one['symbol']}, {len(one['orders'])} orders"
        for one in found["accounts"]
        if one["quantity"] or one["orders"]
    ]


def rearmed(folder: Path, reason: str, out: Output, *, json: bool) -> None:
    """Let the bot start again."""
    from engine.live.adjusting import ask_rearm
    from engine.live.kill import rearm

    there = rearm(folder)
    ask_rearm(folder, reason)
    if json:
        out.document({"rearmed": there})
    else:
        out.say("it may start again" if there else "it was not killed; what a loss stopped trades on")


def limited(settings: BotSettings, out: Output, *, json: bool) -> None:
    """Hand a running bot the limits of its file, and wait until it has looked at them.

    Raises
    ------
    Usage
        The file has no limits.
    Failed
        No bot runs, or it did not look.
    """
    from engine.live.adjusting import LIMITS, ask_limits
    from engine.live.status import STATUS, read_status

    folder = settings.journal.parent
    if settings.limits is None:
        raise Usage("the file has no [risk]: there are no limits to take")
    if not read_status(folder / STATUS)["running"]:
        raise Failed("no bot runs with this journal: the limits of its file hold from its start")
    ask_limits(folder, settings.limits)
    looked_at(folder / LIMITS)
    began, taken = time.monotonic(), False
    while not taken and time.monotonic() < began + PUBLISHED_S:
        time.sleep(0.05)
        taken = read_status(folder / STATUS).get("limits") == settings.limits.model_dump()
    if json:
        out.document({"taken": taken})
    else:
        out.say("the bot has them" if taken else "the bot did not take them: its log says why")


def looked_at(file: Path) -> None:
    """Wait until the bot has taken a file away.

    Raises
    ------
    Failed
        It did not in time.
    """
    began = time.monotonic()
    while file.exists() and time.monotonic() < began + PATIENCE_S:
        time.sleep(0.05)
    if file.exists():
        raise Failed(f"the bot has not looked at {file} for {PATIENCE_S:.0f} s: look at it")


def reconciled(folder: Path, out: Output, *, json: bool) -> None:
    """Have a running bot ask the venue what there is, and show the comparison.

    Raises
    ------
    Failed
        No bot runs, it did not look, or something differs.
    """
    from engine.live.adjusting import RECONCILE, ask_reconcile
    from engine.live.status import STATUS, read_status

    found = read_status(folder / STATUS)
    if not found["running"] or found["mode"] == "paper":
        raise Failed("no bot that trades at a venue runs with this journal; when it starts it reconciles first")
    before = {symbol: one["time_ns"] for symbol, one in found["holdings"].items()}
    ask_reconcile(folder)
    looked_at(folder / RECONCILE)
    began, held = time.monotonic(), found["holdings"]
    while time.monotonic() < began + PATIENCE_S:
        held = read_status(folder / STATUS)["holdings"]
        if held and all(one["time_ns"] > before.get(symbol, -1) for symbol, one in held.items()):
            break
        time.sleep(0.1)
    differing = [symbol for symbol, one in held.items() if not one["agrees"]]
    if json:
        out.document({"holdings": held, "differing": differing})
    else:
        out.table(
            ["symbol", "at the venue", "expected", "of it not the bot's", "agrees"],
            [
                [symbol, *(one[name] for name in ("venue", "expected", "others", "agrees"))]
                for symbol, one in held.items()
            ],
        )
    if differing:
        raise Failed(f"{', '.join(differing)}: the venue holds something else than expected: nothing is entered there")
