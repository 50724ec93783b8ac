"""Settings of all tests: one thread, reproducible examples, default signal handlers, an own cache, checked shapes."""

import os
import shutil
import signal
import tempfile
import threading

# One thread per worker: tests run in parallel, and sums must not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# The same examples in every run, so that results are reproducible; `--hypothesis-profile=search` draws new ones.
# No deadline per example: workers share cores, so it would fail at random.
settings.register_profile("search", deadline=None)
settings.register_profile("seeded", deadline=None, derandomize=True)
settings.load_profile("seeded")


# A shell starts background jobs with Ctrl-C ignored. The programs that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _python_handles_interrupts():
    """Restore the default handler of Ctrl-C, because importing Brian2 replaces it for the whole process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Give this test run its own cache, which all its workers share."""
    if "RMAAT_CACHE" not in os.environ:
        config.rmaat_cache = os.environ["RMAAT_CACHE"] = tempfile.mkdtemp(prefix="rmaat-cache-")


def pytest_unconfigure(config):
    if hasattr(config, "rmaat_cache"):
        shutil.rmtree(os.environ.pop("RMAAT_CACHE"), ignore_errors=True)


# Shapes in annotations of these modules are checked at run time. torch.compile cannot trace the checks, so tests that
# compile a model run in a process of their own. Not here: `language_model` and `streaming`, whose tests pass tensors of
# wrong shapes to see the models' own errors.
CHECKED = (
    "model.layers.attention",
    "model.layers.block",
    "model.layers.causal",
    "model.layers.mixing",
    "model.layers.positions",
    "model.layers.state_space",
    "model.memory.retention",
    "model.networks.build",
    "model.networks.causal_cell",
    "model.networks.cell",
    "model.networks.classifier",
    "model.networks.pairs",
)
_HOOK = install_import_hook(CHECKED, "beartype.beartype")
