"""Stand-ins for small packages that a machine with a GPU may lack: jaxtyping, lazy_loader, platformdirs and yaml.

Importing this module installs the replacements for the missing ones and leaves the others alone. The benchmarks then
run without installing anything. The replacements suffice because shape annotations have no effect at run time, the
benchmarks import modules by their full names, and they neither read a parameter file nor build a Brian2 program.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any


def stand_in() -> None:
    """Register a replacement for each of these packages that is not installed."""
    if importlib.util.find_spec("jaxtyping") is None:
        jaxtyping = ModuleType("jaxtyping")
        jaxtyping.__getattr__ = _shape  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["jaxtyping"] = jaxtyping
    if importlib.util.find_spec("lazy_loader") is None:
        lazy_loader = ModuleType("lazy_loader")
        lazy_loader.attach_stub = _attach_stub  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["lazy_loader"] = lazy_loader
    if importlib.util.find_spec("platformdirs") is None:
        platformdirs = ModuleType("platformdirs")
        platformdirs.user_cache_path = _unused  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["platformdirs"] = platformdirs
    if importlib.util.find_spec("yaml") is None:
        yaml = ModuleType("yaml")
        yaml.SafeLoader = object  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["yaml"] = yaml


def _shape(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return _Shape


def _unused(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("the benchmarks of a GPU use no cache folder; install platformdirs")


class _Shape:
    def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
        return item[0]


def _attach_stub(package: str, file: str) -> tuple[Any, Any, Any]:
    """Replace `lazy_loader.attach_stub`: attributes of a package are its submodules, imported on first use."""
    del file

    def missing(name: str) -> Any:
        try:
            return importlib.import_module(f"{package}.{name}")
        except ImportError as error:
            raise AttributeError(name) from error

    return missing, lambda: [], []


stand_in()
