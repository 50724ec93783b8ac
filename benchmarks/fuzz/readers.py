"""The readers of the toolkit: for each, small files that it reads, and the call that reads them."""

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from PIL import Image

from astro_sim import SimulationParameters, read_traces, simulate, write_traces
from astro_sim.network.geometry import build_geometry
from astro_sim.parameters import NetworkParameters
from astro_sim.runs import to_file
from astro_sim.runs.to_file import simulate_to_file
from astro_sim.stimuli import DriveFile, SpikeFile
from astro_sim.sweep import RandomDesign, Span
from astro_sim.sweep.runner import run_sweep
from distill import DistillParameters, default_tables, distil, read_tables, write_tables
from distill.inverse.data import read_data
from distill.inverse.sweep import Distillation, RateModelMeasure, sweep
from distill.inverse.sweep_file import rank_correlations, read_sweep, summary, write_sweep
from distill.summary import provenance, summarize
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.tasks import documents, image, pairs, text
from model.tasks.data.dataset import TaskData, TokenDataset
from model.tasks.data.store import read_manifest, read_task, write_task
from model.tasks.documents import DocumentsParameters
from model.tasks.image import ImageParameters
from model.tasks.listops import SHORT, generate, read_official
from model.tasks.listops.grammar import evaluate, to_text
from model.tasks.pairs import RetrievalParameters, SameFilmParameters
from model.tasks.pathfinder.task import PathfinderParameters
from model.tasks.pathfinder.task import read_official as read_images
from model.tasks.text import TextParameters
from model.training.checkpoint import (
    BEST,
    CHECKPOINT,
    TrainingState,
    load_model,
    load_optimizer,
    load_state,
    newest,
    save_checkpoint,
)
from model.training.optimizer import build_optimizer
from model.training.parameters import TrainingParameters
from model.training.run_folder import METRICS, Cost, Evaluation, RunConfiguration, RunFolder
from rmaat.base.files import unfinished

Reader = Callable[[Path], Any]
Maker = Callable[[Path], None]

SMALL = SimulationParameters().override(
    {"presynaptic_neurons": 2, "postsynaptic_neurons": 2, "run_duration": 150.0, "recording_interval": 2.5,
     "relative_tolerance": 1e-3}
)  # fmt: skip
MODEL = ModelParameters(
    vocabulary=18, classes=10, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=10, segments=4,
    memory_tokens=2,
)  # fmt: skip
TRAINING = TrainingParameters(steps=2, batch_size=2, device="cpu")
RUN = RunConfiguration("listops", SHORT, None, "0" * 64, MODEL, TRAINING, {"torch": "2"})


@dataclass(frozen=True)
class Target:
    """One reader: `make` writes its files into a folder, `read` reads that folder."""

    name: str
    make: Maker
    read: Reader
    sealed: bool = False
    """whether a digest protects every value, so that none may change unseen"""
    texts: tuple[str, ...] = ()
    """suffixes of the files that are text"""
    finite: bool = True
    """whether every number that is read must be finite"""
    cost: int = 1
    """time of a trial, in those of the others; there are as many times fewer mutants"""


# The simulator.


def _make_traces(folder: Path) -> None:
    write_traces(simulate(SMALL), folder / "traces.nc")


def _read_traces(folder: Path) -> Any:
    return read_traces(folder / "traces.nc")


def _make_parameters(folder: Path) -> None:
    SMALL.save(folder / "parameters.yaml")


def _read_parameters(folder: Path) -> Any:
    return SimulationParameters.load(folder / "parameters.yaml").to_dict()


def _make_drive(folder: Path) -> None:
    rows = "\n".join(f"{time},{time % 3 / 2},0.5,-0.25" for time in range(0, 150, 10))
    (folder / "drive.csv").write_text(f"time,pre0,pre1,post1\n{rows}\n")


def _read_drive(folder: Path) -> Any:
    return DriveFile(stimulus_file=str(folder / "drive.csv"), run_duration=150.0).steps(2, 2)


def _make_spikes(folder: Path) -> None:
    rows = "\n".join(f"{time / 7:.4f},{('pre0', 'pre1', 'post0', '1')[time % 4]}" for time in range(60))
    (folder / "spikes.csv").write_text(f"time,neuron\n{rows}\n")


def _read_spikes(folder: Path) -> Any:
    return SpikeFile(stimulus_file=str(folder / "spikes.csv"), run_duration=150.0).steps(2, 2)


def _make_layout(folder: Path) -> None:
    (folder / "points.csv").write_text("x,y,z\n0,0,0\n1.5,0,0.5\n0,1,1\n2,2,2.25\n")


