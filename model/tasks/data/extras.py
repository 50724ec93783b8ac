"""Libraries that only some tasks need."""

import importlib
from types import ModuleType

from rmaat.base.errors import UsageError


def require(library: str, module: str, purpose: str, extra: str = "data") -> ModuleType:
    """`module`, which needs `library`; raises `UsageError` with the extra to install where the library is missing."""
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise UsageError(
            f"{purpose} needs {library}, which is not installed; install it with: pip install 'rmaat-toolkit[{extra}]'"
        ) from error
    return importlib.import_module(module)
