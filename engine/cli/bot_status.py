"""A bot's status as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["show_status"]


def show_status(found: dict[str, Any]) -> Group:
    """Return what a bot holds, what it has ordered and how its feeds stand, as tables."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from engine.live.loop import moment

    state = "runs" if found["running"] else "does not run"
    head = Text(f"{found['mode']}: {state} (process {found['pid']}), venue time {moment(found['time_ns'])}")
    accounts = Table("account", "position", "entry", "stop", "target", "equity", "trades", "halted", title="accounts")
    orders = Table("account", "leg", "order", "filled", "price", "state", "client id", title="orders")
    for one in found["accounts"]:
        shown = (figure(one[name]) for name in ("quantity", "entry_price", "stop", "target"))
        accounts.add_row(one["name"], *shown, f"{one['equity']:,.2f}", f"{one['trades']:,}", one["halted"])
        for order in one["orders"]:
            price = order["price"] if order["price"] is not None else order["stop_price"]
            what = f"{order['kind']} {order['side']} {order['quantity']:g}"
            row = (one["name"], order["leg"], what, figure(order["filled"]), figure(price))
            orders.add_row(*row, order["status"], order["client_id"])
    feeds = Table("series", "next bar opens", "behind", "decided after", "waits for", "halted", title="feeds")
    for name, one in found["series"].items():
        lags = (f"{one['behind_seconds']:.1f} s", f"{one['decision_lag_seconds']:.3f} s")
        feeds.add_row(name, moment(one["next_open_ns"]), *lags, one["waiting"], one["halted"])
    return Group(head, accounts, orders if orders.row_count else Text("no orders"), feeds)


def figure(value: float | None) -> str:
    """Return a number as text, a dash for none."""
    return "-" if value is None else f"{value:g}"