def _network(kind: str, file: Path) -> NetworkParameters:
    return NetworkParameters(presynaptic_neurons=2, postsynaptic_neurons=2, layout=kind, layout_file=str(file))


def _geometry(network: NetworkParameters) -> Any:
    geometry = build_geometry(network)
    return [geometry.position, geometry.distance_from((0, 0))]


def _read_layout(folder: Path) -> Any:
    return _geometry(_network("csv", folder / "points.csv"))


def _make_cell(folder: Path) -> None:
    dendrites = [f"{node} 3 {node * 1.5} {node % 4} 0 0.5 {node - 1}" for node in range(3, 20)]
    (folder / "cell.swc").write_text("\n".join(["# a cell", "1 1 0 0 0 5 -1", "2 3 1 1 0 1 1", *dendrites, ""]))


def _read_cell(folder: Path) -> Any:
    return _geometry(_network("swc", folder / "cell.swc"))


def _make_unfinished(folder: Path) -> None:
    """The folder of a simulation to a file that was interrupted at its first checkpoint."""
    before, to_file.CHECKPOINT_EVERY = to_file.CHECKPOINT_EVERY, 0.0

    def interrupt(share: float, _note: str = "", /) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    try:
        simulate_to_file(SMALL, folder / "traces.nc", progress=interrupt)
    except Exception:
        assert to_file.has_checkpoint(folder / "traces.nc")
    finally:
        to_file.CHECKPOINT_EVERY = before
    # A plain name, so that the mutations find its files.
    unfinished(folder / "traces.nc").rename(folder / "unfinished")


def _read_unfinished(folder: Path) -> Any:
    if (folder / "unfinished").exists():
        (folder / "unfinished").rename(unfinished(folder / "traces.nc"))
    simulate_to_file(SMALL, folder / "traces.nc")
    return read_traces(folder / "traces.nc")


# The distillation.


def _make_tables(folder: Path) -> None:
    write_tables(distil(simulate(SMALL), DistillParameters(segments=4)), folder / "tables.nc")


def _read_tables(folder: Path) -> Any:
    tables = read_tables(folder / "tables.nc")
    return {"tables": tables.dataset, "summary": summarize(tables, 2) + provenance(tables)}


def _make_sweep(folder: Path) -> None:
    design = RandomDesign({"cycle_duration": Span(30, 100), "long_term_time_constant": Span(50, 200)}, 5, seed=1)
    found = sweep(SMALL, design, RateModelMeasure(Distillation((2, 4))), folder / "parts")
    for part in (folder / "parts").iterdir():
        part.unlink()
    (folder / "parts").rmdir()
    write_sweep(found, folder / "sweep.nc")


def _read_sweep(folder: Path) -> Any:
    found = read_sweep(folder / "sweep.nc")
    return [found, summary(found), rank_correlations(found)]


def _measure(points: Any) -> Any:
    return [xr.Dataset({"number": float(point.network.seed)}) for point in points]


_DESIGN = RandomDesign({"seed": Span(1, 100)}, 4, seed=1)


def _make_parts(folder: Path) -> None:
    run_sweep(SMALL, _DESIGN, _measure, folder / "parts", batch_size=2)


def _read_parts(folder: Path) -> Any:
    return run_sweep(SMALL, _DESIGN, _measure, folder / "parts", batch_size=2)


def _make_data(folder: Path) -> None:
    rows = "\n".join(f"{cycle},{1 - 0.6**cycle:.4f},0.01" for cycle in range(1, 4))
    (folder / "data.csv").write_text(f"cycle,value,error\n{rows}\n")


def _read_data(folder: Path) -> Any:
    return read_data(folder / "data.csv", SMALL)


# The model.


def _trained() -> tuple[Any, Any]:
    torch.manual_seed(1)
    model = build_model(MODEL, default_tables())
    optimizer = build_optimizer(model, TRAINING)
    model(torch.randint(1, 16, (2, 30)), torch.tensor([30, 20])).sum().backward()
    optimizer.step()
    return model, optimizer


def _make_checkpoints(folder: Path) -> None:
    model, optimizer = _trained()
    state = TrainingState(2, 0.5, 1.5, window=[[0.7, 1.0]])
    save_checkpoint(folder, CHECKPOINT, model, optimizer, state)
    save_checkpoint(folder, BEST, model, None, state)


_MODEL, _OPTIMIZER = _trained()


