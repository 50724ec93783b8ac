"""`rmaat plan`: what training would cost, before it runs."""

import argparse
from typing import TYPE_CHECKING

from rmaat.base.text import table
from rmaat.commands.shared import bounds, given_settings, plain

if TYPE_CHECKING:
    from model.networks.parameters import ModelParameters

SUMMARY = "Say what training would cost: parameters, memory and arithmetic of every model and way to differentiate"
EXAMPLE = "  rmaat plan --length 1000000 --width 1024 --layers 12 --segment-length 512"
# What the question settles: all architectures are shown, and the length gives the segments.
SETTLED = ("architecture", "segments", "retention")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat plan`."""
    from model.networks.parameters import ModelParameters

    parser.add_argument("--length", type=int, default=8192, help="tokens of a sequence [default: 8192]")
    parser.add_argument("--batch-size", type=int, default=1, help="sequences of a batch [default: 1]")
    parser.add_argument("--keep-graphs", type=int, default=1, help="segments whose graph amrb keeps [default: 1]")
    for path, value, quantity in ModelParameters().parameters():
        if path[-1] not in SETTLED:
            parser.add_argument(
                "--" + path[-1].replace("_", "-"),
                metavar="VALUE",
                help=f"{quantity.meaning} [{plain(value)}; {bounds(quantity)}]".replace("%", "%%"),
            )


def run(options: argparse.Namespace) -> None:
    """Print the plan of every architecture and way."""
    from model.networks.parameters import ARCHITECTURES, foreign_settings
    from model.training.plan import WAYS, document_length, plan

    model, late = _model(options)
    rows = []
    for architecture in ARCHITECTURES:
        lacks = foreign_settings(architecture)
        own = {name: value for name, value in late.items() if name not in lacks}
        shaped = model.as_architecture(architecture).override(own)
        for way in WAYS if shaped.segments > 1 else ("bptt",):
            cost = plan(shaped, way, options.length, options.batch_size, options.keep_graphs)
            rows.append(
                (
                    architecture,
                    way,
                    f"{cost.parameters / 1e6:.2f} M",
                    f"{cost.megabytes:.1f} MB",
                    f"{cost.forward_flops_per_token / 1e6:.2f} M",
                    f"{cost.training_flops_per_token / 1e6:.2f} M",
                )
            )
    header = ("model", "way", "parameters", "memory of a step", "FLOPs/token forward", "FLOPs/token training")
    print(table(rows, header))
    apart = f"in two documents of {document_length(options.length)}, each " if model.separator else ""
    print(
        f"{options.length} tokens {apart}in {model.segments} segments of {model.segment_length}, float32; memory is "
        "what a step holds above parameters, gradients and AdamW's moments, which take 16 bytes a parameter"
    )


def _model(options: argparse.Namespace) -> tuple["ModelParameters", dict[str, str]]:
    """The model of the first architecture, and the settings given that it lacks and others may have."""
    from model.networks.parameters import ModelParameters, foreign_settings
    from model.training.plan import document_length

    model = ModelParameters()
    given = given_settings(options, {path[-1] for path, _, _ in model.parameters()} - set(SETTLED))
    late = {name: given.pop(name) for name in foreign_settings(model.architecture) if name in given}
    model = model.override(given)
    length = document_length(options.length) if model.separator else options.length
    return model.override({"segments": max(1, -(-length // model.segment_length))}), late
