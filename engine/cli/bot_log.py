"""What a run says, as lines on stderr: time, level, what it is about; of the level asked for and above, redacted."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from typing import Final

from engine.execution.redact import redact
from engine.live.actions import (
    Action,
    AmendOrder,
    CancelOrder,
    Decided,
    FetchCandles,
    PlaceOrder,
    PlacePair,
    Reconnect,
    Said,
    Traded,
)
from engine.live.feeding import moment

__all__ = ["BotLog"]

FORMAT: Final = "%(asctime)s %(levelname)-7s %(message)s"


class BotLog:
    """The log of a run.

    Parameters
    ----------
    level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    secrets : sequence of str
        Kept out of every line.
    """

    def __init__(self, level: str, secrets: Sequence[str] = ()) -> None:
        self._secrets = tuple(secrets)
        handler = logging.StreamHandler(sys.stderr)
        formatter = logging.Formatter(FORMAT, "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
        self._logger = logging.Logger("lockstep", level.upper())  # of its own: CCXT's and aiohttp's go elsewhere
        self._logger.addHandler(handler)

    def say(self, text: str, level: str = "info") -> None:
        """Write a line; secrets are taken out."""
        number = logging.getLevelNamesMapping()[level.upper()]
        if self._logger.isEnabledFor(number):
            self._logger.log(number, "%s", redact(text, self._secrets))

    def heard(self, actions: Sequence[Action], time_ns: int) -> None:
        """Write what a step of the loop did."""
        for action in actions:
            level, line = told(action)
            if line:
                self.say(line, level)


def told(action: Action) -> tuple[str, str]:
    """Return an action as level and line for a person; an empty line for what would only be noise."""
    if isinstance(action, Said):
        return action.level, f"{action.about}: {action.text}"
    if isinstance(action, PlaceOrder):
        one = action.request
        price = f" at {one.price:.12g}" if one.price == one.price else ""
        level = f" once {one.stop_price:.12g}" if one.stop_price == one.stop_price else ""
        return "info", f"{one.symbol}: order: {one.kind} {one.side} {one.quantity:.12g}{price}{level} ({one.client_id})"
    if isinstance(action, PlacePair):
        stop, target = action.stop, action.target
        aim = target.price if target.price == target.price else target.stop_price
        what = f"{stop.side} {stop.quantity:.12g}: stop {stop.stop_price:.12g}, target {aim:.12g}"
        return "info", f"{stop.symbol}: order: {what}"
    if isinstance(action, CancelOrder):
        return "info", f"{action.request.symbol}: cancel {action.request.client_id}"
    if isinstance(action, AmendOrder):
        one = action.request
        return "info", f"{one.symbol}: move to {one.quantity:.12g} at {one.price:.12g} ({one.client_id})"
    if isinstance(action, Traded):
        return "info", f"{action.account}: trade closed by {action.reason}, profit {action.profit:,.2f}"
    if isinstance(action, Reconnect):
        return "warning", f"{action.series}: the stream is connected anew"
    if isinstance(action, FetchCandles):
        return "debug", f"{action.series}: asks REST for {moment(action.from_ns)} to {moment(action.to_ns)}"
    if isinstance(action, Decided):
        bar = f"at the close of the bar of {moment(action.open_ns)}"
        if action.ordered or action.leaves:
            return "info", f"{action.account}: {'leaves' if action.leaves else 'enters'} {bar}"
        return "debug", f"{action.account}: does nothing {bar}"
    return "debug", ""
