"""``lockstep backtest``: what a bot's file would have done over stored bars, all strategies over one account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.figures import figure
from engine.cli.options import AsJson, StorePath, open_store
from engine.cli.output import Output
from parquet_store.moments import to_text

if TYPE_CHECKING:
    from engine.live.backtest import Backtest
    from engine.simulate.portfolio import PortfolioSimulation

_SHOWN = (
    "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "win_rate", "profit_factor", "trades",
    "exposure", "fees",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


def backtest(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="A bot's TOML.", show_default=False)] = Path(
        "bot.toml"
    ),
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Trade from here on; indicators from the first bar."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Bars that open before.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FOLDER", help="Write equity, trades and refusals as Parquet.")
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """Simulate the strategies of a bot's file over one account, with its limits of risk, as it would trade live.

    What is bought and sold, the shares, the cash and [risk] are the file's; bars are the store's.

    \b
    Example:
      lockstep backtest bot.toml
      lockstep backtest bot.toml --from 2023-01-01 --save out
    """
    from engine.live.backtest import backtest as run
    from engine.settings import load_settings

    settings = load_settings(file)
    out = Output(json)
    made = run(settings, open_store(settings.store if store is None else store), start, end)
    if save is not None:
        saved(made.found, save)
    if json:
        out.document(document(made))
        return
    show(made, settings.paper.cash, out)
    if save is not None:
        out.say(f"equity.parquet, trades.parquet and refusals.parquet are in {save}")


def document(made: Backtest) -> dict[str, Any]:
    """Return what was found as plain data."""
    found = made.found
    return {
        "from": to_text(int(min(leg.bars.time[0] for leg in found.legs))),
        "to": to_text(int(found.time[-1])),
        "metrics": found.metrics,
        "legs": [
            {
                "name": leg.name,
                "trades": int(leg.trades.size),
                "profit": float(leg.all_trades["profit"].sum()),
                "fees": float(leg.all_trades["fees"].sum()),
                "open": bool(leg.open_trade.size),
            }
            for leg in found.legs
        ],
        "refused": refused(found),
        "state": states(found),
    }


def refused(found: PortfolioSimulation) -> list[dict[str, Any]]:
    """Return how often each limit refused an entry or made it smaller."""
    from engine.risk.review import NAMES

    rows = []
    for code, name in enumerate(NAMES):
        own = found.refusals[found.refusals["limit"] == code]
        if own.size:
            smaller = int((own["let"] > 0.0).sum())
            rows.append({"limit": name, "refused": int(own.size) - smaller, "made smaller": smaller})
    return rows


def states(found: PortfolioSimulation) -> list[str]:
    """Return what the account is in at the end that a person has to end."""
    book = found.book[0]
    said = []
    if book["stopped"]:
        said.append("account.drawdown left everything; nothing is entered until it is rearmed")
    if book["paused"]:
        said.append("account.weekly_loss paused it; nothing is entered until somebody has looked")
    return said


def show(made: Backtest, cash: float, out: Output) -> None:
    """Print what was found."""
    found = made.found
    told = document(made)
    out.say(f"{told['from']} to {told['to']}, {len(found.legs)} sub-accounts, {cash:,.2f} at the start")
    out.table(
        ["", "trades", "profit", "fees", "open"],
        [[leg["name"], leg["trades"], leg["profit"], leg["fees"], leg["open"]] for leg in told["legs"]],
    )
    out.table(["account", ""], [[name, figure(name, found.metrics[name])] for name in _SHOWN], right=True)
    if told["refused"]:
        out.table(
            ["limit", "refused", "made smaller"],
            [[row["limit"], row["refused"], row["made smaller"]] for row in told["refused"]],
        )
    for line in told["state"]:
        out.say(f"at the end: {line}")


def saved(found: PortfolioSimulation, folder: Path) -> None:
    """Write equity, trades and refusals as Parquet; each file whole or not at all."""
    import polars as pl

    from engine.risk.review import NAMES
    from engine.simulate import REASONS
    from parquet_store.write import write_whole

    names = [leg.name for leg in found.legs]
    parts = []
    for leg in found.legs:
        closed = leg.trades
        columns: dict[str, Any] = {
            "leg": [leg.name] * closed.size,
            "entry": leg.bars.time[closed["entry_bar"]],
            "exit": leg.bars.time[closed["exit_bar"]],
            "reason": [REASONS[k] for k in closed["reason"]],
        }
        columns |= {name: closed[name] for name in ("side", "quantity", "entry_price", "exit_price", "fees", "profit")}
        parts.append(pl.DataFrame(columns, schema_overrides={"leg": pl.String, "reason": pl.String}))
    told = found.refusals
    tables = {
        "equity": pl.DataFrame({"time": found.time, "equity": found.equity}),
        "trades": pl.concat(parts),
        "refusals": pl.DataFrame(
            {
                "time": told["time"],
                "leg": pl.Series([names[k] for k in told["leg"]], dtype=pl.String),
                "limit": pl.Series([NAMES[k] for k in told["limit"]], dtype=pl.String),
                "asked": told["asked"],
                "let": told["let"],
                "value": told["value"],
            }
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    moments = {"time", "entry", "exit"}
    for name, table in tables.items():
        table = table.with_columns(pl.col(x).cast(pl.Datetime("ms", "UTC")) for x in table.columns if x in moments)
        write_whole(folder / f"{name}.parquet", table.write_parquet)
