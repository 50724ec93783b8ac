"""The parameter sets of the package against the numbers published for them."""

import numpy as np
import pytest
import xarray as xr

from astro_sim import PRESETS, SimulationParameters, load_preset, simulate
from astro_sim.network.coupling import build_coupling
from astro_sim.network.geometry import build_geometry
from rmaat.base.records import ParameterError, Source

DEFAULT, BIOLOGICAL = (load_preset(name) for name in ("paper_default", "biological"))


@pytest.fixture(scope="module")
def traces() -> xr.Dataset:
    """All 32 cycles of the biological set, solved to four digits."""
    return simulate(BIOLOGICAL.override({"relative_tolerance": 1e-6, "absolute_tolerance": 1e-9}))


@pytest.fixture(scope="module")
def first_cycle(traces: xr.Dataset) -> xr.DataArray:
    """The short-term process of the first synapse in the first cycle."""
    return traces.short_term_process.sel(time=slice(0, 60))[:, 0, 0]


def mean_long_term_process(traces: xr.Dataset) -> np.ndarray:
    return traces.long_term_process.sel(time=traces.cycle_end.values).mean(("post", "pre")).values


def test_the_preset_of_the_paper_equals_the_default_and_lists_every_value():
    assert SimulationParameters() == DEFAULT
    text = PRESETS["paper_default"].read_text()
    assert all(f"\n  {path[-1]}: " in text for path, _, _ in DEFAULT.parameters())


@pytest.mark.slow
def test_the_short_term_process_rises_in_7_s_peaks_at_10_s_and_falls_in_6_s(first_cycle: xr.DataArray):
    values, times = first_cycle.values, first_cycle.time.values
    peak = values.argmax()
    rise = np.interp([0.1 * values[peak], 0.9 * values[peak]], values[: peak + 1], times[: peak + 1])
    fallen = times[peak:][values[peak:] < values[peak] / np.e][0]
    assert rise[1] - rise[0] == pytest.approx(6.9, abs=0.05)
    assert values[peak] == pytest.approx(0.79, abs=0.005)
    assert times[peak] == pytest.approx(10.1, abs=0.05)
    assert fallen - times[peak] == pytest.approx(6.4, abs=0.05)


def test_the_short_term_process_has_returned_to_rest_when_a_cycle_ends(first_cycle: xr.DataArray):
    # Published: 0.09 %, without naming synapse or cycle. Here it is 0.084 %.
    assert first_cycle.values[-1] / first_cycle.values.max() == pytest.approx(0.0009, abs=1e-4)


@pytest.mark.slow
def test_facilitation_peaks_at_1_11(traces: xr.Dataset):
    assert traces.synaptic_facilitation.values.max() == pytest.approx(1.11, abs=0.005)


def test_the_long_term_process_grows_as_published(traces: xr.Dataset):
    found = mean_long_term_process(traces)
    published = {1: 0.0120, 2: 0.0229, 4: 0.0417, 8: 0.0697, 16: 0.1010, 32: 0.1214}
    assert found[[cycle - 1 for cycle in published]] == pytest.approx(list(published.values()), abs=5e-5)
    final = traces.long_term_process.values[-1]
    assert [final.min(), final.max()] == pytest.approx([0.069, 0.149], abs=5e-4)


def test_increments_decrease_and_give_the_published_retention(traces: xr.Dataset):
    increments = np.diff(mean_long_term_process(traces), prepend=0)
    assert (np.diff(increments) < 0).all()
    assert increments[1] / increments[0] == pytest.approx(0.9050, abs=5e-5)
    assert increments[:4] / increments[:4].sum() == pytest.approx([0.2886, 0.2612, 0.2363, 0.2138], abs=6e-5)
    longest = (increments / increments.sum())[[0, 1, 15, 31]]
    assert longest == pytest.approx([0.0992, 0.0898, 0.0221, 0.0045], abs=5e-5)


def test_retention_without_restarts_is_geometric_to_5_parts_in_100_000(traces: xr.Dataset):
    increments = np.diff(mean_long_term_process(traces), prepend=0)
    ratio = np.exp(-60 / 600)
    errors = []
    for segments in (2, 4, 8, 16, 32):
        law = ratio ** np.arange(segments)
        errors.append(np.abs(increments[:segments] / increments[:segments].sum() - law / law.sum()).max())
    # Published: 1.6e-5 to 4.4e-5.
    assert [min(errors), max(errors)] == pytest.approx([1.6e-5, 4.4e-5], abs=1e-6)


def test_the_coupling_of_the_biological_set_has_the_spectral_radius_of_its_source():
    network = BIOLOGICAL.network
    coupling = build_coupling(build_geometry(network), network)
    assert coupling.spectral_radius() == pytest.approx(0.4, rel=1e-12)
    strengths = coupling.between((0, 0))
    assert strengths[1, 1] / strengths[0, 1] == pytest.approx(np.exp((1 - 2**0.5) / 1.5))


def test_every_value_that_the_biological_set_changes_has_a_reference():
    details = {path[-1]: (value, quantity) for path, value, quantity in BIOLOGICAL.parameters()}
    defaults = {path[-1]: value for path, value, _ in DEFAULT.parameters()}
    for name, (value, quantity) in details.items():
        if value != defaults[name]:
            assert BIOLOGICAL.references[name] == quantity.said_by, name
    assert "PMC3528083" in details["short_term_time_constant"][1].said_by
    assert "the RMAAT paper" not in details["cycle_duration"][1].said_by


def test_a_value_changed_by_the_user_loses_its_source_and_its_reference():
    changed = BIOLOGICAL.override({"short_term_time_constant": 5.0})
    said_by = {path[-1]: quantity.said_by for path, _, quantity in changed.parameters()}
    assert said_by["short_term_time_constant"] == "given here, in place of the default"
    assert said_by["long_term_time_constant"] == BIOLOGICAL.references["long_term_time_constant"]
    assert said_by["presynaptic_neurons"] == Source.READER.value
    own = BIOLOGICAL.changed(
        {"model": {"short_term_time_constant": 5.0}, "references": {"short_term_time_constant": "I"}}
    )
    assert {path[-1]: quantity.said_by for path, _, quantity in own.parameters()}["short_term_time_constant"] == "I"


def test_a_file_changes_the_values_of_a_preset(tmp_path):
    path = tmp_path / "theta.yaml"
    path.write_text("model:\n  hill_exponent: 3\nprotocol:\n  kind: theta_bursts\n  trains_per_cycle: 3\n")
    found = SimulationParameters.load(path, BIOLOGICAL)
    assert found.protocol.kind == "theta_bursts"
    assert found.protocol.cycle_duration == 60
    assert found.model.hill_exponent == 3
    assert found.model.long_term_time_constant == 600
    assert "stimulus_duration" not in found.references
    found.save(tmp_path / "saved.yaml")
    assert SimulationParameters.load(tmp_path / "saved.yaml") == found


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: load_preset("biologic"), "unknown preset 'biologic'; perhaps you meant biological"),
        (lambda: DEFAULT.changed({"references": {"tau": "I"}}), "unknown parameter with a reference, 'tau'"),
        (lambda: DEFAULT.changed({"references": {"seed": 3}}), "references is .* must give a text for each name"),
        (lambda: DEFAULT.changed(["seed"]), "SimulationParameters needs names with values, found"),
    ],
)
def test_unknown_presets_and_parameters_are_refused(attempt, sentence: str):
    with pytest.raises(ParameterError, match=sentence):
        attempt()
