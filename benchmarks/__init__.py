"""Measurements, as ratios taken side by side in one run; results are kept in `benchmarks/results`."""
