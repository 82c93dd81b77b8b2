"""What is said of stored series: spans, gaps, findings, and what an append did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.cli.output import Output
from parquet_store.errors import LockstepError

if TYPE_CHECKING:
    from parquet_store import Appended, Series, Store

_SHOWN = 10  # findings and gaps a person is shown of one series; JSON has them all


def show_appended(store: Store, series: Series, done: Appended, more: dict[str, Any], out: Output) -> None:
    """Print what an append did, and what is stored now."""
    for note in done.notes:
        out.note(note)
    stored = store.series()
    span = store.span(series).to_dict() if series in stored else {"first": None, "last": None, "rows": 0}
    if out.json:
        counts = {
            "rows": done.rows,
            "replaced": done.replaced,
            "unchanged": done.unchanged,
            "months": done.months,
            "quarantined": done.quarantined,
            "quarantine": done.quarantine,
        }
        out.document({"source": str(series), **counts, **more, "stored": span})
        return
    new = done.rows - done.replaced - done.unchanged
    out.say(f"{series}: {new:,} bars new, {done.replaced:,} replaced, {done.unchanged:,} stored before just so")
    if done.quarantined:
        out.say(f"{done.quarantined:,} bad rows set aside with the reason in {done.quarantine}")
    out.say(
        f"stored are {span['rows']:,} bars"
        + (f" from {_clock(span['first'])} to {_clock(span['last'])}" if span["rows"] else "")
    )


def show_series(store: Store, series: list[Series], out: Output) -> None:
    """Print series with their spans and calendars."""
    entries = []
    for one in series:
        meta = store.meta(one)
        entries.append({"source": str(one), **_span(store, one), **meta.to_dict()})
    if out.json:
        out.document({"store": store.root, "series": entries})
    elif not entries:
        out.say(empty_store(store))
    else:
        columns = ["source", "rows", "first", "last", "calendar", "bars_per_year"]
        named = ["source", "bars", "first", "last", "calendar", "bars a year"]
        out.table(named, [[entry[name] for name in columns] for entry in entries])


def _span(store: Store, series: Series) -> dict[str, Any]:
    span = store.span(series)
    return {"rows": span.rows, "first": span.first, "last": span.last}


def checked_series(store: Store, series: Series) -> dict[str, Any]:
    """Return what is wrong with a stored series as JSON can carry it; a damaged file is a finding."""
    from parquet_store import audit

    if series not in store.series():
        store.span(series)  # raises with the nearest name
    entry: dict[str, Any] = {
        "source": str(series),
        "rows": None,
        "first": None,
        "last": None,
        "gaps": [],
        "findings": [],
    }
    try:
        entry |= _span(store, series)
        entry["gaps"] = [gap.to_dict() for gap in store.gaps(series)]
        found = audit(store.read(series), series.bar)
        entry["findings"] = [finding.to_dict() for finding in found if finding.kind != "gap"]
    except LockstepError as error:  # a damaged file: named here, and the other series are still checked
        damage = {"kind": "unreadable", "row": None, "time": None, "message": str(error), "value": ""}
        entry["findings"] = [damage]
    return entry


def show_details(entry: dict[str, Any], out: Output) -> None:
    """Print the longest gaps and the first findings of a checked series."""
    gaps = sorted(entry["gaps"], key=lambda gap: -gap["missing"])
    lines = [
        f"  absent: {g['missing']:,} after {_clock(g['after'])}, before {_clock(g['before'])}" for g in gaps[:_SHOWN]
    ]
    if len(gaps) > _SHOWN:
        lines.append(f"  ... and {len(gaps) - _SHOWN:,} shorter gaps; --json has them all")
    found = entry["findings"]
    lines += [f"  {one['kind']}: {_at(one)}{one['message']} {one['value']}".rstrip() for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  ... and {len(found) - _SHOWN:,} more findings; --json has them all")
    if lines:
        out.say("\n".join([entry["source"], *lines]))


def _at(finding: dict[str, Any]) -> str:
    return "" if finding["row"] is None else f"row {finding['row']:,} ({_clock(finding['time'])}): "


def _clock(text: Any) -> str:
    return "time unknown" if text is None else str(text).replace("T", " ").removesuffix("+00:00").removesuffix(":00")


def absent(gaps: list[dict[str, Any]]) -> int:
    """Return how many bars are absent in all."""
    return sum(gap["missing"] for gap in gaps)


def empty_store(store: Store) -> str:
    """Return what to say of a store without bars."""
    return f"no bars in {store.root}: try lockstep data sample, or lockstep data import FILE"