def _read_checkpoints(folder: Path) -> Any:
    place = newest(folder, CHECKPOINT)
    load_model(place, _MODEL)
    load_optimizer(place, _OPTIMIZER)
    load_model(newest(folder, BEST), _MODEL)
    weights = {name: tensor.numpy() for name, tensor in _MODEL.state_dict().items()}
    moments = {
        f"{index}.{name}": tensor.numpy()
        for index, group in _OPTIMIZER.state_dict()["state"].items()
        for name, tensor in group.items()
    }
    return [weights, moments, load_state(place), load_state(newest(folder, BEST))]


def _make_run(folder: Path) -> None:
    run = RunFolder(folder)
    run.write_configuration(RUN)
    run.write_metrics([dict.fromkeys(METRICS, 0.25) | {"step": step, "skipped_steps": 0} for step in (1, 2)])
    run.write_evaluation(Evaluation(0.5, 0.01, 1.2, {"commonest_label": 0.2}, 100, 10, 2, "origin", {"0 to 9": 0.5}))
    run.write_cost(Cost(1.0, 0.5, 1000, "a CPU", "2026-01-01"))
    write_tables(default_tables(), run.tables)


def _read_run(folder: Path) -> Any:
    run = RunFolder(folder)
    configuration = run.read_configuration()
    # Comparing runs reads all settings.
    configuration.differences(RUN)
    return [configuration, run.read_metrics(), run.read_evaluation(), run.read_cost(), read_tables(run.tables).dataset]


def _make_prepared(folder: Path) -> None:
    write_task(_task(), folder / "task", SHORT.to_dict())


def _task() -> TaskData:
    split = TokenDataset.from_sequences([b"\1\2", b"\3\3\3", b"\1\1\2"] * 20, [0, 1, 1] * 20)
    return TaskData("letters", "made here", ("", "a", "b", "c"), 2, split, split, split, separator=3, labels=("x", "y"))


def _task_values(task: TaskData) -> Any:
    arrays = {
        split: [np.asarray(getattr(dataset, name)) for name in ("tokens", "offsets", "labels")]
        for split, dataset in task.splits.items()
    }
    return [arrays, task.name, task.origin, task.symbols, task.classes, task.separator, task.levels, task.labels]


def _read_prepared(folder: Path) -> Any:
    return [_task_values(read_task(folder / "task")), read_manifest(folder / "task")]


# Files of data.


def _make_listops(folder: Path) -> None:
    task = generate(replace(SHORT, train_size=12, validation_size=6, test_size=6))
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        dataset = task.splits[split]
        rows = [bytes(dataset.sequence(index)) for index in range(len(dataset))]
        lines = [f"{to_text(row)}\t{evaluate(row)}" for row in rows]
        (folder / f"basic_{name}.tsv").write_text("\n".join(["Source\tTarget", *lines, ""]))


def _make_pairs(folder: Path) -> None:
    for name in ("train", "eval", "test"):
        lines = [f"{row % 2}.0\tP{row}\tQ{row}\tabout cells {row}\tabout glia {row % 3}" for row in range(8)]
        (folder / f"new_aan_pairs.{name}.tsv").write_text("\n".join([*lines, ""]))


def _make_reviews(folder: Path) -> None:
    for split in ("train", "test"):
        for label, word in (("neg", "dull"), ("pos", "fine")):
            place = folder / "aclImdb" / split / label
            place.mkdir(parents=True)
            for number in range(8):
                (place / f"{number}_{1 if label == 'neg' else 9}.txt").write_text(f"A {word} film, {split} {number}.")
            lines = [f"http://www.imdb.com/title/tt{number % 4:07d}/usercomments\n" for number in range(8)]
            (folder / "aclImdb" / split / f"urls_{label}.txt").write_text("".join(lines))


def _read_reviews(folder: Path) -> Any:
    films = SameFilmParameters(train_size=4, validation_size=4, test_size=4)
    found = text.read(TextParameters(validation_size=2), folder / "aclImdb")
    return [_task_values(found), _task_values(pairs.read_same_film(films, folder / "aclImdb"))]


