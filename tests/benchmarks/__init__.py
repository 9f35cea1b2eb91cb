"""Measurements of the engine against the same work written by hand in NumPy: `python -m tests.benchmarks`."""
