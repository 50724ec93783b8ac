"""Shared by all tests: shapes in annotations are checked while they run."""

import os

# One thread per worker: tests run side by side, and sums do not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

_HOOK = install_import_hook(["model.attention", "model.network"], "beartype.beartype")
