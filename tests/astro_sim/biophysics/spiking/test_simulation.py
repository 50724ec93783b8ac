"""The spiking model. Its build takes half a minute, so that all tests share one build."""

import os
import runpy
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from astro_sim import read_traces, write_traces
from astro_sim.biophysics.calcium import PROCESS
from astro_sim.biophysics.spiking import simulation as spiking
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters, GraupnerBrunelPlasticity
from astro_sim.biophysics.spiking.simulation import (
    VARIABLES,
    find_rest,
    measure_influence,
    simulate_biophysical,
    simulate_trials,
)
from astro_sim.biophysics.system import constants_of
from astro_sim.engines.brian2 import process as brian2_process
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import DenseCoupling
from rmaat.base.records import ParameterError
from rmaat.cli import main

pytestmark = pytest.mark.xdist_group("builds of the spiking model")
DEFAULT = BiophysicalParameters()
ONE_CYCLE = DEFAULT.override({"run_duration": 60.0})
BRIEF = DEFAULT.override({"run_duration": 2.0, "cycle_duration": 2.0, "stimulus_duration": 1.0})


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """Traces of one cycle. Also checks that Brian2's folder is removed and that progress goes from 0 to 1."""
    folder, reported = tmp_path_factory.mktemp("own"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        found = simulate_biophysical(ONE_CYCLE, seed=3, progress=reported.append)
    assert not list(folder.iterdir())
    assert reported == sorted(reported)
    assert reported[0] == 0
    assert reported[-1] == 1
    return found


@pytest.mark.slow
@pytest.mark.brian2
def test_traces_have_the_variables_of_the_rate_model_and_survive_a_file(traces: xr.Dataset, tmp_path):
    write_traces(traces, tmp_path / "traces.nc")
    xr.testing.assert_identical(read_traces(tmp_path / "traces.nc"), traces)
    assert traces["short_term_process"].attrs["units"] == "umol/L"
    assert traces.attrs["seed"] == 3


@pytest.mark.slow
@pytest.mark.brian2
def test_neurons_fire_at_their_rates_only_during_the_stimulus(traces: xr.Dataset):
    driven, silent = (traces.sel(time=slice(*span)).mean("time") for span in ((2, 10), (20, 60)))
    np.testing.assert_allclose(driven["presynaptic_activity"], [40, 29, 18], atol=8)
    np.testing.assert_allclose(driven["postsynaptic_activity"], 41, rtol=0.2)
    assert float(silent["postsynaptic_activity"].max()) < 1


@pytest.mark.slow
@pytest.mark.brian2
def test_calcium_rises_within_seconds_and_returns_to_rest(traces: xr.Dataset):
    # An independent prototype of the model rises from 0.05 to 0.69 umol/L at 2.2 s, and ends the cycle at 0.052.
    calcium = traces["calcium"]
    assert float(calcium.sel(time=slice(0, 10)).max()) == pytest.approx(0.69, rel=0.1)
    assert 0.5 < float(calcium.time[int(calcium.mean(("post", "pre")).values.argmax())]) < 4
    # Rare spikes in silence keep it slightly above rest.
    assert float(calcium.isel(time=-1).median()) == pytest.approx(find_rest(DEFAULT)["calcium"], abs=0.02)


@pytest.mark.slow
@pytest.mark.brian2
def test_the_long_term_process_grows_as_in_an_independent_prototype(traces: xr.Dataset):
    ends = traces["long_term_process"].isel(time=-1)
    assert float(ends.mean()) == pytest.approx(0.0114, rel=0.15)
    assert float(traces["presynaptic_receptors"].max()) == pytest.approx(0.89, abs=0.06)


@pytest.mark.slow
@pytest.mark.brian2
def test_trials_equal_single_runs_with_their_seeds_and_share_one_build(
    traces: xr.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    monkeypatch.setattr(brian2_process, "_run_worker", refuse)
    reported = []
    trials = simulate_trials(ONE_CYCLE, [8, 3], reported.append)
    assert reported == sorted(reported)
    assert trials["noise_seed"].values.tolist() == [8, 3]
    assert trials["long_term_process"].dims == ("trial", "time", "post", "pre")
    for name in (*VARIABLES, "presynaptic_drive", "influence"):
        second = trials[name].isel(trial=1, drop=True) if name in VARIABLES else trials[name]
        xr.testing.assert_identical(second.drop_vars("noise_seed", errors="ignore"), traces[name])
    first = trials["long_term_process"].isel(trial=0)
    assert abs(first - traces["long_term_process"]).max() > 1e-4
    write_traces(trials, tmp_path / "trials.nc")
    xr.testing.assert_identical(read_traces(tmp_path / "trials.nc"), trials)


@pytest.mark.slow
@pytest.mark.brian2
def test_other_parameter_values_need_no_other_build(traces: xr.Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(brian2_process, "_run_worker", refuse)
    slower = ONE_CYCLE.override({"long_term_time_constant": 1200.0, "coupling_strength": 0.5})
    found = simulate_biophysical(slower, seed=3)
    ratio = found["long_term_process"].values[-1].mean() / traces["long_term_process"].values[-1].mean()
    assert ratio == pytest.approx(0.5, rel=0.2)


@pytest.mark.slow
@pytest.mark.brian2
def test_numpy_and_the_compiled_network_give_the_same_traces(traces: xr.Dataset):
    # Until the short stimulus ends, the short run equals the long one, which needs no other build.
    found = simulate_biophysical(BRIEF.override({"brian2_target": "numpy"}), seed=3)
    stimulus = slice(0, BRIEF.protocol.stimulus_duration)
    found, compiled = found.sel(time=stimulus), traces.sel(time=stimulus)
    assert found.sizes["time"] > 2
    for name in VARIABLES:
        np.testing.assert_allclose(found[name], compiled[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert compiled["postsynaptic_activity"].max() > 0


@pytest.mark.brian2
@pytest.mark.filterwarnings("ignore")  # warnings of Brian2, which only this test imports
def test_random_numbers_follow_splitmix64_and_are_independent_between_neurons():
    script = runpy.run_path(str(spiking.SCRIPT))
    steps = np.arange(20_000)
    drawn = np.stack([script["uniform"](1, stream, neuron, steps) for stream in (0, 1) for neuron in (0, 1)])
    # The first numbers after state 1234567, from https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64.
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * script["GOLDEN"]
        known = [6457827717110365317, 3203168211198807973, 9817491932198370423]
        assert script["scrambled"](states).tolist() == known
    np.testing.assert_allclose(drawn.mean(axis=1), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(drawn), np.eye(4), atol=0.03)
    assert (script["uniform"](2, 0, 0, steps) != drawn[0]).all()


def test_an_interrupt_stops_the_compiled_network(monkeypatch: pytest.MonkeyPatch, tmp_path):
    program, pid = tmp_path / "main", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\necho 30.0\nexec sleep 60\n")
    program.chmod(0o755)
    (tmp_path / "layout.json").write_text('{"settable": {}}')
    monkeypatch.setattr(spiking, "check_installed", lambda: None)
    monkeypatch.setattr(spiking, "choose_target", lambda _: "cpp_standalone")
    monkeypatch.setattr(brian2_process, "_built", lambda *_: tmp_path)

    def interrupt_halfway(fraction: float) -> None:
        if fraction == 0.5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        simulate_biophysical(ONE_CYCLE, progress=interrupt_halfway)
    # The parent has waited for it, so that no zombie is left.
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.mark.slow
@pytest.mark.brian2
def test_the_long_term_process_follows_the_closed_form_of_efficacy_for_the_simulated_spikes(follow_efficacy):
    step = 0.001
    parameters = BRIEF.changed({"plasticity": {"kind": "graupner_brunel", "long_term_time_constant": 1.0}})
    quick = {"run_duration": 1.0, "cycle_duration": 1.0, "stimulus_duration": 0.5, "time_step": step}
    found = simulate_biophysical(parameters.override(quick | {"recording_interval": step, "brian2_target": "numpy"}))
    spikes = {}
    for place in ("presynaptic", "postsynaptic"):
        # A spike adds 2 to the activity, which decays by 0.2 % per step. The trace shows it one step later.
        spikes[place] = np.diff(found[f"{place}_activity"].values, axis=0) > 1
        assert spikes[place].sum() > 20
    delay = round(GraupnerBrunelPlasticity().spine.presynaptic_delay / step)
    receptors = found["presynaptic_receptors"].values
    late = np.zeros(receptors.shape)
    late[delay:] = np.concatenate([np.zeros((1, 3)), spikes["presynaptic"]])[: len(late) - delay, None]
    jumps = late * (1 + 0.5 * receptors)
    jumps[1:] += 0.275865 * spikes["postsynaptic"][:, :, None]
    efficacy = follow_efficacy(GraupnerBrunelPlasticity().spine, np.full(jumps.shape, step), jumps, 0.0)
    expected = np.zeros(receptors.shape[1:])
    for place in range(len(efficacy) - 1):
        expected = efficacy[place] + (expected - efficacy[place]) * np.exp(-step)
    assert efficacy[-1].max() > 0.1
    np.testing.assert_allclose(found["long_term_process"].values[-1], expected, rtol=0.03, atol=1e-4)


def test_another_kind_of_plasticity_keeps_common_values_and_survives_a_file(tmp_path):
    slow = DEFAULT.override({"long_term_time_constant": 900.0})
    found = slow.changed({"plasticity": {"kind": "graupner_brunel", "spine": {"potentiation_rate": 100.0}}})
    assert isinstance(found.plasticity, GraupnerBrunelPlasticity)
    assert found.plasticity.long_term_time_constant == 900
    assert found.plasticity.spine.potentiation_rate == 100
    assert found.plasticity.delays == {"calcium": 0.0188008}
    found.save(tmp_path / "parameters.yaml")
    assert BiophysicalParameters.load(tmp_path / "parameters.yaml") == found


def refuse(*_) -> None:
    raise AssertionError("the network was built again")


def test_nothing_changes_at_rest():
    rest = find_rest(DEFAULT)
    names = constants_of(DEFAULT.calcium, DEFAULT.ip3, DEFAULT.receptors) | {"transmitter": 0.0, "exchange": 0.0}
    rates = PROCESS.with_constants(names)(np.array([rest[name] for name in PROCESS.rates]))
    np.testing.assert_allclose(rates, 0, atol=1e-9)
    assert rest["calcium"] == pytest.approx(0.052, abs=0.001)


def test_a_process_that_oscillates_in_silence_is_refused():
    with pytest.raises(SimulationError, match="calcium does not come to rest in silence"):
        find_rest(DEFAULT.override({"plc_delta_rate": 0.3, "plc_delta_affinity": 0.1}))


def test_influence_measures_the_response_of_ip3_and_is_local_without_coupling():
    coupling = np.full((2, 1, 2, 1), 0.3) * (1 - np.eye(2)).reshape(2, 1, 2, 1)
    rest = find_rest(DEFAULT)
    alone = measure_influence(DEFAULT, DenseCoupling(0 * coupling), rest)[:, :, 0]
    coupled = measure_influence(DEFAULT, DenseCoupling(coupling), rest)[:, :, 0]
    assert alone[0, 1] == alone[1, 0] == 0
    assert 0 < coupled[0, 1] < coupled[0, 0] < alone[0, 0]
    # Exchange moves IP3 without producing any, so that the effect of a common push does not depend on it.
    np.testing.assert_allclose(coupled.sum(axis=0), np.diag(alone), rtol=1e-4)


def test_inlined_rates_equal_the_rates():
    state = np.linspace(0.1, 0.4, 4)
    names = constants_of(DEFAULT.calcium, DEFAULT.ip3, DEFAULT.receptors) | {"transmitter": 2.0, "exchange": 0.1}
    scope = names | dict(zip(PROCESS.rates, state, strict=True))
    found = [eval(text, {"__builtins__": {}}, scope) for text in PROCESS.inlined().values()]
    np.testing.assert_allclose(found, PROCESS.with_constants(names)(state), rtol=1e-12)


def test_the_error_for_a_state_that_is_not_finite_names_variable_and_time(monkeypatch: pytest.MonkeyPatch):
    def run_network(*_):
        states = {name: np.zeros((121, 9 if name.startswith(("syn", "pro")) else 3)) for name, *_ in VARIABLES.values()}
        states["process.calcium"][5, 2] = np.nan
        return np.arange(121) / 2, states

    monkeypatch.setattr(spiking, "run_network", run_network)
    with pytest.raises(SimulationError, match=r"calcium not finite at 2\.5 s"):
        simulate_biophysical(ONE_CYCLE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"restart_fast_variables": True}, "cells cannot be restarted"),
        ({"time_step": 0.0003}, "time_step of 0.0003 s does not divide recording_interval"),
        ({"recording_interval": 3.0}, "recording_interval of 3 s does not divide stimulus_duration"),
    ],
)
def test_settings_that_brian2_would_silently_get_wrong_are_refused(change: dict, message: str):
    with pytest.raises(ParameterError, match=message):
        DEFAULT.override(change)


def test_no_two_parameters_share_a_name():
    names = [path[-1] for path, _, _ in DEFAULT.parameters()]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.brian2
def test_the_command_writes_trials(traces: xr.Dataset, tmp_path, capsys):
    out = tmp_path / "trials.nc"
    arguments = ["simulate", "--model", "biophysical", "--cycles", "1", "--set", "noise_seed=2", "--out", str(out)]
    assert main([*arguments, "--trials", "2"]) == 0
    assert "1 cycle in each of 2 trials by brian2" in capsys.readouterr().out
    trials = read_traces(out)
    assert trials["noise_seed"].values.tolist() == [2, 3]
    np.testing.assert_array_equal(trials["long_term_process"][1], traces["long_term_process"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "2"], "the rate model has no noise, so all trials would be equal; leave --trials out"),
        (["--model", "biophysical", "--trials", "0"], "--trials is 0; it must be 1 or more"),
    ],
)
def test_an_invalid_use_of_trials_is_refused(arguments: list[str], message: str, capsys):
    assert main(["simulate", *arguments, "--show"]) == 2
    assert message in capsys.readouterr().err


def test_trials_without_seeds_are_refused():
    with pytest.raises(ParameterError, match="no seeds are given; give at least one"):
        simulate_trials(DEFAULT, [])


def test_the_command_shows_the_parameters_of_either_model(capsys):
    assert main(["simulate", "--model", "biophysical", "--show"]) == 0
    assert "calcium_threshold" in capsys.readouterr().out
    assert main(["simulate", "--model", "biophysical", "--engine", "scipy", "--show"]) == 2
    assert "runs on engine brian2 only" in capsys.readouterr().err
    assert main(["simulate", "--show"]) == 0
    assert "calcium_threshold" not in capsys.readouterr().out
