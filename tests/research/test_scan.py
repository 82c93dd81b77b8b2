"""The search through summarised bitmaps against a search through flags."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.jit import compiled_bare
from engine.research.bitmap import NEVER
from engine.research.scan import gather, new_streams, next_set
from tests.research.swept import pack


@compiled_bare
def put_together(a, b, c, d, two_sided, streams):  # type: ignore[no-untyped-def]
    gather(a, b, c, d, two_sided, streams)


@compiled_bare
def search(bitmap, start):  # type: ignore[no-untyped-def]
    return next_set(bitmap, start)


def first_from(flags: NDArray[np.bool_], start: int) -> int:
    """Return the first true place from ``start`` on."""
    found = np.flatnonzero(flags[start:])
    return start + int(found[0]) if found.size else int(NEVER)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 4_095, 4_096, 4_097, 9_001])
@pytest.mark.parametrize("density", [0.0, 0.0005, 0.02, 0.7])
def test_the_next_bar_of_a_stream_is_the_first_from_here_on(count: int, density: float) -> None:
    rng = np.random.default_rng([count, int(1e4 * density)])
    a, b, c, d = (rng.random(count) < density for _ in range(4))
    words, streams = [pack(flags) for flags in (a, b, c, d)], new_streams(count)
    starts = sorted({0, count - 1, count, count + 64, *rng.integers(0, count, 200).tolist()})
    put_together(*words, True, streams)
    wanted = ((a & ~b) ^ (c & ~d), b | c, d | a)
    for bitmap, flags in zip(streams, wanted, strict=True):
        assert [search(bitmap, start) for start in starts] == [first_from(flags, start) for start in starts]
    put_together(*words, False, streams)
    for bitmap, flags in zip(streams, (a & ~b, b), strict=False):
        assert [search(bitmap, start) for start in starts] == [first_from(flags, start) for start in starts]
