"""The page of the documentation: what was played, what was looked at, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.venue.faults.table import TABLE
from tests.chaos.case import BARS, POINTS

__all__ = ["page"]

HEAD = """# What fails, and what becomes of it

`make chaos` plays {scenarios:,} scenarios: every fault of [the table](faults.md) that this client can meet ({kinds}
kinds), at each of seven moments ({points}), from several seeds; a third of them are killed somewhere besides.
Others are killed before and after each single write of their journal, and at each moment of an order's way; in half
of the kills the machine's power goes too, and with it what was not on the disk.  Each is {bars} minutes of two or
three symbols around midnight with limits, market or limit orders, spot or perpetual, fills in parts or whole.

The node, the loop, the journal and the restart are those that trade; the venue is the local exchange's core with its
faults; CCXT says what each error means.  What is simulated is the clock, and the wire between them, which
`benchmarks.live_faults` and `tests/execution` have with real sockets.

Every scenario is held to this:

- no order is sent before it is on the disk, none is taken twice, none fills more than it was for;
- every execution of the run's orders is in its journal, and the position is what they add up to;
- cash is what fills, fees and funding make of it, to half a cent;
- nothing is entered while it is unknown what became of an order on the same symbol;
- no entry beyond the exposure, the trades a day and the daily loss, also after a restart;
- at rest no order is unknown or forgotten, and a stop or an exit stands for all that is held;
- what the venue holds is what the run holds, or the run says so and enters nothing;
- the same seed gives the same journal, byte for byte.

*Recovered*: all of it holds, and the run trades on.  *Halted*: all of it holds, and the run names what a person has to
look at, and enters nothing there.  *Met nothing*: the fault had no opportunity.

| scenarios | recovered | halted | met nothing | violated |
|---:|---:|---:|---:|---:|
| {scenarios:,} | {recovered:,} | {halted:,} | {idle:,} | **{violated:,}** |

{entries:,} entries were sent, {fills:,} executions booked; {count:,} seeds from {first} to {last}, {minutes} minutes.

| fault | what happens | recovered | halted | met nothing | violated |
|---|---|---:|---:|---:|---:|
"""


def page(found: Mapping[str, Any]) -> str:
    """Return the page for results as `matrix.summary` returns them."""
    seeds = found["seeds"]
    points = ", ".join(point.replace("_", " ") for point in POINTS)
    lines = [HEAD.format(**{**found, **seeds, "points": points, "bars": BARS}).rstrip("\n")]
    for name, row in found["table"].items():
        what = TABLE[name].does if name in TABLE else "the process ends there, and is started again"
        shown = f"`{name}`" if name in TABLE else name
        lines.append(f"| {shown} | {what} | {row['recovered']} | {row['halted']} | {row['idle']} | {row['violated']} |")
    return "\n".join(lines) + "\n"
