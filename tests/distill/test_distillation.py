"""From traces to tables as a whole: from a file, at any length, with provenance, without the simulator."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationParameters, content_digest, load_preset, read_traces, simulate, write_traces
from distill import DistillParameters, distil, read_tables, write_tables
from rmaat.base.records import ParameterError


def refuse(*_, **__):
    raise AssertionError("nothing may be simulated")


def test_64_segments_from_stored_traces_need_no_simulation(traces, tables, tmp_path, monkeypatch):
    write_traces(traces, tmp_path / "traces.nc")
    monkeypatch.setattr("scipy.integrate.solve_ivp", refuse)
    monkeypatch.setattr("astro_sim.simulate", refuse)
    for module, name in (
        ("astro_sim.runs.simulate", "simulate"),
        ("astro_sim.runs.simulate", "integrate"),
        ("astro_sim.runs.simulate", "measure_influence"),
        ("astro_sim.engines", "integrate"),
        ("astro_sim.engines.scipy_engine", "integrate"),
        ("astro_sim.engines.brian2.engine", "integrate"),
    ):
        monkeypatch.setattr(sys.modules[module], name, refuse)
    from_file = distil(read_traces(tmp_path / "traces.nc"))
    assert from_file.longest == 64
    for variable in tables.dataset.variables:
        assert (from_file.dataset[variable].values == tables.dataset[variable].values).all()
    assert {name: str(value) for name, value in from_file.dataset.attrs.items()} == {
        name: str(value) for name, value in tables.dataset.attrs.items()
    }


def test_provenance_holds_parameters_engine_versions_and_the_digest_of_the_traces(traces):
    parameters = DistillParameters(segments=7, token_spacing=0.5)
    found = distil(traces, parameters).dataset.attrs
    assert SimulationParameters.from_dict(json.loads(found["parameters"])) == SimulationParameters()
    assert DistillParameters.from_dict(json.loads(found["distill_parameters"])) == parameters
    assert found["engine"] == "scipy"
    assert {"numpy", "scipy", "rmaat-toolkit"} <= set(json.loads(found["versions"]))
    assert found["traces_sha256"] == content_digest(traces)
    assert len(found["traces_sha256"]) == 64


def test_other_traces_have_another_digest(traces, tables):
    changed = traces.copy(deep=True)
    changed["influence"].values[0, 1, 1] *= 1 + 1e-9
    assert distil(changed).dataset.attrs["traces_sha256"] != tables.dataset.attrs["traces_sha256"]


def test_the_largest_seed_is_kept_in_the_file(tmp_path):
    parameters = SimulationParameters().override({"layout": "random", "seed": 2**32 - 1, "run_duration": 150})
    write_tables(distil(simulate(parameters)), tmp_path / "tables.nc")
    assert int(read_tables(tmp_path / "tables.nc").dataset.attrs["seed"]) == 2**32 - 1


def test_4096_segments_need_no_table_of_all_pairs(traces):
    tracemalloc.start()
    longest = distil(traces, DistillParameters(segments=4096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4096**2
    for variant in ("increment", "streaming"):
        row = longest.retention(4096, variant)
        assert row.shape == (4096,)
        assert (row >= 0).all()
    assert longest.retention(4096).sum() == pytest.approx(1)
    # exp(-0.5 * 99) / (1 / (1 - exp(-0.5))): far from the simulated cycles, not yet too small for a float.
    assert longest.retention(4096)[99] == pytest.approx(1.24965e-22, rel=1e-3)


@pytest.mark.parametrize("segments", [0, 4097, -5])
def test_segments_out_of_bounds_are_refused(segments):
    with pytest.raises(ParameterError, match=f"segments is {segments} segments; it must lie between 1 and 4096"):
        DistillParameters(segments=segments)


def test_the_factor_of_one_segment_is_1(traces):
    assert distil(traces, DistillParameters(segments=1)).retention(1).tolist() == [1.0]


def test_reading_tables_loads_neither_the_simulator_nor_torch(tables, tmp_path):
    write_tables(tables, tmp_path / "tables.nc")
    program = f"""
import sys, pathlib
import distill
distill.default_tables().retention(8)
distill.read_tables(pathlib.Path({str(tmp_path / "tables.nc")!r}))
print(sorted({{"astro_sim", "torch", "brian2", "scipy.optimize"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MODELS = {
    "paper_default": SimulationParameters(),
    "biological, 6 cycles": load_preset("biological").override({"run_duration": 360}),
    "soft bound": SimulationParameters().override({"long_term_growth": "soft_bound", "run_duration": 200}),
    "feedback": SimulationParameters().override({"long_term_feedback": 0.1, "run_duration": 200}),
    "no restarts": SimulationParameters().override({"restart_fast_variables": False, "run_duration": 200}),
    "drive that varies": SimulationParameters().override({"drive_variation": 0.02, "run_duration": 300}),
    "grid": SimulationParameters().override({"layout": "grid", "run_duration": 200}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("model", MODELS)
def test_stored_traces_of_every_rate_model_give_the_same_bytes_again(model, tmp_path):
    traces = simulate(MODELS[model])
    write_traces(traces, tmp_path / "traces.nc")
    contents = []
    for source in (traces, read_traces(tmp_path / "traces.nc"), read_traces(tmp_path / "traces.nc")):
        write_tables(distil(source), tmp_path / "tables.nc")
        contents.append((tmp_path / "tables.nc").read_bytes())
    assert contents[0] == contents[1] == contents[2]


def test_stored_traces_of_the_biophysical_model_give_the_same_bytes_again(biophysical_traces, biophysical, tmp_path):
    write_tables(biophysical, tmp_path / "first.nc")
    write_tables(distil(biophysical_traces.copy(deep=True)), tmp_path / "second.nc")
    assert (tmp_path / "first.nc").read_bytes() == (tmp_path / "second.nc").read_bytes()


def test_tables_of_several_trials_are_those_of_their_mean(biophysical_traces):
    generator = np.random.default_rng(0)
    trials = [biophysical_traces.copy(deep=True) for _ in range(4)]
    for trial in trials:
        noise = generator.normal(0, 2e-4, trial.sizes["time"]).cumsum()
        trial["long_term_process"].values += (noise - noise[0])[:, None, None]
    together = biophysical_traces.drop_vars("long_term_process").assign(
        long_term_process=xr.concat([trial["long_term_process"] for trial in trials], "trial")
    )
    found = distil(together, DistillParameters(segments=8, bootstrap_resamples=30)).dataset
    assert int(found["trials"]) == 4
    assert found["increment_error"].attrs["method"] == "bootstrap over trials"
    curves = [distil(trial, DistillParameters(segments=8)).dataset["long_term_curve"].values for trial in trials]
    np.testing.assert_allclose(found["long_term_curve"], np.mean(curves, axis=0), rtol=1e-12)
    low, high = found["increment_rate_interval"].values
    assert low < float(found["increment_rate"]) < high
