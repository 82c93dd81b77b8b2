"""The stop and the target of a position, resting at the venue and kept in step with what is held."""

from __future__ import annotations

from typing import Any, Final

from engine.kernels import grid
from engine.live.actions import Action, PlaceOrder, PlacePair
from engine.live.approved import Approved, approve_exit
from engine.live.keeping import MOST_ATTEMPTS, NAN, Keeping
from engine.live.ticket import Leg, Ticket

__all__ = ["Protecting"]

_to_tick = grid.to_tick.py_func  # type: ignore[attr-defined]
SAME: Final = 1e-9  # of a quantity: what differs by less is rounding
LEGS: Final[tuple[Leg, ...]] = ("stop", "target")


class Protecting(Keeping):
    """A sub-account's stop and target."""

    trailing = False  # whether the program's stop trails
    _due = (0.0, NAN, NAN)  # side and distances of the entry under way

    def _protect(self, time_ns: int, legs: tuple[Leg, ...] = LEGS) -> list[Action]:
        """Rest a stop and a target for what is held."""
        row, held = self._row, abs(self.quantity)
        bare = [leg for leg in legs if row[leg] == row[leg] and self._protecting(leg) is None]
        levels: dict[Leg, float] = {leg: float(row[leg]) for leg in bare}
        pair = len(levels) == 2 and self.terms.pairs and self.terms.spot
        made: list[Approved] = []
        for leg, level in levels.items():
            request = self._request(leg, -float(row["side"]), held, **self._kind(leg, level, paired=pair))
            made.append(approve_exit(request, self.quantity))
            self._keep(Ticket(made[-1], leg, time_ns, pair))
        if pair:
            return [PlacePair(*made)]
        return [PlaceOrder(request) for request in made]

    def _kind(self, leg: Leg, level: float, *, paired: bool) -> dict[str, Any]:
        """Return what kind of order rests at a level."""
        beyond = self.terms.stop_limit
        if leg == "target" or not beyond or paired:
            return {"kind": "stop" if leg == "stop" else "take_profit", "stop_price": level}
        price = level * (1.0 - float(self._row["side"]) * beyond)
        return {
            "kind": "stop_limit", "stop_price": level, "price": float(_to_tick(price, self.costs.price_tick))
        }  # fmt: skip

    def _passed(self, close: float) -> bool:
        """Whether a price is beyond a stop that trades no worse than its limit, and may not have traded."""
        stop, side = self._protecting("stop"), float(self._row["side"])
        if stop is None or stop.request.kind != "stop_limit" or side == 0.0:
            return False
        return side * (close - stop.request.price) < 0.0

    def _protecting(self, leg: Leg) -> Ticket | None:
        """Return the live stop or target of the position that is held; one of the last may still be on its way out."""
        of = self.ledger.positions
        return next((t for t in self.tickets.values() if t.leg == leg and t.live and t.position == of), None)

    def _in_step(self, time_ns: int) -> list[Action]:
        """Keep stop and target in step with what is held: placed where none rests, replaced where one is for another.

        One that is replaced is cancelled here; its end places the next.  What has filled and is not told yet, and what
        its other half is to follow, is waited for.
        """
        if any(t.untold or (t.paired and not self._pair_of(t)) for t in map(self._protecting, LEGS) if t is not None):
            return []
        row, held, missing, actions = self._row, abs(self.quantity), [], []
        self.ledger.level(*self._due, trailing=self.trailing)
        for leg in LEGS:
            level, resting = float(row[leg]), self._protecting(leg)
            if level != level:
                continue
            if resting is None:
                missing.append(leg)
            elif abs(resting.request.quantity - resting.filled - held) > SAME * held or (
                resting.request.stop_price != level
            ):
                actions += [] if resting.cancelling else self._cancel(resting)
        return [*actions, *(self._protect(time_ns, tuple(missing)) if missing else [])]

    def _follow(self, best: float) -> list[Action]:
        """Move a trailing stop to where the best price puts it."""
        level = self.ledger.follow(best)
        resting = self._protecting("stop")
        if level != level or resting is None or resting.cancelling or level == resting.request.stop_price:
            return []
        return self._cancel(resting)  # the new one is placed when the old one is gone

    def _may_retry(self, ticket: Ticket) -> bool:
        """Whether a stop or a target that never reached the venue may be placed once more: it was not refused."""
        return ticket.absent > 1 and self._attempts.get((self.ledger.number, ticket.leg), 0) < MOST_ATTEMPTS
