"""Synapses with an astrocyte each: without gliotransmission as event-driven release, with it weaker."""

import numpy as np
import pytest

from astro_sim.biophysics import ReleaseParameters, release_at
from astro_sim.biophysics.runge_kutta import step_on
from astro_sim.biophysics.tripartite import CLOSED_LOOP, OPEN_LOOP, WITHOUT, run_tripartite

STEP, SYNAPSES = 0.005, 20


def poisson(rate: float, seconds: float) -> np.ndarray:
    return np.random.default_rng(1).random((round(seconds / STEP), SYNAPSES)) < rate * STEP


def test_without_gliotransmission_each_spike_releases_as_in_the_event_driven_synapse():
    fired = np.array([5, 40, 60, 300])
    spikes = np.zeros((400, 1), dtype=bool)
    spikes[fired] = True
    intervals = np.diff(fired, prepend=-1_000_000)[:, None] * STEP
    kicks = 2500.0 * release_at(ReleaseParameters(), intervals)[:, 0]
    start = STEP * np.arange(400)
    since = start[:, None] - STEP * fired
    after = np.where(since >= 0, kicks * np.exp(-40 * np.maximum(since, 0)), 0).sum(axis=1)
    expected = after * (1 + np.exp(-40 * STEP)) / 2
    # A step is a fifth of the transmitter's decay time, which costs 2e-6 per step.
    np.testing.assert_allclose(run_tripartite(WITHOUT, spikes, STEP)[:, 0], expected, rtol=1e-3, atol=1e-6)


def test_an_astrocyte_driven_from_outside_silences_its_synapse():
    spikes = poisson(5.0, 10.0)
    last = slice(spikes.shape[0] // 2, None)
    free, silenced = (run_tripartite(parameters, spikes, STEP)[last].mean() for parameters in (WITHOUT, OPEN_LOOP))
    assert 0 < silenced < 0.7 * free


def test_an_astrocyte_that_responds_to_its_synapse_changes_nothing_before_its_first_release():
    spikes = poisson(5.0, 10.0)
    free, closed = (run_tripartite(parameters, spikes, STEP) for parameters in (WITHOUT, CLOSED_LOOP))
    differs = (free != closed).any(axis=1)
    first = int(differs.argmax())
    assert differs.any()
    assert first * STEP > 0.5
    assert closed[first:].mean() < 0.9 * free[first:].mean()


def test_silent_synapses_have_no_transmitter():
    for parameters in (WITHOUT, OPEN_LOOP, CLOSED_LOOP):
        assert not run_tripartite(parameters, np.zeros((200, 2), dtype=bool), STEP).any()


def test_the_error_of_a_step_is_of_fifth_order():
    def error(step: float) -> float:
        return abs(float(step_on(lambda state: -state, np.ones(1), step)[0]) - np.exp(-step))

    assert error(0.1) == pytest.approx(0.1**5 / 120, rel=0.1)
    assert error(0.1) / error(0.05) == pytest.approx(32, rel=0.05)
