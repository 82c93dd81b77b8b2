"""A bot's status as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["show_status"]


def show_status(found: dict[str, Any]) -> Group:
    """Return what a bot holds, what it has ordered and how its feeds stand, as tables."""
    from rich.console import Group
    from rich.text import Text

    from engine.live.feeding import moment

    state = "runs" if found["running"] else "does not run"
    head = Text(f"{found['mode']}: {state} (process {found['pid']}), venue time {moment(found['time_ns'])}")
    accounts = table("accounts", "symbol position entry stop target equity trades")
    orders = table("orders", "symbol leg order filled price state")
    feeds = table("feeds", "series next_bar behind decided_after")
    notes = account_lines(found.get("account")) + [
        f"{symbol}: the venue holds {one['venue']:.12g}, expected {one['expected']:.12g}: nothing is entered"
        for symbol, one in (found.get("holdings") or {}).items()
        if not one["agrees"]
    ]
    for one in found["accounts"]:
        shown = (figure(one[name]) for name in ("quantity", "entry_price", "stop", "target"))
        accounts.add_row(one["symbol"], *shown, f"{one['equity']:,.2f}", f"{one['trades']:,}")
        if one["halted"]:
            notes.append(f"{one['name']}: enters nothing: {one['halted']}")
        for order in one["orders"]:
            price = order["price"] if order["price"] is not None else order["stop_price"]
            what = f"{order['kind']} {order['side']} {order['quantity']:.12g}"
            orders.add_row(one["symbol"], order["leg"], what, figure(order["filled"]), figure(price), order["status"])
    for name, one in found["series"].items():
        lags = (f"{one['behind_seconds']:.1f} s", f"{one['decision_lag_seconds']:.3f} s")
        feeds.add_row(name, moment(one["next_open_ns"]), *lags)
        notes += [f"{name}: waits for a bar: {one['waiting']}"] if one["waiting"] else []
        notes += [f"{name}: enters nothing: {one['halted']}"] if one["halted"] else []
    return Group(head, accounts, orders if orders.row_count else Text("no orders"), feeds, *map(Text, notes))


def account_lines(one: dict[str, Any] | None) -> list[str]:
    """Return what the limits see of the account, a line each; none without limits."""
    if one is None:
        return []
    shares = ", ".join(
        f"{name.replace('_', ' ')} {100 * one[name]:.2f}%" for name in ("exposure", "day_loss", "week_loss", "drawdown")
    )
    lines = [f"account: equity {one['equity']:,.2f}, {shares}"]
    lines += [f"funding so far {one['funding']:+,.4f}"] if one.get("funding") else []
    lines += [f"{name}: nothing is entered: {text}" for name, text in one.get("missing", {}).items()]
    if one["stopped"]:
        lines.append("account: stopped by its drawdown; lockstep kill --rearm lets it trade on")
    elif one["paused"]:
        lines.append("account: paused by its week's loss; lockstep kill --rearm lets it trade on")
    elif one["day_over"]:
        lines.append("account: today's loss ended trading until 0:00 UTC")
    return lines


def table(title: str, columns: str) -> Table:
    """Return an empty table; numbers stand to the right and are not broken."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    for name in columns.split():
        text = name in ("symbol", "series", "leg", "order", "state")
        made.add_column(name.replace("_", " "), justify="left" if text else "right", no_wrap=True)
    return made


def figure(value: float | None) -> str:
    """Return a number as text, a dash for none."""
    return "-" if value is None else f"{value:.12g}"
