"""Calcium in one process of an astrocyte: the Li-Rinzel model, and G-ChI, which adds IP3 and receptors.

    C' = (Ω_C m³ h³ + Ω_L) (C_T - (1 + ρ_A) C) - O_P C² / (C² + K_P²)          calcium
    h' = O_2 (Q_2 - (Q_2 + C) h)                                               share of IP3 receptors not inactivated
    I' = O_β Γ + O_δ / (1 + I / κ_δ) C² / (C² + K_δ²)                          IP3: PLC-beta, PLC-delta,
         - O_3K C⁴ / (C⁴ + K_D⁴) I / (I + K_3K) - Ω_5P I                       IP3-3K, IP-5P
         - F / 2 (1 + tanh((|I - I_b| - I_Θ) / ω_I)) sign(I - I_b)             diffusion from the outside
    Γ' = O_N Y (1 - Γ) - Ω_N (1 + ζ C / (C + K_KC)) Γ                          share of glutamate receptors bound
    Y' = -Ω_c Y                                                                transmitter, which spikes raise

    m = I / (I + d_1) C / (C + d_5),  Q_2 = d_2 (I + d_1) / (I + d_3)

Calcium-induced calcium release makes C oscillate at constant IP3 (Li and Rinzel 1994, doi:10.1006/jtbi.1994.1041).
G-ChI is the model of De Pittà et al. 2009, doi:10.1007/s10867-009-9155-y, in the form of Stimberg et al. 2019,
doi:10.1101/198366. Concentrations are in umol/L and times in s.
"""

from astro_sim.biophysics.system import System

LI_RINZEL = System(
    definitions={
        "activation": "ip3 / (ip3 + ip3_dissociation) * calcium / (calcium + activation_dissociation)",
        "inactivation_level": "inactivation_dissociation * (ip3 + ip3_dissociation)"
        " / (ip3 + ip3_inactive_dissociation)",
        "store_gradient": "total_calcium - (1 + store_volume_ratio) * calcium",
        "calcium_release": "(release_rate * activation**3 * availability**3 + leak_rate) * store_gradient",
        "calcium_uptake": "pump_rate * calcium**2 / (calcium**2 + pump_affinity**2)",
    },
    rates={
        "calcium": "calcium_release - calcium_uptake",
        "availability": "inactivation_binding * (inactivation_level - (inactivation_level + calcium) * availability)",
    },
)
"""Calcium and the availability of IP3 receptors. The IP3 concentration is a constant, `ip3`."""


def ip3_inflow(excess: str) -> str:
    """The equation of the IP3 that flows in, in umol/L/s; `excess` names IP3 inside minus IP3 outside, in umol/L."""
    return f"-exchange_rate / 2 * (1 + tanh((abs({excess}) - exchange_threshold) / exchange_width)) * sign({excess})"


G_CHI = System(
    definitions={
        **LI_RINZEL.definitions,
        "plc_beta": "plc_beta_rate * receptors_bound",
        "plc_delta": "plc_delta_rate / (1 + ip3 / plc_delta_inhibition)"
        " * calcium**2 / (calcium**2 + plc_delta_affinity**2)",
        "kinase": "kinase_rate * calcium**4 / (calcium**4 + kinase_calcium_affinity**4)"
        " * ip3 / (ip3 + kinase_ip3_affinity)",
        "phosphatase": "phosphatase_rate * ip3",
        "surplus": "ip3 - ip3_outside",
        "exchange": ip3_inflow("surplus"),
        "receptor_unbinding": "receptor_release * (1 + desensitisation * calcium / (calcium + kinase_c_affinity))",
    },
    rates={
        **LI_RINZEL.rates,
        "ip3": "plc_beta + plc_delta - kinase - phosphatase + exchange",
        "receptors_bound": "receptor_binding * transmitter * (1 - receptors_bound)"
        " - receptor_unbinding * receptors_bound",
        "transmitter": "-transmitter_clearance * transmitter",
    },
)
"""Calcium, availability, IP3, bound receptors and transmitter of a process that synapses activate."""

PROCESS = System(
    definitions={name: text for name, text in G_CHI.definitions.items() if name not in ("surplus", "exchange")},
    rates={name: text for name, text in G_CHI.rates.items() if name != "transmitter"},
)
"""One process of a network. `transmitter` in umol/L and `exchange` of IP3 in umol/L/s are inputs."""
