"""What a run says of itself: one JSON file beside the journal, written whole, read by ``lockstep status``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import orjson

from engine.live.loop import Loop
from parquet_store.errors import Failed, Usage
from parquet_store.write import telling_disk_errors, write_whole

__all__ = ["STATUS", "read_status", "status_of", "write_status"]

STATUS: Final = "status.json"
_S: Final = 1e9


def status_of(loop: Loop, mode: str, now_ns: int, *, running: bool, lags_ns: dict[str, int]) -> dict[str, Any]:
    """Return what is held and ordered, the last bars, and how far each series is behind.

    Parameters
    ----------
    loop : Loop
    mode : str
    now_ns : int
        The venue's time.
    running : bool
    lags_ns : dict of str to int
        By series: from the close of the last bar to its decision, ns.
    """
    series = {}
    for name, rule in loop.rules.items():
        waiting = rule.waiting
        series[name] = {
            "next_open_ns": rule.next_ns,
            "behind_seconds": max(0.0, (now_ns - rule.next_ns) / _S),
            "decision_lag_seconds": lags_ns.get(name, 0) / _S,
            "waiting": waiting.reason if waiting else "",
            "halted": loop.halted.get(name, ""),
        }
    accounts = []
    for account, placement in zip(loop.accounts, loop.setup.placements, strict=True):
        row = account.account[0]
        accounts.append(
            {
                "name": account.name,
                "symbol": account.symbol,
                "series": placement.series,
                "manifest": placement.digest,
                "equity": account.equity,
                "cash": float(row["cash"]),
                "quantity": account.quantity,
                "entry_price": float(row["entry_price"]) if account.quantity else None,
                "stop": number(row["stop"]),
                "target": number(row["target"]),
                "trades": int(row["trades"]),
                "bars": account.bars,
                "halted": account.halted,
                "orders": [
                    {
                        "client_id": ticket.request.client_id,
                        "venue_id": ticket.venue_id,
                        "leg": ticket.leg,
                        "side": ticket.request.side,
                        "kind": ticket.request.kind,
                        "quantity": ticket.request.quantity,
                        "filled": ticket.filled,
                        "price": number(ticket.request.price),
                        "stop_price": number(ticket.request.stop_price),
                        "status": ticket.status,
                    }
                    for ticket in account.tickets.values()
                ],
            }
        )
    return {
        "mode": mode,
        "running": running,
        "pid": os.getpid(),
        "time_ns": now_ns,
        "bars": loop.bars,
        "series": series,
        "accounts": accounts,
    }


def number(value: Any) -> float | None:
    """Return a number, None for what is unknown."""
    return float(value) if value == value else None


def write_status(path: Path, status: dict[str, Any]) -> None:
    """Write a status, whole."""
    body = orjson.dumps(status)
    with telling_disk_errors(path.parent):
        write_whole(path, lambda file: file.write(body))


def read_status(path: Path) -> dict[str, Any]:
    """Read the status of a run; ``running`` is false where its process has gone.

    Raises
    ------
    Usage
        There is none.
    Failed
        It is damaged.
    """
    if not path.is_file():
        raise Usage(f"{path}: no such file; no bot has run with these settings yet: start one, as with lockstep paper")
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
        found["running"] = bool(found["running"]) and alive(int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path}: damaged ({error}); it is written anew by the next run") from None
    return found


def alive(pid: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
