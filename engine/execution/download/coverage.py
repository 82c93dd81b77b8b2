"""Which bars of a range are stored, absent for sure, asked for once, or not known yet; and what to ask next.

A bar that one answer lacks may only have been skipped by it, so absence has to be shown twice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ABSENT", "ONCE", "STORED", "UNKNOWN", "Coverage"]

UNKNOWN, ONCE, ABSENT, STORED = 0, 1, 2, 3
Numbers = npt.NDArray[np.int64]


class Coverage:
    """The state of every bar number in [first, end).

    Parameters
    ----------
    first, end : int
        Bar numbers.
    stored : int64 array
        Numbers that are stored.
    """

    def __init__(self, first: int, end: int, stored: Numbers) -> None:
        self.first, self.end = first, max(first, end)
        self.state = np.zeros(self.end - self.first, np.int8)
        self.store(stored)
        self._from = {UNKNOWN: 0, ONCE: 0}

    def store(self, numbers: Numbers) -> None:
        """Note bars that are stored; numbers outside of the range are left out."""
        at = numbers - self.first
        self.state[at[(at >= 0) & (at < len(self.state))]] = STORED

    @classmethod
    def of_gaps(cls, gaps: list[tuple[int, int]]) -> Coverage:
        """Return the state of runs (first, last number) of which nothing is known, and of nothing else."""
        first, end = (gaps[0][0], gaps[-1][1] + 1) if gaps else (0, 0)
        made = cls(first, end, np.arange(first, end))
        for low, high in gaps:
            made.state[low - first : high + 1 - first] = UNKNOWN
        return made

    def refuse(self, numbers: Numbers) -> None:
        """Note bars that the venue has and that cannot be stored."""
        self.state[numbers - self.first] = ABSENT

    def mark(self, first: int, last: int, state: int) -> None:
        """Set the state of all bars in [first, last] that are not stored."""
        part = self.state[max(0, first - self.first) : max(0, last + 1 - self.first)]
        part[part != STORED] = state

    def next(self, most: int) -> tuple[int, int] | None:
        """Return (first number, how many bars) of the next question; None when all is known.

        What was never asked for comes first; several runs near each other are one question.
        """
        for wanted in (UNKNOWN, ONCE):
            rest = self.state[self._from[wanted] :] == wanted
            at = int(rest.argmax()) if len(rest) else 0
            if len(rest) and rest[at]:
                begin = self._from[wanted] = self._from[wanted] + at
                window = np.flatnonzero(self.state[begin : begin + most] == wanted)
                return self.first + begin, int(window[-1]) + 1
        return None

    def answered(self, begin: int, count: int, numbers: Numbers) -> Numbers:
        """Take note of the answer to a question.

        Parameters
        ----------
        begin, count : int
            The question.
        numbers : int64 array
            Of the bars in the answer, increasing.

        Returns
        -------
        int64 array
            Those of them that were not stored.

        Notes
        -----
        An answer speaks of the bars from ``begin`` to its last one, also beyond what was asked for, as some venues
        give the first bars they have; an empty one of the bars asked for.
        """
        inside = numbers[(numbers >= begin) & (numbers < self.end)]
        last = int(numbers[-1]) if len(numbers) and numbers[-1] >= begin else begin + count - 1
        low = begin - self.first
        part = self.state[low : max(low, min(last, self.end - 1) - self.first + 1)]
        new: Numbers = inside[self.state[inside - self.first] != STORED]
        part[part < ABSENT] += 1
        self.store(inside)
        return new

    @property
    def known(self) -> int:
        """How many bars are stored or absent for sure."""
        return int((self.state >= ABSENT).sum())

    def gaps(self) -> list[tuple[int, int]]:
        """Return the runs (first, last number) of what is not stored between the first and the last stored bar."""
        there = np.flatnonzero(self.state == STORED)
        steps = np.flatnonzero(np.diff(there) > 1)
        return [(self.first + int(there[i]) + 1, self.first + int(there[i + 1]) - 1) for i in steps]

    def runs(self) -> list[tuple[int, int, int]]:
        """Return the runs (first, last number, how often asked for) of what was asked for and is absent."""
        state = np.where(self.state == STORED, UNKNOWN, self.state)
        edges = np.flatnonzero(np.diff(state)) + 1
        begins, ends = np.concatenate(([0], edges)), np.concatenate((edges, [len(state)]))
        return [
            (self.first + int(begin), self.first + int(end) - 1, int(state[begin]))
            for begin, end in zip(begins, ends, strict=True)
            if begin < end and state[begin] != UNKNOWN
        ]
