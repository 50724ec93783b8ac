"""Traces in tools of others: axes by the CF conventions, quantities with units."""

import json

import numpy as np
import pytest

from astro_sim import SimulationError, SimulationParameters, read_traces, simulate, write_traces
from astro_sim.runs.nwb import write_nwb


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "sim.nc"
    write_traces(simulate(SimulationParameters().override({"run_duration": 100, "cycle_duration": 50})), path)
    return read_traces(path)


def test_cf_xarray_finds_the_time_axis_and_every_variable_says_what_it_is(traces):
    pytest.importorskip("cf_xarray")
    assert traces.cf.axes == {"T": ["time"]}
    assert traces.long_term_process.cf["T"].attrs["units"] == "s"
    late = traces.long_term_process.cf.sel(T=100.0)
    np.testing.assert_array_equal(late, traces.long_term_process.sel(time=100.0))
    for name, variable in traces.variables.items():
        assert variable.attrs["long_name"], name
    assert traces.attrs["Conventions"] == "CF-1.11"


def test_pint_xarray_gives_every_variable_its_unit(traces):
    pytest.importorskip("pint_xarray")
    quantified = traces.pint.quantify()
    units = {str(name): str(variable.pint.units) for name, variable in quantified.data_vars.items()}
    assert units.pop("cycle_end") == "second"
    assert set(units.values()) == {"dimensionless"}
    minutes = quantified.cycle_end.pint.to("minute")
    np.testing.assert_allclose(minutes.pint.dequantify().values, traces.cycle_end.values / 60)


def test_nwb_has_every_state_with_its_times_and_a_row_per_cycle(traces, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    write_nwb(traces, tmp_path / "sim.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "sim.nwb", "r") as stream:
        file = stream.read()
        series = file.processing["simulation"].data_interfaces
        assert set(series) == {name for name, variable in traces.data_vars.items() if "time" in variable.dims}
        np.testing.assert_array_equal(series["long_term_process"].data[:], traces.long_term_process)
        np.testing.assert_array_equal(series["long_term_process"].timestamps[:], traces.time)
        assert file.epochs.to_dataframe()["stop_time"].tolist() == traces.cycle_end.values.tolist()
        assert json.loads(file.notes) == json.loads(traces.attrs["parameters"])


def test_trials_are_refused_by_nwb(traces, tmp_path):
    with pytest.raises(SimulationError, match="select a trial first"):
        write_nwb(traces.expand_dims("trial"), tmp_path / "sim.nwb")
