"""Lengths at which `model.layers.positions` changes its form. `model.training.plan` reads them without torch."""

BLOCK = 64
"""Tokens of a block of the scan: a dense product within, one number carried between."""
DENSE_TOKENS = 128
"""Up to here the dense product is the faster one on a CPU, where far entries that underflow slow longer ones down."""
