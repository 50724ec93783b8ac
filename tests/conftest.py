"""Settings of all tests: one thread, reproducible examples, default signal handlers, an own cache, checked shapes."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

# One thread per worker: tests run in parallel, and sums must not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
import pytest
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

# `make test` runs with --dist loadgroup. Tests marked with one xdist_group run in one worker, so that a build or a
# fixture of their module is made once. The groups start first, and the many short tests then level out the workers.

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


# Brian2's programs consist of some twenty small files, which all include these headers. Parsing them takes most of the
# time of a build: 13 s of CPU without, 6 s with precompiled headers. The flags must be those of the build; otherwise
# the compiler reads the plain header, which gives the same program.
HEADERS = ("algorithm", "climits", "cmath", "ctime", "fstream", "iostream", "map", "random", "set", "string", "vector")
BUILD_FLAGS = ["-w", "-O2", "-std=c++11"]


@pytest.fixture(scope="session", autouse=True)
def _quick_builds_of_brian2(request):
    """Let make, which reads MAKEFLAGS, compile Brian2's programs with precompiled headers."""
    compiler = shutil.which("g++")
    if compiler is None or not any(item.get_closest_marker("brian2") for item in request.session.items):
        yield
        return
    folder = Path(os.environ["RMAAT_CACHE"]) / "headers"
    folder.mkdir(parents=True, exist_ok=True)
    header, compiled = folder / "standard.h", folder / "standard.h.gch"
    with FileLock(folder / "lock"):
        if not compiled.exists():
            header.write_text("".join(f"#include <{name}>\n" for name in HEADERS))
            command = [compiler, "-Wno-write-strings", *BUILD_FLAGS, "-x", "c++-header", header, "-o", compiled]
            # Without the compiled header, builds read the plain one.
            subprocess.run(command, check=False)
    flags = "\\ ".join([*BUILD_FLAGS, "-include", str(header)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAKEFLAGS", f"OPTIMISATIONS={flags}")
        yield


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


@pytest.fixture
def without_checks_of_shapes(monkeypatch):
    """Shapes are not checked, because the checks would fix the sizes that a program leaves open."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
