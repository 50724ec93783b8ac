"""`rmaat plan`: what training would cost, before it runs."""

import argparse
from typing import TYPE_CHECKING

from rmaat.commands.shared import bounds, plain
from rmaat.text import table

if TYPE_CHECKING:
    from model.parameters import ModelParameters

SUMMARY = "Say what training would cost: parameters, memory and arithmetic of every model and way to differentiate"
EXAMPLE = "  rmaat plan --length 1000000 --width 1024 --layers 12 --segment-length 512"
# What the question settles: all architectures are shown, and the length gives the segments.
SETTLED = ("architecture", "segments", "retention")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat plan`."""
    from model.parameters import ModelParameters

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
    from model.parameters import ARCHITECTURES
    from model.plan import WAYS, document_length, plan

    model = _model(options)
    rows = []
    for architecture in ARCHITECTURES:
        shaped = model.as_architecture(architecture)
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


def _model(options: argparse.Namespace) -> "ModelParameters":
    from model.parameters import ModelParameters
    from model.plan import document_length

    names = {path[-1] for path, _, _ in ModelParameters().parameters()} - set(SETTLED)
    model = ModelParameters().override({name: value for name in names if (value := getattr(options, name)) is not None})
    length = document_length(options.length) if model.separator else options.length
    return model.override({"segments": max(1, -(-length // model.segment_length))})
