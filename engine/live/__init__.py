"""The live side: so far the replay of a manifest, one bar at a time."""
