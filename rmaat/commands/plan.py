"""`rmaat plan`: estimate the cost of training without running it."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from rmaat.base.errors import UsageError
from rmaat.base.text import table
from rmaat.commands.settings import add_settings, model_settings
from rmaat.commands.shared import add_json, print_json

if TYPE_CHECKING:
    from model.networks.parameters import ModelParameters
    from model.training.plan import Plan
    from model.training.step_launches import Launches

SUMMARY = "Estimate the parameters, memory and arithmetic of training, for every model and method of differentiation"
EXAMPLE = "  rmaat plan --length 1000000 --width 1024 --layers 12 --segment-length 512"

# All architectures are shown, the length gives the segments, and retention factors cost nothing.
CHOSEN_ELSEWHERE = ("architecture", "segments", "retention")
"""Model settings without an option."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat plan`."""
    from model.networks.parameters import ModelParameters

    parser.usage = "rmaat plan [options]"
    parser.add_argument("--length", type=int, default=8192, help="tokens in a sequence [default: 8192]")
    parser.add_argument("--batch-size", type=int, default=1, help="sequences in a batch [default: 1]")
    parser.add_argument(
        "--keep-graphs", type=int, default=1, help="number of segments whose graph AMRB keeps [default: 1]"
    )
    parser.add_argument(
        "--launches",
        action="store_true",
        help="also count the operators that a GPU starts in a step, and the bytes that they read and write; "
        "takes some seconds",
    )
    add_json(parser)
    add_settings(parser, "settings of the model [default; bounds]", [ModelParameters()], CHOSEN_ELSEWHERE)


def run(options: argparse.Namespace) -> None:
    """Print the cost of every architecture with every method of differentiation."""
    from model.training.plan import document_length

    if options.length < 1:
        raise UsageError(f"--length is {options.length}; it must be 1 or more")
    model, foreign = _model(options)
    models = _models(model, foreign)
    plans = [_plan(options, shaped, method) for shaped, method in models]
    launches = _launches(options, models) if options.launches else [None] * len(plans)
    if options.json:
        print_json(
            [
                asdict(cost) | ({"launches": asdict(count)} if count else {})
                for cost, count in zip(plans, launches, strict=True)
            ]
        )
        return
    header = ("model", "method", "parameters", "memory of a step", "FLOPs/token forward", "FLOPs/token training")
    header += ("operators of a step", "bytes of a step") if options.launches else ()
    print(table([_cells(cost, count) for cost, count in zip(plans, launches, strict=True)], header))
    documents = f"in two documents of {document_length(options.length)}, each " if model.separator else ""
    print(
        f"{options.length} tokens {documents}in {model.segments} segments of {model.segment_length}, float32; "
        "memory of a step excludes parameters, gradients and AdamW's moments, which take 16 bytes per parameter"
    )


def _models(model: "ModelParameters", foreign: dict[str, str]) -> list[tuple["ModelParameters", str]]:
    """Every architecture with every method of differentiation that it has."""
    from model.networks.parameters import ARCHITECTURES, foreign_settings
    from model.training.plan import METHODS

    found = []
    for architecture in ARCHITECTURES:
        lacks = foreign_settings(architecture)
        own = {name: value for name, value in foreign.items() if name not in lacks}
        shaped = model.as_architecture(architecture).override(own)
        found += [(shaped, method) for method in (METHODS if shaped.segments > 1 else ("bptt",))]
    return found


def _plan(options: argparse.Namespace, model: "ModelParameters", method: str) -> "Plan":
    from model.training.plan import plan

    return plan(model, method, options.length, options.batch_size, options.keep_graphs)


def _launches(options: argparse.Namespace, models: list[tuple["ModelParameters", str]]) -> list["Launches"]:
    from distill import default_tables
    from model.training.step_launches import count_launches

    tables = default_tables()
    return [
        count_launches(model, tables, method, model.segments, options.batch_size, options.keep_graphs)
        for model, method in models
    ]


def _cells(cost: "Plan", launches: "Launches | None") -> tuple[str, ...]:
    """A row of the table."""
    planned = (
        cost.architecture,
        cost.method,
        f"{cost.parameters / 1e6:.2f} M",
        f"{cost.megabytes:.1f} MB",
        f"{cost.forward_flops_per_token / 1e6:.2f} M",
        f"{cost.training_flops_per_token / 1e6:.2f} M",
    )
    return (*planned, f"{launches.operators:,}", f"{launches.bytes / 1e6:,.0f} MB") if launches else planned


def _model(options: argparse.Namespace) -> tuple["ModelParameters", dict[str, str]]:
    """The model with the default architecture, and the given settings that only other architectures have."""
    from model.networks.parameters import ModelParameters
    from model.training.plan import document_length

    model, foreign = model_settings(options, ModelParameters(), CHOSEN_ELSEWHERE)
    length = document_length(options.length) if model.separator else options.length
    return model.override({"segments": max(1, -(-length // model.segment_length))}), foreign
