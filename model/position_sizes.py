"""Lengths at which `model.positions` changes its form; apart from it, so that `model.plan` can count without torch."""

BLOCK = 64
"""Tokens of a block of the scan: a dense product within, one number carried between."""
DENSE_TOKENS = 128
"""Up to here the dense product is the faster one on a CPU, where far entries that underflow slow longer ones down."""
