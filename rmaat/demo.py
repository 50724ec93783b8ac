"""The whole chain in minutes: simulate, distil, train, evaluate, draw, and print one table."""

from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import RmaatError, UsageError
from rmaat.base.progress import Bar
from rmaat.base.text import table

if TYPE_CHECKING:
    from model.tasks import TaskData
    from model.training.evaluation import Evaluation
    from model.training.measure import StepCost


def run(out: Path, data: Path) -> None:
    """Run every step with default parameters into `out`, or the next free name beside it, and print a table.

    Raises
    ------
    RmaatError
        As the steps do.
    """
    from astro_sim import simulate, write_traces
    from distill import distil, write_tables
    from figures import draw_all
    from model.studies.presets import PRESETS
    from model.tasks.library import load_task
    from model.training.evaluation import evaluate
    from model.training.loop import train

    out = _free_name(out)
    with Bar("simulate") as progress:
        traces = simulate(progress=progress)
        write_traces(traces, out / "sim.nc")
    tables = distil(traces)
    write_tables(tables, out / "tables.nc")
    preset = PRESETS["listops"]["short"]
    with Bar("data") as progress:
        task = load_task(preset.task_parameters, None, data, progress)
    with Bar("train") as progress:
        train(preset.configuration(task), task, tables, out / "listops", progress=progress)
    with Bar("evaluate") as progress:
        evaluation = evaluate(out / "listops", task, progress=progress)
    costs = _costs(out / "listops", task)
    drawn = draw_all(out, out / "figures")
    print(_report(evaluation, costs, preset.model.segments))
    print(f"\nresults: {out}\nfigures: {out / 'figures'} ({len(drawn)} files)")
    # The third level, the root operator on its own digits, is more than this short training is asked to pass.
    if evaluation.accuracy <= max(list(evaluation.trivial_levels.values())[:2]):
        raise RmaatError("the trained model is not above the levels that need no model; its settings need work")


def _costs(out: Path, task: "TaskData") -> dict[str, "StepCost"]:
    """A training step of the trained model on the longest test sequences, differentiated both ways."""
    from model.memory.differentiation import Amrb, Bptt
    from model.training.device import choose_device, longest_batch
    from model.training.evaluation import load_run
    from model.training.measure import compare_steps
    from model.training.run_folder import RunFolder

    folder = RunFolder(out)
    settings = folder.read_configuration().training
    device = choose_device(settings.device)
    batch = longest_batch(task.test, settings, device)
    ways = {"BPTT": Bptt(), "AMRB": Amrb(settings.keep_graphs)}
    return compare_steps(load_run(folder).to(device), batch, ways, settings.precision)


def _report(evaluation: "Evaluation", costs: dict[str, "StepCost"], segments: int) -> str:
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
            table([*steps, ratio], (f"{segments} segments, same model and gradients", "peak memory", "time")),
        ]
    )


def _free_name(out: Path) -> Path:
    """`out`, or `out-2`, `out-3` and so on where it is taken: a demo never touches an earlier one."""
    if not out.name:
        raise UsageError(f"--out {out} names no new folder; give it a name, such as runs/demo")
    names = (out if count == 1 else out.with_name(f"{out.name}-{count}") for count in range(1, 10_000))
    return next(name for name in names if not name.exists())
