"""Benchmarks: each prints its machine, its method and a ratio to a reference measured in the same run."""
