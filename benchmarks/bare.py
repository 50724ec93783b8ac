"""Stand-ins for three small packages that machines with a GPU may lack, so that the benchmarks run there as they are.

Importing this module puts them in place; where the packages are installed, nothing happens.

Annotations of shapes mean nothing at run time, names that load on first use are found in modules that were loaded by
name, and no parameter file is read.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any


def stand_in() -> None:
    """Put stand-ins where jaxtyping, lazy_loader and yaml are not installed."""
    if importlib.util.find_spec("jaxtyping") is None:
        jaxtyping = ModuleType("jaxtyping")
        jaxtyping.__getattr__ = _shape  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["jaxtyping"] = jaxtyping
    if importlib.util.find_spec("lazy_loader") is None:
        lazy_loader = ModuleType("lazy_loader")
        lazy_loader.attach_stub = _attach_stub  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["lazy_loader"] = lazy_loader
    if importlib.util.find_spec("yaml") is None:
        sys.modules["yaml"] = ModuleType("yaml")


def _shape(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return _Shape


class _Shape:
    def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
        return item[0]


def _attach_stub(package: str, file: str) -> tuple[Any, Any, Any]:
    """Nothing to load: the benchmark names the modules that it means."""
    del file

    def missing(name: str) -> Any:
        try:
            return importlib.import_module(f"{package}.{name}")
        except ImportError as error:
            raise AttributeError(name) from error

    return missing, lambda: [], []


stand_in()
