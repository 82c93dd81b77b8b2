"""Look-ahead and warm-up of a program, proven by running it on less history than there is.

A history cut short must give the same bytes up to the cut; a history that starts later shows how long each node
remembers what came before.  What is cut away is replaced in memory by other bars, so code that reads past the end
of its arrays finds those and not the truth; and other bars pass through the program before the first cut, so memory
that a step keeps outside its state does not hold the truth either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import Program, bind, columns
from engine.graph.node import FIELDS
from engine.graph.resolve import ROLES, signals_digest, steps_of
from engine.kernels.plain import codes
from engine.kernels.step import find_step
from engine.research.proof import ACCOUNT, NEAR, Difference, Proof, Subject, Warmup, most, subjects
from engine.research.table import Run
from engine.simulate import Costs, decisions_of, simulate
from engine.strategies import find_strategy
from parquet_store.errors import Failed, Usage
from pipelines import Bars

__all__ = ["prove", "swept_program"]

MANY = 16  # numbers in a row that a step reads from its module before they are told
Found = dict[str, NDArray[Any]]


def prove(
    program: Program,
    bars: Bars,
    costs: Costs,
    *,
    cuts: int = 25,
    starts: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Run a program on cut and on later-starting histories and compare with the whole run, byte for byte.

    Parameters
    ----------
    program : Program
    bars : Bars
        At least 2.
    costs : Costs
        Of the account that is simulated on its decisions.
    cuts, starts : int
        How many bars are drawn; starts from the first half, so that as much is left to see agreement last.
    seed : int
        Of the draw, 0 or more.
    progress : callable, optional
        Called with (done, total) runs.

    Raises
    ------
    Usage
        Fewer than 2 bars, a count below 1 or a seed below 0; the program goes short where the costs let none.
    Halt
        A step wrote outside its own memory.

    Notes
    -----
    What was not drawn was not tried: a step that looks ahead on rare bars needs many cuts, and a start that was not
    tried may need more bars than those that were.  The account is no part of the warm-up: a position and the trades
    that Kelly's size counts come from the venue and the journal, not from bars.
    """
    n = len(bars)
    if n < 2:
        raise Usage(f"{bars.source}: {n} bars cannot be cut; expected at least 2")
    if cuts < 1 or starts < 1 or seed < 0:
        raise Usage(f"cuts={cuts}, starts={starts}, seed={seed}: expected at least 1, 1 and 0")
    random, known = np.random.default_rng(seed), subjects(program)
    cut_at, start_at = drawn(random, n - 1, cuts), drawn(random, n // 2, starts)
    done, total = 0, len(cut_at) + len(start_at) + 2

    def counted() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    whole = observed(program, bars, costs)
    counted()
    other = strangers(bars)
    observed(program, other, costs)
    counted()
    ahead: list[Difference] = []
    for cut in cut_at:
        alone = observed(program, spliced(bars, other, 0, cut).slice(0, cut), costs)
        ahead += differences(known, whole, alone, cut, bars.time)
        counted()
    lags: dict[str, list[tuple[int | None, int | None]]] = {item.name: [] for item in known}
    for start in start_at:
        late = observed(program, spliced(bars, other, start, n).slice(start), None)
        for name, values in late.items():
            lags[name].append(agreement(whole[name][start:], values))
        counted()
    waits = [
        Warmup(item, most([lag[0] for lag in lags[item.name]]), most([lag[1] for lag in lags[item.name]]))
        for item in known
        if item.name not in ACCOUNT
    ]
    return Proof(
        n,
        tuple(cut_at),
        tuple(start_at),
        tuple(sorted(ahead, key=lambda item: (item.inherited, item.cut))),
        tuple(item for item in waits if item.subject.step is not None),
        tuple(item for item in waits if item.subject.step is None),
        outside(program),
    )


def swept_program(
    run: Run, by: str = "sharpe", params: Mapping[str, float] | None = None, source: str | None = None
) -> tuple[Program, dict[str, float], str]:
    """Return the program of one row of a run, its parameters and its source: the best by a metric, or that named.

    Raises
    ------
    Usage
        Unknown metric, parameter, value or source.
    Failed
        The strategy or one of its steps is not the one that was swept.
    """
    row = run.find(params, source) if params else run.best(by, source)
    strategy = find_strategy(run.plan["strategy"])
    signals = strategy().drawn
    if signals_digest(signals) != run.plan["graph"] or steps_of(signals) != run.plan["kernels"]:
        raise Failed(f"run {run.name}: its strategy or one of its steps changed since it was swept; sweep again")
    chosen = {name: float(row[name]) for name in strategy.params}
    return bind(strategy(), chosen, run.sizing), chosen, str(row["source"])


def observed(program: Program, bars: Bars, costs: Costs | None) -> Found:
    """Return every subject's values over bars by name; without costs those of the account are left out."""
    found = columns(program, bars)
    wanted = decisions_of(found)
    names = [item.name for item in subjects(program)]
    made: Found = dict(zip(names, found.values, strict=False))
    flags = (wanted.long_entry, wanted.long_exit, wanted.short_entry, wanted.short_exit)
    roles = dict(zip(ROLES, (*flags, wanted.stop, wanted.target), strict=True))
    made |= {name: np.asarray(roles[name]) for name, _ in program.roles}
    if costs is not None:
        account = simulate(bars, wanted, costs, program.sizing)
        made |= dict(zip(ACCOUNT, (account.ordered, account.equity), strict=True))
    return made


def drawn(random: np.random.Generator, most: int, count: int) -> list[int]:
    """Return different numbers from 1 to ``most``, sorted, as many of ``count`` as there are."""
    return sorted((random.choice(most, min(count, most), replace=False) + 1).tolist())


def strangers(bars: Bars) -> Bars:
    """Return the history backwards, prices in turn four times and a quarter of themselves: bars, but not the truth."""
    factor = np.where(np.arange(len(bars)) % 2 == 0, 4.0, 0.25)
    fields = {name: getattr(bars, name)[::-1] * factor for name in FIELDS}
    return replace(bars, **fields | {"volume": fields["volume"] + 1.0})


def spliced(bars: Bars, other: Bars, start: int, stop: int) -> Bars:
    """Return other bars with the true ones in the places ``start`` to ``stop``, in memory of their own."""
    fields = {name: getattr(other, name).copy() for name in FIELDS}
    for name, values in fields.items():
        values[start:stop] = getattr(bars, name)[start:stop]
    return replace(bars, **fields)


def unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where two arrays of float64 or of flags have different bytes."""
    kind = np.dtype(f"u{a.itemsize}")
    found: NDArray[np.bool_] = np.ascontiguousarray(a).view(kind) != np.ascontiguousarray(b).view(kind)
    return found


def differences(
    known: list[Subject], whole: Found, alone: Found, cut: int, time: NDArray[np.int64]
) -> Iterator[Difference]:
    """Yield the first difference of each subject up to a cut."""
    first: dict[str, int] = {}
    for item in known:
        a, b = whole[item.name][:cut], alone[item.name]
        differ = unequal(a, b)
        t = int(np.argmax(differ))
        if differ[t]:
            first[item.name] = t
            inherited = any(first.get(name, cut) <= t for name in item.parents)
            yield Difference(item, t, int(time[t]), cut, float(a[t]), float(b[t]), inherited)


def agreement(whole: NDArray[Any], late: NDArray[Any]) -> tuple[int | None, int | None]:
    """Return after how many bars two columns have the same bytes to the end, and are within ``NEAR``; None: never."""
    at = np.flatnonzero(unequal(whole, late))
    a, b = whole[at].astype(np.float64), late[at].astype(np.float64)
    near = np.abs(a - b) <= NEAR * np.maximum(np.abs(a), np.abs(b))
    return lasted(at, whole.size), lasted(at[~near], whole.size)


def lasted(at: NDArray[np.intp], size: int) -> int | None:
    """Return the bars up to the last of those places, None if that is the end."""
    if not at.size:
        return 0
    return None if at[-1] == size - 1 else int(at[-1]) + 1


def outside(program: Program) -> dict[str, tuple[str, ...]]:
    """Return, by step of the user's own, the sequences of numbers it and what it calls read from their modules."""
    found = {name: tuple(sequences(find_step(name).original, set())) for name in program.kernels() if ":" in name}
    return {name: told for name, told in found.items() if told}


def sequences(function: Any, seen: set[Any]) -> Iterator[str]:
    """Yield the names of arrays and long tuples a function can read that are not its arguments."""
    inner = getattr(function, "py_func", function)
    if not hasattr(inner, "__code__") or inner in seen or inner.__module__.split(".")[0] in ("engine", "numba"):
        return
    seen.add(inner)
    names = [name for code in codes(inner.__code__) for name in code.co_names]
    cells = zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True)
    values = {name: inner.__globals__.get(name) for name in names} | {n: cell.cell_contents for n, cell in cells}
    for name, value in values.items():
        if isinstance(value, np.ndarray | tuple) and len(value) >= MANY:
            yield f"{name} ({len(value):,} values)"
        yield from sequences(value, seen)
