"""Shared by all tests: shapes in annotations are checked while they run."""

import os

# One thread per worker: tests run side by side, and sums do not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings
from jaxtyping import install_import_hook

# The same examples in every run, so that what passes here passes anywhere; `--hypothesis-profile=search` looks for new
# ones. Workers share cores, so that a deadline per example would fail at random.
settings.register_profile("search", deadline=None)
settings.register_profile("seeded", deadline=None, derandomize=True)
settings.load_profile("seeded")

_HOOK = install_import_hook(["model.attention", "model.network", "model.positions"], "beartype.beartype")
