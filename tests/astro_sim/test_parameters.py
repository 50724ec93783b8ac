import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim import SimulationParameters
from rmaat.base.records import ParameterError, Source

DEFAULT = SimulationParameters()


def test_every_parameter_has_a_unique_name_for_overrides():
    names = [path[-1] for path, _, _ in DEFAULT.parameters()]
    assert len(names) == len(set(names))


def test_only_values_that_the_paper_states_have_the_paper_as_source():
    paper = {path[-1] for path, _, quantity in DEFAULT.parameters() if quantity.source is Source.PAPER}
    assert paper == {"run_duration", "cycle_duration"}


@given(
    time_constant=st.floats(0.01, 20),
    cycles=st.integers(1, 9),
    layout=st.sampled_from(["line", "random", "equal"]),
    restart=st.booleans(),
)
def test_parameters_survive_a_yaml_file_with_units(
    tmp_path_factory: pytest.TempPathFactory, time_constant: float, cycles: int, layout: str, restart: bool
):
    path = tmp_path_factory.mktemp("yaml") / "parameters.yaml"
    parameters = DEFAULT.override(
        {
            "neuron_time_constant": time_constant,
            "run_duration": 50.0 * cycles,
            "layout": layout,
            "restart_fast_variables": restart,
        }
    )
    parameters.save(path)
    assert SimulationParameters.load(path) == parameters
    assert f"neuron_time_constant: {time_constant!r} s" in path.read_text()


@pytest.mark.parametrize("written", ["500 ms", "500.0 ms"])
def test_a_time_in_milliseconds_is_refused(tmp_path: Path, written: str):
    path = tmp_path / "parameters.yaml"
    path.write_text(f"model:\n  neuron_time_constant: {written}\n")
    with pytest.raises(ParameterError, match=r"neuron_time_constant is given as '500.* ms'; it is in s"):
        SimulationParameters.load(path)


def test_a_time_in_milliseconds_without_its_unit_is_out_of_bounds():
    for path, value, quantity in DEFAULT.parameters():
        if quantity.unit == "s" and path[-1] != "time_step" and value > 0:
            with pytest.raises(ParameterError, match=f"{path[-1]} is .* s; it must lie between"):
                DEFAULT.override({path[-1]: value * 1000})


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_time_constant_that_is_not_positive_and_finite_is_refused(value: float):
    with pytest.raises(ParameterError, match=r"neuron_time_constant"):
        dataclasses.replace(DEFAULT.model, neuron_time_constant=value)


def test_the_error_for_an_unknown_name_lists_similar_names():
    with pytest.raises(ParameterError, match=r"perhaps you meant .*cycle_duration"):
        DEFAULT.override({"cycle_duraton": 50.0})


@pytest.mark.parametrize(
    ("assignments", "sentence"),
    [
        ({"run_duration": 40.0}, r"a cycle of 50 s is longer than the run of 40 s; shorten cycle_duration"),
        ({"stimulus_duration": 60.0}, r"a stimulus of 60 s is longer than the cycle of 50 s"),
        ({"run_duration": 120.0}, r"a run of 120 s is not a whole number of cycles of 50 s"),
        ({"recording_interval": 0.3}, r"recording_interval of 0.3 s does not divide stimulus_duration of 25 s"),
        ({"recording_interval": 0.4, "stimulus_duration": 20.0, "run_duration": 50.1, "cycle_duration": 50.1}, "cycle"),
        (
            {"coupling_spectral_radius": 0.4},
            "coupling_spectral_radius is set to 0.4, but the coupling is given by coupling_strength; "
            "set coupling_given_by to spectral_radius, or leave coupling_spectral_radius out",
        ),
        (
            {"coupling_strength": 0.1, "coupling_given_by": "spectral_radius"},
            "coupling_strength is set to 0.1, but the coupling is given by coupling_spectral_radius",
        ),
        ({"layout": "ring"}, "layout is 'ring'; it must be one of line, random, equal, grid, csv, swc"),
    ],
)
def test_contradictory_values_are_refused_with_their_numbers(assignments: dict, sentence: str):
    with pytest.raises(ParameterError, match=sentence):
        DEFAULT.override(assignments)
