"""A run repeated from its journal: the same setup and events, and every action compared, byte for byte.

A journal holds runs one after the other: ``setup``, then ``events`` and the ``actions`` that followed them, at last
``ended``.  Nothing else is needed to repeat one, neither the store nor the venue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from engine.live.actions import Traded
from engine.live.events import pack, unpack
from engine.live.journal import Entry, canonical, read_journal, verify_journal
from engine.live.loop import Loop
from engine.live.setup import Setup
from parquet_store.errors import Failed

__all__ = ["Repeated", "repeat"]

KINDS: Final = ("setup", "events", "actions", "ended")


@dataclass
class Repeated:
    """What repeating a journal found.

    Attributes
    ----------
    runs, entries, events, actions, bars, trades : int
        In the journal; bars are those that closed, trades those that were.
    mismatches : int
        Steps whose actions differ from the journal's by a byte.
    first : str
        Where the first one is, in words; empty if there is none.
    chain : str
        The journal's chain after its last entry, hexadecimal: one number that stands for all of it.
    """

    runs: int = 0
    entries: int = 0
    events: int = 0
    actions: int = 0
    bars: int = 0
    trades: int = 0
    mismatches: int = 0
    first: str = ""
    chain: str = ""
    loop: Loop | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: value for name, value in asdict_flat(self).items() if name != "loop"}


def asdict_flat(found: Repeated) -> dict[str, Any]:
    """Return the fields of a report, the loop left as it is."""
    loop, found.loop = found.loop, None
    try:
        return asdict(found)
    finally:
        found.loop = loop


def repeat(path: Path | str, progress: Callable[[int], None] | None = None) -> Repeated:
    """Repeat every run of a journal and compare its actions.

    Parameters
    ----------
    path : Path or str
    progress : callable, optional
        Called with the number of entries just repeated.

    Raises
    ------
    Usage
        There is no such file.
    Failed
        The journal was changed or is damaged; it begins with no setup, or belongs to other kernels than these.
    """
    count, chain = verify_journal(path)
    found = Repeated(entries=count, chain=chain.hex())
    due: list[bytes] = []  # what the actions of the step before come to
    before = Entry(0, 0, "", b"", b"")
    for entry in read_journal(path):
        if entry.kind not in KINDS:
            raise Failed(f"{path}: entry {entry.sequence} is of the unknown kind {entry.kind!r}; expected {KINDS}")
        if entry.kind != "actions":
            missed(found, due, before)
            due = []
        body = orjson.loads(entry.body)
        if entry.kind == "setup":
            found.runs += 1
            found.loop = Loop(Setup.from_json(body))
        elif found.loop is None:
            raise Failed(f"{path}: entry {entry.sequence} comes before any setup; this is no journal of a bot")
        elif entry.kind == "events":
            events = [unpack(one) for one in body]
            bars = found.loop.bars
            actions = found.loop.step(events)
            found.events, found.actions = found.events + len(events), found.actions + len(actions)
            found.bars += found.loop.bars - bars
            found.trades += sum(isinstance(one, Traded) for one in actions)
            due = [canonical([pack(one) for one in actions])] if actions else []
        elif entry.kind == "actions":
            if not due or due[0] != entry.body:
                tell(found, entry, due[0] if due else b"nothing")
            due = []
        before = entry
        if progress is not None and entry.sequence % 256 == 0:
            progress(256)
    missed(found, due, before)
    return found


def tell(found: Repeated, entry: Entry, instead: bytes) -> None:
    """Count a step whose actions differ, and say where the first one is."""
    found.mismatches += 1
    if not found.first:
        said, here = (text[:200].decode(errors="replace") for text in (entry.body, instead))
        found.first = f"entry {entry.sequence}: the journal says {said}, repeated it is {here}"


def missed(found: Repeated, due: list[bytes], before: Entry) -> None:
    """Count a step that had no actions in the journal, and has some now."""
    if due:
        tell(found, Entry(before.sequence, before.time_ns, "actions", b"nothing", b""), due[0])
