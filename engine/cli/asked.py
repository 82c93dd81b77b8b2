"""The options that sweep, search and walk-forward share: space, costs, span, and how to compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import number_pairs
from parquet_store.errors import Usage, unknown

if TYPE_CHECKING:
    from engine.graph import Sizing
    from engine.simulate import Costs

StrategyName = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="Its name, or FILE.py:CLASS.", show_default=False)
]
Timeframes = Annotated[
    str | None, typer.Option(metavar="1h,4h", help="Each source at these timeframes, made of it where absent.")
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUES",
        help="As in name=14,21 or name=20:40:5 (stop included), or name=20:40 to draw from; may be given again.",
    ),
]
Where = Annotated[
    list[str] | None, typer.Option(metavar="'A < B'", help="Keep only such combinations; may be given again.")
]
When = Annotated[
    list[str] | None,
    typer.Option(metavar="'NAME: A > 0'", help="Vary NAME only where this holds; may be given again."),
]
Sample = Annotated[int, typer.Option(min=0, metavar="N", help="Run N combinations drawn at random only.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the draw.")]
Fee = Annotated[float | None, typer.Option(help="Fraction of each fill; else 0.001.")]
Slippage = Annotated[float | None, typer.Option(help="Fraction of the price, on each fill; else 0.0005.")]
SizeRule = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="all_in, fixed_fraction:fraction=0.5, fixed_ratio:delta=500,unit=0.02, "
        "atr_risk:risk=0.01 or kelly:fraction=0.5,cap=0.25; else the strategy's own.",
    ),
]
InitialCash = Annotated[float | None, typer.Option(help="In quote currency; else 10,000.")]
Leverage = Annotated[float | None, typer.Option(help="Largest notional over equity; else 1.")]
Short = Annotated[
    bool | None, typer.Option("--short/--no-short", help="Allow short positions; else with perpetuals only.")
]
SizeAt = Annotated[str | None, typer.Option(metavar="decision|fill", help="When a size is fixed; else decision.")]
PriceTick = Annotated[float | None, typer.Option(help="The venue's step of prices; else none.")]
QuantityStep = Annotated[float | None, typer.Option(help="The venue's step of quantities; else none.")]
MinNotional = Annotated[float | None, typer.Option(help="The venue's smallest order, quote currency; else none.")]
ContractSize = Annotated[float | None, typer.Option(help="Base currency in a contract; else none.")]
Start = Annotated[str | None, typer.Option(metavar="TIME", help="First bar, as in 2020-01-01 (UTC).")]
End = Annotated[str | None, typer.Option(metavar="TIME", help="Bars before this time only.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Else one for each processor.")]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="For columns and bitmaps at one time, as in 1GB; else 192MB.")
]


def conditions(texts: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Return the parameter and the condition of each ``name: condition``."""
    found = []
    for text in texts or ():
        name, colon, condition = (piece.strip() for piece in text.partition(":"))
        if not (name and colon and condition):
            raise Usage(f"--when {text!r}: expected NAME: CONDITION, as in --when 'var_length: var_limit > 0'")
        found.append((name, condition))
    return tuple(found)


def costs_of(sources: Sequence[str], short: bool | None, given: dict[str, Any]) -> Costs:
    """Return the costs; what is not given is at its default, and perpetuals (``BTC/USDT:USDT``) may be short."""
    from engine.simulate import Costs
    from parquet_store import Series

    if short is None:
        short = all(":" in Series.parse(source).symbol for source in sources)
    return Costs(**{name: value for name, value in given.items() if value is not None}, short=short)


def sizing_of(text: str | None) -> Sizing | None:
    """Return the size rule that ``kelly:fraction=0.5,cap=0.25`` names; None for the strategy's own."""
    from engine.graph import Sizing
    from engine.graph.strategy import SIZES

    if text is None:
        return None
    kind, _, rest = text.partition(":")
    if kind not in SIZES:
        raise unknown("sizing", kind, SIZES)
    numbers = number_pairs(rest, "--sizing", "kelly:fraction=0.5,cap=0.25") if rest else {}
    for name in numbers:
        if name not in SIZES[kind]:
            raise unknown(f"number of sizing {kind}", name, SIZES[kind])
    return Sizing.of(kind, **numbers)
