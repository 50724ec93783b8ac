"""The spiking model. Its build takes half a minute, so that all tests of a run share one."""

import tempfile

import numpy as np
import pytest
import xarray as xr

from astro_sim import read_traces, write_traces
from astro_sim.biophysics import spiking
from astro_sim.biophysics.calcium import PROCESS
from astro_sim.biophysics.spiking import VARIABLES, find_rest, measure_influence, simulate_biophysical
from astro_sim.biophysics.spiking_parameters import BiophysicalParameters
from astro_sim.biophysics.system import constants_of
from astro_sim.coupling import DenseCoupling
from astro_sim.errors import SimulationError
from rmaat.cli import main
from rmaat.records import ParameterError

DEFAULT = BiophysicalParameters()


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """One cycle; the folder that Brian2 worked in is gone."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        found = simulate_biophysical(DEFAULT.override({"run_duration": 60.0}), seed=3)
    assert not list(folder.iterdir())
    return found


@pytest.mark.brian2
def test_traces_are_those_of_the_rate_model_and_a_file_keeps_them(traces: xr.Dataset, tmp_path):
    write_traces(traces, tmp_path / "traces.nc")
    xr.testing.assert_identical(read_traces(tmp_path / "traces.nc"), traces)
    assert traces["short_term_process"].attrs["units"] == "umol/L"
    assert traces.attrs["seed"] == 3


@pytest.mark.brian2
def test_neurons_fire_at_their_rates_during_the_stimulus_only(traces: xr.Dataset):
    driven, silent = (traces.sel(time=slice(*span)).mean("time") for span in ((2, 10), (20, 60)))
    np.testing.assert_allclose(driven["presynaptic_activity"], [40, 29, 18], atol=8)
    np.testing.assert_allclose(driven["postsynaptic_activity"], 41, rtol=0.2)
    assert float(silent["postsynaptic_activity"].max()) < 1


@pytest.mark.brian2
def test_calcium_rises_within_seconds_and_returns_to_rest(traces: xr.Dataset):
    # An independent prototype of the same model: 0.05 to 0.69 umol/L at 2.2 s, 0.052 at the end of the cycle.
    calcium = traces["calcium"]
    assert float(calcium.sel(time=slice(0, 10)).max()) == pytest.approx(0.69, rel=0.1)
    assert 0.5 < float(calcium.time[int(calcium.mean(("post", "pre")).values.argmax())]) < 4
    # Rare spikes in silence stir it a little.
    assert float(calcium.isel(time=-1).median()) == pytest.approx(find_rest(DEFAULT)["calcium"], abs=0.02)


@pytest.mark.brian2
def test_the_long_term_process_grows_as_in_an_independent_prototype(traces: xr.Dataset):
    ends = traces["long_term_process"].isel(time=-1)
    assert float(ends.mean()) == pytest.approx(0.0114, rel=0.15)
    assert float(traces["presynaptic_receptors"].max()) == pytest.approx(0.89, abs=0.06)


def test_rest_is_where_nothing_changes():
    rest = find_rest(DEFAULT)
    names = constants_of(DEFAULT.calcium, DEFAULT.ip3, DEFAULT.receptors) | {"transmitter": 0.0, "exchange": 0.0}
    rates = PROCESS.with_constants(names)(np.array([rest[name] for name in PROCESS.rates]))
    np.testing.assert_allclose(rates, 0, atol=1e-9)
    assert rest["calcium"] == pytest.approx(0.052, abs=0.001)


def test_a_process_that_oscillates_in_silence_is_refused():
    with pytest.raises(SimulationError, match="calcium does not rest in silence"):
        find_rest(DEFAULT.override({"plc_delta_rate": 0.3, "plc_delta_affinity": 0.1}))


def test_influence_is_how_ip3_answers_and_reaches_nobody_without_coupling():
    coupling = np.full((2, 1, 2, 1), 0.3) * (1 - np.eye(2)).reshape(2, 1, 2, 1)
    rest = find_rest(DEFAULT)
    alone = measure_influence(DEFAULT, DenseCoupling(0 * coupling), rest)[:, :, 0]
    coupled = measure_influence(DEFAULT, DenseCoupling(coupling), rest)[:, :, 0]
    assert alone[0, 1] == alone[1, 0] == 0
    assert 0 < coupled[0, 1] < coupled[0, 0] < alone[0, 0]
    # Exchange moves IP3 and makes none: what a common push does is as without it.
    np.testing.assert_allclose(coupled.sum(axis=0), np.diag(alone), rtol=1e-4)


def test_the_inlined_rates_are_the_rates():
    state = np.linspace(0.1, 0.4, 4)
    names = constants_of(DEFAULT.calcium, DEFAULT.ip3, DEFAULT.receptors) | {"transmitter": 2.0, "exchange": 0.1}
    scope = names | dict(zip(PROCESS.rates, state, strict=True))
    found = [eval(text, {"__builtins__": {}}, scope) for text in PROCESS.inlined().values()]
    np.testing.assert_allclose(found, PROCESS.with_constants(names)(state), rtol=1e-12)


def test_states_that_are_not_finite_are_refused_with_variable_and_time(monkeypatch: pytest.MonkeyPatch):
    def write_states(folder, _):
        states = {name: np.zeros((121, 9 if name.startswith(("syn", "pro")) else 3)) for name, *_ in VARIABLES.values()}
        states["process_calcium"][5, 2] = np.nan
        np.savez(folder / "states.npz", times=np.arange(121) / 2, **states)

    monkeypatch.setattr(spiking, "run_worker", write_states)
    monkeypatch.setattr(spiking, "choose_target", lambda: "numpy")
    with pytest.raises(SimulationError, match=r"calcium not finite at 2\.5 s"):
        simulate_biophysical(DEFAULT.override({"run_duration": 60.0}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"restart_fast_variables": True}, "cells cannot be restarted"),
        ({"time_step": 0.0003}, "time_step of 0.0003 s does not divide recording_interval"),
        ({"recording_interval": 3.0}, "recording_interval of 3 s does not divide stimulus_duration"),
    ],
)
def test_what_brian2_would_get_wrong_in_silence_is_refused(change: dict, told: str):
    with pytest.raises(ParameterError, match=told):
        DEFAULT.override(change)


def test_no_two_parameters_share_a_name():
    names = [path[-1] for path, _, _ in DEFAULT.parameters()]
    assert len(set(names)) == len(names)


def test_the_command_shows_the_parameters_of_either_model(capsys):
    assert main(["simulate", "--model", "biophysical", "--show"]) == 0
    assert "calcium_threshold" in capsys.readouterr().out
    assert main(["simulate", "--model", "biophysical", "--engine", "scipy", "--show"]) == 2
    assert "runs on engine brian2 only" in capsys.readouterr().err
    assert main(["simulate", "--show"]) == 0
    assert "calcium_threshold" not in capsys.readouterr().out
