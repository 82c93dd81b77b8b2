"""The windows of a walk-forward: which bars each fold is trained on, which it is tested on, which are left out."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parquet_store.errors import Usage, unknown

__all__ = ["Fold", "Scheme", "Span", "bounds_of", "folds_of", "length_of"]

Span = tuple[int, int]  # the first bar, and one past the last
FOLDS = 10
FEWEST = 2  # bars a deviation needs
BY = ("sharpe", "return", "plateau")
YEARS = {"h": 1 / 8_766, "d": 1 / 365.25, "w": 7 / 365.25, "mo": 1 / 12, "y": 1.0}


@dataclass(frozen=True)
class Scheme:
    """How history is cut into folds, and what chooses within one.

    Attributes
    ----------
    folds : int, optional
        10 if neither this nor ``test`` is given.
    train, test : str, optional
        Length of a training and of a test window: bars (``500``), a share of all bars (``0.5``) or a time (``2y``,
        ``6mo``, ``3w``, ``10d``, ``12h``).  Where a test window has no length, the bars after the first training
        window are cut evenly; without a length of its own the first training window is half of all bars.
    anchored : bool
        Whether every training window begins where the first one does; else it has the length of that one and rolls.
        The first one begins at the first bar, unless ``folds``, ``train`` and ``test`` are all given: then bars before
        it are left out.
    purge : int
        Bars left out before a test window, and before the next part of an inner validation.
    embargo : int
        Bars left out after every earlier test window, and after the part before of an inner validation.
    inner : int
        Parts each training window is cut into; above 1 the median of the parts' scores chooses.
    by : str
        ``sharpe``, ``return`` or ``plateau``.
    min_trades : int
        Closed trades a combination must have in a training window to be chosen.
    """

    folds: int | None = None
    train: str | None = None
    test: str | None = None
    anchored: bool = True
    purge: int = 0
    embargo: int = 0
    inner: int = 1
    by: str = "sharpe"
    min_trades: int = 0

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise unknown("way to choose", self.by, BY)
        for name, least in (("folds", 1), ("purge", 0), ("embargo", 0), ("inner", 1), ("min_trades", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise Usage(f"--{name.replace('_', '-')} {value}: expected at least {least}")

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes
    ----------
    train, test : (int, int)
        The windows: first bar and one past the last; the test window begins where the training window ends.
    parts : tuple of tuple of (int, int)
        For each part of the inner validation the bars that count; one part without inner validation.
    """

    train: Span
    test: Span
    parts: tuple[tuple[Span, ...], ...]

    @property
    def counted(self) -> tuple[Span, ...]:
        """The bars of all parts."""
        return tuple(itertools.chain.from_iterable(self.parts))

    @property
    def bars(self) -> int:
        """How many bars of the training window count."""
        return sum(stop - start for start, stop in self.counted)


def folds_of(bars: int, bars_per_year: float, scheme: Scheme) -> tuple[Fold, ...]:
    """Return the folds of a series; the last test window ends with the last bar, and none overlap.

    Parameters
    ----------
    bars : int
        Length of the series.
    bars_per_year : float
        What a length in years comes to.
    scheme : Scheme

    Raises
    ------
    Usage
        A length cannot be read, or the windows do not fit.
    """
    edges, train = _edges(bars, bars_per_year, scheme)
    told = None not in (scheme.folds, scheme.train, scheme.test)
    anchor = edges[0] - train if told else 0
    tests = list(itertools.pairwise(edges))
    shortest = min(stop - start for start, stop in tests)
    if shortest < FEWEST:
        raise Usage(
            f"{bars:,} bars, {train:,} of them for the first training window, leave {shortest} for a test window; "
            f"expected at least {FEWEST}: take fewer --folds, a shorter --train or more bars"
        )
    found = []
    for k, (start, stop) in enumerate(tests):
        begin = anchor if scheme.anchored else start - train
        found.append(Fold((begin, start), (start, stop), _parts(k, begin, start, tests[:k], scheme)))
    return tuple(found)


