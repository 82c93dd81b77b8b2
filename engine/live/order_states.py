"""The states of an order as the live loop knows it, and every move between them by name.

``docs/orders.md`` is drawn from ``MOVES``: ``python -c 'from engine.live.order_states import markdown; ...'``.
"""

from __future__ import annotations

from typing import Final, Literal

from engine.execution.orders import Status

__all__ = ["LIVE", "MOVES", "State", "markdown"]

State = Literal["sent", "unknown"] | Status

STATES: Final[dict[State, str]] = {
    "sent": "written to the journal; it leaves once that is flushed",
    "unknown": "nobody knows whether the venue has it; it is asked for by its id, and not sent again",
    "open": "the venue has it; some of it may have filled",
    "filled": "all of it has filled",
    "canceled": "ended by us or by the venue; some of it may have filled",
    "expired": "ended by its time in force; some of it may have filled",
    "rejected": "the venue did not take it, or does not have it",
}
LIVE: Final[tuple[State, ...]] = ("sent", "unknown", "open")
MOVES: Final[dict[tuple[State, State], str]] = {
    ("sent", "open"): "acknowledged",
    ("sent", "filled"): "filled at once",
    ("sent", "canceled"): "given up before it was taken",
    ("sent", "expired"): "expired at once",
    ("sent", "rejected"): "refused",
    ("sent", "unknown"): "lost sight of",
    ("unknown", "open"): "found",
    ("unknown", "filled"): "found filled",
    ("unknown", "canceled"): "found canceled, or absent and to be cancelled",
    ("unknown", "expired"): "found expired",
    ("unknown", "rejected"): "absent",
    ("open", "filled"): "filled",
    ("open", "canceled"): "cancelled",
    ("open", "expired"): "expired",
    ("open", "rejected"): "taken back by the venue",
}


def markdown() -> str:
    """Return the page of the states and moves, with their picture."""
    lines = ["# The states of an order", "", "Drawn from `engine/live/order_states.py`; a final state never changes."]
    lines += ["", "```mermaid", "stateDiagram-v2", "    [*] --> sent"]
    lines += [f"    {one} --> {other}: {name}" for (one, other), name in MOVES.items()]
    lines += [f"    {state} --> [*]" for state in STATES if state not in LIVE]
    lines += ["```", "", "| state | what it means |", "|---|---|"]
    lines += [f"| {state} | {text} |" for state, text in STATES.items()]
    lines += ["", "| from | to | called |", "|---|---|---|"]
    lines += [f"| {one} | {other} | {name} |" for (one, other), name in MOVES.items()]
    return "\n".join(lines) + "\n"
