"""The `rmaat` command: parses arguments, calls the packages, prints what came out.

Packages are imported inside the functions that need them, so that asking for help does not wait for torch.
"""

import argparse
import dataclasses
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.errors import RmaatError, UsageError
from rmaat.files import refuse_existing
from rmaat.progress import Bar
from rmaat.records import Quantity, Record
from rmaat.text import table

if TYPE_CHECKING:
    from xarray import Dataset

    from astro_sim.engines.job import Progress
    from model.presets import Preset
    from model.run_folder import RunConfiguration
    from model.tasks import TaskData

DESCRIPTION = """\
From simulated astrocyte dynamics to long-context sequence models.

  rmaat simulate --cycles 6 --out runs/sim.nc
  rmaat distill  runs/sim.nc --segments 64 --out runs/tables.nc
  rmaat train    listops --tables runs/tables.nc --out runs/listops
  rmaat evaluate runs/listops
  rmaat figures  runs/ --out runs/figures

or all of it at once:  rmaat demo --out runs/demo"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"rmaat: warning: {message}", file=sys.stderr)
        try:
            options.run(options)
            sys.stdout.flush()
        except RmaatError as error:
            return _fail(str(error), error.exit_status)
        except KeyboardInterrupt:
            return _fail("interrupted; files that were being written are not there", 130)
        except BrokenPipeError:
            # Whoever read the output has gone; Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            return _fail("out of memory; choose a smaller model, network, batch or segment length", 1)
    return 0


def _fail(sentence: str, status: int) -> int:
    print(f"rmaat: {sentence}", file=sys.stderr)
    return status


def _out_of_memory(error: MemoryError | RuntimeError) -> bool:
    # torch reports what the CPU's allocator refuses as a plain RuntimeError.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def simulate(options: argparse.Namespace) -> None:
    """Simulate and write traces."""
    from astro_sim import write_traces

    parameters, run, engine = _simulator(options)
    if options.parameters:
        parameters = parameters.load(options.parameters, parameters)
    assignments: dict[str, Any] = dict(map(_assignment, options.set))
    if options.cycles is not None:
        cycle = str(assignments.get("cycle_duration", parameters.protocol.cycle_duration)).removesuffix(" s")
        # As decimal numbers: three cycles of 1.1 s are 3.3 s, and not the float beside it.
        assignments["run_duration"] = str(options.cycles * _decimal("cycle_duration", cycle))
    parameters = parameters.override(assignments)
    if options.save_parameters:
        parameters.save(_new_file(options.save_parameters, options))
    if options.show:
        print(describe(parameters))
        return
    out = _new_file(options.out, options)
    with Bar("simulate") as progress:
        traces = run(parameters, progress)
    write_traces(traces, out)
    ends = traces["long_term_process"].mean(("post", "pre")).sel(time=traces["cycle_end"].values)
    print(f"{out}: {len(ends)} cycles by {engine}")
    print("mean long-term process at the cycles' ends: " + " ".join(f"{value:.3f}" for value in ends.values))


def distill(options: argparse.Namespace) -> None:
    """Distil traces into tables."""
    from astro_sim import read_traces
    from distill import DistillParameters, distil, write_tables

    parameters = DistillParameters(options.segments, options.token_spacing, options.exponent_range_start)
    out = _new_file(options.out, options)
    tables = distil(read_traces(options.traces), parameters)
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


def train(options: argparse.Namespace) -> None:
    """Train a model."""
    from distill import default_tables, read_tables
    from model.training import train as run

    preset = _preset(options)
    tables = read_tables(options.tables) if options.tables else default_tables()
    if not options.resume:
        refuse_existing(options.out, "resume it with --resume, or choose another --out")
    task = _task(preset, options.official_files, options.data)
    configuration = preset.configuration(task, options.official_files)
    with Bar("train") as progress:
        best = run(configuration, task, tables, options.out, resume=options.resume, progress=progress)
    print(f"{options.out}: best validation accuracy {best.accuracy:.1%}; score it with: rmaat evaluate {options.out}")


def evaluate(options: argparse.Namespace) -> None:
    """Score a run."""
    from model.evaluation import evaluate as run
    from model.run_folder import RunFolder

    configuration = RunFolder(options.run_folder).read_configuration()
    files = Path(configuration.official_files) if configuration.official_files else None
    task = _task(configuration, files, options.data)
    with Bar("evaluate") as progress:
        result = run(options.run_folder, task, options.device, progress)
    print(f"{configuration.model.architecture} on {result.samples} test samples ({result.origin}):")
    print(
        table(
            [
                (configuration.model.architecture, f"{result.accuracy:.1%} +- {result.standard_error:.1%}"),
                ("commonest label", f"{result.commonest_label:.1%}"),
                ("root operator alone", f"{result.root_operator:.1%}"),
            ],
            ("guess by", "test accuracy"),
        )
    )


def figures(options: argparse.Namespace) -> None:
    """Draw everything that is found."""
    from figures import draw_all

    for path in draw_all(options.runs, options.out):
        print(path)


def demo(options: argparse.Namespace) -> None:
    """The whole chain."""
    from rmaat.demo import run

    run(options.out, options.data)


def validate(options: argparse.Namespace) -> None:
    """Check the models."""
    from astro_sim import SimulationError
    from astro_sim.validation import HEADER, as_markdown
    from astro_sim.validation import validate as run
    from rmaat.files import write_text

    out = _new_file(options.out, options) if options.out else None
    with Bar("validate") as progress:
        outcomes = run(progress)
    print(table([outcome.row() for outcome in outcomes], HEADER))
    if out:
        write_text(out, as_markdown(outcomes))
    failed = [outcome.check.quantity for outcome in outcomes if not outcome.passed]
    if failed:
        raise SimulationError(f"{len(failed)} of {len(outcomes)} checks failed: {'; '.join(failed)}")
    print(f"all {len(outcomes)} checks passed")


def describe(record: Record) -> str:
    """Every parameter of `record`: name, value, unit, bounds, meaning and source."""
    rows = [
        (
            path[-1],
            _plain(value),
            "" if quantity.unit == "1" else quantity.unit,
            _bounds(quantity),
            quantity.meaning,
            quantity.said_by,
        )
        for path, value, quantity in record.parameters()
    ]
    return table(rows, ("name", "value", "unit", "bounds", "meaning", "source"))


def _simulator(options: argparse.Namespace) -> "tuple[Any, Callable[[Any, Progress], Dataset], str]":
    """The parameters that the chosen model starts from, what runs them, and the engine's name."""
    from astro_sim import load_preset
    from astro_sim import simulate as run

    engine = options.engine or ("scipy" if options.model == "rate" else "brian2")
    if options.model == "rate":
        parameters = load_preset(options.preset or "paper_default")
        return parameters, lambda parameters, progress: run(parameters, engine, progress=progress), engine
    if options.preset:
        raise UsageError(f"preset {options.preset} is of the rate model; leave --preset out for the biophysical model")
    if engine != "brian2":
        raise UsageError(f"the biophysical model runs on engine brian2 only, not {engine}; leave --engine out")
    from astro_sim.biophysics.spiking import simulate_biophysical
    from astro_sim.biophysics.spiking_parameters import BiophysicalParameters

    return (
        BiophysicalParameters(),
        lambda parameters, progress: simulate_biophysical(parameters, None, progress),
        engine,
    )


