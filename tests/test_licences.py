"""The default install resolves to permissive licences only: no GPL in what runs in production."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

ALLOWED = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|NCSA|MPL|Mozilla Public License"
    r"|Zlib|CC0)",
    re.IGNORECASE,
)
FORBIDDEN = re.compile(r"\b(AGPL|LGPL|GPL|GNU|SSPL|Commons Clause|Affero)", re.IGNORECASE)


def licence_of(found: Distribution) -> str:
    meta = found.metadata
    said = [meta.get("License-Expression"), *[c for c in meta.get_all("Classifier", []) if c.startswith("License ::")]]
    said = [text for text in said if text]
    if not said:
        said = [(meta.get("License") or "").splitlines()[0] if meta.get("License") else ""]
    return " | ".join(said)


def closure(root: str) -> dict[str, str]:
    """Return the licence of every distribution the default install of ``root`` brings, by name."""
    out: dict[str, str] = {}
    queue: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, extras = item = queue.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise AssertionError(f"{name} is required and not installed") from None
        out[found.metadata["Name"].lower()] = licence_of(found)
        for text in found.requires or []:
            need = Requirement(text)
            wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate(env) for env in wanted):
                queue.append((need.name, frozenset(need.extras)))
    return out


def test_the_default_install_is_permissive() -> None:
    found = closure("lockstep-engine")
    assert {"numpy", "numba", "polars", "duckdb", "pyarrow", "ccxt", "typer"} <= set(found)
    assert not {"vectorbt", "pandas", "plotly", "optuna", "arch"} & set(found)
    wrong = {name: said for name, said in found.items() if FORBIDDEN.search(said) or not ALLOWED.search(said)}
    assert not wrong


def test_a_forbidden_licence_is_seen() -> None:
    for text in ("GNU General Public License v3 (GPLv3)", "LGPL-3.0-or-later", "Apache-2.0 with Commons Clause"):
        assert FORBIDDEN.search(text)
