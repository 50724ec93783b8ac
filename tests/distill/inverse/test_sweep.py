"""Points of a sweep equal the tables of their traces, with any number of processes."""

import json

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationParameters, simulate_batch
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
from astro_sim.sweep import GridDesign, InProcess, Listed, LocalProcesses, RandomDesign, Span
from distill import DistillParameters, distil
from distill.inverse.sweep import (
    Distillation,
    RateModelMeasure,
    SpikingModelMeasure,
    sweep,
)
from distill.inverse.sweep_file import read_sweep, varied, write_sweep
from rmaat.base.errors import UsageError

BASE = SimulationParameters().override(
    {"run_duration": 150.0, "recording_interval": 1.0, "relative_tolerance": 1e-6, "coupling_scale": 0.8}
)
AXES = {"long_term_time_constant": Span(50, 400, logarithmic=True), "cycle_duration": Span(30, 100)}
MEASURE = RateModelMeasure(Distillation((2, 4)))


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("sweep") / "parts"
    return sweep(BASE, RandomDesign(AXES, 12, seed=1), MEASURE, folder)


OF_TABLES = {
    "increment_rate": "increment_rate",
    "increment_rate_error": "increment_rate_error",
    "increment_residual": "increment_residual",
    "coupling_scale_found": "coupling_scale",
    "influence_scale": "influence_scale",
    "influence_scale_error": "influence_scale_error",
    "influence_amplitude": "influence_amplitude",
    "influence_residual": "influence_residual",
    "exponent": "exponent",
    "exponent_error": "exponent_error",
    "exponent_residual": "exponent_residual",
}
"""Variables of the tables file, by the name of the same number in a sweep."""


KINDS = {
    "the default, exactly geometric": lambda stored: stored["traces"],
    "a batch": lambda _: simulate_batch([BASE.override({"short_term_gain": 0.4})])[0],
    "no restarts, no exact law": lambda _: simulate_batch([BASE.override({"restart_fast_variables": False})])[0],
    "the biophysical model, all increments the law's": lambda stored: stored["biophysical_traces"],
    "several trials": lambda stored: trials_of(stored["biophysical_traces"]),
}


def trials_of(traces):
    """Three trials that differ in the long-term process, as by another noise."""
    factors = xr.DataArray([0.98, 1.0, 1.03], dims="trial")
    return traces.assign(long_term_process=factors * traces["long_term_process"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_equals_the_tables_of_its_traces_to_the_bit(kind, traces, biophysical_traces):
    parameters = DistillParameters(segments=24, bootstrap_resamples=20)
    own = KINDS[kind]({"traces": traces, "biophysical_traces": biophysical_traces})
    tables, point = distil(own, parameters), Distillation((4, 20), parameters)(own)
    assert str(point.message.values) == ""
    for name, of_tables in OF_TABLES.items():
        assert float(point[name]) == float(tables.dataset[of_tables]), name
    np.testing.assert_array_equal(point.increment, tables.dataset["increment"][:20])
    assert float(point.increments_simulated) == int(tables.dataset["increment_simulated"][:20].sum())
    for length in (4, 20):
        factors = point.retention.sel(length=length).values
        np.testing.assert_array_equal(factors[:length], tables.retention(length))
        assert np.isnan(factors[length:]).all()


def test_with_restarts_every_point_obeys_the_geometric_law(swept):
    expected = swept.cycle_duration / swept.long_term_time_constant
    np.testing.assert_allclose(swept.increment_rate, expected, rtol=1e-4)
    factors = np.exp(-expected * (swept.segment - 1)) * np.expm1(-expected) / np.expm1(-4 * expected)
    np.testing.assert_allclose(swept.retention.sel(length=4), factors, rtol=1e-4)


def test_a_point_of_a_sweep_equals_simulate_and_distil(swept):
    from astro_sim import simulate

    row = {name: float(swept[name][3]) for name in AXES}
    parameters = BASE.override(row | {"run_duration": 3 * row["cycle_duration"]})
    alone = distil(simulate(parameters), DistillParameters(segments=4)).dataset
    for name in ("increment_rate", "influence_scale", "exponent"):
        assert float(swept[name][3]) == pytest.approx(float(alone[name]), rel=1e-4)


@pytest.mark.slow
def test_two_and_no_processes_give_the_same_file(tmp_path, monkeypatch):
    # Three batches, the last one smaller. `astro_sim/sweep/test_workers.py` runs one process too.
    monkeypatch.setattr("distill.inverse.sweep.POINTS_TOGETHER", 4)
    design = RandomDesign({"coupling_strength": Span(0.01, 0.05)}, 10, seed=1)
    base = BASE.override({"relative_tolerance": 1e-3})
    files = []
    for count, workers in enumerate((InProcess(), LocalProcesses(2))):
        path = tmp_path / f"{count}.nc"
        write_sweep(sweep(base, design, MEASURE, tmp_path / f"{count}", workers), path)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_a_part_that_fails_does_not_change_the_others(tmp_path):
    design = GridDesign({"layout": Listed(("line", "equal"))})
    found = sweep(BASE, design, MEASURE, tmp_path / "parts")
    assert found.message.values[0] == ""
    assert "distinct distances" in str(found.message.values[1])
    assert np.isfinite(found.increment_rate).all()
    np.testing.assert_array_equal(np.isnan(found.influence_scale), [False, True])


def test_the_file_holds_units_design_parameters_and_versions_and_is_read_as_written(swept, tmp_path):
    write_sweep(swept, tmp_path / "sweep.nc")
    found = read_sweep(tmp_path / "sweep.nc")
    xr.testing.assert_identical(found, swept)
    assert varied(found) == list(AXES)
    assert found.long_term_time_constant.attrs["units"] == "s"
    assert found.increment_rate.attrs == {"long_name": "rate of the fitted law", "units": "1 / cycle", "symbol": "a"}
    assert json.loads(found.attrs["design"])["seed"] == 1
    assert json.loads(found.attrs["parameters"]) == BASE.to_dict()
    assert "scipy" in json.loads(found.attrs["versions"])
    assert all("units" in found[name].attrs for name in found.data_vars if name != "message")


@pytest.mark.parametrize("lengths", [(), (0, 4)])
def test_lengths_are_positive(lengths):
    with pytest.raises(UsageError, match="from 1"):
        Distillation(lengths)


def test_the_spiking_model_is_measured_point_by_point(traces, tables, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "astro_sim.biophysics.spiking.simulation.simulate_biophysical",
        lambda parameters: seen.append(parameters.solver.noise_seed) or traces,
    )
    design = GridDesign({"noise_seed": Listed((1, 2))})
    found = sweep(BiophysicalParameters(), design, SpikingModelMeasure(Distillation()), tmp_path / "parts")
    assert seen == [1, 2]
    assert found.attrs["engine"] == "brian2"
    np.testing.assert_allclose(found.exponent, tables.exponent)
