"""Parameters of a simulation from the command line.

The simulator has too many parameters for an option each: `--preset`, `--parameters FILE` and `--set NAME=VALUE` set
them. `rmaat.commands.settings` has the options of tasks, models and training.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rmaat.base.errors import UsageError


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Add --preset, --parameters and --set, which together give the parameters of a simulation."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="parameter set of the rate model: paper_default (6 cycles, as in the paper) or biological (time scales of "
        "astrocytes, 32 cycles) [default: paper_default]",
    )
    parser.add_argument(
        "--parameters",
        type=Path,
        metavar="FILE",
        help="YAML file with parameters; names that it does not contain keep the preset's values",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one parameter; may be repeated; rmaat simulate --show lists all names",
    )


def starting_parameters(options: argparse.Namespace) -> Any:
    """The parameters of --preset, changed by the file of --parameters; --set is applied by `assignments`."""
    parameters = _defaults(getattr(options, "model", "rate"), options.preset)
    return parameters.load(options.parameters, parameters) if options.parameters else parameters


def _defaults(model: str, preset: str | None) -> Any:
    if model == "rate":
        from astro_sim import load_preset

        return load_preset(preset or "paper_default")
    if preset:
        raise UsageError(f"preset {preset} is of the rate model; leave --preset out for the biophysical model")
    from astro_sim.biophysics.spiking.parameters import BiophysicalParameters

    return BiophysicalParameters()


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Names and values of `--set NAME=VALUE`; raises `UsageError` if one has no value."""
    return dict(map(_assignment, texts))


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text} has no value; write --set name=value")
    return name.strip(), value.strip()
