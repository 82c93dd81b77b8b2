"""The manifest: what was chosen, as data, with its evidence.  Research writes it, live reads it; they share no more.

The file is the canonical text of its content, so a single changed byte is found; beside its own digest it carries
those of the program, of every kernel, of the data, and a control hash of all node values over the last bars.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.graph import Program, columns
from engine.graph.foreign import refuse_foreign
from engine.graph.scalar import tidy
from engine.kernels.step import STEPS, find_step
from engine.simulate import Costs
from parquet_store import Series
from parquet_store.errors import Failed, Usage
from parquet_store.write import telling_disk_errors, write_whole
from pipelines import Bars

__all__ = ["CONTROL_BARS", "Manifest", "control_hash", "load_manifest", "refuse_unfit", "write_manifest"]

FORMAT = 1
CONTROL_BARS = 5000
DATA: dict[str, type] = {
    "source": str,
    "fingerprint": str,
    "bars": int,
    "first": int,
    "last": int,
    "bars_per_year": float,
    "calendar": str,
    "control": str,
}


@dataclass(frozen=True)
class Manifest:
    """A loaded manifest, verified.

    Attributes
    ----------
    program : Program
    costs : Costs
    strategy : str
    params : dict of str to float
    data : dict
        Source, fingerprint, number of bars, first and last open time (ms), bars per year, calendar, control hash.
    evidence : dict
        Metrics of the plain simulation, the run, its size, the verification, buy and hold; the verdict on how likely
        it is luck, and why it was exported despite one that fails.
    digest : str
    """

    program: Program
    costs: Costs
    strategy: str
    params: dict[str, float]
    data: dict[str, Any]
    evidence: dict[str, Any]
    digest: str

    def check_data(self, bars: Bars) -> None:
        """Verify that bars of the manifest's own series hold its data, and that this machine computes its bits.

        Bars of another series are left alone: a program may be replayed anywhere.

        Raises
        ------
        Failed
            Bars within the manifest's span are missing or differ, or the control hash does.
        """
        if bars.source != self.data["source"]:
            turns = self.program.role("short_entry") not in (None, 0.0)
            if turns and perpetual(self.data["source"]) and not perpetual(bars.source):
                raise Usage(f"{bars.source}: the program goes short, a spot market does not; replay it on a perpetual")
            return
        inside = np.flatnonzero((bars.time >= self.data["first"]) & (bars.time <= self.data["last"]))
        part = bars.slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else bars.slice(0, 0)
        if len(part) != self.data["bars"] or part.fingerprint != self.data["fingerprint"]:
            raise Failed(
                f"{bars.source}: {len(part):,} bars in the manifest's span with fingerprint {part.fingerprint[:12]}, "
                f"expected {self.data['bars']:,} with {self.data['fingerprint'][:12]}: the stored data changed since "
                "the export; restore it, or sweep and export again"
            )
        if control_hash(self.program, part) != self.data["control"]:
            raise Failed(
                f"{bars.source}: this machine's kernels give other bits than the machine of the export (other "
                "processor features or library versions); sweep and export here again"
            )


def perpetual(source: str) -> bool:
    """Return whether a series' symbol is that of a perpetual, as in ``binance:BTC/USDT:USDT:1h``."""
    return ":" in Series.parse(source).symbol


def control_hash(program: Program, bars: Bars) -> str:
    """Return the SHA-256 of every node's values over the last 5,000 bars, run from the first bar on."""
    values = columns(program, bars).values[:, -CONTROL_BARS:]
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def refuse_unfit(program: Program, costs: Costs) -> None:
    """Refuse, as ``write_manifest`` does, what no live order could do."""
    if costs.size_at == "fill":
        raise Usage(
            "size_at=fill fixes a size at a price no live order can know; sweep with --size-at decision to export"
        )
    refuse_foreign(program, "an export")


def write_manifest(
    path: Path,
    program: Program,
    costs: Costs,
    bars: Bars,
    *,
    strategy: str,
    params: Mapping[str, float],
    evidence: Mapping[str, Any],
) -> str:
    """Write a manifest, whole or not at all, and return its digest.

    Raises
    ------
    Usage
        The sizes are fixed at the fill, at a price no live order can know; a step of another library has none here.
    Failed
        The disk is full or the folder may not be written.
    """
    refuse_unfit(program, costs)
    own = {name: STEPS[name].source for name in program.kernels() if ":" in name}
    content: dict[str, Any] = {
        "lockstep": FORMAT,
        "strategy": strategy,
        "params": {name: tidy(value) for name, value in params.items()},
        "program": program.as_json(),
        "program_digest": program.digest,
        "kernels": program.kernels(),
        "step_sources": own,
        "costs": costs.as_json(),
        "data": {
            "source": bars.source,
            "fingerprint": bars.fingerprint,
            "bars": len(bars),
            "first": int(bars.time[0]),
            "last": int(bars.time[-1]),
            "bars_per_year": tidy(bars.bars_per_year),
            "calendar": bars.calendar,
            "control": control_hash(program, bars),
        },
        "evidence": without_nan(dict(evidence)),
    }
    content["digest"] = digest_of(content)
    with telling_disk_errors(path.parent):
        write_whole(path, lambda file: file.write(text_of(content)))
    return str(content["digest"])


def load_manifest(path: Path | str) -> Manifest:
    """Read a manifest and verify everything in it that needs no data.

    A manifest with steps of the user's own needs their module imported first.

    Raises
    ------
    Usage
        There is no such file, or a step of the user's own is not registered.
    Failed
        The file cannot be read, is damaged or was changed, its format is another one, or a kernel is not the one of
        the export.
    """
    path = Path(path)
    if not path.is_file():
        raise Usage(f"{path}: no such file; expected a manifest written by `lockstep export`")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Failed(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        content = json.loads(raw)
        intact = isinstance(content, dict) and text_of(content) == raw
        intact = intact and digest_of({k: v for k, v in content.items() if k != "digest"}) == content["digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise Failed(f"{path}: damaged or changed since it was exported (its digest does not fit); export it again")
    if content.get("lockstep") != FORMAT:
        raise Failed(f"{path}: manifest format {content.get('lockstep')}, this release reads {FORMAT}; export it again")
    try:
        return _verified(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failed(
            f"{path}: not a manifest of `lockstep export` ({type(error).__name__}: {error}); export it again"
        ) from error


def _verified(path: Path, content: dict[str, Any]) -> Manifest:
    for name, digest in content["kernels"].items():
        if name not in STEPS and ":" in name:
            raise Usage(
                f"{path}: needs the step {name}; give the file that defines it with --steps {name.split(':')[0]}.py"
            )
        if find_step(name).digest != digest:
            raise Failed(f"{path}: the kernel of step {name} is not the one it was swept with; sweep and export again")
    program = Program.from_json(content["program"])
    if program.digest != content["program_digest"] or program.kernels() != content["kernels"]:
        raise Failed(f"{path}: its program reads differently here (digest {program.digest[:12]}); export it again")
    costs = Costs.from_json(content["costs"])
    costs.numbers()
    params = {str(name): float(value) for name, value in content["params"].items()}
    data = {name: kind(content["data"][name]) for name, kind in DATA.items()}
    strategy, evidence, digest = content["strategy"], content["evidence"], content["digest"]
    return Manifest(program, costs, str(strategy), params, data, dict(evidence), str(digest))


def text_of(content: Mapping[str, Any]) -> bytes:
    """Return the one text of a manifest's content."""
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content without its digest."""
    return hashlib.sha256(text_of(content)).hexdigest()


def without_nan(value: Any) -> Any:
    """Return plain data with None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
