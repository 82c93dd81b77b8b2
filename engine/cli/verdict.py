"""The verdict on a winner, for people: each number, what it means, whether it passes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from engine.cli.output import Output

__all__ = ["show_verdict"]

WIDTH = 110
PERCENT = ("total_return", "neighbours_earning", "drawdown", "reshuffled", "loss_out_of_sample")


def show_verdict(verdict: Mapping[str, Any], out: Output) -> None:
    """Print the verdict's table, its conclusion and what it warns of; ``verdict`` is ``Verdict.as_json``."""
    out.say("how likely is it luck?")
    for row in verdict["rows"]:
        mark = {True: "pass", False: "FAIL", None: ""}[row["passed"]]
        head = f"  {mark:<5}{row['name']:<26}{value_text(row['name'], row['value']):>10}  "
        out.say(textwrap.fill(row["meaning"], WIDTH, initial_indent=head, subsequent_indent=" " * len(head)))
    out.say(textwrap.fill(f"the best {verdict['conclusion']}", WIDTH))
    for line in verdict.get("warnings", ()):  # what an earlier release judged has none
        out.say(textwrap.fill(f"WARNING: {line}", WIDTH, subsequent_indent="  "))


def value_text(name: str, value: float | None) -> str:
    """Return a number of the verdict as people read it; unknown is a dash."""
    if value is None or not math.isfinite(value):
        return "-"
    if name.startswith(PERCENT):
        return f"{100 * value:,.1f} %"
    return f"{value:,.0f}" if name == "trials" else f"{value:.4g}"
