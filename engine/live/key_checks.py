"""What is looked at before a key trades: what else it may do, where from, and how long it has been in use."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Final

from engine.execution.exchange import Exchange
from engine.execution.outcome import Told
from engine.execution.rights import KeyRights
from engine.settings import BotSettings
from parquet_store.errors import Halt
from parquet_store.write import telling_disk_errors, write_whole

__all__ = ["KEYS", "age_of", "check_rights", "key_notes", "reminder"]

KEYS: Final = "keys.json"
OLD_DAYS: Final = 30


def check_rights(rights: KeyRights, venue: str, *, real: bool) -> list[str]:
    """Return what a person should know of a key.

    Parameters
    ----------
    rights : KeyRights
    venue : str
    real : bool
        Whether real money is traded.

    Raises
    ------
    Halt
        It may withdraw, and real money is traded.
    """
    told = []
    if rights.withdraws:
        text = f"{venue}: the key may withdraw or transfer: make one that may only read and trade"
        if real:
            raise Halt(f"{text}, and start again")
        told.append(text)
    if rights.withdraws is None:
        told.append(f"{venue}: it is not known whether the key may withdraw: look at the venue")
    if rights.bound is False:
        told.append(f"{venue}: the key works from any address: bind it to this machine's at the venue")
    return told


def age_of(folder: Path, key: str, today: date) -> int:
    """Return since how many days a key is known in a folder, and take note of one that is new.

    Only a hash of the key is kept.
    """
    place, name = folder / KEYS, hashlib.sha256(key.encode()).hexdigest()[:16]
    try:
        known = dict(json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError):
        known = {}
    try:
        return (today - date.fromisoformat(known[name])).days
    except (KeyError, ValueError, TypeError):
        body = json.dumps({**known, name: today.isoformat()}).encode()
        with telling_disk_errors(folder):
            write_whole(place, lambda file: file.write(body))
        return 0


async def key_notes(settings: BotSettings, venue: Exchange, key: str, today: date) -> list[str]:
    """Return what a person should know of the key a run trades with.

    Raises
    ------
    Halt
        It may withdraw, and real money is traded.
    """
    told = [text for text in (reminder(age_of(settings.journal.parent, key, today)),) if text]
    elsewhere = settings.venue.name == "binance" and (settings.venue.is_local or settings.mode == "demo")
    if elsewhere:  # Binance's own hosts alone tell the rights of a key
        return told
    try:
        rights = await venue.rights()
    except Told as error:
        return [*told, f"{venue.venue}: the rights of the key could not be asked for: {error}"]
    return told + check_rights(rights, venue.venue, real=settings.mode == "live" and not settings.venue.is_local)


def reminder(days: int) -> str:
    """Return what reminds of a key's rotation; empty while it is young."""
    return f"the key is {days} days in use: make a new one each month" if days >= OLD_DAYS else ""
