"""Synaptic plasticity driven by postsynaptic calcium, after Graupner and Brunel 2012, doi:10.1073/pnas.1109359109.

    τ_Ca c' = -c,  c += C_pre at a presynaptic spike, after a delay D,  c += C_post at a postsynaptic one
    τ ρ' = γ_p (1 - ρ) [c > θ_p] - γ_d ρ [c > θ_d] - ρ (1 - ρ) (ρ* - ρ) + noise

The efficacy ρ is between 0 and 1, which are its two stable states in silence. During spikes the cubic term is small
beside the others, and this module omits it, as the paper does. `spiking/network.py` solves the equations with the cubic
term and without noise. With α_p and α_d the shares of time above the thresholds,

    Γ = γ_p α_p + γ_d α_d,  ρ̄ = γ_p α_p / Γ,  <ρ>(t) = ρ̄ + (ρ_0 - ρ̄) exp(-Γ t / τ)

and ρ has the variance `σ² (α_p + α_d) / (2 Γ) (1 - exp(-2 Γ t / τ))` around that mean. The probability that it ends
above ρ* follows from the normal distribution. Times are in s, and calcium is in units of θ_d.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr

from astro_sim.biophysics.parameters import restated
from astro_sim.biophysics.sources import Paper
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError, Record, parameter

_graupner = partial(parameter, source=Paper.GRAUPNER)


@dataclass(frozen=True)
class CalciumPlasticityParameters(Record):
    """Thresholds and rates fitted to hippocampal slices; without noise.

    Raises
    ------
    ParameterError
        As `Record`; or the threshold of potentiation is below that of depression.
    """

    spine_calcium_time: float = _graupner(0.0488373, "decay of calcium", unit="s", low=1e-3, high=1, symbol="τ_Ca")
    presynaptic_calcium: float = _graupner(
        1.0, "calcium that a presynaptic spike adds", low=0, high=100, symbol="C_pre"
    )
    postsynaptic_calcium: float = _graupner(
        0.275865, "calcium that a postsynaptic spike adds", low=0, high=100, symbol="C_post"
    )
    presynaptic_delay: float = _graupner(
        0.0188008, "delay of the presynaptic calcium", unit="s", low=0, high=0.1, symbol="D"
    )
    depression_threshold: float = _graupner(1.0, "calcium above which efficacy falls", low=0.01, high=100, symbol="θ_d")
    potentiation_threshold: float = _graupner(
        1.3, "calcium above which efficacy rises", low=0.01, high=100, symbol="θ_p"
    )
    depression_rate: float = _graupner(
        313.0965, "fall of efficacy, times its time constant", low=0, high=1e6, symbol="γ_d"
    )
    potentiation_rate: float = _graupner(
        1645.59, "rise of efficacy, times its time constant", low=0, high=1e6, symbol="γ_p"
    )
    efficacy_time_constant: float = _graupner(
        688.355, "time constant of efficacy in silence", unit="s", low=1, high=1e5, symbol="τ"
    )
    efficacy_boundary: float = _graupner(
        0.5, "efficacy above which it goes to 1 in silence", low=0, high=1, symbol="ρ*"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.potentiation_threshold < self.depression_threshold:
            raise ParameterError(
                f"potentiation_threshold is {self.potentiation_threshold:g}, below depression_threshold of "
                f"{self.depression_threshold:g}; swap them"
            )


@restated(
    Paper.GRAUPNER,
    spine_calcium_time=0.02,
    postsynaptic_calcium=2.0,
    presynaptic_delay=0.0137,
    depression_rate=200.0,
    potentiation_rate=321.808,
    efficacy_time_constant=150.0,
)
class PairingPlasticityParameters(CalciumPlasticityParameters):
    """The paper's set DP with its noise: depression if the postsynaptic spike comes first, else potentiation."""

    efficacy_noise: float = _graupner(2.8284, "noise of efficacy above the thresholds", low=0, high=100, symbol="σ")


@dataclass(frozen=True)
class Drift:
    """How a stimulus changes the mean and the spread of efficacies.

    Attributes
    ----------
    rate : float
        Γ / τ in 1/s.
    level : float
        ρ̄, the limit of the mean.
    spread : float
        The limit of the standard deviation.
    boundary : float
        ρ*.
    """

    rate: float
    level: float
    spread: float
    boundary: float

    def mean(self, start: float, duration: float) -> float:
        """The mean efficacy `duration` s after all efficacies were `start`."""
        return self.level + (start - self.level) * float(np.exp(-self.rate * duration))

    def share_above(self, start: float, duration: float) -> float:
        """The share of synapses above the boundary, which stay potentiated, `duration` s after all were `start`."""
        spread = self.spread * float(np.sqrt(-np.expm1(-2 * self.rate * duration)))
        return float(ndtr((self.mean(start, duration) - self.boundary) / spread))


def drift_under_pairs(parameters: PairingPlasticityParameters, lag: float, rate: float) -> Drift:
    """The drift under regular pairs of spikes.

    Parameters
    ----------
    lag : float
        Time in s from the presynaptic to the postsynaptic spike of a pair; may be negative.
    rate : float
        Pairs per second.

    Raises
    ------
    ParameterError
        Calcium never exceeds a threshold, so that efficacy does not change.
    """
    period = 1 / rate
    # Calcium is periodic: its value after a jump sums all earlier jumps, a geometric series over the periods.
    times = np.array([parameters.presynaptic_delay, lag]) % period
    order = np.argsort(times)
    times, jumps = times[order], np.array([parameters.presynaptic_calcium, parameters.postsynaptic_calcium])[order]
    decay = parameters.spine_calcium_time
    since = (times[:, None] - times) % period
    after = (jumps * np.exp(-since / decay)).sum(axis=1) / -np.expm1(-period / decay)
    lengths = np.diff(times, append=times[0] + period)
    thresholds = parameters.depression_threshold, parameters.potentiation_threshold
    fall, rise = (time_above(after, lengths, level, decay).sum() / period for level in thresholds)
    strength = parameters.potentiation_rate * rise + parameters.depression_rate * fall
    if strength == 0:
        raise ParameterError(
            f"calcium of {after.max():.3g} never exceeds depression_threshold of {parameters.depression_threshold:g}, "
            "so that efficacy does not change; raise the rate of the pairs"
        )
    return Drift(
        strength / parameters.efficacy_time_constant,
        parameters.potentiation_rate * rise / strength,
        parameters.efficacy_noise * float(np.sqrt((rise + fall) / (2 * strength))),
        parameters.efficacy_boundary,
    )


def time_above(calcium: Array, lengths: Array, threshold: float, decay: float) -> Array:
    """How long in s decaying calcium is above a threshold, for each interval between jumps.

    Parameters
    ----------
    calcium : (...)
        Calcium at the start of each interval, in units of θ_d, as `threshold`.
    lengths : (...)
        Length of each interval in s.
    decay : float
        Time constant of calcium in s.
    """
    # The lower bound keeps the logarithm of no calcium finite.
    return np.clip(decay * np.log(np.maximum(calcium, 1e-300) / threshold), 0, lengths)
