"""Measure what a training spends beside its steps: validation, checkpoints and logging, loading of batches, the start.

python -m benchmarks.training_share [--steps N] [--out benchmarks/results/training-share.json]

The training is that of the demo (`rmaat train listops`), on one core. Times are of the core's own clock. The data are
generated before. Validation is of all validation sequences, as in the preset.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.report import RESULTS, option_parser, write_report
from distill.tables import default_tables
from model.studies.presets import PRESETS
from model.tasks.library import load_task
from model.training import loop
from rmaat.base.provenance import processor
from rmaat.base.text import table

PRESET = PRESETS["listops"]["short"]
PARTS = {"steps": "_step", "validation": "_validate"}
"""Parts of a training, and the methods of the loop that do them; `_validate` writes the checkpoints and logs too."""
GOAL = 0.05
"""Largest share of a training that is not its steps."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "training-share.json")
    steps = PRESET.training.steps
    parser.add_argument("--steps", type=int, default=steps, help=f"optimiser steps [default: {steps}]")
    options = parser.parse_args()
    found = measure(options.steps)
    rows = [(name, f"{seconds:.1f}", f"{seconds / found['all']:.1%}") for name, seconds in found.items()]
    print(table(rows, ("part", "seconds", "share")), end="\n\n")
    besides = 1 - found["steps"] / found["all"]
    print(f"beside the steps: {besides:.1%}; goal: at most {GOAL:.0%}\n")
    content = {"steps": options.steps, "seconds": found, "beside_the_steps": besides, "goal": GOAL}
    write_report(options.out, "python -m benchmarks.training_share", f"{processor()}, 1 thread", ("torch",), content)


def measure(steps: int) -> dict[str, float]:
    """Seconds of the parts, of the rest, and of all together."""
    preset = dataclasses.replace(PRESET, training=dataclasses.replace(PRESET.training, steps=steps, threads=1))
    with tempfile.TemporaryDirectory() as folder:
        task = load_task(preset.task_parameters, None, Path(folder) / "data")
        with _timed(loop._Run, PARTS) as seconds:
            started = time.process_time()
            loop.train(preset.configuration(task), task, default_tables(), Path(folder) / "run")
            total = time.process_time() - started
    return {**seconds, "loading, start and end": total - sum(seconds.values()), "all": total}


@contextmanager
def _timed(owner: type, parts: dict[str, str]) -> Iterator[dict[str, float]]:
    """Add up the seconds of methods of `owner` inside the block."""
    seconds = dict.fromkeys(parts, 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            started = time.process_time()
            try:
                return function(*arguments)
            finally:
                seconds[name] += time.process_time() - started

        return call

    with ExitStack() as stack:
        for name, method in parts.items():
            stack.enter_context(mock.patch.object(owner, method, timed(name, getattr(owner, method))))
        yield seconds


if __name__ == "__main__":
    main()
