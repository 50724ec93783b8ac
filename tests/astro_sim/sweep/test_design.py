import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim import SimulationParameters
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
from astro_sim.durations import divides
from astro_sim.sweep import GridDesign, Listed, RandomDesign, Span, parse_axes
from rmaat.base.errors import UsageError

BASE = SimulationParameters()


def grid(*texts, base=BASE):
    return GridDesign(parse_axes(texts)).rows(base)


def test_a_grid_has_all_combinations_and_the_last_parameter_varies_fastest():
    rows = grid("coupling_strength=0.01:0.03:3", "layout=line,random")
    strengths = [0.01, 0.01, 0.02, 0.02, 0.03, 0.03]
    assert [row["coupling_strength"] for row in rows] == strengths
    assert [row["layout"] for row in rows] == ["line", "random"] * 3


def test_a_logarithmic_range_has_equal_ratios_and_both_ends():
    assert [row["long_term_time_constant"] for row in grid("long_term_time_constant=10:1000:5:log")] == pytest.approx(
        [10, 31.6228, 100, 316.228, 1000], rel=1e-12
    )


def test_the_number_of_cycles_stays_the_same_when_their_length_varies():
    assert grid("cycle_duration=40,62.5") == [
        {"cycle_duration": 40.0, "run_duration": 240.0},
        {"cycle_duration": 62.5, "run_duration": 375.0},
    ]


@given(st.floats(25.5, 90), st.integers(0, 1000))
def test_durations_of_a_random_design_are_multiples_of_the_recording_interval(low, seed):
    for row in RandomDesign({"cycle_duration": Span(low, low + 10)}, 4, seed=seed).rows(BASE):
        assert divides(0.5, row["cycle_duration"])
        assert BASE.override(row).protocol.cycles == 6


@pytest.mark.parametrize("method", ["latin_hypercube", "sobol"])
def test_a_random_design_fills_every_parameter_evenly_and_its_seed_reproduces_it(method):
    axes = parse_axes(["coupling_strength=0.01:0.09", "seed=0:100", "layout=line,grid"])
    rows = RandomDesign(axes, 64, method, seed=3).rows(BASE)
    assert rows == RandomDesign(axes, 64, method, seed=3).rows(BASE)
    assert rows != RandomDesign(axes, 64, method, seed=4).rows(BASE)
    in_eighths = np.floor((np.array([row["coupling_strength"] for row in rows]) - 0.01) / 0.01)
    np.testing.assert_array_equal(np.bincount(in_eighths.astype(int)), [8] * 8)
    assert all(isinstance(row["seed"], int) for row in rows)
    assert sum(row["layout"] == "line" for row in rows) == 32


def test_parameters_of_the_biophysical_model_can_vary():
    rows = grid("plc_beta_rate=0.2,0.4", "noise_seed=0:3:4", base=BiophysicalParameters())
    assert [BiophysicalParameters().override(row).solver.noise_seed for row in rows] == [0, 1, 2, 3] * 2


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "nothing varies"),
        (["coupling_strenth=0.1,0.2"], "perhaps you meant coupling_strength"),
        (["coupling_strength"], "has no values"),
        (["coupling_strength=0.1", "coupling_strength=0.2"], "given twice"),
        (["coupling_strength=0.1:0.2"], "low:high:count"),
        (["coupling_strength=0.1:0.2:1"], "at least 2 values"),
        (["coupling_strength=0.1:0.2:x"], "is not a range"),
        (["coupling_strength=0.1:0.2:3:4"], "is not a range"),
        (["coupling_strength=0.2:0.1:3"], "smaller number first"),
        (["coupling_strength=0:0.1:3:log"], "no logarithm"),
        (["coupling_strength=0:11:3"], "between 0 and 10"),
        (["coupling_strength=strong"], "between 0 and 10"),
        (["layout=round"], "one of line"),
        (["restart_fast_variables=0,1"], "cannot be varied"),
        (["presynaptic_pattern=0,1"], "cannot be varied"),
        (["coupling_strength=0:1:2000", "coupling_scale=0:1:2000"], "more than 1000000"),
    ],
)
def test_an_invalid_grid_is_refused_with_the_reason(texts, words):
    with pytest.raises(UsageError, match=words):
        grid(*texts)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0,), "has 1 to"),
        ((3, "sobol"), "power of 2"),
        ((3, "dice"), "known are latin_hypercube, sobol"),
    ],
)
def test_an_invalid_random_design_is_refused_with_the_reason(arguments, words):
    with pytest.raises(UsageError, match=words):
        RandomDesign({"coupling_strength": Span(0.0, 0.1)}, *arguments)


def test_a_random_design_refuses_a_number_of_values():
    with pytest.raises(UsageError, match="low:high"):
        RandomDesign({"coupling_strength": Span(0.0, 0.1, count=3)}, 4)
    assert Listed((1, 2)).at(0.999) == 2
