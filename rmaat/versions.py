"""Versions of the software that made a result."""

import functools
import platform
from importlib.metadata import PackageNotFoundError, version


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
