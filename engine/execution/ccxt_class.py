"""CCXT's class of one venue, without those of a hundred others.

``import ccxt.pro`` imports every exchange in each of three packages: a second of processor time, several on a disk
that is cold, and one class of them is wanted.  Here the packages' own code runs without these imports, and a class is
imported when it is asked for.  Whoever imports CCXT later finds all of it; where it was imported before, nothing is
done here.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["ccxt_class"]

PACKAGES: Final = ("ccxt", "ccxt.async_support", "ccxt.pro")


def ccxt_class(name: str, package: str = "ccxt.pro") -> Any:
    """Return the class of an exchange, None if CCXT has none of the name.

    Parameters
    ----------
    name : str
        As in ``ccxt.exchanges``.
    package : str
        ``ccxt.pro`` or ``ccxt.async_support``.
    """
    if "ccxt" not in sys.modules:
        for code, made in [_stand_in(one) for one in PACKAGES]:
            exec(code, made.__dict__)
    return getattr(importlib.import_module(package), name, None)


class _Package(ModuleType):
    """A package of CCXT that imports the class of an exchange when it is asked for."""

    classes: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.classes and isinstance(value, ModuleType):
            value = getattr(value, name)  # the module was imported; under its name the package has the class
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in self.classes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        importlib.import_module(f"{self.__name__}.{name}")
        return self.__dict__[name]

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.classes})


def _stand_in(name: str) -> tuple[Any, ModuleType]:
    """Put a package into ``sys.modules`` before it is run, and return its code without the exchanges, and it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    tree = ast.parse(Path(spec.origin).read_bytes())
    exchanges = {
        node: node.names[0].name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == f"{name}.{node.names[0].name}"
    }
    tree.body = [node for node in tree.body if node not in exchanges]
    made = _Package(name)
    own = {
        "__spec__": spec, "__loader__": spec.loader, "__package__": name, "__file__": spec.origin,
        "__path__": spec.submodule_search_locations, "classes": frozenset(exchanges.values()),
    }  # fmt: skip
    made.__dict__.update(own)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return compile(tree, spec.origin, "exec"), made
