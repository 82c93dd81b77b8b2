"""A run that goes on where its journal ends: the same setup, every event again, and the state is the same bytes.

It goes on if it is the same run: manifests, symbols, shares, terms and the venue's steps as they were.  Else what it
left at the venue is told, and a new run starts beside nothing (`engine.live.left`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from engine.execution.exchange import Exchange
from engine.live.clock import Clock
from engine.live.events import unpack
from engine.live.journal import last_of, read_journal, verify_journal
from engine.live.loop import Loop
from engine.live.setup import Setup
from engine.live.start import Plan, feed_rule, frame_of, guarded_program, risk_rule, terms_of
from engine.settings import BotSettings
from parquet_store.errors import Failed

__all__ = ["changes", "go_on", "resumed_loop"]

STEPS = ("price_tick", "quantity_step", "min_notional", "contract_size")


def go_on(
    path: Path,
    settings: BotSettings,
    plan: Plan,
    feed: Exchange,
    venue: Exchange | None,
    clock: Clock,
    say: Callable[[str], None],
) -> Loop | None:
    """Return the loop as the journal's last run left it; None where there is none, or it was another run.

    Parameters
    ----------
    path : Path
        Of the journal.
    settings : BotSettings
    plan : Plan
    feed, venue : Exchange
        As in `engine.live.start.setup_of`.
    clock : Clock
    say : callable
        Told why a run that is there does not go on.

    Raises
    ------
    Failed
        The journal was changed or is damaged.
    """
    try:
        return resumed_loop(path, lambda setup: changes(setup, settings, plan, feed, venue, clock))
    except Another as error:
        say(f"the run before does not go on: {error}")
        return None


class Another(Exception):
    """The run before was another one."""


def resumed_loop(path: Path, other: Callable[[Setup], str] = lambda setup: "") -> Loop | None:
    """Return the loop as the journal's last run left it, by all its events; None where there is none.

    Parameters
    ----------
    path : Path
        Of the journal.
    other : callable
        Says in what a setup is not that of the run about to start; empty if it is.

    Raises
    ------
    Another
        Its setup is another one, or one of another release.
    Failed
        The journal was changed or is damaged.
    """
    start = last_of(path, "setup")
    if start is None:
        return None
    verify_journal(path)
    entries = read_journal(path, start)
    try:
        setup = Setup.from_json(next(entries).content)
        found = other(setup)
        loop = Loop(setup)
    except Failed as error:
        raise Another(str(error)) from None
    if found:
        raise Another(found)
    for entry in entries:
        if entry.kind == "events":
            loop.step([unpack(one) for one in orjson.loads(entry.body)])
    return loop


def changes(
    setup: Setup, settings: BotSettings, plan: Plan, feed: Exchange, venue: Exchange | None, clock: Clock
) -> str:
    """Return the first thing that is not as it was in a run before; empty if nothing is."""
    was = [(one.name, one.digest, one.symbol, one.timeframe, one.share) for one in setup.placements]
    now = [(name, made.digest, symbol, frame_of(made), share) for name, made, symbol, share in plan.placed]
    if was != now:
        first = next((one for one in now if one not in was), next((one for one in was if one not in now), now[0]))
        return f"its manifests, symbols or shares were others ({first[0]})"
    if setup.terms != terms_of(settings, venue, clock):
        return "its mode, market or orders were others"
    programs = [guarded_program(settings, made).digest for _, made, _, _ in plan.placed]
    if programs != [one.program.digest for one in setup.placements]:
        return "the stop or the longest holding of its limits was another"
    rule = risk_rule(settings)
    if (setup.risk.shared, setup.risk.guards, setup.risk.wait_ns) != (rule.shared, rule.guards, rule.wait_ns):
        return "its account was shared otherwise, or had limits or none"
    if setup.feed != feed_rule(settings, clock, plan.frames):
        return "its feed had other settings"
    for one in setup.placements:
        rules = (venue or feed).rules(one.symbol)
        for name in STEPS:
            told = getattr(rules, name)
            if name == "contract_size" and told == 1.0:
                told = 0.0
            if getattr(one.costs, name) != told:
                return f"{one.symbol} has another {name} now, {told:g} instead of {getattr(one.costs, name):g}"
    return ""
