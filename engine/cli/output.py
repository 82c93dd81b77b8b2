"""What a command prints: a JSON document or tables on stdout, everything else on stderr."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_MOST_ROWS = 1_000
_PIPED_WIDTH = 400  # lines of a table that goes to a file or another program are not cut


@dataclass(frozen=True)
class Output:
    """Where a command's words go; with ``json`` stdout is kept for one document.

    Attributes
    ----------
    json : bool
        Whether ``--json`` was given.
    """

    json: bool = False

    def document(self, content: Mapping[str, Any]) -> None:
        """Print the one JSON document; what JSON has no number for (NaN, infinity) is null."""
        print(json.dumps(plain(content), allow_nan=False, indent=2), flush=True)

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        print(text, file=sys.stderr if self.json else sys.stdout, flush=True)

    def note(self, text: str) -> None:
        """Print a line about what is going on; never on stdout."""
        print(text, file=sys.stderr, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: bool = False) -> None:
        """Print a table; numbers, with ``right`` everything but the first column, stand to the right.

        The first 1,000 rows are shown, and how many more there are.
        """
        from rich import box
        from rich.table import Table
        from rich.text import Text

        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, name in enumerate(columns):
            numeric = place > 0 if right else all(_is_number(row[place]) for row in rows)
            made.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
        for row in rows[:_MOST_ROWS]:
            made.add_row(*(Text(shown(cell)) for cell in row))
        self.console().print(made)
        if len(rows) > _MOST_ROWS:
            self.say(f"... and {len(rows) - _MOST_ROWS:,} more rows; --json has them all")

    def console(self) -> Console:
        """Return the rich console of the stream that tables go to."""
        return _console(sys.stderr if self.json else sys.stdout)

    @contextmanager
    def progress(self, title: str, unit: str) -> Iterator[Callable[[int, int], None] | None]:
        """Give a function of (done, total) that moves a bar with rate and remaining time on stderr.

        Gives None where nobody watches: with ``--json``, or if stderr is no terminal.
        """
        if self.json or not sys.stderr.isatty():
            yield None
            return
        from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Done(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text("" if task.total is None else f"{task.completed:,.0f} of {task.total:,.0f}")

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text("" if not task.speed else f"{task.speed:,.0f} {unit}/s", style="progress.data.speed")

        columns = (TextColumn("{task.description}"), BarColumn(), Done(), Rate(), TimeRemainingColumn())
        with Progress(*columns, console=_console(sys.stderr), transient=True) as bars:
            task = bars.add_task(title, total=None)
            yield lambda finished, total: bars.update(task, completed=finished, total=max(total, 1))


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it: NaN and infinity as None, times as ISO text, paths as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(int(value) if value == value.to_integral_value() else float(value)) if value.is_finite() else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numbers and arrays of numpy
        return plain(value.tolist())
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def shown(value: object) -> str:
    """Return a cell of a table as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if math.isfinite(value) else "-"
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return moment.isoformat(sep=" ", timespec="minutes" if moment.second == moment.microsecond == 0 else "auto")
    return str(value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))
