"""What is read from traces, against loops over the traces' own coordinates."""

import numpy as np
import pytest
import xarray as xr

from astro_sim import open_traces, write_traces
from distill.errors import DistillError
from distill.readings import draws_random_numbers, first_stimulus, long_term_curves, pairs


@pytest.fixture(scope="module")
def trials(traces) -> xr.Dataset:
    """Two trials, whose processes and activities differ by a factor."""
    factors = xr.DataArray([1.0, 3.0], dims="trial")
    varied = ("long_term_process", "short_term_process", "presynaptic_activity")
    return traces.assign({name: factors * traces[name] for name in varied})


def test_the_curve_is_the_mean_at_the_start_and_at_each_end_of_a_cycle(traces):
    places = [0.0, *traces["cycle_end"].values]
    expected = [np.mean(traces["long_term_process"].sel(time=place).values) for place in places]
    np.testing.assert_allclose(long_term_curves(traces), [expected], rtol=1e-13)


def test_every_trial_has_a_curve(traces, trials):
    one = long_term_curves(traces)
    np.testing.assert_allclose(long_term_curves(trials), np.concatenate([one, 3 * one]), rtol=1e-13)


def test_every_pair_of_synapses_occurs_once_with_its_own_values(traces):
    expected = {}
    for source in range(traces.sizes["source"]):
        here = tuple(int(traces[name][source]) for name in ("source_post", "source_pre"))
        for post, pre in np.ndindex(traces.sizes["post"], traces.sizes["pre"]):
            if (post, pre) > here:
                place = {"source": source, "post": post, "pre": pre}
                values = [float(traces[name][place]) for name in ("synapse_distance", "coupling", "influence")]
                step = traces["synapse_position"].values[post, pre] - traces["synapse_position"].values[here]
                expected[(here, (post, pre))] = (*values, *step)
    found = pairs(traces)
    rows = np.column_stack([found.distance, found.coupling, found.influence, found.offset])
    synapses = traces.sizes["post"] * traces.sizes["pre"]
    assert len(rows) == len(expected) == synapses * (synapses - 1) // 2
    assert sorted(map(tuple, rows.round(12))) == sorted(tuple(np.round(row, 12)) for row in expected.values())


def test_synapses_that_are_too_far_apart_to_fit_are_refused(traces):
    far = traces.assign(synapse_distance=traces["synapse_distance"] * 1e300)
    with pytest.raises(DistillError, match="spacings apart, and at most 1e\\+09 are allowed; correct the layout"):
        pairs(far)


def test_a_single_source_is_paired_with_all_other_synapses(traces):
    alone = traces.isel(source=[4])
    found = pairs(alone)
    others = np.arange(9) != 4
    np.testing.assert_array_equal(found.influence, alone["influence"].values[0].ravel()[others])


@pytest.mark.parametrize("with_trials", [False, True])
def test_the_first_stimulus_is_the_driven_part_of_the_first_cycle(traces, trials, with_trials):
    own, factor = (trials, 2.0) if with_trials else (traces, 1.0)
    found, stored = first_stimulus(own), traces["time"].values
    wanted = stored[(stored <= 50) & (traces["presynaptic_drive"].values > 0).any(axis=1)]
    np.testing.assert_array_equal(found.time, wanted)
    activity = np.tanh(own["presynaptic_activity"].sel(time=wanted)).mean(
        [d for d in ("trial", "pre") if d in own.dims]
    )
    np.testing.assert_allclose(found.activity, activity, rtol=1e-13)
    response = factor * traces["short_term_process"].sel(time=wanted).mean(("post", "pre"))
    np.testing.assert_allclose(found.response, response, rtol=1e-13)


def test_traces_of_any_memory_layout_and_from_a_file_give_the_same_bits(traces, tmp_path):
    write_traces(traces, tmp_path / "traces.nc")
    turned = traces.map(lambda array: array.copy(data=np.asfortranarray(array)), keep_attrs=True)
    with open_traces(tmp_path / "traces.nc") as stored:
        for other in (turned, stored):
            np.testing.assert_array_equal(long_term_curves(other), long_term_curves(traces))
            for read in (pairs, first_stimulus):
                wanted = vars(read(traces))
                for name, values in vars(read(other)).items():
                    np.testing.assert_array_equal(values, wanted[name])


def test_only_the_spiking_model_draws_random_numbers(traces, biophysical_traces):
    assert not draws_random_numbers(traces)
    assert draws_random_numbers(biophysical_traces)


def test_the_driven_influence_of_a_pair_is_the_mean_of_both_directions(traces):
    stored = traces["influence_driven"].values.reshape(9, 9)
    assert np.abs(stored - stored.T).max() > 0.04 * stored[~np.eye(9, dtype=bool)].max()
    found = pairs(traces)
    expected = [(stored[one, other] + stored[other, one]) / 2 for one in range(9) for other in range(one)]
    np.testing.assert_allclose(np.sort(found.influence_driven), np.sort(expected), rtol=1e-13)


def test_traces_of_before_have_no_driven_influence(traces):
    assert pairs(traces.drop_vars("influence_driven")).influence_driven is None


def test_both_influences_are_stored_and_the_model_takes_that_at_rest(tables):
    found = tables.dataset
    assert float(found["influence_driven_scale"]) == pytest.approx(0.81, abs=0.005)
    assert float(found["influence_driven_amplitude"] / found["influence_amplitude"]) == pytest.approx(0.21, abs=0.005)
    assert tables.decay_per_token == float(found["influence_scale"]) == pytest.approx(0.723, abs=5e-4)
    assert "at rest" in found["influence_scale"].attrs["used"]
