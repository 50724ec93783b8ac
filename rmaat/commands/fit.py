"""`rmaat fit`: fit parameters of the rate model to a measured curve or to retention factors."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.progress import Bar
from rmaat.base.text import counted, table
from rmaat.commands.shared import add_out, new_file
from rmaat.commands.simulation_options import add_parameters, assignments, starting_parameters

if TYPE_CHECKING:
    from distill.inverse.fit import Fit

SUMMARY = "Fit parameters of the rate model to a long-term curve or to retention factors"
EXAMPLE = (
    "  rmaat fit ltp.csv --vary long_term_time_constant --vary short_term_gain --out runs/fitted.yaml\n"
    "  rmaat simulate --parameters runs/fitted.yaml --out runs/fitted.nc\n\n"
    "Columns of the CSV file: time (in s) or cycle, and value (the mean long-term process); or segment and\n"
    "retention. A column error with the standard errors is optional. --vary NAME=VALUE starts the search at VALUE."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat fit`."""
    parser.add_argument("data", type=Path, help="CSV file with the data to fit, described below")
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="NAME",
        help="parameter to fit within its bounds; repeat for more parameters",
    )
    add_parameters(parser)
    add_out(parser, "fitted.yaml", "file for all parameters, for rmaat simulate --parameters")


def run(options: argparse.Namespace) -> None:
    """Fit, write the parameters and print the estimates with their errors."""
    from distill.inverse.fit import fit, read_data

    names = [text.partition("=")[0].strip() for text in options.vary]
    starts = [text for text in options.vary if "=" in text]
    parameters = starting_parameters(options).override(assignments([*options.set, *starts]))
    out = new_file(options.out, options)
    data = read_data(options.data, parameters)
    with Bar("fit") as progress:
        found = fit(data, parameters, names, progress)
    found.parameters.save(out)
    _report(found)
    varied, rows = counted(len(names), "parameter"), counted(data.values.size, "row")
    print(f"{out}: {varied} fitted to {rows} in {counted(found.runs, 'run')}")


def _report(found: "Fit") -> None:
    units = {path[-1]: quantity.unit for path, _, quantity in found.parameters.parameters()}
    rows = [
        (name, f"{value:.6g}", _error(found.errors[name]), "" if units[name] == "1" else units[name])
        for name, value in found.estimates.items()
    ]
    print(table(rows, ("parameter", "value", "standard error", "unit")) + "\n")
    fitted = "retention factor" if found.data.retention else "long-term process"
    largest = float(abs(found.residuals).max())
    print(f"largest residual of the {fitted}: {largest:.3g}; largest value: {found.data.values.max():.3g}")


def _error(error: float) -> str:
    if math.isinf(error):
        return "undetermined"
    return "unknown" if math.isnan(error) else f"{error:.2g}"
