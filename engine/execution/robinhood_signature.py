"""The signature of Robinhood's crypto trading API."""

from __future__ import annotations

import base64
import binascii

from parquet_store.errors import Usage

__all__ = ["LIFE_S", "Signer"]

LIFE_S = 30  # seconds for which the venue takes a signature


class Signer:
    """Sign requests with an Ed25519 key; what is secret shows in no repr.

    Parameters
    ----------
    api_key : str
        As the venue gave it, ``rh-api-...``.
    private_key : str
        Base64 of the 32 bytes of the seed, or of the 64 bytes of seed and public key.

    Raises
    ------
    Usage
        The key is not base64 of 32 or 64 bytes, or its two halves are not of one pair.
    """

    def __init__(self, api_key: str, private_key: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            raw = base64.b64decode(private_key.strip(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) not in (32, 64):
            raise Usage(
                f"robinhood: the private key is {'no base64' if not raw else f'of {len(raw)} bytes'}; expected the "
                "base64 of 32 or 64 bytes as made with the key pair; set it again in the environment"
            ) from None
        if not api_key.strip():
            raise Usage("robinhood: the API key is empty; expected what the venue shows, rh-api-...")
        self._api_key = api_key.strip()
        self._key = Ed25519PrivateKey.from_private_bytes(raw[:32])
        if len(raw) == 64 and self._key.public_key().public_bytes_raw() != raw[32:]:
            raise Usage("robinhood: the public half of the private key belongs to another key; make the pair again")
        self._secrets = (self._api_key, private_key.strip(), base64.b64encode(raw[:32]).decode())

    def __repr__(self) -> str:
        return "Signer(***)"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not written anywhere: it holds a private key")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        return self._secrets

    def headers(self, method: str, path: str, body: str, now_ns: int) -> dict[str, str]:
        """Return the headers of one request.

        Parameters
        ----------
        method : str
            ``GET`` or ``POST``.
        path : str
            Of the address, with its query, exactly as sent.
        body : str
            Exactly as sent, "" for none.
        now_ns : int
            The time; the venue takes the signature for 30 s.

        Notes
        -----
        Ed25519 over key, seconds since the epoch, path, method and body, one after the other.
        """
        stamp = str(now_ns // 1_000_000_000)
        signature = self._key.sign(f"{self._api_key}{stamp}{path}{method}{body}".encode())
        return {
            "x-api-key": self._api_key,
            "x-timestamp": stamp,
            "x-signature": base64.b64encode(signature).decode(),
        }