def _edges(bars: int, bars_per_year: float, scheme: Scheme) -> tuple[list[int], int]:
    """Return where the test windows begin and the last one ends, and the length of the first training window."""
    folds = scheme.folds
    train = None if scheme.train is None else length_of(scheme.train, "--train", bars, bars_per_year)
    if scheme.test is None:
        folds, train = folds or FOLDS, bars // 2 if train is None else train
        _refuse_long(bars, train, folds * FEWEST, f"{folds} test windows")
        return [train + (bars - train) * k // folds for k in range(folds + 1)], train
    test = length_of(scheme.test, "--test", bars, bars_per_year)
    if folds is None:
        train = bars // 2 if train is None else train
        _refuse_long(bars, train, test, f"a test window of {test:,}")
        folds = (bars - train) // test
    elif train is None:
        train = bars - folds * test
    _refuse_long(bars, max(train, FEWEST), folds * test, f"{folds} test windows of {test:,}")
    return [bars - (folds - k) * test for k in range(folds + 1)], train


def _refuse_long(bars: int, train: int, test: int, what: str) -> None:
    if train < FEWEST:
        raise Usage(f"a training window of {train} bars: expected at least {FEWEST}; give a longer --train")
    if train + test > bars:
        raise Usage(
            f"{bars:,} bars do not hold a training window of {train:,} and {what} after it; give a shorter --train or "
            "--test, fewer --folds, or more bars"
        )


def _parts(k: int, begin: int, start: int, earlier: list[Span], scheme: Scheme) -> tuple[tuple[Span, ...], ...]:
    last = start - scheme.purge
    holes = [(stop, stop + scheme.embargo) for _, stop in earlier]
    cuts = [begin + max(0, last - begin) * j // scheme.inner for j in range(scheme.inner + 1)]
    found = []
    for j, (a, b) in enumerate(itertools.pairwise(cuts)):
        a += scheme.embargo if j > 0 else 0
        b -= scheme.purge if j < scheme.inner - 1 else 0
        spans = tuple(_without(a, b, holes))
        count = sum(stop - begin for begin, stop in spans)
        if count < FEWEST:
            where = "" if scheme.inner == 1 else f", part {j + 1} of {scheme.inner}"
            raise Usage(
                f"fold {k + 1}{where}: its training window of {start - begin:,} bars keeps {count} after purge "
                f"{scheme.purge} and embargo {scheme.embargo}; expected at least {FEWEST}: give a longer --train, or "
                "less --purge, --embargo or --inner"
            )
        found.append(spans)
    return tuple(found)


def _without(start: int, stop: int, holes: list[Span]) -> list[Span]:
    """Return what is left of a span; the holes come in order."""
    left = []
    for hole, end in holes:
        if hole >= end:
            continue
        if start < min(hole, stop):
            left.append((start, min(hole, stop)))
        start = max(start, end)
    return [*left, (start, stop)] if start < stop else left


def bounds_of(folds: tuple[Fold, ...], bars: int) -> NDArray[np.int64]:
    """Return every bar at which a span of some fold begins or ends, with 0 and the number of bars, increasing."""
    edges = {0, bars}
    for fold in folds:
        edges.update(itertools.chain.from_iterable(fold.counted))
    return np.array(sorted(edges), np.int64)


def length_of(text: str, option: str, bars: int, bars_per_year: float) -> int:
    """Return the bars of ``500``, ``0.5`` (a share of all bars) or ``2y``.

    Raises
    ------
    Usage
        It cannot be read, or is no bar at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(h|d|w|mo|y)?", text.strip())
    if found is None:
        raise Usage(
            f'{option} "{text}": expected bars (500), a share of all bars (0.5) or a time (2y, 6mo, 3w, 10d, 12h)'
        )
    number, unit = float(found[1]), found[2]
    if unit is not None:
        made = round(number * YEARS[unit] * bars_per_year)
    elif number == math.floor(number):
        made = int(number)
    elif number < 1.0:
        made = math.floor(number * bars)
    else:
        raise Usage(f'{option} "{text}": {number:g} is neither a whole number of bars nor a share below 1')
    if made < 1:
        raise Usage(f'{option} "{text}" comes to {made} of {bars:,} bars; expected at least one')
    return made
