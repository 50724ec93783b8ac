"""Inverse problems and sensitivity: parameters fitted to data, and sweeps of the tables over parameters."""
