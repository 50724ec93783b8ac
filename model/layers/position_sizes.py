"""Lengths at which `model.layers.positions` changes its method.

They have a file of their own because `model.training.step_flops` needs them without importing torch.
"""

BLOCK = 64
"""Tokens per block of the exponential scan. Within a block: a dense product. Between blocks: one number."""
DENSE_TOKENS = 128
"""Longest sequence with a dense product.

Up to this length the dense product is faster on a CPU. Longer ones are slowed by far entries, which are denormal.
"""