def _packed(make: Maker, name: str, mode: Any) -> Maker:
    """A maker of the archive `name` with the folder that `make` writes."""

    def packed(folder: Path) -> None:
        inner = folder / "inner"
        inner.mkdir()
        make(inner)
        with tarfile.open(folder / name, mode) as archive:
            for path in sorted(inner.iterdir()):
                archive.add(path, arcname=path.name)
        for path in sorted(inner.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        inner.rmdir()

    return packed


def _make_pictures(folder: Path) -> None:
    place = folder / "cifar-10-batches-py"
    place.mkdir()
    random = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        colours = random.integers(0, 256, (2, 3072), dtype=np.uint8)
        content = {b"labels": random.integers(0, 10, 2).tolist(), b"data": colours, b"filenames": [b"a.png"] * 2}
        (place / name).write_bytes(pickle.dumps(content, protocol=2))


def _make_paths(folder: Path) -> None:
    place = folder / "curv_contour_length_14"
    random = np.random.default_rng(0)
    (place / "metadata").mkdir(parents=True)
    (place / "imgs" / "0").mkdir(parents=True)
    lines = []
    for number in range(32):
        content = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (32, 32), dtype=np.uint8)).save(content, "PNG")
        (place / "imgs" / "0" / f"sample_{number}.png").write_bytes(content.getvalue())
        lines.append(f"imgs/0 sample_{number}.png {number} {number % 2} 1.0 14 4 2 0.5 1 1")
    (place / "metadata" / "0.npy").write_text("\n".join(lines) + "\n")


def _make_texts(folder: Path) -> None:
    rows = [(f"text {number}, with 'words' {number * 7}", ("good", "bad")[number % 2]) for number in range(24)]
    (folder / "a.csv").write_text("text,label\n" + "".join(f'"{row}",{label}\n' for row, label in rows))
    lines = [json.dumps({"text": row, "label": label}) for row, label in rows]
    (folder / "b.jsonl").write_text("\n".join([*lines, ""]))


def _read_texts(folder: Path) -> Any:
    return [_task_values(documents.read(DocumentsParameters(), folder / name)) for name in ("a.csv", "b.jsonl")]


def _make_parquet(folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = {"text": [f"text {number} of some words" for number in range(24)], "label": [0, 1] * 12}
    parquet.write_table(pyarrow.table(rows), folder / "a.parquet")


def _archived(name: str) -> Reader:
    return lambda folder: _task_values(text.read(TextParameters(validation_size=2), folder / name))


def _pictures(name: str) -> Reader:
    return lambda folder: _task_values(image.read(ImageParameters(validation_size=3), folder / name))


TARGETS = (
    Target("traces", _make_traces, _read_traces, sealed=True),
    Target("tables", _make_tables, _read_tables, sealed=True),
    Target("parameter file", _make_parameters, _read_parameters, texts=(".yaml",)),
    Target("drive", _make_drive, _read_drive, texts=(".csv",)),
    Target("spikes", _make_spikes, _read_spikes, texts=(".csv",)),
    Target("layout", _make_layout, _read_layout, texts=(".csv",)),
    Target("morphology", _make_cell, _read_cell, texts=(".swc",)),
    Target("data to fit", _make_data, _read_data, texts=(".csv",)),
    Target("sweep", _make_sweep, _read_sweep, sealed=True, finite=False),
    Target("unfinished sweep", _make_parts, _read_parts, sealed=True, texts=(".json",)),
    Target("unfinished simulation", _make_unfinished, _read_unfinished, sealed=True, cost=10),
    Target("checkpoint", _make_checkpoints, _read_checkpoints, sealed=True, texts=(".json",)),
    Target("run folder", _make_run, _read_run, texts=(".json", ".csv"), finite=False),
    Target("prepared data", _make_prepared, _read_prepared, sealed=True, texts=(".json",)),
    Target("ListOps", _make_listops, lambda folder: _task_values(read_official(SHORT, folder)), texts=(".tsv",)),
    Target("AAN", _make_pairs, lambda folder: _task_values(pairs.read_retrieval(RetrievalParameters(), folder)),
           texts=(".tsv",)),
    Target("IMDb folder", _make_reviews, _read_reviews, texts=(".txt",)),
    Target("IMDb archive", _packed(_make_reviews, "a.tar.gz", "w:gz"), _archived("a.tar.gz")),
    Target("IMDb plain archive", _packed(_make_reviews, "a.tar", "w"), _archived("a.tar")),
    Target("CIFAR-10 folder", _make_pictures, _pictures("cifar-10-batches-py")),
    Target("CIFAR-10 archive", _packed(_make_pictures, "a.tar", "w"), _pictures("a.tar")),
    Target("Pathfinder", _make_paths, lambda folder: _task_values(read_images(PathfinderParameters(), folder)),
           texts=(".npy",)),
    Target("texts", _make_texts, _read_texts, texts=(".csv", ".jsonl")),
    Target("parquet", _make_parquet,
           lambda folder: _task_values(documents.read(DocumentsParameters(), folder / "a.parquet"))),
)  # fmt: skip
"""All readers."""
