"""`rmaat distill`: compute the model's tables from simulated traces."""

import argparse
from pathlib import Path

from rmaat.base.errors import UsageError
from rmaat.commands.distill_show import content
from rmaat.commands.shared import add_json, add_out, new_file, print_json

SUMMARY = "Compute retention factors, coupling decay and exponent from traces"
EXAMPLE = """\
  rmaat distill runs/sim.nc --segments 64 --out runs/tables.nc
  rmaat distill runs/sim.nc --length 8192 --segment-length 512 --variant horizon --out runs/tables.nc

see also: rmaat distill show FILE, rmaat distill diff FILE FILE"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill`."""
    parser.add_argument("traces", type=Path, help="file from rmaat simulate")
    parser.add_argument(
        "--segments", type=int, help="length of the longest sequence in segments [default: 64; 1 to 4096]"
    )
    parser.add_argument("--length", type=int, help="length in tokens; with --segment-length, instead of --segments")
    parser.add_argument("--segment-length", type=int, help="tokens in a segment")
    parser.add_argument(
        "--variant",
        default="increment",
        help="retention variant to print; the file contains all of them [default: increment]",
    )
    parser.add_argument(
        "--token-spacing",
        type=float,
        default=1.0,
        help="distance between neighbouring tokens in synapse spacings [default: 1]",
    )
    parser.add_argument(
        "--exponent-range-start",
        type=float,
        default=0.5,
        help="start of the fit of the exponent, as a fraction of the peak response [default: 0.5]",
    )
    parser.add_argument(
        "--exponent",
        type=_exponent,
        default=0.0,
        metavar="NUMBER",
        help="exponent to use instead of a fit, a number above 0; the parent paper has 0.25 [default: fit]",
    )
    parser.add_argument(
        "--horizon-saturation",
        type=float,
        default=3.0,
        help="A of the variant horizon, whose curve reaches 1 - exp(-A) of its end at the last segment [default: 3]",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the variant random and of the bootstrap over trials [default: 0]"
    )
    add_json(parser)
    add_out(parser, "tables.nc", "file for the tables, as NetCDF")


def _exponent(text: str) -> float:
    """The number in `text`; `fit` stands for 0, which `DistillParameters` fits."""
    try:
        return 0.0 if text in ("fit", "none") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor fit") from None


def run(options: argparse.Namespace) -> None:
    """Distil traces into tables."""
    from astro_sim import open_traces
    from distill import DistillParameters, distil, write_tables
    from distill.summary import summarize

    parameters = DistillParameters(
        segments=_segments(options),
        token_spacing=options.token_spacing,
        exponent_range_start=options.exponent_range_start,
        exponent=options.exponent,
        horizon_saturation=options.horizon_saturation,
        seed=options.seed,
    )
    out = new_file(options.out, options)
    with open_traces(options.traces) as traces:
        tables = distil(traces, parameters)
    summary = summarize(tables, tables.longest, options.variant)
    write_tables(tables, out)
    if options.json:
        print_json(content(tables, tables.longest, options.variant))
        return
    print(f"{out}: tables for 1 to {tables.longest} segments, variants {', '.join(tables.variants)}")
    print(summary)


def _segments(options: argparse.Namespace) -> int:
    """The number of segments from --segments, or from --length and --segment-length; a partial segment counts."""
    from distill import DistillParameters

    length, segment_length = options.length, options.segment_length
    if length is None and segment_length is None:
        return 64 if options.segments is None else options.segments
    if length is None or segment_length is None or options.segments is not None:
        raise UsageError("give the length by --segments, or by --length and --segment-length together")
    if length < 1 or segment_length < 1:
        raise UsageError(f"--length {length} and --segment-length {segment_length} must both be 1 or more")
    segments, most = -(-length // segment_length), int(DistillParameters.quantity("segments").high)
    if segments > most:
        raise UsageError(
            f"--length {length} in segments of {segment_length} is {segments} segments; tables serve {most} at most, "
            f"so give --segment-length {-(-length // most)} or more"
        )
    return segments
