"""Plasticity by calcium at the postsynaptic side, after Graupner and Brunel 2012, doi:10.1073/pnas.1109359109.

    τ_Ca c' = -c,  c += C_pre at a presynaptic spike, after a delay D,  c += C_post at a postsynaptic one
    τ ρ' = γ_p (1 - ρ) [c > θ_p] - γ_d ρ [c > θ_d] - ρ (1 - ρ) (ρ* - ρ) + noise

The efficacy ρ lies between 0 and 1, the states in which it stays in silence. While spikes drive it, the cubic is small
beside the other terms and is left out here, as in the paper; with α_p, α_d the shares of time above the thresholds,

    Γ = γ_p α_p + γ_d α_d,  ρ̄ = γ_p α_p / Γ,  <ρ>(t) = ρ̄ + (ρ_0 - ρ̄) exp(-Γ t / τ)

and ρ is spread around that with variance `σ² (α_p + α_d) / (2 Γ) (1 - exp(-2 Γ t / τ))`, so that it ends on the other
side of ρ* with a probability given by the error function. Times are in s; calcium is in units of θ_d.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from astro_sim.biophysics.parameters import restated
from astro_sim.biophysics.sources import Paper
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError, Record, parameter


@dataclass(frozen=True)
class CalciumPlasticityParameters(Record):
    """Thresholds and rates fitted to hippocampal slices; without noise.

    Raises
    ------
    ParameterError
        As `Record`; or the threshold of potentiation is the lower one.
    """

    spine_calcium_time: float = parameter(
        0.0488373, "decay of calcium", unit="s", low=1e-3, high=1, source=Paper.GRAUPNER, symbol="τ_Ca"
    )
    presynaptic_calcium: float = parameter(
        1.0, "calcium that a presynaptic spike adds", low=0, high=100, source=Paper.GRAUPNER, symbol="C_pre"
    )
    postsynaptic_calcium: float = parameter(
        0.275865, "calcium that a postsynaptic spike adds", low=0, high=100, source=Paper.GRAUPNER, symbol="C_post"
    )
    presynaptic_delay: float = parameter(
        0.0188008, "delay of the presynaptic calcium", unit="s", low=0, high=0.1, source=Paper.GRAUPNER, symbol="D"
    )
    depression_threshold: float = parameter(
        1.0, "calcium above which efficacy falls", low=0.01, high=100, source=Paper.GRAUPNER, symbol="θ_d"
    )
    potentiation_threshold: float = parameter(
        1.3, "calcium above which efficacy rises", low=0.01, high=100, source=Paper.GRAUPNER, symbol="θ_p"
    )
    depression_rate: float = parameter(
        313.0965, "fall of efficacy, times its time constant", low=0, high=1e6, source=Paper.GRAUPNER, symbol="γ_d"
    )
    potentiation_rate: float = parameter(
        1645.59, "rise of efficacy, times its time constant", low=0, high=1e6, source=Paper.GRAUPNER, symbol="γ_p"
    )
    efficacy_time_constant: float = parameter(
        688.355, "time constant of efficacy in silence", unit="s", low=1, high=1e5, source=Paper.GRAUPNER, symbol="τ"
    )
    efficacy_boundary: float = parameter(
        0.5, "efficacy above which it goes to 1 in silence", low=0, high=1, source=Paper.GRAUPNER, symbol="ρ*"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.potentiation_threshold < self.depression_threshold:
            raise ParameterError(
                f"potentiation_threshold is {self.potentiation_threshold:g}, below depression_threshold of "
                f"{self.depression_threshold:g}; exchange them"
            )


def _restated(name: str, value: float):
    return restated(CalciumPlasticityParameters, name, value, Paper.GRAUPNER)


@dataclass(frozen=True)
class PairingPlasticityParameters(CalciumPlasticityParameters):
    """The paper's set DP with its noise: depression where the postsynaptic spike comes first, else potentiation."""

    spine_calcium_time: float = _restated("spine_calcium_time", 0.02)
    postsynaptic_calcium: float = _restated("postsynaptic_calcium", 2.0)
    presynaptic_delay: float = _restated("presynaptic_delay", 0.0137)
    depression_rate: float = _restated("depression_rate", 200.0)
    potentiation_rate: float = _restated("potentiation_rate", 321.808)
    efficacy_time_constant: float = _restated("efficacy_time_constant", 150.0)
    efficacy_noise: float = parameter(
        2.8284, "noise of efficacy above the thresholds", low=0, high=100, source=Paper.GRAUPNER, symbol="σ"
    )


@dataclass(frozen=True)
class Drift:
    """What a stimulus makes of efficacies in the mean, and how it spreads them.

    Attributes
    ----------
    rate : float
        Γ / τ in 1/s.
    level : float
        ρ̄, where they go.
    spread : float
        Standard deviation in the end.
    boundary : float
        ρ*.
    """

    rate: float
    level: float
    spread: float
    boundary: float

    def mean(self, start: float, duration: float) -> float:
        """The mean efficacy `duration` s after all were `start`."""
        return self.level + (start - self.level) * float(np.exp(-self.rate * duration))

    def share_above(self, start: float, duration: float) -> float:
        """The share of synapses beyond the boundary, which stay potentiated, `duration` s after all were `start`."""
        spread = self.spread * float(np.sqrt(-np.expm1(-2 * self.rate * duration)))
        return float(ndtr((self.mean(start, duration) - self.boundary) / spread))


def drift_under_pairs(parameters: PairingPlasticityParameters, lag: float, rate: float) -> Drift:
    """The drift under pairs of spikes at `rate` in 1/s, the postsynaptic one `lag` s after the presynaptic one.

    Raises
    ------
    ParameterError
        Calcium never reaches a threshold, so that nothing changes.
    """
    period = 1 / rate
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
            "so that efficacy stays; pair more often"
        )
    return Drift(
        strength / parameters.efficacy_time_constant,
        parameters.potentiation_rate * rise / strength,
        parameters.efficacy_noise * float(np.sqrt((rise + fall) / (2 * strength))),
        parameters.efficacy_boundary,
    )


def time_above(calcium: Array, lengths: Array, threshold: float, decay: float) -> Array:
    """How long calcium, which decays for `lengths` in s from the values `calcium`, is above `threshold`, in s."""
    return np.clip(decay * np.log(np.maximum(calcium, 1e-300) / threshold), 0, lengths)
