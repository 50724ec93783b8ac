"""Import libraries that only some functions need, and that the package's extras install."""

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType

from rmaat.base.errors import UsageError

EXTRAS = {
    "PIL": "hub",
    "brian2": "brian2",
    "datasets": "hub",
    "distributed": "sweep",
    "huggingface_hub": "hub",
    "jaxtyping": "train",
    "matplotlib": "figures",
    "numba": "data",
    "pyarrow": "hub",
    "pynwb": "nwb",
    "safetensors": "train",
    "tensorboard": "train",
    "torch": "train",
}
"""The extra that installs each library; pyproject.toml has the versions."""


def advice(extra: str) -> str:
    """The command that installs an extra.

    pip takes the libraries of the extra from the metadata of the installed toolkit. The command therefore works for a
    clone, a wheel and an index alike, and every shell reads its quotes.
    """
    return f'install the extra {extra} with: pip install "rmaat-toolkit[{extra}]"'


def missing(purpose: str, library: str) -> str:
    """An error message that begins with `purpose` and says how to install `library`."""
    return f"{purpose} needs {library}, which is not installed; {advice(EXTRAS[library])}"


def require(library: str, module: str, purpose: str) -> ModuleType:
    """Import `module`, which needs `library`; `purpose` begins the error message.

    Raises
    ------
    UsageError
        The library is not installed; the message names the extra to install.
    """
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise UsageError(missing(purpose, library)) from error
    return importlib.import_module(module)


def require_all(libraries: Iterable[str], purpose: str) -> None:
    """Raise `UsageError` as `require` if one of `libraries` is missing; call it before long work that needs them."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise UsageError(missing(purpose, library))
