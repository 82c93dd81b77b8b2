"""The tokens Coinbase's clients prove themselves with: JWT signed by an EC key (ES256) or an Ed25519 key (EdDSA).

A token lives 120 s, names its key twice (``kid`` and ``sub``) and, for REST, the method and address it is for.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

__all__ = ["LEEWAY_S", "LIFE_S", "Refusal", "claimed", "public_key", "verify"]

LIFE_S = 120
LEEWAY_S = 5

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Refusal(Exception):
    """A token that proves nothing, and why; the venue tells nobody."""


def public_key(secret: str) -> PublicKey | None:
    """Return the public half of an account's secret, None if that is no key but a word to sign with.

    Parameters
    ----------
    secret : str
        An EC private key on P-256 as PEM text, or an Ed25519 seed with or without its public half in base64.
    """
    if secret.startswith("-----BEGIN"):
        try:
            key = load_pem_private_key(secret.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return key.public_key()
        return None
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) not in (32, 64):
        return None
    return ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key()


def claimed(token: str) -> str:
    """Return the name of the key a token says it is signed with, empty if it says none."""
    try:
        return str(_part(token.split(".")[0]).get("kid", ""))
    except Refusal:
        return ""


def verify(token: str, name: str, key: PublicKey, now_s: float, uri: str | None) -> None:
    """Check a token.

    Parameters
    ----------
    token : str
        Three parts of base64url.
    name : str
        Of the key.
    key : PublicKey
    now_s : float
        The venue's clock, seconds since the epoch.
    uri : str, optional
        Method and address without the scheme, as ``GET host/path``; None on a stream, whose tokens name none.

    Raises
    ------
    Refusal
    """
    pieces = token.split(".")
    if len(pieces) != 3:
        raise Refusal("not three parts")
    header, claims = _part(pieces[0]), _part(pieces[1])
    elliptic = isinstance(key, ec.EllipticCurvePublicKey)
    if header.get("alg") != ("ES256" if elliptic else "EdDSA"):
        raise Refusal("another algorithm than the key's")
    signature, signed = _bytes(pieces[2]), f"{pieces[0]}.{pieces[1]}".encode()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 64:
                raise Refusal("signature of another length")
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
        else:
            key.verify(signature, signed)
    except (InvalidSignature, UnsupportedAlgorithm):
        raise Refusal("signature") from None
    if claims.get("sub") != name or header.get("kid") != name:
        raise Refusal("another key")
    if claims.get("iss") not in ("coinbase-cloud", "cdp"):
        raise Refusal("another issuer")
    begins, ends = claims.get("nbf"), claims.get("exp")
    if not isinstance(begins, int) or not isinstance(ends, int) or ends - begins > LIFE_S:
        raise Refusal("no life of 120 s")
    if not begins - LEEWAY_S <= now_s <= ends + LEEWAY_S:
        raise Refusal("expired, or not yet valid")
    named = claims.get("uris") or [claims.get("uri")]
    if uri is not None and uri not in [str(one).replace("http://", "") for one in named]:
        raise Refusal("for another address")


def _part(text: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(text))
    except ValueError:
        raise Refusal("no JSON") from None
    if not isinstance(found, dict):
        raise Refusal("no JSON object")
    return found


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("no base64") from None