def _task(settings: "Preset | RunConfiguration", official_files: Path | None, data: Path) -> "TaskData":
    from model.tasks.library import load_listops

    with Bar("data") as progress:
        return load_listops(settings.task_parameters, official_files, data, progress)


def _preset(options: argparse.Namespace) -> "Preset":
    """The chosen preset, with the options that were given in its place."""
    from model.presets import PRESETS

    preset = PRESETS[options.preset]
    changed = {}
    for place in ("task_parameters", "model", "training"):
        record = getattr(preset, place)
        names = {path[-1] for path, _, _ in record.parameters()} - {"architecture"}
        changed[place] = record.override(
            {name: value for name in names if (value := getattr(options, name)) is not None}
        )
    if options.architecture is not None:
        changed["model"] = changed["model"].as_architecture(options.architecture)
    return dataclasses.replace(preset, **changed)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text} has no value; write --set name=value")
    return name.strip(), value.strip()


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{name} is {text!r}; it must be a number") from None


def _new_file(path: Path, options: argparse.Namespace) -> Path:
    if not options.overwrite:
        refuse_existing(path, "choose another name, or add --overwrite")
    return path


def _bounds(quantity: Quantity) -> str:
    if math.isinf(quantity.low):
        return ", ".join(quantity.choices) or "any"
    return f"{quantity.low:.10g} to {quantity.high:.10g}"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rmaat", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (run, add_arguments, summary, example) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary}.",
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
        command.set_defaults(run=run)
    return parser


def _simulate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        choices=("rate", "biophysical"),
        default="rate",
        help="rate equations, or spiking neurons with calcium, IP3 and release in Brian2 [default: rate]",
    )
    parser.add_argument("--engine", help="scipy (the reference) or brian2 [default: scipy; biophysical: brian2]")
    parser.add_argument(
        "--preset",
        help="of the rate model: biological, with time scales of astrocytes and 32 cycles [default: paper_default]",
    )
    parser.add_argument(
        "--cycles", type=int, help="cycles of the stimulus [default: those of the preset: 6 as the paper, or 32]"
    )
    parser.add_argument(
        "--parameters", type=Path, metavar="FILE", help="parameters as YAML; names left out are those of the preset"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one parameter; --show lists their names",
    )
    parser.add_argument(
        "--show", action="store_true", help="print every parameter with unit, bounds and source, and stop"
    )
    parser.add_argument("--save-parameters", type=Path, metavar="FILE", help="write the parameters used as YAML")
    _add_out(parser, "sim.nc", "traces, an xarray dataset as NetCDF")


