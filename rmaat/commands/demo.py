"""`rmaat demo`: simulate, distil, train, evaluate, draw and report with default parameters, and print one table."""

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import Interrupted, RmaatError, UsageError
from rmaat.base.extras import require_all
from rmaat.base.progress import Bar
from rmaat.base.text import table
from rmaat.commands.shared import add_data, add_json, print_json

if TYPE_CHECKING:
    from distill import Tables
    from model.studies.presets import Preset
    from model.training.evaluation import Evaluation
    from model.training.measure import StepCost

SUMMARY = "Simulate, distil, train, evaluate and draw in a few minutes"
EXAMPLE = "  rmaat demo --out runs/demo"

SEGMENTS, SEQUENCES = 16, 16
"""Of the training step whose cost the demo measures: as many segments as in the longest task of the paper."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder for the results [default: runs/demo]"
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted demo in the folder --out")
    add_data(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Run every step; the results go to `--out`, or to `--out` with a number added if that folder exists."""
    require_all(("torch", "matplotlib"), "rmaat demo")
    out = options.out if options.resume else _free_name(options.out)
    try:
        _run(out, options)
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(f"interrupted; continue with: rmaat demo --resume --out {shlex.quote(str(out))}") from None


def _run(out: Path, options: argparse.Namespace) -> None:
    """Run the steps whose results are not in `out` yet."""
    from figures import draw_all, write_report
    from model.studies.presets import PRESETS

    tables = _simulated_tables(out)
    preset = PRESETS["listops"]["short"]
    evaluation = _train(preset, tables, out / "listops", options.data)
    costs = _costs(preset, tables)
    drawn = draw_all(out, out / "figures")
    page = out / "report.html"
    write_report(out, page)
    if options.json:
        steps = {name: dataclasses.asdict(cost) for name, cost in costs.items()}
        print_json({"evaluation": dataclasses.asdict(evaluation), "steps": steps, "figures": drawn, "report": page})
    else:
        print(f"{_report(evaluation, costs)}\n\nresults: {out}")
        print(f"figures: {out / 'figures'} ({len(drawn)} files)\nreport: {page} (open it in a browser)")
    # Without the third level, the root operator on its own digits, which the training reaches only just.
    if evaluation.accuracy <= max(list(evaluation.trivial_levels.values())[:2]):
        raise RmaatError("the trained model does not exceed the baselines that need no model; change its settings")


def _simulated_tables(out: Path) -> "Tables":
    from astro_sim import read_traces, simulate, write_traces
    from distill import distil, read_tables, write_tables

    if (out / "tables.nc").exists():
        return read_tables(out / "tables.nc")
    if not (out / "sim.nc").exists():
        with Bar("simulate") as progress:
            write_traces(simulate(progress=progress), out / "sim.nc")
    tables = distil(read_traces(out / "sim.nc"))
    write_tables(tables, out / "tables.nc")
    return tables


def _train(preset: "Preset", tables: "Tables", folder: Path, data: Path) -> "Evaluation":
    from model.tasks.library import load_task
    from model.training.evaluation import evaluate
    from model.training.loop import train

    with Bar("data") as progress:
        task = load_task(preset.task_parameters, None, data, progress)
    with Bar("train") as progress:
        train(preset.configuration(task), task, tables, folder, resume=folder.exists(), progress=progress)
    with Bar("evaluate") as progress:
        return evaluate(folder, task, progress=progress)


def _costs(preset: "Preset", tables: "Tables") -> dict[str, "StepCost"]:
    """The cost of a training step with BPTT and with AMRB, of the same model with `SEGMENTS` full segments."""
    import torch

    from model.memory.differentiation import Amrb, Bptt
    from model.networks.build import build_model
    from model.training.device import Batch, choose_device
    from model.training.measure import compare_steps
    from model.training.threads import cpu_threads

    settings, record = preset.training, dataclasses.replace(preset.model, segments=SEGMENTS)
    device = choose_device(settings.device)
    # Time and memory do not depend on what the tokens are.
    shape = (SEQUENCES, record.longest_sequence)
    tokens = torch.randint(1, record.vocabulary, shape, generator=torch.Generator().manual_seed(0))
    lengths, labels = torch.full(shape[:1], shape[1]), torch.zeros(shape[0], dtype=torch.int64)
    batch = Batch(tokens.to(device), lengths.to(device), labels.to(device))
    methods = {"BPTT": Bptt(), "AMRB": Amrb(settings.keep_graphs)}
    with cpu_threads(1):
        return compare_steps(build_model(record, tables).to(device), batch, methods, settings.precision)


def _report(evaluation: "Evaluation", costs: dict[str, "StepCost"]) -> str:
    accuracy = [
        *((name, f"{level:.1%}") for name, level in evaluation.trivial_levels.items()),
        (
            f"RMAAT, {evaluation.parameters:,} parameters",
            f"{evaluation.accuracy:.1%} +- {evaluation.standard_error:.1%}",
        ),
    ]
    steps = [
        (f"training step with {name}", f"{cost.peak_bytes / 1e6:.1f} MB", f"{1e3 * cost.seconds:.0f} ms")
        for name, cost in costs.items()
    ]
    ratio = (
        "AMRB / BPTT",
        f"{costs['AMRB'].peak_bytes / costs['BPTT'].peak_bytes:.2f}",
        f"{costs['AMRB'].seconds / costs['BPTT'].seconds:.2f}",
    )
    return "\n\n".join(
        [
            table(accuracy, (f"ListOps, {evaluation.samples} test samples", "accuracy")),
            table([*steps, ratio], (f"{SEGMENTS} segments, same gradients", "peak memory", "time")),
        ]
    )


def _free_name(out: Path) -> Path:
    """`out` if it does not exist, else `out-2`, `out-3` and so on; a demo never changes an earlier one."""
    if not out.name:
        raise UsageError(f"--out {out} names no new folder; give it a name, such as runs/demo")
    names = (out if count == 1 else out.with_name(f"{out.name}-{count}") for count in range(1, 10_000))
    return next(name for name in names if not name.exists())
