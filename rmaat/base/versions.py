"""What made a result: versions of the software, and the processor."""

import functools
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this toolkit and of `packages`; a checkout may run without being installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("rmaat-toolkit", *packages)}


# Looked up once: a sweep says it of thousands of traces, and each look reads the package's metadata.
@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
