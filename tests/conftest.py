"""Shared by all tests: shapes in annotations are checked while they run."""

import os

# One thread per worker: tests run side by side, and sums do not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings
from jaxtyping import install_import_hook

# Workers share cores, so that a deadline per example would fail at random.
settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")

_HOOK = install_import_hook(["model.attention", "model.network"], "beartype.beartype")
