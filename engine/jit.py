"""Every numba flag and the place of the compiled code: the only module that calls ``numba.njit``.

No fastmath and no parallel reductions: a result is the same bits in every driver.  Numba's disk cache looks only
at the caller's own file, so an edited callee would go unnoticed; here every file's compiled functions have a folder
whose name is a digest of the tools and of all compiled code the file imports, so an edit makes a new folder for
whatever can call it, and for nothing else.
"""

from __future__ import annotations

import ast
import atexit
import functools
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")

import numba
import numpy as np
import platformdirs
from llvmlite import binding

__all__ = ["FLAGS", "INLINED", "cache_folder", "compiled", "compiled_bare", "inlined", "inlined_bare", "kernel_sources"]

FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "nogil": True}
BARE: dict[str, Any] = {"_nrt": False}
SCALAR: dict[str, Any] = {"forceinline": True, "no_cfunc_wrapper": True}
# of an ``overload``, which Python cannot call: without this door such a call would end the process
INLINED: Any = {**SCALAR, "no_cpython_wrapper": True}
STALE_SECONDS = 30 * 86_400
HERE = Path(__file__).resolve().parent
MARK = b"engine.jit"

F = TypeVar("F", bound=Callable[..., Any])

_config: Any = numba.config
_config.DISABLE_INTEL_SVML = 1  # also where numba was imported before this module: the bits must not depend on that


def kernel_sources() -> list[Path]:
    """Return the files that hold compiled code: every module of the engine that imports this one, and this one."""
    return sorted(path for path in HERE.rglob("*.py") if MARK in path.read_bytes())


@functools.cache
def imported(path: Path) -> frozenset[Path]:
    """Return the engine's files that a file imports itself."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    found: set[Path] = set()
    for name in names:
        first, *rest = name.split(".")
        if first == HERE.name:
            place = HERE.joinpath(*rest)
            found.update(other for other in (place.with_suffix(".py"), place / "__init__.py") if other.is_file())
    return frozenset(found)


def sources_of(path: Path) -> list[Path]:
    """Return the files with compiled code that a file's compiled functions can depend on: its imports, and theirs."""
    seen, queue = {path}, [path]
    while queue:
        for other in imported(queue.pop()) - seen:
            seen.add(other)
            queue.append(other)
    return sorted(other for other in seen if other == path or MARK in other.read_bytes())


@functools.cache
def cache_folder(path: Path = HERE / "jit.py") -> Path:
    """Return the folder of the compiled functions of one file, made if absent.

    Its name is a digest of the tools, the processor, and every file with compiled code the file imports.
    ``LOCKSTEP_CACHE`` names another parent than the user's cache folder.  A parent that cannot be written falls
    back to a private temporary folder: slower starts, never an error.  Folders unused for 30 days are removed.
    """
    digest = hashlib.sha256()
    for source in (HERE / "jit.py", *sources_of(path)):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    tools = (
        numba.__version__,
        np.__version__,
        platform.python_version(),
        binding.get_host_cpu_name(),
        sorted(FLAGS.items()),
    )
    digest.update(repr(tools).encode())
    parent = Path(os.environ.get("LOCKSTEP_CACHE") or platformdirs.user_cache_path("lockstep"))
    name = f"kernels-{path.stem}-{digest.hexdigest()[:16]}"
    try:
        folder = parent / name
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _forget_stale(parent)
    except OSError:
        private = tempfile.mkdtemp(prefix="lockstep-")
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        folder = Path(private) / name
        folder.mkdir()
    return folder


def _forget_stale(parent: Path) -> None:
    for other in parent.glob("kernels-*"):
        if time.time() - other.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(other, ignore_errors=True)


def compiled(function: F) -> F:
    """Compile a driver: cached on disk, releases the interpreter lock, never raises for a division by zero."""
    return _cached(function, {})


def compiled_bare(function: F) -> F:
    """Do as ``compiled`` for a driver that makes no arrays: those it is given are not reference-counted.

    Counting is atomic and costs more than the work of a short loop, wherever an array is taken out of a tuple.
    """
    return _cached(function, BARE)


def _cached(function: F, flags: dict[str, Any]) -> F:
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(cache_folder(Path(function.__code__.co_filename).resolve()))
    try:
        made: F = numba.njit(cache=True, **FLAGS, **flags)(function)
        return made
    finally:
        _config.CACHE_DIR = before


def inlined(function: F) -> F:
    """Compile a scalar function that is always inlined into its caller, so it costs no call and needs no cache."""
    made: F = numba.njit(**SCALAR, **FLAGS)(function)
    return made


def inlined_bare(function: F) -> F:
    """Do as ``inlined`` for a function that makes no arrays; see ``compiled_bare``."""
    made: F = numba.njit(**SCALAR, **FLAGS, **BARE)(function)
    return made
