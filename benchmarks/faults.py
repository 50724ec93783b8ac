"""Kill work at random moments, take its disk away, and check that nothing is lost and nothing is left.

python -m benchmarks.faults [WORK ...] --kills 25

Each trial starts the work in a process of its own, kills it with SIGKILL at a random moment, and starts it again. What
was there after the kill must be whole: the old content, the new one, or none. The second start must end with the bytes
of an undisturbed run and leave no temporary file. A training gets twice as many kills. Then the same work runs on full
disks of several sizes: a quota on the size of a file, and a small tmpfs where mounting is allowed.
"""

import collections
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from astro_sim import SimulationParameters, content_digest, read_traces, simulate, simulate_to_file
from astro_sim.runs import to_file
from astro_sim.sweep import RandomDesign, Span
from benchmarks.report import RESULTS, option_parser, write_report
from distill import DistillParameters, Tables, default_tables, distil, read_tables, write_tables
from distill.inverse.sweep import Distillation, RateModelMeasure, sweep
from distill.inverse.sweep_file import read_sweep, write_sweep
from model.networks.parameters import ModelParameters
from model.studies import runner
from model.studies.presets import PRESETS, Preset
from model.studies.study import Study, runs_of
from model.tasks.diagnostics import NeedleParameters
from model.tasks.library import load_task, prepare_task
from model.tasks.listops import SHORT
from model.training.checkpoint import BEST, CHECKPOINT, newest
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder
from rmaat.base.errors import RmaatError
from rmaat.base.files import atomic_file, read_json
from rmaat.base.provenance import processor

SMALL = SimulationParameters().override(
    {"presynaptic_neurons": 2, "postsynaptic_neurons": 2, "run_duration": 150.0, "recording_interval": 2.5,
     "relative_tolerance": 1e-3}
)  # fmt: skip
TINY = Preset(
    NeedleParameters(length=20, gap=5, train_size=60, validation_size=20, test_size=30),
    ModelParameters(vocabulary=21, classes=10, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=5,
                    segments=4, memory_tokens=2),
    TrainingParameters(steps=12, batch_size=8, warmup_steps=1, validate_every=2, device="cpu", threads=1),
    "for the faults",
)  # fmt: skip
STUDY = Study("Two models", ("needle",), ("rmt", "rmaat"))
LISTOPS = replace(SHORT, train_size=300, validation_size=50, test_size=50)


COMMAND = "python -m benchmarks.faults"


@dataclass(frozen=True)
class Work:
    """One kind of work in a folder: `start` begins or continues it, `state` digests what is there.

    `state` returns None if there is no result yet, and raises an error if there is a part of one.
    """

    name: str
    start: Callable[[Path], None]
    state: Callable[[Path], str | None]
    prepare: Callable[[Path], None] = lambda _: None
    """writes the old content that the work replaces"""
    factor: int = 1
    """kills per kill of the others"""


# The kinds of work.


def _train(folder: Path) -> None:
    task = load_task(TINY.task_parameters, None, folder / "data")
    run = folder / "run"
    train(TINY.configuration(task), task, default_tables(), run, resume=run.exists())


def _run_digest(run: Path) -> str | None:
    """The digest of a finished run's weights and curve, without its times; None if it is not finished."""
    if not run.exists():
        return None
    folder = RunFolder(run)
    folder.read_configuration()
    read_tables(folder.tables)
    place, rows = newest(run, CHECKPOINT), folder.read_metrics()
    weights = [(path / "model.safetensors").read_bytes() for path in (place, *sorted(run.glob(f"{BEST}-*")))]
    if not place.name.endswith(f"{TINY.training.steps:09d}") or not rows or rows[-1]["step"] != TINY.training.steps:
        return None
    moments = (place / "optimizer.safetensors").read_bytes()
    curve = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    return hashlib.sha256(b"".join([*weights, moments, repr(curve).encode()])).hexdigest()


def _stream(folder: Path) -> None:
    to_file.CHECKPOINT_EVERY = 0.0
    if not (folder / "traces.nc").exists():
        simulate_to_file(SMALL, folder / "traces.nc")


