"""The exponential fitted to strengths between synapses."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim import SimulationParameters, simulate
from distill import DistillError, TableError, distil
from distill.coupling import compare_kernels, fit_kernel, measure_anisotropy


def distances(heights):
    heights = np.asarray(heights, dtype=float)
    return np.abs(heights[:, None] - heights)


def fit_pairs(distance, strength):
    different = ~np.eye(len(distance), dtype=bool)
    return fit_kernel(distance[different], strength[different])


def exponential(distance, amplitude, scale):
    strength = amplitude * np.exp(-scale * distance)
    np.fill_diagonal(strength, 0)
    return strength


@settings(deadline=None, max_examples=60)
@given(
    tenths=st.lists(st.integers(0, 60), min_size=4, max_size=12, unique=True),
    amplitude=st.floats(1e-4, 10),
    scale=st.floats(0.05, 4),
)
def test_the_fit_recovers_an_exponential_between_synapses_at_random_heights(tenths, amplitude, scale):
    distance = distances(np.array(tenths) / 10)
    kernel = fit_pairs(distance, exponential(distance, amplitude, scale))
    assert kernel.scale == pytest.approx(scale, rel=1e-6)
    assert kernel.amplitude == pytest.approx(amplitude, rel=1e-6)
    assert kernel.residual < 1e-6


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_scale_follows_the_unit_of_length(unit):
    distance = distances(np.array([0, 0.7, 1.1, 3.0]))
    kernel = fit_pairs(unit * distance, exponential(distance, 0.05, 1.3))
    assert kernel.scale * unit == pytest.approx(1.3, rel=1e-5)


def test_strengths_are_averaged_at_each_distance():
    distance = distances([0, 1, 2, 3])
    strength = exponential(distance, 1.0, 0.5)
    strength[0, 1] += 0.1
    kernel = fit_pairs(distance, strength)
    assert kernel.distance.tolist() == [1, 2, 3]
    # Six ordered pairs are neighbours, one of them 0.1 stronger.
    expected = [np.exp(-0.5) + 0.1 / 6, np.exp(-1.0), np.exp(-1.5)]
    assert kernel.strength == pytest.approx(expected, rel=1e-12)


def test_the_standard_error_of_the_scale_covers_the_truth_under_noise():
    generator = np.random.default_rng(3)
    distance = distances(generator.uniform(0, 4, 12))
    within = 0
    for _ in range(40):
        noisy = exponential(distance, 1.0, 0.8) + generator.normal(0, 0.02, distance.shape)
        kernel = fit_pairs(distance, noisy)
        within += abs(kernel.scale - 0.8) < 2 * kernel.scale_error
    # About 38 of 40 are expected within two standard errors; fewer than 30 has a chance below 1e-5.
    assert within >= 30


@pytest.mark.parametrize("coupling_scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("layout", ["line", "random"])
def test_the_scale_of_the_coupling_put_in_is_recovered_from_a_simulation(coupling_scale, layout):
    # At a scale of 0.5 the coupling reaches so far that it must be weak for rest to be stable.
    parameters = {"coupling_scale": coupling_scale, "layout": layout, "coupling_strength": 0.02, "run_duration": 150}
    tables = distil(simulate(SimulationParameters().override(parameters)))
    assert float(tables.dataset["coupling_scale"]) == pytest.approx(coupling_scale, rel=1e-6)
    assert json.loads(tables.dataset.attrs["parameters"])["network"]["coupling_scale"] == coupling_scale


def test_the_influence_of_a_synapse_on_itself_is_ignored(traces, tables):
    changed = traces.copy(deep=True)
    for source, (post, pre) in enumerate(np.ndindex(3, 3)):
        changed["influence"].values[source, post, pre] = 99.0
    for name in ("influence", "influence_scale", "distance"):
        assert (distil(changed).dataset[name].values == tables.dataset[name].values).all()


def test_one_source_at_the_centre_is_enough_to_fit_the_kernels():
    parameters = {"layout": "grid", "presynaptic_neurons": 18, "postsynaptic_neurons": 17, "run_duration": 150}
    radius = {"coupling_given_by": "spectral_radius", "coupling_spectral_radius": 0.05, "recording_interval": 5.0}
    traces = simulate(SimulationParameters().override(parameters | radius))
    assert dict(traces.influence.sizes) == {"source": 1, "post": 17, "pre": 18}
    found = distil(traces).dataset
    assert float(found["coupling_scale"]) == pytest.approx(1.0, rel=1e-6)
    # With three cycles of 10 stored times each there is little to see but the coupling, and that is weak: G^2 T.
    assert 0 < 1 - float(found["influence_scale"] / found["coupling_scale"]) < 0.2


def test_the_measured_influence_is_wider_than_the_coupling_and_approaches_it_as_the_coupling_weakens():
    def relative_difference(strength):
        parameters = {"coupling_strength": strength, "run_duration": 150}
        found = distil(simulate(SimulationParameters().override(parameters))).dataset
        return 1 - float(found["influence_scale"] / found["coupling_scale"])

    # Paths over third synapses are of second order, so the difference falls in proportion to the coupling.
    strong, weak, weakest = (relative_difference(strength) for strength in (0.05, 0.005, 0.0005))
    assert 0.1 < strong < 0.5
    assert weak == pytest.approx(strong / 10, rel=0.1)
    assert weakest == pytest.approx(weak / 10, rel=0.1)


def test_the_influence_of_weak_coupling_is_the_coupling_through_both_ends_of_the_loop():
    # At rest a push d gives p = d G and coupling T adds G T p, with G = 1 / (gamma - kappa / beta) = 2; so G^2 T.
    found = distil(simulate(SimulationParameters().override({"coupling_strength": 1e-4, "run_duration": 150}))).dataset
    np.testing.assert_allclose(found["influence"], 4 * found["coupling"], rtol=0.01)


def test_a_layout_with_one_distance_leaves_out_coupling_and_influence():
    tables = distil(simulate(SimulationParameters().override({"layout": "equal", "run_duration": 150})))
    assert set(tables.left_out) == {"coupling", "influence", "influence_driven"}
    for reason in tables.left_out.values():
        assert "1 distinct distances and a decay needs at least 3; simulate another" in reason


def test_traces_without_coupling_have_tables_without_influence():
    tables = distil(simulate(SimulationParameters().override({"coupling_strength": 0, "run_duration": 150})))
    with pytest.raises(TableError, match="no synapse influences another; simulate with a coupling strength above 0"):
        _ = tables.decay_per_token


def test_coupling_that_does_not_fall_with_distance_is_refused():
    with pytest.raises(DistillError, match="no exponential fits"):
        fit_pairs(distances([0, 1, 2, 3]), np.full((4, 4), 0.05))


# Which kernel, and whether it depends on direction.


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("exponential", lambda distance: np.exp(-0.8 * distance)),
        ("gaussian", lambda distance: np.exp(-((0.8 * distance) ** 2))),
        ("power_law", lambda distance: distance**-0.8),
    ],
)
def test_the_kernel_that_made_the_strengths_has_the_least_criterion_and_its_scale(name, kernel):
    generator = np.random.default_rng(5)
    distance = generator.uniform(0.2, 4, 80)
    strength = 0.3 * kernel(distance) + generator.normal(0, 1e-3, 80)
    candidates = compare_kernels(distance, strength)
    best = min(candidates, key=lambda candidate: candidate.criterion)
    assert best.name == name
    assert best.scale == pytest.approx(0.8, rel=0.02)


def test_pairs_at_distance_0_do_not_change_the_comparison():
    distance = np.array([0.0, 0.0, 0.5, 1.0, 1.5, 2.0])
    candidates = compare_kernels(distance, np.exp(-distance))
    assert min(candidates, key=lambda candidate: candidate.criterion).name == "exponential"
    assert all(np.isfinite(candidate.criterion) for candidate in candidates)


def pairs_in_a_plane(seed, anisotropy, noise=1e-3):
    """Offsets, distances and strengths of 200 pairs whose decay, 0.8, changes with direction, fastest at 30 degrees."""
    generator = np.random.default_rng(seed)
    offset = generator.uniform(-3, 3, (200, 2))
    distance = np.linalg.norm(offset, axis=1)
    angle = np.arctan2(offset[:, 1], offset[:, 0])
    scale = 0.8 * (1 + anisotropy * np.cos(2 * (angle - np.pi / 6)))
    return offset, distance, np.exp(-scale * distance) + generator.normal(0, noise, 200)


@pytest.mark.parametrize("size", [0.05, 0.3])
def test_an_anisotropy_is_found_with_its_size_and_axis(size):
    found = measure_anisotropy(*pairs_in_a_plane(6, size))
    assert found.size == pytest.approx(size, rel=0.1)
    assert found.axis == pytest.approx(30, abs=5)
    assert found.p_value < 1e-6


def test_p_values_without_anisotropy_are_evenly_spread():
    values = [measure_anisotropy(*pairs_in_a_plane(seed, 0.0)).p_value for seed in range(40)]
    assert sum(value < 0.05 for value in values) <= 7
    assert sum(value > 0.5 for value in values) >= 8


def test_synapses_on_one_line_have_no_anisotropy(tables):
    assert int(tables.dataset["anisotropy_directions"]) == 1
    assert float(tables.dataset["anisotropy"]) == 0
    assert float(tables.dataset["anisotropy_p_value"]) == 1


def test_the_influence_on_a_layout_squeezed_along_one_axis_is_tested(tmp_path):
    generator = np.random.default_rng(7)
    points = generator.uniform(0, 1, (16, 2)) * (4, 1)
    (tmp_path / "places.csv").write_text("x,y\n" + "\n".join(f"{x},{y}" for x, y in points))
    layout = {"layout": "csv", "layout_file": str(tmp_path / "places.csv"), "run_duration": 150}
    neurons = {"presynaptic_neurons": 4, "postsynaptic_neurons": 4, "coupling_strength": 0.02}
    found = distil(simulate(SimulationParameters().override(layout | neurons))).dataset
    assert int(found["anisotropy_directions"]) > 100
    # The coupling put in is isotropic; paths over third synapses depend on where these are.
    assert 0 < float(found["anisotropy"]) < 0.3
    assert 0 <= float(found["anisotropy_p_value"]) <= 1
