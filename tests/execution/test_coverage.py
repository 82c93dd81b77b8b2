"""Which bars are asked for next, against a plain table of what is known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.execution.download.coverage import ABSENT, ONCE, STORED, UNKNOWN, Coverage


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("style", ["first from", "window"])
@pytest.mark.parametrize("seed", range(12))
def test_every_bar_a_venue_has_is_found_and_every_absence_is_shown_twice(seed: int, style: str) -> None:
    draw = np.random.default_rng(seed)
    count, most = int(draw.integers(1, 300)), int(draw.integers(1, 40))
    first = int(draw.integers(-50, 50))
    has = np.flatnonzero(draw.random(count) < draw.choice([0.02, 0.5, 0.98])) + first
    stored = draw.choice(has, len(has) // 3, replace=False) if len(has) else has
    coverage, shown, found = Coverage(first, first + count, stored), np.zeros(count, int), set(stored.tolist())
    for _ in range(10_000):
        question = coverage.next(most)
        if question is None:
            break
        begin, limit = question
        assert 1 <= limit <= most
        asked = has[has >= begin]
        answer = asked[:limit] if style == "first from" else asked[asked < begin + limit]
        if draw.random() < 0.2 and len(answer) > 1 and coverage.state[begin - first] == UNKNOWN:
            answer = answer[1:]  # the venue skips one, once
        new = coverage.answered(begin, limit, answer)
        assert not found & set(new.tolist())
        found |= set(new.tolist())
        last = int(answer[-1]) if len(answer) else begin + limit - 1
        shown[begin - first : min(last - first + 1, count)] += 1
    else:
        pytest.fail("asks for ever")
    absent = np.setdiff1d(np.arange(first, first + count), sorted(found))
    assert (shown[absent - first] >= 2).all()
    assert coverage.known == count
    skipped = np.setdiff1d(has, sorted(found))
    assert len(skipped) == 0 or (shown[skipped - first] >= 2).all()


def test_near_runs_are_one_question_and_what_was_never_asked_for_comes_first() -> None:
    coverage = Coverage(0, 20, np.setdiff1d(np.arange(20), [2, 3, 7, 15]))
    coverage.mark(15, 15, ONCE)
    assert coverage.next(10) == (2, 6)
    coverage.answered(2, 6, numbers(2, 4, 5, 6, 8))
    assert coverage.state[[2, 3, 7]].tolist() == [STORED, ONCE, ONCE]
    assert coverage.next(3) == (3, 1)
    coverage.answered(3, 1, numbers())
    assert coverage.state[3] == ABSENT
    assert coverage.next(10) == (7, 9)


def test_an_answer_with_bars_before_the_question_only_is_an_empty_one() -> None:
    coverage = Coverage(0, 10, numbers())
    assert coverage.answered(5, 3, numbers(1, 2)).tolist() == []
    assert coverage.state.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0]


def test_gaps_lie_between_stored_bars_and_runs_are_of_what_was_asked_for() -> None:
    coverage = Coverage(10, 20, numbers(12, 13, 17, 40))
    coverage.mark(14, 15, ABSENT)
    coverage.mark(10, 10, ONCE)
    assert coverage.gaps() == [(14, 16)]
    assert coverage.runs() == [(10, 10, ONCE), (14, 15, ABSENT)]
    coverage.mark(0, 100, ABSENT)
    assert coverage.state.tolist() == [2, 2, 3, 3, 2, 2, 2, 3, 2, 2]


def test_a_range_without_bars_has_nothing_to_ask_for() -> None:
    coverage = Coverage(5, 3, numbers(1))
    assert (coverage.next(10), coverage.gaps(), coverage.runs(), coverage.known) == (None, [], [], 0)
    assert Coverage.of_gaps([]).next(5) is None
    assert Coverage.of_gaps([(3, 4), (8, 8)]).next(10) == (3, 6)
