"""The commands of `rmaat`; each module has SUMMARY, EXAMPLE, add_arguments(parser) and run(options)."""

import importlib
from types import ModuleType

COMMANDS = (
    "simulate",
    "distill",
    "distill show",
    "distill diff",
    "distill sweep",
    "fit",
    "train",
    "evaluate",
    "predict",
    "export",
    "reproduce",
    "figures",
    "report",
    "demo",
    "validate",
    "plan",
    "data prepare",
    "data list",
    "completion",
)
"""Names of all commands."""


def module_of(name: str) -> ModuleType:
    """The module of a command; that of `distill show` is `distill_show`."""
    return importlib.import_module(f"rmaat.commands.{name.replace(' ', '_')}")
