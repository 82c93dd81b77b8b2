"""Keys of a venue: from the environment or a keyring, never from a file, and never shown."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from parquet_store.errors import Failed, Usage, unknown

__all__ = ["Credentials", "Secret", "credential_names", "load_credentials"]

SERVICE = "lockstep"
NEEDED = {
    "binance": ("KEY", "SECRET"),
    "coinbase": ("KEY", "SECRET"),
    "okx": ("KEY", "SECRET", "PASSWORD"),
    "robinhood": ("KEY", "SECRET"),
}


class Secret:
    """Text that only ``reveal`` gives away.

    ``repr``, ``str`` and ``format`` say that there is one; a copy is the object itself; to pickle it or to write it as
    JSON is an error.  Two are compared in a time that does not depend on where they differ.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """Return the text itself; to be handed to what signs, and kept nowhere."""
        value: str = object.__getattribute__(self, "_value")
        return value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled: read it again where it is needed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets apart from others


@dataclass(frozen=True)
class Credentials:
    """What a venue knows an account by.

    Attributes
    ----------
    key, secret : Secret
    password : Secret or None
        OKX's passphrase; None where the venue has none.
    """

    key: Secret
    secret: Secret
    password: Secret | None

    def revealed(self) -> tuple[str, ...]:
        """Return all of them as they are, for what keeps them out of messages."""
        parts = (self.key, self.secret, self.password)
        return tuple(part.reveal() for part in parts if part is not None)


def credential_names(venue: str) -> tuple[str, ...]:
    """Return the names a venue's keys have in the environment and in the keyring: ``LOCKSTEP_OKX_KEY`` and so on."""
    if venue not in NEEDED:
        raise unknown("venue", venue, NEEDED)
    return tuple(f"LOCKSTEP_{venue.upper()}_{part}" for part in NEEDED[venue])


def load_credentials(venue: str, source: str = "environment", environ: Mapping[str, str] = os.environ) -> Credentials:
    """Read a venue's keys.

    Parameters
    ----------
    venue : str
    source : str
        ``environment``, or ``keyring``: the entries of the service ``lockstep`` with the names of the environment.
    environ : mapping, optional
        By default that of the process.

    Raises
    ------
    Usage
        Some are not set, or are blank at their ends; all are named, no value is.
    Failed
        The keyring cannot be opened.
    """
    found = find_credentials(venue, source, environ)
    faults = [f"{name} is not set" for name, value in found.items() if not value]
    faults += [
        f"{name} begins or ends with blanks" for name, value in found.items() if value and value != value.strip()
    ]
    if faults:
        where = "set it in the environment" if source == "environment" else f"keyring set {SERVICE} NAME"
        raise Usage(f"keys of {venue}: {', '.join(faults)}; expected {', '.join(found)}: {where}")
    key, secret, *password = (Secret(_whole_lines(value)) for value in found.values() if value)
    return Credentials(key, secret, password[0] if password else None)


def find_credentials(venue: str, source: str, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return what is there of a venue's keys, by name; None for what is not."""
    names = credential_names(venue)
    if source == "environment":
        return {name: environ.get(name) or None for name in names}
    if source != "keyring":
        raise unknown("source of secrets", source, ("environment", "keyring"))
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise Usage(
            "keys_from = 'keyring' needs the library keyring: pip install 'lockstep-engine[keyring]', or use the "
            "environment"
        ) from None
    try:
        return {name: keyring.get_password(SERVICE, name) or None for name in names}
    except keyring.errors.KeyringError as error:
        raise Failed(
            f"the keyring cannot be opened ({type(error).__name__}): unlock it, or use keys_from = 'environment'"
        ) from None


def _whole_lines(value: str) -> str:
    """Return a PEM text with real line ends, where the environment could only hold ``\\n`` spelled out."""
    return value.replace("\\n", "\n") if value.startswith("-----BEGIN") else value
