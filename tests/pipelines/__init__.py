"""Tests of imports, resampling and the door to the engine."""
