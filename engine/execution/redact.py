"""Take keys, signatures and signed addresses out of a text before anybody reads it.

CCXT puts the whole address of a request, query and signature with it, into the message of its errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

__all__ = ["redact"]

HIDDEN = "***"
LONGEST = 300
READ = 1_200  # a body can be a whole page; cut at words, so that no half of a secret is left

# a name of something secret, then its value, in a query, in JSON or in a header
_NAMED = re.compile(
    r"""(?ix)
    ( (?<![a-z])
      (?: [a-z-]{0,24}(?:signature|secret|passphrase|passwd|password|authorization|credential)
        | sign | api[-_]?key | private[-_]?key | listen[-_]?key | token | access[-_]token | jwt
        | x-mbx-apikey | x-api-key | ok-access-(?:key|sign|passphrase) | cb-access-(?:key|sign|passphrase) )
      ["']? \s* [=:] \s* ["']? )
    (?: (?:bearer|basic) \s+ )?
    [^\s"'&,;})\]]+
    """
)
_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^/\s@?#]+@")
_QUERY = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s?#\"']*)[?#][^\s\"'<>]*")
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{40,}")  # digests, tokens, listen keys; order ids and uuids are shorter
_WORDS = re.compile(r"[A-Z]+(?:_[A-Z]+)+")  # a venue's name of an error, however long
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',]{8,}")
_LEFT = (  # what is left of each, in this order
    (_QUERY, rf"\1?{HIDDEN}"),
    (_USER, rf"\1{HIDDEN}@"),
    (_NAMED, rf"\1{HIDDEN}"),
    (_BEARER, rf"\1 {HIDDEN}"),
)


def redact(text: str, secrets: Iterable[str] = (), longest: int = LONGEST) -> str:
    """Return a text without what must not be read.

    Parameters
    ----------
    text : str
        As a venue, CCXT or aiohttp wrote it.
    secrets : iterable of str
        What is known to be secret: keys, pass phrases; taken out wherever it stands, also percent-encoded.
    longest : int
        Characters kept; what follows is cut only after everything was taken out, so that no half of a key is left.

    Notes
    -----
    Besides the known secrets these are taken out: the query and the user name of every address, the value behind a
    name that says it is secret (``signature=``, ``"apiKey":``, ``OK-ACCESS-SIGN:``), and every run of 40 or more
    characters that could be a digest, a token or a listen key.  A piece of a path that long goes with its path.
    """
    known = sorted({form for value in secrets if value for form in _forms(value)}, key=len, reverse=True)
    if len(text) > 8 * READ:
        text = text[: 8 * READ].rpartition(" ")[0]
    for value in known:
        text = text.replace(value, HIDDEN)
    if len(text) > READ:
        text = text[:READ].rpartition(" ")[0]
    for pattern, left in _LEFT:
        text = pattern.sub(left, text)
    text = _LONG.sub(lambda found: found[0] if _WORDS.fullmatch(found[0]) else HIDDEN, text)
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _forms(value: str) -> tuple[str, ...]:
    """Return a secret as it stands in texts: bare, in an address, in JSON; without what surrounds its lines."""
    lines = tuple(line.strip() for line in value.splitlines() if len(line.strip()) >= 8)
    return (value, quote(value, safe=""), quote_plus(value), value.replace("\n", "\\n"), *lines)
