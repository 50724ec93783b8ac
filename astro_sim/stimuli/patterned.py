"""Protocols that switch a pattern of drive on and off: short-term potentiation (STP) cycles and theta bursts."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from astro_sim.durations import divides, exact
from astro_sim.protocol import ProtocolParameters, Step
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError, parameter

THETA = "theta-burst stimulation: Larson, Wong and Lynch 1986, PubMed 3697730"


@dataclass(frozen=True)
class PatternedProtocol(ProtocolParameters):
    """The parameters of a pattern of drive over the neurons."""

    drive_strongest: float = parameter(
        1.0, "drive of the first presynaptic neuron; the others lie evenly between", low=-100, high=100, symbol="b"
    )
    drive_weakest: float = parameter(0.6, "drive of the last presynaptic neuron", low=-100, high=100, symbol="b")
    postsynaptic_drive_fraction: float = parameter(
        0.5, "share of the same spread of drive that the postsynaptic neurons get", low=-10, high=10
    )
    presynaptic_pattern: tuple[float, ...] = parameter(
        (), "drive of each presynaptic neuron, in place of an even spread", low=-100, high=100, symbol="b"
    )
    postsynaptic_pattern: tuple[float, ...] = parameter(
        (), "drive of each postsynaptic neuron, in place of an even spread", low=-100, high=100, symbol="b"
    )

    def pattern(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> tuple[Array, Array]:
        """The drive (pre,) and (post,) while the stimulus is on.

        Raises
        ------
        ParameterError
            A given pattern has another number of values than there are neurons.
        """
        pre = self._spread(presynaptic_neurons, "presynaptic_pattern")
        post = self._spread(postsynaptic_neurons, "postsynaptic_pattern")
        return pre, post if self.postsynaptic_pattern else self.postsynaptic_drive_fraction * post

    def _spread(self, neurons: int, name: str) -> Array:
        given = getattr(self, name)
        if given and len(given) != neurons:
            raise ParameterError(f"{name} has {len(given)} values for {neurons} neurons; give one for each, or none")
        return np.array(given) if given else np.linspace(self.drive_strongest, self.drive_weakest, neurons)


@dataclass(frozen=True)
class StpCycles(PatternedProtocol):
    """In each cycle the pattern, then silence. Random delays, strengths and Poisson counts are optional."""

    kind: ClassVar[str] = "stp_cycles"

    stimulus_duration: float = parameter(
        25.0, "how long the drive lasts in each cycle", unit="s", low=0.01, high=10_000
    )
    stimulus_jitter: float = parameter(
        0.0, "longest random delay of the drive after the start of its cycle", unit="s", low=0, high=1000
    )
    drive_variation: float = parameter(
        0.0, "standard deviation of a cycle's drive, as a share of the pattern; below 0 there is none", low=0, high=1
    )
    firing: str = parameter(
        "regular",
        "regular: constant drive; poisson: drive by Poisson counts of mean firing_rate x modulation_bin",
        choices=("regular", "poisson"),
    )
    firing_rate: float = parameter(
        40.0, "mean rate of each neuron's Poisson counts; low rates are noisier", unit="Hz", low=0.1, high=10_000
    )
    modulation_bin: float = parameter(0.1, "how long one Poisson count drives", unit="s", low=0.001, high=50)
    time_grid: float = parameter(0.001, "random delays are multiples of this", unit="s", low=1e-6, high=0.5)
    stimulus_seed: int = parameter(0, "seed of delays, variation and counts", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        stimulus, cycle, jitter = self.stimulus_duration, self.cycle_duration, self.stimulus_jitter
        if stimulus > cycle:
            raise ParameterError(
                f"a stimulus of {stimulus:g} s is longer than the cycle of {cycle:g} s; "
                "shorten stimulus_duration or lengthen cycle_duration"
            )
        if exact(stimulus) + exact(jitter) > exact(cycle):
            raise ParameterError(
                f"a stimulus of {stimulus:g} s delayed by up to {jitter:g} s does not fit in the cycle of {cycle:g} s; "
                "shorten stimulus_jitter"
            )
        if self.firing == "poisson" and not divides(self.modulation_bin, stimulus):
            raise ParameterError(
                f"modulation_bin of {self.modulation_bin:g} s does not divide stimulus_duration of {stimulus:g} s; "
                "choose a bin that does"
            )

    @property
    def stored_lengths(self) -> tuple[str, ...]:
        """The end of the stimulus and the end of the cycle."""
        return ("stimulus_duration", "cycle_duration")

    def steps(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> list[Step]:
        """In each cycle a delay without drive, the stimulus, and the silence after it."""
        pattern = np.concatenate(self.pattern(presynaptic_neurons, postsynaptic_neurons))
        # One stream each: switching one kind of noise on does not change the draws of the others.
        delays, variation, counts = (np.random.default_rng([self.stimulus_seed, stream]) for stream in range(3))
        grid, longest = exact(self.time_grid), int(exact(self.stimulus_jitter) / exact(self.time_grid))
        steps: list[tuple[Fraction, Array]] = []
        for cycle in self.cycle_starts:
            start = cycle + grid * int(delays.integers(longest + 1))
            strength = max(0.0, 1 + self.drive_variation * variation.standard_normal())
            steps += [(cycle, np.zeros_like(pattern))]
            steps += self._modulated(start, strength * pattern, counts)
            steps += [(start + exact(self.stimulus_duration), np.zeros_like(pattern))]
        return [Step(start, *np.split(drive, [presynaptic_neurons])) for start, drive in steps]

    def _modulated(self, start: Fraction, drive: Array, counts: np.random.Generator) -> list[tuple[Fraction, Array]]:
        if self.firing == "regular":
            return [(start, drive)]
        width = exact(self.modulation_bin)
        expected = self.firing_rate * self.modulation_bin
        bins = int(exact(self.stimulus_duration) / width)
        factors = counts.poisson(expected, (bins, drive.size)) / expected
        return [(start + place * width, factor * drive) for place, factor in enumerate(factors)]


@dataclass(frozen=True)
class ThetaBursts(PatternedProtocol):
    """In each cycle trains of bursts of short pulses; by default four pulses at 100 Hz, and bursts at 5 Hz."""

    kind: ClassVar[str] = "theta_bursts"

    drive_strongest: float = parameter(
        10.0, "drive of the first presynaptic neuron in a pulse; the others lie evenly between", low=-1000, high=1000
    )
    drive_weakest: float = parameter(6.0, "drive of the last presynaptic neuron in a pulse", low=-1000, high=1000)
    pulses_per_burst: int = parameter(4, "pulses in a burst", low=1, high=1000, reference=THETA)
    pulse_interval: float = parameter(
        0.01, "from pulse to pulse; 0.01 s is 100 Hz", unit="s", low=0.0005, high=5, reference=THETA
    )
    burst_interval: float = parameter(
        0.2, "from burst to burst; 0.2 s is 5 Hz, theta", unit="s", low=0.01, high=100, reference=THETA
    )
    bursts_per_train: int = parameter(10, "bursts in a train", low=1, high=10_000)
    train_interval: float = parameter(10.0, "from train to train", unit="s", low=0.1, high=5000)
    trains_per_cycle: int = parameter(1, "trains in a cycle", low=1, high=1000)
    pulse_duration: float = parameter(0.005, "how long the drive lasts in each pulse", unit="s", low=0.0001, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for shorter, longer, count in (
            ("pulse_duration", "pulse_interval", 1),
            ("pulse_interval", "burst_interval", self.pulses_per_burst),
            ("burst_interval", "train_interval", self.bursts_per_train),
            ("train_interval", "cycle_duration", self.trains_per_cycle),
        ):
            inner, outer = (exact(getattr(self, name)) for name in (shorter, longer))
            if count * inner > outer:
                raise ParameterError(
                    f"{count} x {shorter} of {float(inner):g} s do not fit in {longer} of {float(outer):g} s; "
                    f"shorten {shorter} or lengthen {longer}"
                )

    def steps(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> list[Step]:
        """Each pulse, and the silence after it."""
        pattern = self.pattern(presynaptic_neurons, postsynaptic_neurons)
        silence = tuple(np.zeros_like(drive) for drive in pattern)
        starts = self.cycle_starts
        for count, interval in (
            (self.trains_per_cycle, self.train_interval),
            (self.bursts_per_train, self.burst_interval),
            (self.pulses_per_burst, self.pulse_interval),
        ):
            starts = [start + place * exact(interval) for start in starts for place in range(count)]
        width = exact(self.pulse_duration)
        edges = [((start, pattern), (start + width, silence)) for start in starts]
        return [Step(start, *drives) for pulse in edges for start, drives in pulse]
