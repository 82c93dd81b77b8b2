"""Benchmarks: each module asks one question, checks the answers first, prints one line and keeps it in results/."""
