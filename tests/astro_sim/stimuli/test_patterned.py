"""Times and strength of the drive in cycles and theta bursts, and the errors for contradictions."""

import numpy as np
import pytest

from astro_sim.parameters import NetworkParameters
from astro_sim.protocol import Interval, ProtocolParameters, build_intervals
from astro_sim.stimuli import StpCycles, ThetaBursts
from rmaat.base.records import ParameterError

NETWORK = NetworkParameters(postsynaptic_neurons=2)


def driven(protocol: ProtocolParameters) -> list[Interval]:
    return [interval for interval in build_intervals(protocol, *NETWORK.sizes) if interval.presynaptic_drive.any()]


def test_a_pattern_sets_the_drive_of_each_neuron():
    protocol = StpCycles(presynaptic_pattern=(2.0, 1.2, 0.6), postsynaptic_pattern=(-1.0, 0.5))
    first = driven(protocol)[0]
    np.testing.assert_array_equal(first.presynaptic_drive, [2.0, 1.2, 0.6])
    np.testing.assert_array_equal(first.postsynaptic_drive, [-1.0, 0.5])


@pytest.mark.parametrize(("side", "neurons"), [("presynaptic", 3), ("postsynaptic", 2)])
def test_a_pattern_for_another_number_of_neurons_is_refused(side: str, neurons: int):
    with pytest.raises(ParameterError, match=f"{side}_pattern has 4 values for {neurons} neurons; give one for each"):
        build_intervals(StpCycles(**{f"{side}_pattern": (1.0,) * 4}), *NETWORK.sizes)


def test_jitter_delays_each_stimulus_differently_and_keeps_its_length():
    protocol = StpCycles(stimulus_jitter=10.0, stimulus_seed=3)
    delays = [interval.start % 50 for interval in driven(protocol)]
    assert len(set(delays)) == 6
    assert all(0 <= delay <= 10 for delay in delays)
    assert max(delays) > 5
    assert [round(interval.end - interval.start, 9) for interval in driven(protocol)] == [25.0] * 6
    assert [interval.start for interval in build_intervals(protocol, *NETWORK.sizes) if interval.restart] == [
        50.0 * cycle for cycle in range(6)
    ]


def test_drive_varies_between_cycles_by_the_given_share():
    protocol = StpCycles(drive_variation=0.2, run_duration=50.0 * 400)
    strengths = np.array([interval.presynaptic_drive / [1.0, 0.8, 0.6] for interval in driven(protocol)])
    np.testing.assert_allclose(strengths, strengths[:, :1].repeat(3, axis=1))
    # Four standard errors of 400 normal numbers: 0.01 for the mean, 0.007 for the deviation.
    assert strengths.mean() == pytest.approx(1, abs=0.04)
    assert strengths[:, 0].std() == pytest.approx(0.2, abs=0.03)


def test_poisson_firing_has_the_mean_and_the_spread_of_counts():
    protocol = StpCycles(firing="poisson", firing_rate=40.0, modulation_bin=0.1)
    intervals = build_intervals(protocol, *NETWORK.sizes)
    found = np.concatenate(
        [
            np.repeat([interval.presynaptic_drive / [1.0, 0.8, 0.6]], round((interval.end - interval.start) / 0.1), 0)
            for interval in intervals
            if interval.start % 50 < 25
        ]
    )
    assert found.shape == (1500, 3)
    # A count of mean 4 has variance 4, so the drive has variance 1/4; the bound is four standard errors of 4500 counts.
    assert found.mean() == pytest.approx(1, abs=0.03)
    assert found.var() == pytest.approx(0.25, abs=0.025)
    assert all(not interval.presynaptic_drive.any() for interval in intervals if interval.start % 50 >= 25)


@pytest.mark.parametrize("random", [{"stimulus_jitter": 5.0}, {"drive_variation": 0.3}, {"firing": "poisson"}])
def test_random_protocols_depend_on_the_seed_only(random: dict):
    def flat(seed: int) -> list[float]:
        return [
            number
            for interval in build_intervals(StpCycles(**random, stimulus_seed=seed), *NETWORK.sizes)
            for number in (interval.start, interval.end, *interval.presynaptic_drive, *interval.postsynaptic_drive)
        ]

    assert flat(1) == flat(1) != flat(2)


def test_variation_is_the_same_with_and_without_jitter():
    calm, jittered = (StpCycles(drive_variation=0.3, stimulus_jitter=jitter) for jitter in (0.0, 5.0))
    for one, other in zip(driven(calm), driven(jittered), strict=True):
        np.testing.assert_array_equal(one.presynaptic_drive, other.presynaptic_drive)


def test_theta_bursts_pulse_at_100_hz_in_bursts_at_5_hz():
    protocol = ThetaBursts(
        run_duration=100.0, pulse_duration=0.004, bursts_per_train=3, trains_per_cycle=2, train_interval=7.0
    )
    expected = [
        (start, start + 0.004)
        for cycle in (0, 50)
        for train in (0, 7)
        for burst in (0, 0.2, 0.4)
        for start in (cycle + train + burst + pulse for pulse in (0, 0.01, 0.02, 0.03))
    ]
    found = [(interval.start, interval.end) for interval in driven(protocol)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(driven(protocol)[7].presynaptic_drive, [10, 8, 6])
    np.testing.assert_array_equal(driven(protocol)[7].postsynaptic_drive, [5, 3])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"pulse_duration": 0.02}, "1 x pulse_duration of 0.02 s do not fit in pulse_interval of 0.01 s"),
        ({"pulses_per_burst": 21}, "21 x pulse_interval of 0.01 s do not fit in burst_interval of 0.2 s"),
        ({"bursts_per_train": 51}, "51 x burst_interval of 0.2 s do not fit in train_interval of 10 s"),
        ({"trains_per_cycle": 6}, "6 x train_interval of 10 s do not fit in cycle_duration of 50 s"),
        ({"pulse_interval": -0.01}, r"pulse_interval is -0.01 s; it must lie between"),
    ],
)
def test_theta_bursts_that_overlap_are_refused(values: dict, sentence: str):
    with pytest.raises(ParameterError, match=sentence):
        ThetaBursts(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stimulus_jitter": 26.0}, "a stimulus of 25 s delayed by up to 26 s does not fit in the cycle of 50 s"),
        ({"firing": "poisson", "modulation_bin": 0.3}, "modulation_bin of 0.3 s does not divide stimulus_duration"),
        ({"firing": "poisson", "firing_rate": -40.0}, "firing_rate is -40.0 Hz; it must lie between 0.1"),
        ({"firing": "bursting"}, "firing is 'bursting'; it must be one of regular, poisson"),
    ],
)
def test_contradictory_durations_of_a_cycle_are_refused(values: dict, sentence: str):
    with pytest.raises(ParameterError, match=sentence):
        StpCycles(**values)
