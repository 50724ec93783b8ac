"""Versions of the software that made a result."""

import platform
from importlib.metadata import version


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this toolkit and of the installed `packages`."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("rmaat-toolkit", *packages)}
