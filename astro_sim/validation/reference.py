"""The rate model a second time, written from the equations of docs/science.md and docs/simulator.md alone.

    τ_n   x_i'    = -λ   x_i    + input_i + b_i                                  input_i = w Σ_k g(s_ki) φ(x_k)
    τ_s   s_ij'   = -β   s_ij   + φ(x_i) φ(x_j) + c_ps tanh(p^s_ij) + c_pl p^l_ij + c
    τ_p^s p^s_ij' = -γ^s p^s_ij + Σ_kl T_ijkl tanh(p^s_kl) + κ_s drive(s_ij) + d
    τ_p^l p^l_ij' = -γ^l p^l_ij + growth(s_ij) (1 - bound p^l_ij)

It must stay independent: it imports nothing of `astro_sim`, and its constants repeat the defaults on purpose. SciPy's
DOP853 integrates it, whereas the default solver of the models is LSODA.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from rmaat.base.arrays import Array

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-10, 1e-14
INTERVAL = 0.5
"""Time in s between compared values."""
VARIABLES = (
    "presynaptic_activity",
    "postsynaptic_activity",
    "synaptic_facilitation",
    "short_term_process",
    "long_term_process",
)


@dataclass(frozen=True)
class PlainModel:
    """The default network and its default forms: φ, g, drive and growth are tanh, bound is 0."""

    pre_drive: tuple[float, ...] = (1.0, 0.8, 0.6)
    post_drive: tuple[float, ...] = (0.5, 0.4, 0.3)
    run: float = 300.0
    cycle: float = 50.0
    stimulus: float = 25.0
    restarts: bool = True
    neuron_time: float = 0.5
    synapse_time: float = 1.0
    short_time: float = 3.0
    long_time: float = 100.0
    neuron_decay: float = 1.0
    synapse_decay: float = 1.0
    short_decay: float = 1.0
    long_decay: float = 1.0
    weight: float = 1.0
    short_feedback: float = 1.0
    long_feedback: float = 0.0
    short_gain: float = 0.5
    synapse_bias: float = 0.0
    short_bias: float = 0.0
    strength: float = 0.05
    scale: float = 1.0
    soft_bound: float = 0.0

    def places(self) -> Array:
        """Positions (synapse, 2), post by post: midpoints between neurons on two lines."""
        return np.array([(0.5, (i + j) / 2) for i, j in self._synapses()])

    def response(self, activity: Array) -> Array:
        """φ(x), the effect of activity on synapses."""
        return np.tanh(activity)

    def transmission(self, facilitation: Array, response: Array) -> Array:
        """Σ_k g(s_ki) φ(x_k) (post,), from facilitation (post, pre) and response (pre,)."""
        return np.tanh(facilitation) @ response

    def drive(self, facilitation: Array) -> Array:
        """The drive of the short-term process by facilitation."""
        return np.tanh(facilitation)

    def growth(self, facilitation: Array) -> Array:
        """The growth of the long-term process."""
        return np.tanh(facilitation)

    def coupling(self) -> Array:
        """T (synapse, synapse): ε exp(-scale · distance), and 0 from a synapse to itself."""
        places = self.places()
        distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
        return self.strength * np.exp(-self.scale * distances) * (1 - np.eye(len(places)))

    def solve(self) -> dict[str, Array]:
        """Every variable (time, ...) by name, each `INTERVAL` from 0 s on; at an edge, the value before a restart."""
        state, found = np.zeros(sum(self._sizes())), []
        found.append(state[:, None])
        for start in (count * self.cycle for count in range(round(self.run / self.cycle))):
            if self.restarts:
                state[: -self._sizes()[-1]] = 0
            edges = (start, start + self.stimulus, start + self.cycle)
            for (begin, end), on in zip(itertools.pairwise(edges), (1.0, 0.0), strict=True):
                times = np.arange(1, round((end - begin) / INTERVAL) + 1) * INTERVAL + begin
                values = self._advance(begin, end, state, on, times)
                found.append(values)
                state = values[:, -1].copy()
        return self._named(np.concatenate(found, axis=1).T)

    def _advance(self, begin: float, end: float, state: Array, on: float, times: Array) -> Array:
        pre, post, matrix = on * np.array(self.pre_drive), on * np.array(self.post_drive), self.coupling()
        solved = solve_ivp(
            lambda _, y: self._rates(y, pre, post, matrix),
            (begin, end),
            state,
            "DOP853",
            t_eval=times,
            rtol=RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE,
        )
        return solved.y

    def _rates(self, state: Array, pre_drive: Array, post_drive: Array, matrix: Array) -> Array:
        pre, post, facilitation, short, long = self._named(state).values()
        sent, received = self.response(pre), self.response(post)
        rates = (
            (-self.neuron_decay * pre + pre_drive) / self.neuron_time,
            (-self.neuron_decay * post + self.weight * self.transmission(facilitation, sent) + post_drive)
            / self.neuron_time,
            (
                -self.synapse_decay * facilitation
                + np.outer(received, sent)
                + self.short_feedback * np.tanh(short)
                + self.long_feedback * long
                + self.synapse_bias
            )
            / self.synapse_time,
            (
                -self.short_decay * short
                + (matrix @ np.tanh(short).ravel()).reshape(short.shape)
                + self.short_gain * self.drive(facilitation)
                + self.short_bias
            )
            / self.short_time,
            (-self.long_decay * long + self.growth(facilitation) * (1 - self.soft_bound * long)) / self.long_time,
        )
        return np.concatenate([rate.ravel() for rate in rates])

    def _synapses(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(len(self.post_drive)) for j in range(len(self.pre_drive))]

    def _sizes(self) -> tuple[int, ...]:
        pre, post = len(self.pre_drive), len(self.post_drive)
        return pre, post, post * pre, post * pre, post * pre

    def _named(self, states: Array) -> dict[str, Array]:
        """States (..., size) as arrays (..., pre), (..., post) and three times (..., post, pre), by name."""
        pre, post = len(self.pre_drive), len(self.post_drive)
        parts = np.split(states, np.cumsum(self._sizes())[:-1], axis=-1)
        shapes = ((pre,), (post,), (post, pre), (post, pre), (post, pre))
        leading = states.shape[:-1]
        return {name: part.reshape(leading + shape) for name, part, shape in zip(VARIABLES, parts, shapes, strict=True)}


@dataclass(frozen=True)
class ChangedModel(PlainModel):
    """Every other form and every constant changed: no two constants of an equation are equal, no restarts."""

    pre_drive: tuple[float, ...] = (1.4, -0.5)
    post_drive: tuple[float, ...] = (0.9, -1.1, 0.6, 0.3)
    run: float = 120.0
    cycle: float = 40.0
    stimulus: float = 15.0
    restarts: bool = False
    neuron_time: float = 0.3
    synapse_time: float = 0.7
    short_time: float = 2.0
    long_time: float = 60.0
    neuron_decay: float = 1.2
    synapse_decay: float = 1.5
    short_decay: float = 1.3
    long_decay: float = 0.7
    weight: float = 0.9
    short_feedback: float = 0.6
    long_feedback: float = 0.1
    short_gain: float = 0.7
    synapse_bias: float = 0.02
    short_bias: float = -0.03
    strength: float = 0.04
    scale: float = 0.8
    soft_bound: float = 1.0
    half: float = 0.4
    exponent: float = 3.0

    def places(self) -> Array:
        """Positions (synapse, 2), post by post: a grid of columns j and rows i."""
        return np.array([(float(j), float(i)) for i, j in self._synapses()])

    def response(self, activity: Array) -> Array:
        """Rectified: no effect below rest."""
        return np.tanh(np.maximum(activity, 0))

    def transmission(self, facilitation: Array, response: Array) -> Array:
        """The mean over presynaptic neurons, linear in facilitation."""
        return facilitation @ response / len(response)

    def drive(self, facilitation: Array) -> Array:
        """Linear."""
        return facilitation

    def growth(self, facilitation: Array) -> Array:
        """A Hill function of positive facilitation."""
        power = np.maximum(facilitation, 0) ** self.exponent
        return power / (self.half**self.exponent + power)
