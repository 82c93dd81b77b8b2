"""Every numba flag and the place of the compiled code: the only module that calls ``numba.njit``.

No fastmath and no parallel reductions: a result is the same bits in every driver.  Numba's disk cache looks only
at the caller's own file, so an edited callee would go unnoticed; here the cache folder's name is a digest of every
kernel source and of the tools, and an edit anywhere makes a new folder.
"""

from __future__ import annotations

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

__all__ = ["FLAGS", "cache_folder", "compiled", "inlined", "kernel_sources"]

FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "nogil": True}
STALE_SECONDS = 30 * 86_400

F = TypeVar("F", bound=Callable[..., Any])

_config: Any = numba.config
_config.DISABLE_INTEL_SVML = 1  # also where numba was imported before this module: the bits must not depend on that


def kernel_sources() -> list[Path]:
    """Return the files that hold compiled code: every module of the engine that imports this one, and this one."""
    here = Path(__file__).resolve().parent
    mark = b"engine.jit"
    return sorted(path for path in here.rglob("*.py") if mark in path.read_bytes())


@functools.cache
def cache_folder() -> Path:
    """Return the folder of compiled code for these sources, tools and this processor, made if absent.

    ``LOCKSTEP_CACHE`` names another parent than the user's cache folder.  A parent that cannot be written falls
    back to a private temporary folder: slower starts, never an error.  Folders unused for 30 days are removed.
    """
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    tools = (
        numba.__version__,
        np.__version__,
        platform.python_version(),
        binding.get_host_cpu_name(),
        sorted(FLAGS.items()),
    )
    digest.update(repr(tools).encode())
    parent = Path(os.environ.get("LOCKSTEP_CACHE") or platformdirs.user_cache_path("lockstep"))
    name = f"kernels-{digest.hexdigest()[:16]}"
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
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(cache_folder())
    try:
        made: F = numba.njit(cache=True, **FLAGS)(function)
        return made
    finally:
        _config.CACHE_DIR = before


def inlined(function: F) -> F:
    """Compile a scalar function that is always inlined into its caller, so it costs no call and needs no cache."""
    made: F = numba.njit(forceinline=True, **FLAGS)(function)
    return made
