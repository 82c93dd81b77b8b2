"""Where the time of a live decision goes: stamps taken around CCXT, the node and the loop, for `bench_live` alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.live.actions import Action, Decided
from engine.live.node import Node

__all__ = ["STAGES", "Stamps", "quantiles"]

STAGES = ("raw", "parsed", "stepped", "decided", "journalled", "signed", "wire", "acknowledged")
now = time.perf_counter_ns


class Stamps:
    """Stamps of the close at hand; `next` begins another.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self.rows: list[dict[str, int]] = []
        self.at: dict[str, int] = {}
        self.armed = False
        self._wrap_client()
        self._wrap_node(node)

    def begin(self) -> None:
        """Wait for the next message of a stream."""
        self.at, self.armed = {}, True

    def end(self, published_ns: int) -> None:
        """Keep what was stamped, and how long the state took to be written."""
        self.armed = False
        self.at["published"] = published_ns
        self.rows.append(self.at)

    def note(self, stage: str, took_ns: int) -> None:
        """Keep how long something took."""
        self.at[stage] = took_ns

    def first(self, stage: str) -> None:
        """Stamp a stage the first time it comes."""
        if self.armed and stage not in self.at:
            self.at[stage] = now()

    def last(self, stage: str) -> None:
        """Stamp a stage every time it comes."""
        if self.armed:
            self.at[stage] = now()

    def _wrap_client(self) -> None:
        from ccxt.async_support.base.ws.client import Client

        whole = Client.handle_message

        def handle(stream: Any, message: Any) -> Any:
            self.first("raw")
            return whole(stream, message)

        Client.handle_message = handle

    def _wrap_node(self, node: Node) -> None:
        see, step, append = node._see, node.loop.step, node._append
        if node.venue is not None:
            leave, send = node.venue._leave, node.venue._send

            async def signed(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
                if method == "POST":
                    self.first("signed")
                return await leave(url, method, headers, body)

            async def sent(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
                if method == "POST":
                    self.first("wire")
                    self.last("sent")
                return await send(url, method, headers, body)

            node.venue.client.fetch, node.venue._send = signed, sent  # type: ignore[method-assign]

        def saw(series: str, candles: Any) -> None:
            self.first("parsed")
            self.last("all parsed")
            see(series, candles)

        def stepped(events: Any) -> list[Action]:
            began = now()
            actions = step(events)
            if any(isinstance(one, Decided) for one in actions):
                if self.armed:
                    self.at.setdefault("stepped", began)
                    self.at.setdefault("first step", now() - began)
                self.last("decided")
            return actions

        def appended(entries: Any, durable: bool) -> int:
            found = append(entries, durable)
            if durable:
                self.first("journalled")
            return found

        if node.asking is not None:
            seen = node.asking.seen

            def heard(reports: Any) -> None:
                self.last("acknowledged")
                seen(reports)

            node.asking.seen = heard  # type: ignore[method-assign]
        node._see, node.loop.step, node._append = saw, stepped, appended  # type: ignore[method-assign]


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the tails of times in ns, as us."""
    found = np.percentile(np.array(values, np.float64) / 1e3, (50.0, 99.0, 99.9))
    return dict(zip(("p50", "p99", "p99.9"), (round(float(x), 1) for x in found), strict=True))