def _file_digest(name: str, read: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    """A function that digests the file `name` after `read` has checked it."""

    def digest(folder: Path) -> str | None:
        if not (folder / name).exists():
            return None
        return content_digest(read(folder / name))

    return digest


def _sweep(folder: Path) -> None:
    if (folder / "sweep.nc").exists():
        return
    design = RandomDesign({"cycle_duration": Span(30, 100)}, 6, seed=1)
    found = sweep(SMALL, design, RateModelMeasure(Distillation((2, 4))), folder / "parts")
    write_sweep(found, folder / "sweep.nc")
    shutil.rmtree(folder / "parts")


def _runs(folder: Path) -> list[Any]:
    PRESETS["needle"]["tiny"] = replace(TINY, training=replace(TINY.training, steps=4))
    return runs_of(STUDY, "tiny", 1, folder / "out")


def _study(folder: Path) -> None:
    # In this process instead of workers, so that the kill hits the training, the scoring or the measurement itself.
    for run in _runs(folder):
        if not run.is_done():
            runner.complete(run, folder / "data", float("inf"), lambda: False)


def _study_digest(folder: Path) -> str | None:
    digest = hashlib.sha256()
    for run in _runs(folder):
        if not run.is_done():
            return None
        digest.update(repr(RunFolder(run.place).read_evaluation()).encode())
        digest.update((newest(run.place, BEST) / "model.safetensors").read_bytes())
    return digest.hexdigest()


def _prepare_data(folder: Path) -> None:
    if not any((folder / "data").glob("listops-*")):
        prepare_task(LISTOPS, None, folder / "data")


def _data_digest(folder: Path) -> str | None:
    if not any((folder / "data").glob("listops-*")):
        return None
    return load_task(LISTOPS, None, folder / "data").sha256()


def _old_tables(folder: Path) -> None:
    write_tables(default_tables(), folder / "tables.nc")


_NEW: list[Tables] = []


def _write_tables(folder: Path) -> None:
    # Often, because one takes a millisecond.
    for _ in range(20):
        write_tables(_NEW[0], folder / "tables.nc")


WORKS = (
    Work("training", _train, lambda folder: _run_digest(folder / "run"), factor=2),
    Work("simulation to a file", _stream, _file_digest("traces.nc", read_traces)),
    Work("sweep", _sweep, _file_digest("sweep.nc", read_sweep)),
    Work("study", _study, _study_digest),
    Work("data preparation", _prepare_data, _data_digest),
    Work("table writing", _write_tables, _file_digest("tables.nc", lambda path: read_tables(path).dataset),
         _old_tables),
)  # fmt: skip


# The trials.


def main() -> int:
    """Run the trials, print the counts and write JSON."""
    parser = option_parser(__doc__, RESULTS / "faults.json")
    parser.add_argument("works", nargs="*", metavar="WORK", help=", ".join(work.name for work in WORKS))
    parser.add_argument("--kills", type=int, default=25, help="of each kind of work [default: 25]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [default: 0]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    _NEW.append(distil(simulate(SMALL), DistillParameters(segments=4)))
    chosen = [work for work in WORKS if not options.works or work.name in options.works]
    # Some kinds of work again: their counts replace the earlier ones.
    found = read_json(options.out)["works"] if options.works and options.out.is_file() else {}
    for work in chosen:
        killed, full = kills(work, options.kills * work.factor, options.seed), full_disks(work)
        found[work.name] = killed | full | {"faults": killed["faults"] + full["faults"]}
        print(f"{work.name:22} {found[work.name]}", flush=True)
        # After each kind of work, so that a stop loses one at most.
        write_report(options.out, COMMAND, processor(), ("numpy", "torch"), totals(found))
    return 1 if totals(found)["faults"] else 0


def totals(found: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The counts by kind of work, and their sums."""
    names = ("kills", "full_disks", "refused_in_a_sentence", "faults")
    return {name: sum(counts[name] for counts in found.values()) for name in names} | {"works": found}


def kills(work: Work, count: int, seed: int) -> dict[str, int]:
    """Kill `work` `count` times, each time from the start, and count what was found."""
    chance, counts = random.Random(f"{seed} {work.name}"), collections.Counter[str]()
    with _folder() as folder:
        work.prepare(folder)
        old = work.state(folder)
        before = time.monotonic()
        _wait(_started(work, folder))
        seconds, new = time.monotonic() - before, work.state(folder)
    if new is None:
        raise SystemExit(f"{work.name} gave no result")
    while counts["kills"] < count:
        with _folder() as folder:
            work.prepare(folder)
            child = _started(work, folder)
            time.sleep(chance.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
            if not os.WIFSIGNALED(_wait(child)):
                # It had ended; another moment is drawn.
                continue
            counts["kills"] += 1
            counts.update(_after(work, folder, {old, new}, new))
    return {name: counts[name] for name in ("kills", "left_a_temporary_file", "found_finished", "faults")}


def _after(work: Work, folder: Path, allowed: set[str | None], new: str) -> Iterator[str]:
    """Look at what a killed process left, start the work again, and yield what was found."""
    if _temporary(folder):
        yield "left_a_temporary_file"
    try:
        found = work.state(folder)
        if found == new:
            yield "found_finished"
        if found not in {None, *allowed}:
            raise ValueError("neither the old nor the new content is there")
        if _wait(_started(work, folder)) or work.state(folder) != new:
            raise ValueError("the second start does not give the result of an undisturbed run")
        if left := _temporary(folder):
            raise ValueError(f"temporary files stay: {left}")
    except (ValueError, RmaatError, OSError) as error:
        print(f"{work.name}: {error!r}", file=sys.stderr, flush=True)
        yield "faults"


def full_disks(work: Work, trials: int = 6) -> dict[str, int]:
    """Run `work` on disks that are too small, then on a large one; count refusals with a sentence, and faults."""
    counts = collections.Counter[str]()
    with _folder() as folder:
        work.prepare(folder)
        old = work.state(folder)
        _wait(_started(work, folder))
        new = work.state(folder)
        assert new is not None
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    for trial in range(trials):
        share = (trial + 1) / (trials + 1)
        mounts = trial % 2 == 1 and _can_mount()
        with _folder(int(share * sum(sizes)) if mounts else 0) as folder:
            try:
                work.prepare(folder)
            except (RmaatError, OSError):
                # Not even the old content has space.
                continue
            counts["full_disks"] += 1
            child = _started(work, folder, 0 if mounts else max(512, int(share * max(sizes))))
            counts["refused_in_a_sentence"] += os.waitstatus_to_exitcode(_wait(child)) == 3
            if mounts:
                _call("mount", "-o", "remount,size=100m", str(folder))
            counts.update(name for name in _after(work, folder, {old, new}, new) if name == "faults")
    return {"full_disks": counts["full_disks"], "refused_in_a_sentence": counts["refused_in_a_sentence"],
            "faults": counts["faults"]}  # fmt: skip


def _started(work: Work, folder: Path, most: int = 0) -> int:
    """A process that does `work`, with files of at most `most` bytes unless that is 0; its status is 3 for an error."""
    with warnings.catch_warnings():
        # Python warns of forks beside threads; these processes wait for none.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return child
    status = 4
    try:
        if most:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        work.start(folder)
        status = 0
    except RmaatError as error:
        status = 3 if "\n" not in str(error) else 4
    except BaseException as error:
        os.write(2, f"{work.name}: {error!r}\n".encode())
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    return os.waitpid(child, 0)[1]


def _temporary(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob(".*.tmp")]


@contextmanager
def _folder(size: int = 0) -> Iterator[Path]:
    """A new folder, on a tmpfs of `size` bytes unless that is 0."""
    folder = Path(tempfile.mkdtemp(prefix="rmaat-faults-"))
    try:
        if size:
            _call("mount", "-t", "tmpfs", "-o", f"size={max(8192, size)}", "rmaat", str(folder))
        yield folder
    finally:
        if size:
            _call("umount", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _can_mount() -> bool:
    try:
        with _folder(2**16) as folder, atomic_file(folder / "try") as file:
            file.touch()
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
