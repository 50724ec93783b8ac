"""The rate model of the neuron-astrocyte network, four equations.

    τ_n   dx_i/dt    = -λ   x_i    + Σ_k tanh(s_ki) tanh(x_k) + b_i(t)          parent papers
    τ_s   ds_ij/dt   = -β   s_ij   + tanh(x_i) tanh(x_j) + tanh(p^s_ij) + c     readers; parent papers
    τ_p^s dp^s_ij/dt = -γ^s p^s_ij + Σ_kl T_ijkl tanh(p^s_kl) + κ_s tanh(s_ij) + d
    τ_p^l dp^l_ij/dt = -γ^l p^l_ij + tanh(s_ij)                                 readers

Sums over k reach postsynaptic neurons only: the network has two layers. The RMAAT paper (arXiv 2601.00426) names the
processes and the distance-dependent coupling; its readers and its parents (arXiv 2312.10925, 2311.08135) give the form
of the equations; every nonlinearity being tanh, and most values in `RateModelParameters`, are ours.

With a drive that repeats and fast variables that restart, p^l sees the same input in every cycle, so that its
increments are geometric, `Δ_t = Δ_1 exp(-a (t - 1))` with `a = γ^l τ_cycle / τ_p^l`, whatever the geometry and the
nonlinearities.
"""

from astro_sim.equations import Model, Place, Variable

RATE_MODEL = Model(
    variables=(
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
        Variable(
            "synaptic_facilitation",
            Place.SYNAPSE,
            "(-synapse_decay * synaptic_facilitation + tanh(activity_post) * tanh(activity_pre)"
            " + tanh(short_term_process) + synapse_bias) / synapse_time_constant",
            "synaptic facilitation",
            "s_ij",
        ),
        Variable(
            "short_term_process",
            Place.SYNAPSE,
            "(-short_term_decay * short_term_process + coupled_input"
            " + short_term_gain * tanh(synaptic_facilitation) + short_term_bias) / short_term_time_constant",
            "short-term astrocytic process",
            "p^s_ij",
        ),
        Variable(
            "long_term_process",
            Place.SYNAPSE,
            "(-long_term_decay * long_term_process + tanh(synaptic_facilitation)) / long_term_time_constant",
            "long-term astrocytic process",
            "p^l_ij",
            restarts=False,
        ),
    ),
    synaptic_input="tanh(synaptic_facilitation) * tanh(activity_pre)",
    coupled_signal="tanh(short_term_process)",
)
