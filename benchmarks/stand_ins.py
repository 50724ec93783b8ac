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
    _replace("jaxtyping", __getattr__=_shape)
    _replace("lazy_loader", attach_stub=_attach_stub)
    _replace("platformdirs", user_cache_path=_unused)
    _replace("yaml", SafeLoader=object)


def _replace(name: str, **attributes: Any) -> None:
    """Register a module of these `attributes` as the package `name`, unless that is installed."""
    if importlib.util.find_spec(name) is None:
        module = ModuleType(name)
        vars(module).update(attributes)
        sys.modules[name] = module


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
