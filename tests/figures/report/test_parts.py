"""The data of the interactive parts."""

import base64
import json

import numpy as np
import pytest

from distill import Tables
from figures.report.animation import frames
from figures.report.explorer import explorer_data


def changed(tables, group, name, value):
    parameters = json.loads(tables.dataset.attrs["parameters"])
    parameters[group][name] = value
    return Tables(tables.dataset.assign_attrs(parameters=json.dumps(parameters)))


def values_of(variable, shape):
    levels = np.frombuffer(base64.b64decode(variable["data"]), np.uint8).reshape(shape)
    return variable["low"] + (variable["high"] - variable["low"]) * levels / 255


def test_frames_hold_the_process_within_half_a_level(traces):
    found = frames(traces, "sim.nc", 10**6)
    first = found["variables"][0]
    assert first["label"] == "short-term astrocytic process"
    values = values_of(first, (201, 2, 3))
    half = (first["high"] - first["low"]) / 255 / 2
    np.testing.assert_allclose(values, traces["short_term_process"].values, atol=1.001 * half)
    assert found["time"] == traces["time"].values.tolist()
    assert len(found["variables"]) == 3


def test_frames_are_fewer_if_the_bytes_are_few_and_keep_both_ends(traces):
    found = frames(traces, "sim.nc", 3 * 6 * 10)
    assert len(found["time"]) == 10
    assert [found["time"][0], found["time"][-1]] == [0.0, 200.0]
    assert sum(len(base64.b64decode(each["data"])) for each in found["variables"]) == 3 * 6 * 10


def test_a_variable_that_never_changes_is_its_own_value(traces):
    still = traces.assign(short_term_process=0 * traces["short_term_process"] + 2.5)
    still["short_term_process"].attrs = traces["short_term_process"].attrs
    first = frames(still, "sim.nc", 10**6)["variables"][0]
    assert (values_of(first, (201, 2, 3)) == 2.5).all()


def test_frames_of_trials_are_those_of_the_first(traces):
    names = ("presynaptic_activity", "postsynaptic_activity", "synaptic_facilitation", "short_term_process")
    trials = traces.assign({name: traces[name].expand_dims(trial=2) for name in (*names, "long_term_process")})
    assert frames(trials, "sim.nc", 10**6) == frames(traces, "sim.nc", 10**6)


def test_the_closed_form_takes_its_rate_from_the_parameters(tables):
    data = explorer_data("tables.nc", tables)
    assert data["reasons"] == []
    assert data["own"] == {"timeConstant": 100.0, "decay": 1.0, "cycle": 50.0, "stimulus": 0.5}
    assert data["weight"][1] / data["weight"][0] == pytest.approx(np.exp(-0.5), rel=1e-7)


@pytest.mark.parametrize(
    ("group", "name", "value", "reason"),
    [
        ("form", "long_term_growth", "soft_bound", "growth is soft_bound"),
        ("model", "long_term_feedback", 0.2, "acts back"),
        ("protocol", "restart_fast_variables", False, "do not restart"),
        ("protocol", "drive_variation", 0.1, "varies between cycles"),
        ("protocol", "firing", "poisson", "at random"),
        ("protocol", "kind", "spike_file", "protocol spike_file"),
    ],
)
def test_where_the_law_is_not_exact_the_fitted_rate_and_the_reason_are_given(tables, group, name, value, reason):
    data = explorer_data("tables.nc", changed(tables, group, name, value))
    assert [reason in each for each in data["reasons"]] == [True]
    assert data["own"]["cycle"] / data["own"]["timeConstant"] == pytest.approx(tables.increment_rate)


def test_tables_of_another_model_say_so(tables):
    bare = Tables(tables.dataset.assign_attrs(parameters='{"protocol": {"cycle_duration": 20.0}}'))
    data = explorer_data("tables.nc", bare)
    assert data["reasons"] == ["the simulated model is not the rate model"]
    assert data["own"]["stimulus"] == 1.0
