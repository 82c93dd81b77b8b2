"""Whether it was the network that failed, and whether a request can have left."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

__all__ = ["chain", "distrusted", "transport", "unsent"]

_NETWORK: Final = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTUNREACH, errno.ENOTCONN, errno.ETIMEDOUT}
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it says caused it: CCXT raises its own from aiohttp's."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _named(error: BaseException, *names: str) -> bool:
    """Say whether an error is one of aiohttp's, which is not imported for that."""
    return any(kind.__name__ in names and kind.__module__.startswith("aiohttp") for kind in type(error).__mro__)


def distrusted(error: BaseException) -> bool:
    """Say whether the other side could not show that it is the venue."""
    return isinstance(error, ssl.SSLCertVerificationError) or _named(error, "ClientConnectorCertificateError")


def unsent(error: BaseException) -> bool:
    """Say whether there was no connection to send a request through."""
    return isinstance(error, socket.gaierror | ConnectionRefusedError) or _named(
        error, "ClientConnectorError", "ConnectionTimeoutError"
    )


def transport(error: BaseException) -> bool:
    """Say whether it is the network that failed, and no file or program."""
    if _named(error, "InvalidURL"):
        return False
    if _named(error, "ClientError", "WebSocketError"):
        return True
    if isinstance(error, TimeoutError | ConnectionError | ssl.SSLError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _NETWORK
