"""The simulation against published numbers, exact laws and an independent integration with explicit loops."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from astro_sim import SimulationParameters, simulate

DEFAULT = SimulationParameters()
STATES = (
    "presynaptic_activity",
    "postsynaptic_activity",
    "synaptic_facilitation",
    "short_term_process",
    "long_term_process",
)


def mean_over_synapses(traces: xr.Dataset, name: str, *times: float) -> np.ndarray:
    return traces[name].sel(time=list(times)).mean(("post", "pre")).values


def increments(traces: xr.Dataset) -> np.ndarray:
    """Growth of the long-term process (cycle, post, pre) in each cycle."""
    ends = traces.long_term_process.sel(time=traces.cycle_end.values).values
    return np.diff(ends, axis=0, prepend=np.zeros_like(ends[:1]))


def test_the_default_run_gives_the_published_numbers(default_traces: xr.Dataset):
    assert mean_over_synapses(default_traces, "synaptic_facilitation", 24, 49) == pytest.approx(
        [1.079, 0.078], abs=5e-4
    )
    assert mean_over_synapses(default_traces, "short_term_process", 24, 49) == pytest.approx([0.488, 0.072], abs=5e-4)
    assert mean_over_synapses(default_traces, "long_term_process", *default_traces.cycle_end.values) == pytest.approx(
        [0.168, 0.269, 0.331, 0.368, 0.391, 0.405], abs=6e-4
    )


def test_increments_of_the_default_run_are_geometric_at_every_synapse(default_traces: xr.Dataset):
    found = increments(default_traces)
    law = np.exp(-0.5 * np.arange(6))
    np.testing.assert_allclose(found / found[0], np.broadcast_to(law[:, None, None], found.shape), rtol=1e-6)


@settings(max_examples=8, deadline=None)
@given(
    neurons=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 1000),
    gain=st.floats(0, 0.5),
    decays=st.tuples(st.floats(0.8, 2), st.floats(0.5, 2), st.floats(0.5, 2)),
    drive=st.floats(0.2, 3),
)
def test_increments_are_geometric_for_any_geometry_and_parameters(neurons, seed, gain, decays, drive):
    parameters = DEFAULT.override(
        {
            "presynaptic_neurons": neurons[0],
            "postsynaptic_neurons": neurons[1],
            "layout": "random",
            "seed": seed,
            "coupling_strength": 0.01,
            "short_term_gain": gain,
            "synapse_decay": decays[0],
            "neuron_decay": decays[1],
            "long_term_decay": decays[2],
            "long_term_time_constant": 20.0,
            "drive_strongest": drive,
            "run_duration": 40.0,
            "cycle_duration": 10.0,
            "stimulus_duration": 3.0,
        }
    )
    found = increments(simulate(parameters)).mean((1, 2))
    law = np.exp(-decays[2] * 10 / 20 * np.arange(4))
    np.testing.assert_allclose(found / found[0], law, rtol=2e-6)


def test_without_restarts_increments_depart_from_the_geometric_law():
    parameters = DEFAULT.override({"restart_fast_variables": False, "run_duration": 150.0})
    found = increments(simulate(parameters)).mean((1, 2))
    assert abs(found[1] / found[0] - math.exp(-0.5)) > 1e-2


def test_equal_distances_and_drive_leave_no_difference_between_synapses():
    uniform = DEFAULT.override({"layout": "equal", "drive_weakest": 1.0, "run_duration": 50.0})
    spread = {
        layout: simulate(uniform.override({"layout": layout})).short_term_process.std(("post", "pre")).values.max()
        for layout in ("equal", "line", "random")
    }
    assert spread["equal"] < 1e-12
    assert spread["line"] > 1e-2
    assert spread["random"] > 1e-2


def test_synapses_near_the_centre_respond_more_than_those_at_the_rim():
    process = simulate(DEFAULT.override({"drive_weakest": 1.0, "run_duration": 50.0})).short_term_process.sel(time=24)
    assert process.values.argmax() == 4
    assert process.values[0, 0] == pytest.approx(process.values[2, 2], rel=1e-9)


def explicit_loops(parameters: SimulationParameters, traces: xr.Dataset) -> dict[str, np.ndarray]:
    """The states at the times of `traces`, from the equations written as loops and a method of order 8."""
    m, protocol = parameters.model, parameters.protocol
    pre, post = traces.sizes["pre"], traces.sizes["post"]
    synapses, coupling = pre * post, traces.coupling.values.reshape(post, pre, post, pre)
    tanh = math.tanh

    def right_hand_side(on: float) -> Callable[[float, np.ndarray], list[float]]:
        def spread(place: int, size: int) -> float:
            step = (protocol.drive_weakest - protocol.drive_strongest) / (size - 1)
            return on * (protocol.drive_strongest + step * place)

        def rate(_: float, y: np.ndarray) -> list[float]:
            x, z = y[:pre], y[pre : pre + post]
            s, p, q = (y[pre + post + k * synapses :][:synapses].reshape(post, pre) for k in range(3))
            dx = [(-m.neuron_decay * x[j] + spread(j, pre)) / m.neuron_time_constant for j in range(pre)]
            dz, ds, dp, dq = [], [], [], []
            for i in range(post):
                total = sum(tanh(s[i, j]) * tanh(x[j]) for j in range(pre))
                drive = protocol.postsynaptic_drive_fraction * spread(i, post)
                dz.append((-m.neuron_decay * z[i] + total + drive) / m.neuron_time_constant)
                for j in range(pre):
                    coupled = sum(
                        coupling[i, j, k, n] * tanh(p[k, n])
                        for k in range(post)
                        for n in range(pre)
                        if (k, n) != (i, j)
                    )
                    hebbian = tanh(z[i]) * tanh(x[j])
                    ds.append(
                        (-m.synapse_decay * s[i, j] + hebbian + tanh(p[i, j]) + m.synapse_bias)
                        / m.synapse_time_constant
                    )
                    dp.append(
                        (
                            -m.short_term_decay * p[i, j]
                            + coupled
                            + m.short_term_gain * tanh(s[i, j])
                            + m.short_term_bias
                        )
                        / m.short_term_time_constant
                    )
                    dq.append((-m.long_term_decay * q[i, j] + tanh(s[i, j])) / m.long_term_time_constant)
            return dx + dz + ds + dp + dq

        return rate

    state = np.zeros(pre + post + 3 * synapses)
    rows, times = [state], traces.time.values
    # Longer steps are stable, but the interpolation between their ends is inaccurate for a fast decay.
    reach = m.neuron_time_constant
    for cycle in range(protocol.cycles):
        if protocol.restart_fast_variables:
            state = np.concatenate([np.zeros(pre + post + 2 * synapses), state[-synapses:]])
        begin = cycle * protocol.cycle_duration
        edge, end = begin + protocol.stimulus_duration, begin + protocol.cycle_duration
        for start, stop, on in ((begin, edge, 1.0), (edge, end, 0.0)):
            inside = times[(times > start) & (times <= stop)]
            run = solve_ivp(
                right_hand_side(on),
                (start, stop),
                state,
                method="DOP853",
                rtol=1e-11,
                atol=1e-13,
                t_eval=inside,
                max_step=reach,
            )
            rows.extend(run.y.T)
            state = run.y[:, -1]
    columns = np.split(np.array(rows), np.cumsum([pre, post, synapses, synapses]), axis=1)
    return {name: column.reshape(traces[name].shape) for name, column in zip(STATES, columns, strict=True)}


def assert_equals_explicit_loops(assignments: dict[str, Any], tolerance: float) -> None:
    parameters = DEFAULT.override(assignments)
    traces = simulate(parameters)
    for name, expected in explicit_loops(parameters, traces).items():
        np.testing.assert_allclose(traces[name].values, expected, rtol=tolerance, atol=1e-9, err_msg=name)


@pytest.mark.filterwarnings("ignore:the long-term process grew")
@pytest.mark.parametrize("restart", [True, False])
def test_the_simulation_equals_explicit_loops(restart: bool):
    short = {"run_duration": 16.0, "cycle_duration": 8.0, "stimulus_duration": 5.0, "layout": "random"}
    other = {"synapse_bias": 0.1, "short_term_bias": -0.05, "short_term_gain": 0.3, "coupling_strength": 0.08}
    slow = {"presynaptic_neurons": 3, "postsynaptic_neurons": 2, "short_term_time_constant": 0.6}
    assert_equals_explicit_loops(short | other | slow | {"restart_fast_variables": restart}, 1e-6)


def test_no_short_stimulus_is_stepped_over():
    pulses = {"run_duration": 240.0, "cycle_duration": 60.0, "stimulus_duration": 0.5, "neuron_time_constant": 0.1}
    small = {"presynaptic_neurons": 2, "postsynaptic_neurons": 2}
    assert_equals_explicit_loops(pulses | small | {"restart_fast_variables": False}, 1e-6)


def test_the_value_stored_at_the_end_of_a_cycle_is_the_one_before_the_restart(default_traces: xr.Dataset):
    at, before, after = mean_over_synapses(default_traces, "short_term_process", 50, 49.5, 50.5)
    assert 0.9 * before < at < before
    assert after < 0.01


def test_growing_increments_raise_a_warning_with_their_numbers():
    rising = DEFAULT.override({"drive_variation": 1.0, "stimulus_seed": 2})
    with pytest.warns(UserWarning, match="the long-term process grew by") as caught:
        traces = simulate(rising)
    grown = increments(traces).mean((1, 2))
    cycle = int(np.argmax(np.diff(grown) > 0)) + 2
    sentence = f"grew by {grown[cycle - 1]:.4g} in cycle {cycle} after {grown[cycle - 2]:.4g} in cycle {cycle - 1}"
    assert sentence in str(caught[0].message)


def test_progress_rises_to_one():
    reported: list[float] = []
    simulate(DEFAULT.override({"run_duration": 50.0}), progress=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 1


def test_importing_the_simulator_imports_no_heavy_package():
    heavy = "{'brian2', 'torch', 'matplotlib'}"
    command = f"import sys, astro_sim; sys.exit(', '.join({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True).stderr == "\n"
