"""Stand-ins for two small packages that machines with a GPU often lack, so that benchmarks/gpu.py runs there as it is.

Annotations of shapes mean nothing at run time, and names that load on first use can be loaded at once.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any


def stand_in() -> None:
    """Put stand-ins where jaxtyping and lazy_loader are not installed; where they are, nothing happens."""
    if importlib.util.find_spec("jaxtyping") is None:
        jaxtyping = ModuleType("jaxtyping")
        jaxtyping.__getattr__ = lambda _: _Shape  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["jaxtyping"] = jaxtyping
    if importlib.util.find_spec("lazy_loader") is None:
        lazy_loader = ModuleType("lazy_loader")
        lazy_loader.attach_stub = _attach_stub  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["lazy_loader"] = lazy_loader


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
