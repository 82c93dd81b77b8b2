"""The table of all kinds of faults, and how it is shown."""

from __future__ import annotations

from engine.venue.faults.clock import CLOCK
from engine.venue.faults.events import EVENTS
from engine.venue.faults.kinds import ALL, Kind
from engine.venue.faults.markets import MARKETS
from engine.venue.faults.messages import MESSAGES
from engine.venue.faults.orders import ORDERS
from engine.venue.faults.requests import REQUESTS
from engine.venue.faults.shown import SHOWN

__all__ = ["TABLE", "listing", "markdown"]

_GROUPS: tuple[tuple[str, dict[str, Kind]], ...] = (
    ("The connection, and the machine behind it", REQUESTS),
    ("Answers that are wrong but well formed", SHOWN),
    ("Orders, and what is said of them", ORDERS),
    ("What the streams tell", EVENTS),
    ("One WebSocket connection", MESSAGES),
    ("The clock", CLOCK),
    ("The exchange itself", MARKETS),
)
TABLE: dict[str, Kind] = {name: kind for _, group in _GROUPS for name, kind in group.items()}
_HEAD = """# Faults of the local exchange

The local exchange does on command what real venues do wrong: {count} kinds.  They are armed by name,

    lockstep venue ... --fault fill_repeated --fault server_error:probability=0.01,times=0 --seed 7

or while it runs by `POST /control/fault` with `{{"name": "fill_repeated", "times": 2}}`.  Settings of each:

| setting | meaning |
|---|---|
| `times` | how often it acts; 0: always.  The table has what it is unless told. |
| `probability` | of each opportunity, drawn from the seed |
| `after` | opportunities that pass first |
| `at_ms`, `at_bar` | venue time, or bars played, before which it has none |
| `on` | only this symbol, or this of the opportunities it has |
| `size` | its own number, in the unit the table has |

The same seed, faults and requests give the same record; at one opportunity the fault armed first acts.
`GET /control/faults` tells what is armed and every fault that happened, with its number; one that acts always is
written down once for each thing it hit.  `DELETE /control/fault?name=...` disarms.

Protocols: B Binance spot, U Binance USD-M, O OKX, C Coinbase Advanced.
"""


def markdown() -> str:
    """Return the page of the documentation, generated from the table."""
    lines = [_HEAD.format(count=len(TABLE))]
    for title, group in _GROUPS:
        lines += [f"## {title}", "", "| name | what happens | acts on | times | size | where | a right client |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for name, kind in group.items():
            where = "".join(letter for letter, p in zip("BUOC", ALL, strict=True) if p in kind.protocols)
            size = f"{kind.size:g} {kind.unit}" if kind.unit else ""
            on = ", ".join(kind.on) or {"request": "any request", "clock": "every look"}.get(
                kind.where, "each half bar"
            )
            lines.append(
                f"| `{name}` | {kind.does} | {on} | {kind.times or 'always'} | {size} | {where} | {kind.client} |"
            )
        lines.append("")
    return "\n".join(lines)


def listing() -> str:
    """Return the table as lines of text: each kind with what happens and where it exists."""
    lines = []
    for title, group in _GROUPS:
        lines += [title]
        lines += [f"  {name:<26} {kind.does}{_where(kind)}" for name, kind in group.items()]
        lines += [""]
    return "\n".join(lines).rstrip()


def _where(kind: Kind) -> str:
    return "" if kind.protocols == ALL else f" ({', '.join(kind.protocols)})"