def _distill_arguments(parser: argparse.ArgumentParser) -> None:
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
    _add_out(parser, "tables.nc", "tables, as NetCDF")


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    from model.presets import PRESETS

    presets = "; ".join(f"{name}: {preset.meaning}" for name, preset in PRESETS.items())
    parser.add_argument("task", choices=("listops",), help="the task to learn")
    parser.add_argument("--preset", choices=PRESETS, default="short", help=f"{presets} [default: short]")
    parser.add_argument("--tables", type=Path, help="what rmaat distill wrote [default: the tables of the package]")
    parser.add_argument("--out", type=Path, required=True, help="run folder; must not exist yet")
    parser.add_argument("--resume", action="store_true", help="go on with the run that stands in the run folder")
    parser.add_argument(
        "--official-files", type=Path, metavar="FOLDER", help="LRA's basic_train.tsv, basic_val.tsv, basic_test.tsv"
    )
    _add_data(parser)
    for title, name in (("the task", "task_parameters"), ("the model", "model"), ("the training", "training")):
        group = parser.add_argument_group(f"{title}, in place of the preset's (shown: short)")
        for path, value, quantity in getattr(PRESETS["short"], name).parameters():
            unit = "" if quantity.unit == "1" else f" {quantity.unit}"
            group.add_argument(
                "--" + path[-1].replace("_", "-"),
                metavar="VALUE",
                help=f"{quantity.meaning} [{_plain(value)}{unit}; {_bounds(quantity)}]".replace("%", "%%"),
            )


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, help="what rmaat train wrote")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="[default: auto]")
    _add_data(parser)


def _figures_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, help="a folder; traces, tables and run folders in it are found by themselves"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for PNG and SVG; figures of the same name are replaced"
    )


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder for the results [default: runs/demo]"
    )
    _add_data(parser)


def _validate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table as Markdown too")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")


def _add_out(parser: argparse.ArgumentParser, example: str, meaning: str) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs") / example, help=f"{meaning} [default: runs/{example}]")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("RMAAT_DATA", "runs/data")),
        help="folder in which generated data are kept [default: RMAAT_DATA, else runs/data]",
    )


COMMANDS = {
    "simulate": (
        simulate,
        _simulate_arguments,
        "Simulate a neuron-astrocyte network",
        "  rmaat simulate --engine brian2 --cycles 6 --set coupling_strength=0.1 --out runs/sim.nc\n"
        "  rmaat simulate --preset biological --out runs/biological.nc\n"
        "  rmaat simulate --preset biological --parameters theta.yaml --cycles 8 --out runs/theta.nc\n\n"
        "theta.yaml, for theta bursts in place of steady drive (docs/simulator.md has all protocols):\n"
        "  protocol:\n"
        "    kind: theta_bursts\n"
        "    trains_per_cycle: 3\n"
        "    train_interval: 10 s\n"
        "    presynaptic_pattern: [20, 12, 6]\n"
        "    postsynaptic_pattern: [15, 12, 7.5]",
    ),
    "distill": (
        distill,
        _distill_arguments,
        "Turn traces into retention factors, coupling decay and exponent",
        "  rmaat distill runs/sim.nc --segments 64 --out runs/tables.nc",
    ),
    "train": (
        train,
        _train_arguments,
        "Train RMAAT or a baseline",
        "  rmaat train listops --tables runs/tables.nc --out runs/listops\n"
        "  rmaat train listops --architecture rmt --differentiation bptt --out runs/rmt\n"
        "  rmaat train listops --preset official --official-files lra_release/listops-1000 --out runs/official",
    ),
    "evaluate": (
        evaluate,
        _evaluate_arguments,
        "Score a trained run on its test split, beside the trivial levels",
        "  rmaat evaluate runs/listops",
    ),
    "figures": (
        figures,
        _figures_arguments,
        "Draw traces, retention factors, coupling and training curves",
        "  rmaat figures runs/ --out runs/figures",
    ),
    "demo": (
        demo,
        _demo_arguments,
        "Simulate, distil, train, evaluate and draw, in minutes",
        "  rmaat demo --out runs/demo",
    ),
    "validate": (
        validate,
        _validate_arguments,
        "Check the simulator against published numbers",
        "  rmaat validate --out docs/validation.md --overwrite",
    ),
}
"""Each command: what runs it, what adds its arguments, one line of help, an example."""
