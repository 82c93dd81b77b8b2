"""Binance's order lists: two orders of which one cancels the other.

A list goes by the number of its first order and by the client id it was sent with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.venue.account import Account
from engine.venue.binance import say
from engine.venue.binance.codes import Problem
from engine.venue.binance.routes import Params, whole
from engine.venue.order import Order

if TYPE_CHECKING:
    from engine.venue.binance.rest import Rest

__all__ = ["Lists", "list_status", "order_list"]


class Lists:
    """What answers requests about order lists.

    Parameters
    ----------
    rest : Rest
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.venue = rest.venue

    def place(self, account: Account, params: Params) -> Any:
        """Take a pair of orders."""
        above, below = (self.rest.asked(params, leg) for leg in ("above", "below"))
        number = self.venue.next_order_id
        self.rest.list_names[number] = params.get("listClientOrderId") or f"venue-list{number}"
        pair = self.venue.place_pair(account, above, below)
        reports = [say.order(one, self.rest.tape(params).market.id, full=True) for one in pair]
        return self._said(number, pair) | {"orderReports": reports}

    def order_list(self, account: Account, params: Params) -> Any:
        """Return one list."""
        number = self._number(params, "origClientOrderId")
        return self._said(number, self._of(account, number))

    def open_lists(self, account: Account, params: Params) -> Any:
        """Return the lists of which an order may still fill."""
        numbers = dict.fromkeys(one.pair_id for one in account.open_orders() if one.pair_id)
        return [self._said(number, self._of(account, number)) for number in numbers]

    def cancel(self, account: Account, params: Params) -> Any:
        """Cancel both orders of a list."""
        self.rest.tape(params)
        number = self._number(params, "listClientOrderId")
        pair = self._of(account, number)
        still = [one for one in pair if one.open]
        if not still:
            raise Problem("unknown_cancel")
        self.venue.cancel(still[0])
        reports = [say.order(one, self.rest.tape(params).market.id, full=False) for one in pair]
        return self._said(number, pair) | {"orderReports": reports}

    def _number(self, params: Params, name: str) -> int:
        if "orderListId" in params:
            return whole(params["orderListId"])
        found = [number for number, told in self.rest.list_names.items() if told == params.get(name)]
        if not found:
            raise Problem("unknown_list")
        return found[-1]

    @staticmethod
    def _of(account: Account, number: int) -> tuple[Order, ...]:
        pair = tuple(one for one in account.orders.values() if one.pair_id == number and number)
        if not pair:
            raise Problem("unknown_list")
        return pair

    def _said(self, number: int, pair: tuple[Order, ...]) -> dict[str, Any]:
        symbol = self.venue.tapes[pair[0].asked.symbol].market.id
        return order_list(number, symbol, self.rest.list_names.get(number, ""), pair)


def order_list(number: int, symbol: str, name: str, pair: tuple[Order, ...]) -> dict[str, Any]:
    """Return a list of orders."""
    going = any(one.open for one in pair)
    return {
        "orderListId": number,
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED" if going else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if going else "ALL_DONE",
        "listClientOrderId": name,
        "transactionTime": max(one.updated_ms for one in pair),
        "symbol": symbol,
        "orders": [{"symbol": symbol, "orderId": one.order_id, "clientOrderId": one.asked.client_id} for one in pair],
    }


def list_status(time_ms: int, symbol: str, name: str, pair: tuple[Order, ...]) -> dict[str, Any]:
    """Return the event of the user data stream that tells of a list."""
    said = order_list(pair[0].pair_id, symbol, name, pair)
    orders = [{"s": symbol, "i": one.order_id, "c": one.asked.client_id} for one in pair]
    head = {"e": "listStatus", "E": time_ms, "s": symbol, "g": pair[0].pair_id, "c": "OCO", "r": "NONE", "C": name}
    return head | {"l": said["listStatusType"], "L": said["listOrderStatus"], "T": time_ms, "O": orders}
