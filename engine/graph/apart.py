"""Which nodes of a program can run at the same time: those that do not read each other, directly or not."""

from __future__ import annotations

from engine.graph.program import Program

__all__ = ["components"]


def components(program: Program) -> list[list[int]]:
    """Return groups of nodes that do not read each other; within a group in the program's order, greatest group first.

    Nodes of one group depend on each other through what they read.
    """
    group = list(range(len(program.nodes)))

    def top(k: int) -> int:
        while group[k] != k:
            group[k] = k = group[group[k]]
        return k

    for k, node in enumerate(program.nodes):
        for ref in node.inputs:
            if isinstance(ref, tuple):
                group[top(k)] = top(ref[0])
    members: dict[int, list[int]] = {}
    for k in range(len(program.nodes)):
        members.setdefault(top(k), []).append(k)
    return sorted(members.values(), key=len, reverse=True)
