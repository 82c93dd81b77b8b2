"""When a candle is closed, and when it is final: the rule, as a state machine that has no clock and asks nobody.

All times are the venue's.  A bar is *ripe* once ``grace`` has passed since its close.

1.  A bar is over when a candle that opens later was seen, or when it is ripe.  Bars are decided on in order, each
    once; a bar that is over and cannot be decided on holds up all later ones, and is asked for.  None is skipped.
2.  A candle of a REST answer is final if the request left when its bar was ripe, whatever its place in the answer;
    the answer that left later counts.
3.  With ``confirm="before"`` only a final candle is decided on.  With ``confirm="after"`` the stream's candle is, too,
    once the stream itself shows a later one, unless it is in doubt; REST is asked as soon as the bar is ripe.  Time
    alone does not show that the stream's last word on a bar was its last, and when it is up REST has the bar.
4.  Of two candles of one bar in the stream the later is the one with more volume, the same open and a range that
    holds the other's; so repetition and disorder do no harm.  Two that cannot be put in order, and one that formed
    when the stream was cut or went stale and was not renewed since, are in doubt.
5.  A bar is absent when two answers with a candle in them, sent ``absence`` or more after its close, do not show it
    and the stream did not either.  An answer that was cut short says nothing outside its first and last candle.
6.  A final candle that differs from what was decided on is a correction: it is told, old and new, and nothing is
    decided again.  The stream corrects nothing; it makes REST be asked again.
7.  What has a price that is no price, a wrong range, is off the grid or opens in the future was not seen.
8.  A stream is stale when it has said nothing new for longer than ``stale``.  A REST answer whose newest candle is the
    stream's shows that the market is quiet, not the stream.

Research keeps the same bars: those that are final, absent ones left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from engine.live.candle_actions import Absent, CandleAction, Closed, Corrected, Fetch, Rejected, Stale, Waiting
from engine.live.candle_fitness import grew, unfit
from parquet_store.errors import Usage
from parquet_store.timeframe import Timeframe
from pipelines.candles import Candle

__all__ = ["ClosingRule"]

_MS = 1_000_000
_DISORDER = "the stream showed two candles of it that cannot be put in order"


@dataclass(slots=True)
class _Decided:
    candle: Candle | None
    sent_ns: int = -1


class ClosingRule:
    """The closed bars of one symbol at one timeframe.

    Parameters
    ----------
    timeframe : Timeframe or str
    last : Candle
        The last bar known before: the first to be decided on is the next one.
    confirm : str
        ``after`` or ``before``.
    grace_ns, absence_ns, stale_ns : int
        As in the rule; ``grace_ns <= absence_ns``.
    again_ns : int
        After which a bar still needed is asked for again.
    most : int
        Bars asked for at once.
    kept : int
        Bars decided on that are still compared.
    """

    def __init__(
        self,
        timeframe: Timeframe | str,
        last: Candle,
        *,
        confirm: Literal["after", "before"] = "after",
        grace_ns: int = 1_000_000_000,
        absence_ns: int = 10_000_000_000,
        stale_ns: int = 30_000_000_000,
        again_ns: int = 1_000_000_000,
        most: int = 500,
        kept: int = 64,
    ) -> None:
        self.bar = timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe)
        if (
            not 0 < grace_ns <= absence_ns
            or min(stale_ns, again_ns, most, kept) < 1
            or confirm not in ("after", "before")
        ):
            raise Usage("closing rule: expected 0 < grace <= absence, the rest above 0, confirm after or before")
        reason = unfit(last, self.bar, last.open_ns)
        if reason:
            raise Usage(f"closing rule: the last bar known {reason}")
        self._confirm, self._grace_ns, self._absence_ns = confirm, grace_ns, absence_ns
        self._stale_ns, self._again_ns, self._most, self._kept = stale_ns, again_ns, most, kept
        self._grid = self.bar.grid_ns
        first = self._number(last.open_ns)
        self._next, self._over, self._newest = first + 1, first, first
        self._decided: dict[int, _Decided] = {first: _Decided(last)}
        self._unsure: set[int] = set()  # decided on, to be asked for
        self._held: dict[int, Candle] = {}
        self._doubt: dict[int, str] = {}
        self._final: dict[int, tuple[int, Candle | None]] = {}
        self._not_shown: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._now, self._news_ns, self._stale = last.open_ns, -1, False

    @property
    def next_ns(self) -> int:
        """Open time of the next bar to be decided on or found absent."""
        return self._open_ns(self._next)

    @property
    def waiting(self) -> Waiting | None:
        """The bar that is over and holds up the others; None where there is none."""
        if self._next > max(self._over, self._ripe()):
            return None
        if self._next in self._not_shown:
            reason = "REST does not show it, and is asked once more"
        elif self._next in self._doubt:
            reason = self._doubt[self._next]
        elif self._next in self._held:
            reason = "REST has not confirmed it"
        else:
            reason = "the stream did not show it, and REST has not yet"
        return Waiting(self.next_ns, reason)

    def stream(self, candles: Iterable[Candle], venue_ns: int) -> list[CandleAction]:
        """Take candles of the stream, in any order, forming ones too; return what to do."""
        actions = self._pass(venue_ns)
        for candle in candles:
            reason = unfit(candle, self.bar, self._now + self._grace_ns)
            if reason:
                actions.append(Rejected(candle, reason))
            else:
                self._see(self._number(candle.open_ns), candle)
        return actions + self._settle()

    def answered(
        self, candles: Iterable[Candle], asked: Fetch, sent_ns: int, *, whole: bool = True
    ) -> list[CandleAction]:
        """Take a REST answer.

        Parameters
        ----------
        candles : iterable of Candle
            Forming one and all.
        asked : Fetch
            What was asked for.
        sent_ns : int
            The venue's time when the request left.
        whole : bool
            False where the venue's limit, or anything else, may have cut the answer short.
        """
        actions = self._pass(sent_ns)
        shown: dict[int, Candle] = {}
        wrong: set[int] = set()
        for candle in candles:
            reason = unfit(candle, self.bar, self._now + self._grace_ns)
            if reason:
                actions.append(Rejected(candle, reason))
                wrong.add(self._number(candle.open_ns))
            else:
                shown[self._number(candle.open_ns)] = candle
        for number, candle in sorted(shown.items()):
            self._over = max(self._over, number - 1)
            if self._close_ns(number) + self._grace_ns <= sent_ns:
                actions += self._finally(number, candle, sent_ns)
        if shown:
            newest = max(shown)
            decided = self._decided.get(newest)
            known = self._held.get(newest) or (decided and decided.candle)
            if known == shown[newest] and newest >= max(self._held, default=newest):
                self._news_ns = max(self._news_ns, sent_ns)
            first = self._number(asked.from_ns) if whole else min(shown)
            last = self._number(asked.to_ns) if whole else max(shown)
            for number in range(max(first, self._next - self._kept), min(last, self._next + self._most) + 1):
                if number not in shown and number not in wrong:
                    actions += self._unshown(number, sent_ns)
        return actions + self._settle()

    def cut(self, venue_ns: int) -> list[CandleAction]:
        """Take note that the stream's connection was lost or made anew; return what to do."""
        actions = self._pass(venue_ns)
        self._mistrust("the stream was cut while it formed")
        self._news_ns, self._stale = self._now, False
        return actions + self._settle()

    def resumed(self, venue_ns: int) -> list[CandleAction]:
        """Take note that nothing was seen for a while, since the run was over or killed; return what to do."""
        self._now = max(self._now, venue_ns)
        self._mistrust("the run was interrupted while it formed")
        self._news_ns, self._stale = self._now, False
        return self._settle()

    def at(self, venue_ns: int) -> list[CandleAction]:
        """Take note of the venue's time; return what to do."""
        return self._pass(venue_ns) + self._settle()

    def _pass(self, venue_ns: int) -> list[CandleAction]:
        self._now = max(self._now, venue_ns)
        if self._news_ns < 0:
            self._news_ns = self._now
        silent = self._now - self._news_ns
        if self._stale or silent <= self._stale_ns:
            return []
        self._stale = True
        self._mistrust("the stream went stale while it formed")
        return [Stale(silent)]

    def _mistrust(self, reason: str) -> None:
        for number in self._held:
            self._doubt.setdefault(number, reason)

    def _see(self, number: int, candle: Candle) -> None:
        """Take a fit candle of the stream."""
        self._over, self._newest = max(self._over, number - 1), max(self._newest, number)
        if number < self._next:
            decided = self._decided.get(number)
            if decided and candle != decided.candle and not (decided.candle and grew(candle, decided.candle)):
                self._unsure.add(number)
            return
        if number > self._next + self._most:
            return  # REST will be asked for it when its turn comes
        before = self._held.get(number)
        if before == candle or (before is not None and grew(candle, before)):
            return
        self._held[number] = candle
        self._news_ns, self._stale = self._now, False
        if before is not None and not grew(before, candle):
            self._doubt[number] = _DISORDER
        elif self._doubt.get(number) != _DISORDER:
            self._doubt.pop(number, None)

    def _finally(self, number: int, candle: Candle, sent_ns: int) -> list[CandleAction]:
        """Take a final candle."""
        self._not_shown.pop(number, None)
        if number >= self._next:
            if number <= self._next + self._most and sent_ns > self._final.get(number, (-1, None))[0]:
                self._final[number] = (sent_ns, candle)
            return []
        decided = self._decided.get(number)
        if decided is None or sent_ns < decided.sent_ns:
            return []
        self._unsure.discard(number)
        old, decided.candle, decided.sent_ns = decided.candle, candle, sent_ns
        return [] if old == candle else [Corrected(candle.open_ns, old, candle)]

    def _unshown(self, number: int, sent_ns: int) -> list[CandleAction]:
        """Take note that an answer does not show a bar that it should."""
        if sent_ns < self._close_ns(number) + self._absence_ns or number in self._held:
            return []
        decided = self._decided.get(number)
        if number < self._next and (decided is None or sent_ns < decided.sent_ns):
            return []
        if sent_ns <= self._not_shown.setdefault(number, sent_ns):
            return []
        if decided is None:
            if sent_ns > self._final.get(number, (-1, None))[0]:
                self._final[number] = (sent_ns, None)
            return []
        self._unsure.discard(number)
        old, decided.candle, decided.sent_ns = decided.candle, None, sent_ns
        return [] if old is None else [Corrected(self._open_ns(number), old, None)]

    def _settle(self) -> list[CandleAction]:
        """Decide on what can be decided on, in order, and ask for what is missing."""
        actions: list[CandleAction] = []
        ripe = self._ripe()
        while self._next <= max(self._over, ripe):
            number = self._next
            if number in self._final:
                sent_ns, candle = self._final[number]
                self._decided[number] = _Decided(candle, sent_ns)
                actions.append(Absent(self._open_ns(number)) if candle is None else Closed(candle, "rest"))
            elif (
                self._confirm == "after"
                and number < self._newest
                and number in self._held
                and number not in self._doubt
            ):
                self._decided[number] = _Decided(self._held[number])
                self._unsure.add(number)
                actions.append(Closed(self._held[number], "stream"))
            else:
                break
            self._next += 1
            self._forget(number)
        return actions + self._missing(ripe)

    def _forget(self, number: int) -> None:
        """Drop what is not needed of a bar that was decided on, and of one that is no longer compared."""
        old = number - self._kept
        self._held.pop(number, None)
        if self._doubt or self._final or self._not_shown:
            self._doubt.pop(number, None)
            self._final.pop(number, None)
            self._not_shown.pop(number, None)
            self._not_shown.pop(old, None)
        self._decided.pop(old, None)
        self._asked.pop(old, None)
        self._unsure.discard(old)

    def _missing(self, ripe: int) -> list[CandleAction]:
        """Ask for the ripe bars that are needed and were not asked for of late."""
        needed = [number for number in self._unsure if number <= ripe] if self._unsure else []
        if not needed and self._next > ripe:
            return []
        ahead = range(self._next, min(ripe, self._next + self._most - 1) + 1)
        needed += [number for number in ahead if number not in self._final]
        due = [n for n in needed if self._now >= self._asked.get(n, self._now - self._again_ns) + self._again_ns]
        if not due:
            return []
        first = min(due)
        last = min(max(due), first + self._most - 1)
        for number in range(first, last + 1):
            self._asked[number] = self._now
        present = [number for number, one in self._decided.items() if number < first and one.candle is not None]
        return [Fetch(self._open_ns(max(present, default=first - 1)), self._open_ns(last))]

    def _ripe(self) -> int:
        return self._number(self._now - self._grace_ns) - 1

    def _number(self, time_ns: int) -> int:
        if self._grid is None:
            return self.bar.number(time_ns // _MS)
        return (time_ns - self._grid[1]) // self._grid[0]

    def _open_ns(self, number: int) -> int:
        return self.bar.open_ms(number) * _MS

    def _close_ns(self, number: int) -> int:
        return self.bar.close_ms(number) * _MS
