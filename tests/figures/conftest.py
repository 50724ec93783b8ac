"""A short simulation with the paper's cycles, its tables, and a run folder with the metrics of a made-up training."""

import json
import math
from pathlib import Path

import pytest
import xarray as xr

from astro_sim import SimulationParameters, simulate, write_traces
from distill import DistillParameters, Tables, distil, write_tables
from model.networks.parameters import ModelParameters
from model.tasks.listops import ListOpsParameters
from model.training.parameters import TrainingParameters
from model.training.run_folder import Evaluation, RunConfiguration, RunFolder
from rmaat.base.files import write_text

EVALUATION = {
    "accuracy": 0.6,
    "standard_error": 0.02,
    "loss": 1.1,
    "trivial_levels": {"commonest label": 0.17, "root operator alone": 0.36},
    "samples": 600,
    "parameters": 1,
    "best_step": 300,
    "origin": "generated",
}


@pytest.fixture(scope="session")
def traces() -> xr.Dataset:
    parameters = {"run_duration": 200.0, "postsynaptic_neurons": 2, "recording_interval": 1.0}
    return simulate(SimulationParameters().override(parameters))


@pytest.fixture(scope="session")
def tables(traces: xr.Dataset) -> Tables:
    return distil(traces, DistillParameters(segments=24))


@pytest.fixture
def metrics() -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "epoch": step / 200,
            "train_loss": 2.3 * math.exp(-step / 400),
            "learning_rate": 1e-3,
            "gradient_norm": 1.0,
            "validation_loss": 2.3 * math.exp(-step / 500),
            "validation_accuracy": 0.1 + step / 1000,
            "seconds": step / 10,
            "skipped_steps": 0,
        }
        for step in (100, 200, 300, 400)
    ]


def write_run(path: Path, metrics: list[dict[str, float]], tables: Tables, evaluated: bool = True) -> RunFolder:
    run = RunFolder(path)
    run.write_configuration(
        RunConfiguration("listops", ListOpsParameters(), None, "", ModelParameters(), TrainingParameters(), {})
    )
    run.write_metrics(metrics)
    write_tables(tables, run.tables)
    if evaluated:
        write_text(run.evaluation, json.dumps(EVALUATION))
    return run


@pytest.fixture
def runs(tmp_path: Path, traces: xr.Dataset, tables: Tables, metrics: list[dict[str, float]]) -> Path:
    """A folder with a traces file, a tables file and a run folder."""
    folder = tmp_path / "runs"
    write_traces(traces, folder / "sim.nc")
    write_tables(tables, folder / "tables.nc")
    write_run(folder / "listops", metrics, tables)
    return folder


@pytest.fixture
def add_run(metrics: list[dict[str, float]], tables: Tables):
    """Write one more run folder."""

    def add(path: Path, evaluated: bool = True) -> RunFolder:
        return write_run(path, metrics, tables, evaluated)

    return add


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(**EVALUATION)
