"""Import libraries that only some functions need, and that the package's extras install."""

import importlib
from types import ModuleType

from rmaat.base.errors import UsageError


def require(library: str, module: str, purpose: str, extra: str = "data") -> ModuleType:
    """Import `module`, which needs `library`; `purpose` begins the error message.

    Raises
    ------
    UsageError
        The library is not installed; the message names the extra to install.
    """
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise UsageError(
            f"{purpose} needs {library}, which is not installed; install it with: pip install 'rmaat-toolkit[{extra}]'"
        ) from error
    return importlib.import_module(module)
