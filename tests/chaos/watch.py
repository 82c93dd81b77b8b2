"""What must hold whatever fails, looked at from the venue's side: at each order, each fill, each close, and at rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engine.execution.orders import OrderRequest
from engine.live.events import unpack
from engine.live.journal import read_journal, verify_journal
from engine.live.subaccount import SubAccount
from engine.live.ticket import Ticket, client_id_of
from engine.venue.events import OrderChanged
from engine.venue.order import Order
from tests.chaos.case import CASH, MINUTE_MS, limits_of

if TYPE_CHECKING:
    from tests.chaos.world import World

__all__ = ["Watch"]

DRIFT = 1.03  # what prices may move between a decision and its fill
DAY_MS = 86_400_000
CENT = 0.005


class Watch:
    """Looks at a world.

    Attributes
    ----------
    broken : list of str
        Invariants that did not hold.
    entered, fills : int
        Entries that were taken, executions of the run's orders.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        limits = limits_of(world.case)
        self.exposure = limits["portfolio"]["exposure"]
        self.daily = limits["portfolio"]["daily_loss"]
        self.trades = limits["strategy"]["trades_per_day"]
        self.broken: list[str] = []
        self.entered = self.fills = 0
        self.durable: set[str] = set()
        self.legs: dict[str, tuple[str, str, int]] = {}  # of each order: sub-account, leg, close of its bar in ms
        self.asked: dict[tuple[str, int], float] = defaultdict(float)  # the most an order of a decision asked for
        self._arrivals: dict[str, int] = defaultdict(int)
        self._closes: list[tuple[int, float]] = []  # equity at each close

    def broke(self, text: str) -> None:
        """Take note of what did not hold, once."""
        at = f"bar {self.world.bar}, {self.world.loop.now:.3f} s: {text}"
        if text not in {one.partition(": ")[2] for one in self.broken}:
            self.broken.append(at)

    # --- as it happens

    def left(self, request: OrderRequest) -> None:
        """Look at an order that leaves the process."""
        found = self._ticket(request.client_id)
        if found is None or found[1].leg != "entry":
            return
        account, ticket = found
        for other in self._accounts():
            for one in other.tickets.values():
                same = other.symbol == account.symbol and one is not ticket
                if same and (one.status == "unknown" or one.doubted):
                    self.broke(f"{account.name} entered while it was unknown what became of {other.name}'s {one.leg}")

    def arrived(self, request: OrderRequest) -> None:
        """Look at an order that reaches the venue."""
        name, world = request.client_id.encode().decode(), self.world  # of its own: see near.copied
        if name not in self.durable:
            self.broke(f"{name} was sent before it was written")
        if name in world.account.by_client_id:
            self.broke(f"{name} was sent twice, and taken twice")
        found = self._ticket(name)
        if found is None:
            return
        account, ticket = found
        key = account.name, MINUTE_MS * (number_of(account, ticket) + 1)
        self.legs[name] = key[0], ticket.leg, key[1]
        if ticket.leg != "entry":
            return
        self.entered += 1
        self.asked[key] = max(self.asked[key], 1.0 * request.quantity)  # a number of its own: see near.copied
        for low, high, day in self._days():
            now = world.clock.true_ns() // 1_000_000 // DAY_MS
            unsure = 1.15 if world.killed else 1.05  # the equity of a midnight the process did not see is not known
            if day == now and low < (1.0 - unsure * self.daily) * high:
                self.broke(f"{account.name} entered after the daily loss was reached: {low:.2f} of {high:.2f}")

    def filled(self, event: OrderChanged) -> None:
        """Look at an execution."""
        name = event.order.asked.client_id
        if name not in self._arrivals:
            self._arrivals[name] = 0
        if self.legs.get(name, ("", "", 0))[1] != "entry":
            return
        equity, exposure = self._equity(), self._exposure()
        if exposure > self.exposure * equity * DRIFT:
            self.broke(f"{name} filled, and positions of {exposure:.0f} stand against an equity of {equity:.0f}")

    def bar_closed(self) -> None:
        """Take note of the equity."""
        self._closes.append((self.world.venue.time_ms, self._equity()))

    # --- at rest

    def at_rest(self) -> None:
        """Look at what was left when the run had ended."""
        world, node = self.world, self.world.node
        if node is None:
            return
        orders = self._orders()
        self.fills = sum(len(one.executions) for one in orders)
        verify_journal(world.path)
        told = self._journalled()
        halted = self.halted()
        for order in orders:
            name, number = order.asked.client_id, sum(done.quantity for done in order.executions)
            if name not in self.legs:
                continue
            missing = [done.trade_id for done in order.executions if str(done.trade_id) not in told]
            if missing and not world.ended:
                self.broke(f"{self.legs[name][1]} {name}: fills {missing} are not in the journal")
            if number > order.asked.quantity * (1.0 + 1e-9):
                self.broke(f"{name} filled {number:g} of {order.asked.quantity:g}")
        names = [one.asked.client_id for one in orders]
        for name in {name for name in names if names.count(name) > 1}:
            self.broke(f"{name} is there {names.count(name)} times")
        self._decisions(orders)
        self._trades_a_day(orders)
        if world.ended:
            return
        self._account(halted, orders)

    def halted(self) -> list[str]:
        """Return what the run enters nothing for any more, and why."""
        world, node = self.world, self.world.node
        found = [world.ended] if world.ended else []
        if node is not None:
            loop = node.loop
            found += [f"{series}: {why}" for series, why in loop.halted.items()]
            found += [f"{one.name}: {one.halted}" for one in loop.accounts if one.halted]
            found += [f"{symbol}: {why}" for symbol, why in loop.holdings.odd.items()]
            found += [f"{name}: {why}" for name, why in loop.money.missing.items()]
        return found

    def _account(self, halted: list[str], orders: list[Order]) -> None:
        world, node = self.world, self.world.node
        assert node is not None
        loop, spot = node.loop, world.case.spot
        for symbol in world.case.symbols:
            ours = sum(one.quantity for one in loop.accounts if one.symbol == symbol)
            filled = sum(
                (1.0 if one.asked.side == "buy" else -1.0) * done.quantity
                for one in orders
                if one.asked.symbol == symbol
                for done in one.executions
            )
            if abs(ours - filled) > 1e-9:
                self.broke(f"{symbol}: the run holds {ours:.9g}, its orders filled {filled:.9g}")
            base = symbol.partition("/")[0]
            held = world.account.total(base) if spot else world.venue.position(world.account, symbol).quantity
            if abs(ours - held) > 1e-9 and not any(symbol in why for why in halted):
                self.broke(f"{symbol}: the run holds {ours:.9g}, the venue {held:.9g}, and nobody was told")
        flow = self._flow(orders)
        paid = sum(one.amount for one in world.account.funding)
        cash = float(loop.rows["cash"].sum()) - CASH
        if abs(cash - flow - paid) > CENT:
            self.broke(f"cash changed by {cash:.4f}, fills by {flow:.4f} and funding by {paid:.4f}")
        for account in loop.accounts:
            self._resting(account, halted)

    def _resting(self, account: SubAccount, halted: list[str]) -> None:
        world = self.world
        unknown = [one.request.client_id for one in account.tickets.values() if one.status in ("unknown", "sent")]
        told = any(account.symbol in why or account.name in why for why in halted)
        if unknown and not told:
            self.broke(f"{account.name}: what became of {unknown} is still unknown")
        stands = {one.asked.client_id: one for one in world.account.open_orders(account.symbol) if one.asked.client_id}
        own = {name for name in stands if self.legs.get(name, ("",))[0] == account.name}
        strange = own - set(account.tickets)
        if strange:
            self.broke(f"{account.name}: orders {sorted(strange)} rest, and it knows nothing of them")
        tape = world.venue.tape(account.symbol)  # what is less than the market takes can be sold by nobody
        least = max(tape.market.quantity_step, tape.market.min_notional / (0.9 * tape.last) if world.case.spot else 0.0)
        if abs(account.quantity) > least and not told and world.venue.tape(account.symbol).market.trading:
            near = 1e-9 + 1e-6 * abs(account.quantity)
            covered = [
                one
                for name, one in stands.items()
                if name in own
                and (self.legs[name][1] in ("stop", "exit") or one.filled)  # or a target that was met, and goes on
                and one.rest >= abs(account.quantity) - near
            ]
            if not covered:
                self.broke(f"{account.name} holds {account.quantity:g}, and no stop rests for it")

    def _decisions(self, orders: list[Order]) -> None:
        """Hold what was entered against what one decision asked for, however often it was tried."""
        filled: dict[tuple[str, int], float] = defaultdict(float)
        for order in orders:
            account, leg, close_ms = self.legs[order.asked.client_id]
            if leg == "entry":
                filled[account, close_ms] += order.filled
        for key, quantity in filled.items():
            if quantity > self.asked[key] * (1.0 + 1e-9):
                self.broke(f"{key[0]} entered {quantity:g} for one decision of {self.asked[key]:g}")

    def _trades_a_day(self, orders: list[Order]) -> None:
        closes: dict[tuple[str, int], set[int]] = defaultdict(set)  # an entry may take several orders
        for order in orders:
            account, leg, time_ms = self.legs.get(order.asked.client_id, ("", "", 0))
            if leg == "entry" and order.filled:
                closes[account, time_ms // DAY_MS].add(time_ms)
        for (account, _), found in closes.items():
            if len(found) > self.trades:
                self.broke(f"{account} entered {len(found)} times in a day")

    # --- what the venue has

    def _orders(self) -> list[Order]:
        """Return the orders of the run: those with an id of ours."""
        return [one for one in self.world.account.orders.values() if one.asked.client_id in self.legs]

    def _equity(self) -> float:
        world = self.world
        total = CASH + self._flow(world.account.orders.values()) + sum(one.amount for one in world.account.funding)
        for symbol in world.case.symbols:
            tape = world.venue.tape(symbol)
            total += self._held(symbol) * tape.last
        return total

    def _flow(self, orders: Iterable[Order]) -> float:
        """Return what fills of orders brought."""
        return sum(
            -(1.0 if one.asked.side == "buy" else -1.0) * done.quantity * done.price - done.fee
            for one in orders
            for done in one.executions
        )

    def _exposure(self) -> float:
        world = self.world
        return sum(abs(self._held(symbol)) * world.venue.tape(symbol).last for symbol in world.case.symbols)

    def _held(self, symbol: str) -> float:
        world = self.world
        if world.case.spot:
            return world.account.cash.get(symbol.partition("/")[0], 0.0)
        return world.venue.position(world.account, symbol).quantity

    def _days(self) -> list[tuple[float, float, int]]:
        """Return (lowest close since, equity at the start, day) of each day; the last close may not be decided on."""
        found: dict[int, tuple[float, float]] = {}
        before = CASH
        for time_ms, equity in self._closes[:-1]:
            day = time_ms // DAY_MS
            low, high = found.get(day, (equity, before))
            found[day] = min(low, equity), high
            before = equity
        return [(low, high, day) for day, (low, high) in found.items()]

    def _accounts(self) -> tuple[SubAccount, ...]:
        return () if self.world.node is None else self.world.node.loop.accounts

    def _ticket(self, name: str) -> tuple[SubAccount, Ticket] | None:
        for account in self._accounts():
            if name in account.tickets:
                return account, account.tickets[name]
        return None

    def _journalled(self) -> set[str]:
        """Return the executions the journal tells."""
        found: set[str] = set()
        for entry in read_journal(self.world.path):
            if entry.kind == "events":
                for one in entry.content:
                    if "FillsSeen" in one:
                        event: Any = unpack(one)
                        found.update(fill.trade_id for fill in event.fills)
        return found


def number_of(account: SubAccount, ticket: Ticket) -> int:
    """Return the bar whose close decided an order."""
    last, name = account.ledger.number, ticket.request.client_id
    for number in range(last, last - 6, -1):
        if any(client_id_of(account.digest, account.symbol, number, ticket.leg, k) == name for k in range(1, 40)):
            return number
    return last
