"""Slow, obvious oracles in plain Python: a second reading of what the engine promises, sharing no code with it."""
