"""``make chaos``: all scenarios, the table into the documentation, the numbers into the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.chaos.matrix import KINDS, faulty, keep, killed, played, summary
from tests.chaos.page import page
from tests.chaos.shrink import shortest
from tests.data import ROOT

RESULTS, PAGE = ROOT / "benchmarks" / "results" / "chaos.json", ROOT / "docs" / "chaos.md"


def main() -> int:
    """Play the matrix; return 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=12, help="of each fault at each moment")
    parser.add_argument("--kill-seeds", type=int, default=2, help="runs that are killed at each of their writes")
    parser.add_argument("--kind", action="append", default=[], help="only this fault, may be repeated")
    parser.add_argument("--out", type=Path, help="where the results go instead of into the documentation")
    asked = parser.parse_args()
    wrong = sorted(set(asked.kind) - set(KINDS))
    if wrong:
        parser.error(f"found the faults {', '.join(wrong)}, expected among: {', '.join(KINDS)}")
    cases = list(faulty(range(asked.seeds), asked.kind or KINDS))
    if not asked.kind:
        cases += list(killed(range(asked.kill_seeds)))
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{len(cases):,} scenarios", total=len(cases))

        def seen(outcomes):  # type: ignore[no-untyped-def]
            for one in outcomes:
                progress.advance(task)
                yield one

        found = summary(seen(played(cases)))
    if asked.out or asked.kind:
        if asked.out:
            keep(found, asked.out)
    else:
        keep(found, RESULTS)
        PAGE.write_text(page(found))
    print(
        f"{found['scenarios']:,} scenarios of {found['kinds']} kinds: {found['recovered']:,} recovered, "
        f"{found['halted']:,} halted safely, {found['idle']:,} met nothing, {found['violated']:,} violated"
    )
    for one in found["broken"][:3]:
        print(f"\n{one['case']}\n  " + "\n  ".join(one["broken"]))
        print("  shortest:\n    " + "\n    ".join(shortest(one["case"])))
    return 1 if found["violated"] else 0


if __name__ == "__main__":
    sys.exit(main())
