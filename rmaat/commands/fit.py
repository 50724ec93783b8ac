"""`rmaat fit`: fit parameters of the rate model to a measured curve or to retention factors."""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.progress import Bar
from rmaat.base.text import counted, table
from rmaat.commands.shared import add_json, add_out, new_file, print_json
from rmaat.commands.simulation_options import add_parameters, assignments, starting_parameters

if TYPE_CHECKING:
    from astro_sim import SimulationParameters
    from distill import Tables
    from distill.inverse.data import Data
    from distill.inverse.fit import Fit
    from distill.inverse.posterior import Profile

SUMMARY = "Fit parameters of the rate model to a long-term curve or to retention factors"
EXAMPLE = (
    "  rmaat fit ltp.csv --vary long_term_time_constant --vary short_term_gain --out runs/fitted.yaml\n"
    "  rmaat simulate --parameters runs/fitted.yaml --out runs/fitted.nc\n"
    "  rmaat fit runs/recall/learned.nc --vary long_term_time_constant --figure runs/back\n\n"
    "Columns of the CSV file: time (in s) or cycle, and value (the mean long-term process); or segment and\n"
    "retention. A column error with the standard errors is optional. --vary NAME=VALUE starts the search at VALUE."
)

PROFILE = (1 / 4, 1 / 2, 1 / 1.25, 1.0, 1.25, 2.0, 4.0)
"""Multiples of an estimate at which --profile fixes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat fit`."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="CSV file with the data to fit, described below; or learned.nc of one or several runs of rmaat train "
        "--retention learned, whose mean is fitted",
    )
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="NAME",
        help="parameter to fit within its bounds; repeat for more parameters",
    )
    add_parameters(parser)
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="STEM",
        help="also draw distilled, learned and fitted retention factors, as STEM.png and STEM.svg",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        help="also fix this parameter at a quarter to four times its estimate, fit the others anew, and print how much "
        "worse the fit gets",
    )
    add_json(parser)
    add_out(parser, "fitted.yaml", "file for all parameters, for rmaat simulate --parameters")


def run(options: argparse.Namespace) -> None:
    """Fit, write the parameters and print the estimates with their errors."""
    from distill.inverse.fit import fit

    names = [text.partition("=")[0].strip() for text in options.vary]
    starts = [text for text in options.vary if "=" in text]
    if options.profile and options.profile not in names:
        raise UsageError(f"--profile {options.profile} is not fitted; add --vary {options.profile}")
    parameters = starting_parameters(options).override(assignments([*options.set, *starts]))
    out = new_file(options.out, options)
    data, learned = _data(options, parameters)
    with Bar("fit") as progress:
        found = fit(data, parameters, names, progress)
    found.parameters.save(out)
    scanned = _profile(found, options.profile) if options.profile else None
    drawn = _draw(found, learned, options.figure) if options.figure else []
    if options.json:
        print_json({**_content(found, scanned), "parameters": out, "figures": drawn})
        return
    _report(found)
    if scanned:
        _report_profile(found, scanned)
    for path in drawn:
        print(path)
    varied, rows = counted(len(names), "parameter"), counted(data.values.size, "row")
    print(f"{out}: {varied} fitted to {rows} in {counted(found.runs, 'run')}")


def _data(options: argparse.Namespace, parameters: "SimulationParameters") -> "tuple[Data, list[Tables]]":
    """The data to fit, and the tables that they are from, if they are learned."""
    from distill import read_tables
    from distill.inverse.data import TABLES, learned_data, read_data

    are_tables = [path.suffix == TABLES for path in options.data]
    if all(are_tables):
        learned = [read_tables(path) for path in options.data]
        return learned_data(learned, parameters), learned
    if len(options.data) > 1:
        raise UsageError("several files can be fitted together only if all are learned.nc of runs; give one CSV file")
    if options.figure:
        raise UsageError("--figure draws learned retention factors; fit a learned.nc, or leave --figure out")
    return read_data(options.data[0], parameters), []


def _profile(found: "Fit", name: str) -> "Profile":
    from distill.inverse.posterior import profile

    with Bar("profile") as progress:
        return profile(found, name, [found.estimates[name] * factor for factor in PROFILE], progress)


def _report_profile(found: "Fit", scanned: "Profile") -> None:
    others = [other for other in found.estimates if other != scanned.name]
    rows = [
        (f"{value:.4g}", f"{misfit:.3g}", *(f"{best[other]:.4g}" for other in others))
        for value, misfit, best in zip(scanned.values, scanned.misfits, scanned.others, strict=True)
    ]
    unit = "" if found.data.errors is None else ", in standard errors"
    print("\n" + table(rows, (scanned.name, f"rms residual{unit}", *others)) + "\n")


def _draw(found: "Fit", learned: "list[Tables]", stem: Path) -> list[Path]:
    from astro_sim import simulate
    from distill import DistillParameters, distil
    from figures import draw_loop, save_figure

    fitted = distil(simulate(found.parameters), DistillParameters(segments=learned[0].longest))
    return save_figure(draw_loop(learned, fitted), stem)


def _content(found: "Fit", scanned: "Profile | None") -> dict[str, Any]:
    """What the command prints, as JSON has it; an error that is not finite becomes null."""
    units = _units(found)
    return {
        "estimates": {
            name: {"value": value, "standard_error": found.errors[name], "unit": units[name]}
            for name, value in found.estimates.items()
        },
        "undetermined": found.undetermined,
        "data": {"time": found.data.times, "value": found.data.values, "residual": found.residuals},
        "judged": list(_judged(found)),
        "profile": scanned and {"values": scanned.values, "misfits": scanned.misfits, "others": scanned.others},
        "runs": found.runs,
    }


def _units(found: "Fit") -> dict[str, str]:
    return {path[-1]: quantity.unit for path, _, quantity in found.parameters.parameters()}


def _report(found: "Fit") -> None:
    units = _units(found)
    rows = [
        (name, f"{value:.6g}", _error(found.errors[name]), "" if units[name] == "1" else units[name])
        for name, value in found.estimates.items()
    ]
    print(table(rows, ("parameter", "value", "standard error", "unit")) + "\n")
    fitted = "retention factor" if found.data.retention else "long-term process"
    largest = float(abs(found.residuals).max())
    print(f"largest residual of the {fitted}: {largest:.3g}; largest value: {found.data.values.max():.3g}")
    for sentence in _judged(found):
        print(sentence)


def _judged(found: "Fit") -> Iterator[str]:
    """Sentences that compare the estimates with published ranges."""
    from distill.inverse.published import cycles_for_rate, is_one_number, judged

    if found.data.retention and is_one_number(found.parameters):
        protocol, model = found.parameters.protocol, found.parameters.model
        rate = model.long_term_decay * protocol.cycle_duration / model.long_term_time_constant
        yield cycles_for_rate(rate, found.parameters)
    yield from judged(found.estimates, found.errors)


def _error(error: float) -> str:
    if math.isinf(error):
        return "undetermined"
    return "unknown" if math.isnan(error) else f"{error:.2g}"
