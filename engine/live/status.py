"""What a run says of itself: one JSON file beside the journal, written whole, read by ``lockstep status``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from engine.live.loop import Loop
from engine.live.ticket import Ticket
from parquet_store.errors import Failed, Usage
from parquet_store.write import telling_disk_errors, write_whole

__all__ = ["STATUS", "read_status", "snapshot", "write_status"]

STATUS: Final = "status.json"
COLUMNS: Final = ("equity", "cash", "quantity", "entry_price", "stop", "target", "trades")
_S: Final = 1e9


def snapshot(
    loop: Loop, mode: str, now_ns: int, *, running: bool, lags_ns: dict[str, int]
) -> Callable[[], dict[str, Any]]:
    """Take note of what is held and ordered, the last bars, and how far each series is behind.

    Only what changes is copied, a column at a time, so that the loop waits for microseconds; call what is returned
    on any thread.

    Parameters
    ----------
    loop : Loop
    mode : str
    now_ns : int
        The venue's time.
    running : bool
    lags_ns : dict of str to int
        By series: from the close of the last bar to its decision, ns.

    Returns
    -------
    callable
        Returns the status as plain data.
    """
    rows, placements, bars = loop.rows, loop.setup.placements, loop.bars
    columns = [rows[name].tolist() for name in COLUMNS]
    said = [(one.name, one.symbol, one.bars, one.halted) for one in loop.accounts]
    orders = {k: [order_of(t) for t in one.tickets.values()] for k, one in enumerate(loop.accounts) if one.tickets}
    holdings = loop.holdings.as_json()
    account = account_of(loop) if loop.setup.risk.guards else None
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

    def told() -> dict[str, Any]:
        accounts = [
            {
                "name": name,
                "symbol": symbol,
                "series": placed.series,
                "manifest": placed.digest,
                "equity": equity,
                "cash": cash,
                "quantity": quantity,
                "entry_price": price if quantity else None,
                "stop": number(stop),
                "target": number(target),
                "trades": trades,
                "bars": digested,
                "halted": halted,
                "orders": orders.get(k, []),
            }
            for k, (placed, (name, symbol, digested, halted), (equity, cash, quantity, price, stop, target, trades))
            in enumerate(zip(placements, said, zip(*columns, strict=True), strict=True))
        ]  # fmt: skip
        return {
            "mode": mode,
            "running": running,
            "pid": os.getpid(),
            "time_ns": now_ns,
            "bars": bars,
            "series": series,
            "account": account,
            "holdings": holdings,
            "limits": None if loop.limits is None else loop.limits.model_dump(),
            "accounts": accounts,
        }

    return told


def account_of(loop: Loop) -> dict[str, Any]:
    """Return what the limits see of the account: equity, losses and exposure as fractions, what is stopped."""
    book, held = loop.book, loop.rows["quantity"] * loop.marks
    equity = float(book["equity"])
    return {
        "equity": equity,
        "peak": float(book["peak"]),
        "drawdown": 1.0 - equity / float(book["peak"]),
        "day_loss": 1.0 - equity / float(book["day_start"]),
        "week_loss": 1.0 - equity / float(book["week_start"]),
        "funding": sum(one.ledger.funding for one in loop.accounts),
        "missing": dict(loop.money.missing),
        "exposure": float(abs(held[loop.rows["quantity"] != 0.0]).sum()) / equity if equity else 0.0,
        "day_over": bool(book["day_over"]),
        "paused": bool(book["paused"]),
        "stopped": bool(book["stopped"]),
    }


def order_of(ticket: Ticket) -> dict[str, Any]:
    """Return a live order as plain data."""
    return {
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


def number(value: Any) -> float | None:
    """Return a number, None for what is unknown."""
    return float(value) if value == value else None


def write_status(path: Path, told: Callable[[], dict[str, Any]]) -> None:
    """Write what `snapshot` took note of, whole."""
    body = orjson.dumps(told())
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
