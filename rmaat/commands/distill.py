"""`rmaat distill`: turn traces into tables."""

import argparse
from pathlib import Path

from rmaat.commands.shared import add_out, new_file

SUMMARY = "Turn traces into retention factors, coupling decay and exponent"
EXAMPLE = "  rmaat distill runs/sim.nc --segments 64 --out runs/tables.nc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill`."""
    parser.add_argument("traces", type=Path, help="what rmaat simulate wrote")
    parser.add_argument(
        "--segments", type=int, default=64, help="longest sequence, in segments [default: 64; 1 to 4096]"
    )
    parser.add_argument(
        "--token-spacing",
        type=float,
        default=1.0,
        help="distance of neighbouring tokens, in synapse spacings [default: 1]",
    )
    parser.add_argument(
        "--exponent-range-start",
        type=float,
        default=0.5,
        help="the exponent is fitted from this share of the peak response on [default: 0.5]",
    )
    add_out(parser, "tables.nc", "tables, as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Distil traces into tables."""
    from astro_sim import open_traces
    from distill import DistillParameters, distil, write_tables

    parameters = DistillParameters(options.segments, options.token_spacing, options.exponent_range_start)
    out = new_file(options.out, options)
    with open_traces(options.traces) as traces:
        tables = distil(traces, parameters)
    write_tables(tables, out)
    values = tables.dataset
    print(f"{out}: tables for 1 to {tables.longest} segments")
    print(f"increments fall by exp(-{float(values['increment_rate']):.4f}) a cycle")
    for segments in sorted({min(4, tables.longest), tables.longest}):
        factors = tables.retention(segments)
        shown = " ".join(f"{factor:.3f}" for factor in factors[:8]) + (" ..." if segments > 8 else "")
        print(f"retention factors for T = {segments}: {shown}")
    scale, error = float(values["influence_scale"]), float(values["influence_scale_error"])
    print(
        f"influence falls with {scale:.3f} +- {error:.3f} per synapse spacing; "
        f"the coupling put in with {float(values['coupling_scale']):.3f}"
    )
    print(
        f"presynaptic exponent {tables.exponent:.3f} +- {float(values['exponent_error']):.3f}; "
        "the parent paper has 0.25"
    )
