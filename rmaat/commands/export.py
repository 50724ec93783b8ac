"""`rmaat export`: write a trained model as a folder with a model card, such a folder as a run, or traces as NWB."""

import argparse
from pathlib import Path

from rmaat.base.errors import UsageError
from rmaat.base.files import refuse_existing

SUMMARY = "Write the best model of a run as a folder for others, with a model card; or traces as NWB"
EXAMPLE = (
    "  rmaat export runs/reviews --to reviews-model\n"
    "  rmaat export reviews-model --to runs/again        (the other way, to score it with rmaat evaluate)\n"
    "  rmaat export runs/sim.nc --to sim.nwb             (traces for tools of neurophysiology; extra nwb)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat export`."""
    parser.add_argument(
        "source",
        type=Path,
        help="folder from rmaat train; a folder from rmaat export becomes a run folder; a file from rmaat simulate "
        "becomes an NWB file",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="PATH", help="new folder, or new file.nwb")


def run(options: argparse.Namespace) -> None:
    """Write the folder or file."""
    if not options.source.exists():
        raise UsageError(f"{options.source} does not exist; give a run folder, an exported folder or a traces file")
    if options.source.is_file():
        _export_traces(options.source, options.to)
        return
    from model.prediction.pretrained import export_run, import_run, is_pretrained

    if is_pretrained(options.source):
        import_run(options.source, options.to)
        print(f"{options.to}: a run folder; score it with: rmaat evaluate {options.to}")
    else:
        export_run(options.source, options.to)
        print(f'{options.to}: model and README.md; use it with: rmaat predict {options.to} "TEXT"')


def _export_traces(source: Path, to: Path) -> None:
    from astro_sim import read_traces
    from astro_sim.runs.nwb import write_nwb

    if to.suffix != ".nwb":
        raise UsageError(f"{source} is a file, which becomes NWB; give --to a name that ends with .nwb, not {to}")
    refuse_existing(to, "choose another --to")
    write_nwb(read_traces(source), to)
    print(f"{to}: traces as NWB")
