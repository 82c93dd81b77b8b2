"""``lockstep strategies``: what can be swept, and with which parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.graph.strategy import Strategy


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("strategies")(strategies)


def strategies(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A strategy, or your own as FILE.py:CLASS.", show_default=False),
    ] = None,
    store: StorePath = None,
    json: AsJson = False,
) -> None:
    """List the strategies, or show one: its idea, its parameters, their bounds.

    \b
    Example:
      lockstep strategies
      lockstep strategies mean_reversion
      lockstep strategies my_rules.py:Breakout
    """
    from engine.strategies import STRATEGIES, find_strategy

    out = Output(json)
    found = list(STRATEGIES.values()) if name is None else [find_strategy(name)]
    if json:
        out.document({"strategies": [describe(made) for made in found]})
        return
    if name is None:
        out.table(
            ["strategy", "idea", "parameters"],
            [[made.name, _text(made).partition("\n")[0], ", ".join(made.params) or "none"] for made in found],
        )
        return
    (made,) = found
    out.say(f"{made.name}\n\n{_text(made)}")
    rows = [[param, p.default, p.low, p.high, p.off, p.whole] for param, p in made.params.items()]
    if rows:
        out.table(["parameter", "default", "lowest", "highest", "0 = off", "whole"], rows)


def describe(made: type[Strategy]) -> dict[str, Any]:
    """Return a strategy as JSON can carry it."""
    parameters = [
        {"name": name, "default": p.default, "low": p.low, "high": p.high, "off": p.off, "whole": p.whole}
        for name, p in made.params.items()
    ]
    return {"name": made.name, "doc": _text(made), "parameters": parameters}


def _text(made: type[Strategy]) -> str:
    return inspect.cleandoc(made.__doc__ or "no description")
