"""The four equations of the rate model of a neuron-astrocyte network, and the forms of their terms.

    τ_n   dx_i/dt    = -λ   x_i    + w Σ_k tanh(s_ki) tanh(x_k) + b_i(t)               parent papers
    τ_s   ds_ij/dt   = -β   s_ij   + tanh(x_i) tanh(x_j) + c_ps tanh(p^s_ij) + c       readers; parent papers
                                   + c_pl p^l_ij                                       ours
    τ_p^s dp^s_ij/dt = -γ^s p^s_ij + Σ_kl T_ijkl tanh(p^s_kl) + κ_s tanh(s_ij) + d     readers; parent papers
    τ_p^l dp^l_ij/dt = -γ^l p^l_ij + tanh(s_ij)                                        readers

The sum over k occurs in postsynaptic neurons only, because the network has two layers. The RMAAT paper (arXiv
2601.00426) names the processes and the distance-dependent coupling. Its readers and its parents (arXiv 2312.10925,
2311.08135) give the form of the equations. Ours are: tanh as every nonlinearity, the gains w, c_ps = 1 and c_pl = 0,
most values in `RateModelParameters`, and all other forms in `RateModelForm`.

If the drive repeats and the fast variables restart, p^l receives the same input in every cycle. Its increments are then
geometric, `Δ_t = Δ_1 exp(-a (t - 1))` with `a = γ^l τ_cycle / τ_p^l`. This holds for any geometry and nonlinearity, if
p^l grows linearly and does not feed back. With a soft bound, `κ(s) (1 - p^l)`, the increments are geometric at each
synapse, but with a rate of its own, `a + ∫κ(s) dt / τ_p^l` over a cycle. With feedback there is no such law.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from astro_sim.equations.model import Model, Place, Variable
from rmaat.base.records import Record, parameter

NEURONS = (
    Variable(
        "activity",
        Place.PRE,
        "(-neuron_decay * activity + drive) / neuron_time_constant",
        "presynaptic activity",
        "x_j",
    ),
    Variable(
        "activity",
        Place.POST,
        "(-neuron_decay * activity + synaptic_input + drive) / neuron_time_constant",
        "postsynaptic activity",
        "x_i",
    ),
)
"""The equations of both layers of neurons, the same in all forms."""

RESPONSES: Mapping[str, str] = {"tanh": "tanh({x})", "rectified_tanh": "tanh(({x} + abs({x})) / 2)"}
TRANSMISSIONS: Mapping[str, str] = {
    "tanh_sum": "synaptic_weight * tanh(synaptic_facilitation) * {response}",
    "linear_mean": "synaptic_weight / {neurons} * synaptic_facilitation * {response}",
}
SHORT_TERM_DRIVES: Mapping[str, str] = {"tanh": "tanh(synaptic_facilitation)", "linear": "synaptic_facilitation"}
# max(s, 0), written without `max`: Brian2 and NumPy have no common function for it.
_POSITIVE = "((synaptic_facilitation + abs(synaptic_facilitation)) / 2)"
LONG_TERM_DRIVES: Mapping[str, str] = {
    "tanh": "tanh(synaptic_facilitation)",
    "hill": f"{_POSITIVE}**hill_exponent / (half_activation**hill_exponent + {_POSITIVE}**hill_exponent)",
}
LONG_TERM_GROWTHS: Mapping[str, str] = {"linear": "{drive}", "soft_bound": "{drive} * (1 - long_term_process)"}


@dataclass(frozen=True)
class RateModelForm(Record):
    """The form of each term of the equations; the first choice is the default."""

    neuron_response: str = parameter(
        "tanh", "effect of activity x on synapses; rectified_tanh: tanh(max(x, 0))", choices=tuple(RESPONSES)
    )
    transmission: str = parameter(
        "tanh_sum",
        "what a neuron gets of its synapses; linear_mean: the mean over presynaptic neurons, linear in facilitation",
        choices=tuple(TRANSMISSIONS),
    )
    short_term_drive: str = parameter(
        "tanh", "effect of facilitation on the short-term process", choices=tuple(SHORT_TERM_DRIVES)
    )
    long_term_drive: str = parameter(
        "tanh", "effect κ of facilitation s on p^l; hill: s^n / (K^n + s^n) of s > 0", choices=tuple(LONG_TERM_DRIVES)
    )
    long_term_growth: str = parameter(
        "linear", "growth of p^l under κ; soft_bound: κ (1 - p^l), never beyond 1", choices=tuple(LONG_TERM_GROWTHS)
    )

    def model(self, presynaptic_neurons: int) -> Model:
        """The equations in these forms. The number of presynaptic neurons enters the form linear_mean."""
        response = RESPONSES[self.neuron_response]
        pre, post = (response.format(x=f"activity_{side}") for side in ("pre", "post"))
        growth = LONG_TERM_GROWTHS[self.long_term_growth].format(drive=LONG_TERM_DRIVES[self.long_term_drive])
        facilitation = Variable(
            "synaptic_facilitation",
            Place.SYNAPSE,
            f"(-synapse_decay * synaptic_facilitation + {post} * {pre} + short_term_feedback * tanh(short_term_process)"
            " + synapse_bias + long_term_feedback * long_term_process) / synapse_time_constant",
            "synaptic facilitation",
            "s_ij",
        )
        short_term = Variable(
            "short_term_process",
            Place.SYNAPSE,
            "(-short_term_decay * short_term_process + coupled_input"
            f" + short_term_gain * {SHORT_TERM_DRIVES[self.short_term_drive]} + short_term_bias)"
            " / short_term_time_constant",
            "short-term astrocytic process",
            "p^s_ij",
        )
        long_term = Variable(
            "long_term_process",
            Place.SYNAPSE,
            f"(-long_term_decay * long_term_process + {growth}) / long_term_time_constant",
            "long-term astrocytic process",
            "p^l_ij",
            restarts=False,
        )
        return Model(
            (*NEURONS, facilitation, short_term, long_term),
            synaptic_input=TRANSMISSIONS[self.transmission].format(response=pre, neurons=presynaptic_neurons),
            coupled_signal="tanh(short_term_process)",
        )


RATE_MODEL = RateModelForm().model(presynaptic_neurons=3)
"""The default form; it does not depend on the number of neurons."""
