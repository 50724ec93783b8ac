"""Constants of the astrocyte's calcium, IP3 and receptors, and of transmitter release, grouped by their biology.

Concentrations are plain numbers in micromolar (umol/L) and times in seconds throughout, so that rates are in umol/L/s,
1/s or L/umol/s; the names stand in the equations. Bounds leave room for the literature, not for millimolar or ms.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from astro_sim.biophysics.sources import Paper
from rmaat.base.records import Record, parameter

MICROMOLAR, FLUX, RATE, BINDING = "umol/L", "umol/L/s", "1/s", "L/umol/s"


def restated(record: type[Record], name: str, value: Any, source: StrEnum) -> Any:
    """The field `name` of `record` for a subclass, with another value from another source."""
    (entry,) = (entry for entry in dataclasses.fields(record) if entry.name == name)
    quantity = dataclasses.replace(entry.metadata["quantity"], source=source)
    return dataclasses.field(default=value, metadata={"quantity": quantity})


def _published(
    default: float, meaning: str, unit: str, symbol: str, low: float, high: float, source: StrEnum = Paper.LI_RINZEL
) -> Any:
    return parameter(default, meaning, unit=unit, symbol=symbol, low=low, high=high, source=source)


@dataclass(frozen=True)
class CalciumParameters(Record):
    """Calcium exchange between cytosol and store, after Li and Rinzel; the defaults modulate the amplitude (AM)."""

    release_rate: float = _published(6.0, "largest rate of release through IP3 receptors", RATE, "Ω_C", 0, 100)
    leak_rate: float = _published(0.11, "rate of leak from the store", RATE, "Ω_L", 0, 10)
    pump_rate: float = _published(0.9, "largest uptake by the SERCA pump", FLUX, "O_P", 0, 100)
    pump_affinity: float = _published(
        0.1, "calcium at which the pump works at half its rate", MICROMOLAR, "K_P", 0.01, 1
    )
    total_calcium: float = _published(2.0, "free calcium of the whole cell, per cytosol", MICROMOLAR, "C_T", 0.1, 100)
    store_volume_ratio: float = _published(0.185, "volume of the store per volume of cytosol", "1", "ρ_A", 0.01, 1)
    ip3_dissociation: float = _published(0.13, "dissociation of IP3 from open receptors", MICROMOLAR, "d_1", 0.01, 10)
    inactivation_dissociation: float = _published(
        1.049, "dissociation of calcium from its inactivating site", MICROMOLAR, "d_2", 0.01, 10
    )
    ip3_inactive_dissociation: float = _published(
        0.9434, "dissociation of IP3 from inactivated receptors", MICROMOLAR, "d_3", 0.01, 10
    )
    activation_dissociation: float = _published(
        0.08234, "dissociation of calcium from its activating site", MICROMOLAR, "d_5", 0.001, 10
    )
    inactivation_binding: float = _published(
        0.2, "binding of calcium to its inactivating site", BINDING, "O_2", 0.001, 10
    )


@dataclass(frozen=True)
class FrequencyCalciumParameters(CalciumParameters):
    """A pump of higher affinity, with which IP3 modulates the frequency (FM) of calcium oscillations."""

    pump_affinity: float = restated(CalciumParameters, "pump_affinity", 0.051, Paper.DE_PITTA)


@dataclass(frozen=True)
class ActivatedCalciumParameters(CalciumParameters):
    """The rounded values of the synaptically activated astrocyte, figure 2 of Stimberg et al."""

    leak_rate: float = restated(CalciumParameters, "leak_rate", 0.1, Paper.STIMBERG)
    store_volume_ratio: float = restated(CalciumParameters, "store_volume_ratio", 0.18, Paper.STIMBERG)
    inactivation_dissociation: float = restated(CalciumParameters, "inactivation_dissociation", 1.05, Paper.STIMBERG)
    activation_dissociation: float = restated(CalciumParameters, "activation_dissociation", 0.08, Paper.STIMBERG)


@dataclass(frozen=True)
class Ip3Parameters(Record):
    """Production and degradation of IP3 (figure 2 of Stimberg et al., after De Pittà et al.)."""

    plc_beta_rate: float = _published(
        5.0, "largest production by PLC-beta, which receptors activate", FLUX, "O_β", 0, 100, Paper.STIMBERG
    )
    plc_delta_rate: float = _published(
        0.2, "largest production by PLC-delta, which calcium activates", FLUX, "O_δ", 0, 10, Paper.STIMBERG
    )
    plc_delta_inhibition: float = _published(
        1.5, "IP3 at which PLC-delta is halved", MICROMOLAR, "κ_δ", 0.01, 100, Paper.STIMBERG
    )
    plc_delta_affinity: float = _published(
        0.3, "calcium at which PLC-delta is half active", MICROMOLAR, "K_δ", 0.001, 10, Paper.STIMBERG
    )
    kinase_rate: float = _published(4.5, "largest degradation by IP3-3K", FLUX, "O_3K", 0, 100, Paper.STIMBERG)
    kinase_calcium_affinity: float = _published(
        0.5, "calcium at which IP3-3K is half active", MICROMOLAR, "K_D", 0.01, 10, Paper.STIMBERG
    )
    kinase_ip3_affinity: float = _published(
        1.0, "IP3 at which IP3-3K works at half its rate", MICROMOLAR, "K_3K", 0.01, 100, Paper.STIMBERG
    )
    phosphatase_rate: float = _published(0.1, "rate of degradation by IP-5P", RATE, "Ω_5P", 0, 10, Paper.STIMBERG)


@dataclass(frozen=True)
class ExcitableCalciumParameters(ActivatedCalciumParameters):
    """The pump of the astrocytes in networks, figures 4 and 5 of Stimberg et al."""

    pump_affinity: float = restated(CalciumParameters, "pump_affinity", 0.05, Paper.STIMBERG)


@dataclass(frozen=True)
class ExcitableIp3Parameters(Ip3Parameters):
    """Production that calcium itself sustains, figures 4 and 5 of Stimberg et al."""

    plc_beta_rate: float = restated(Ip3Parameters, "plc_beta_rate", 3.2, Paper.STIMBERG)
    plc_delta_rate: float = restated(Ip3Parameters, "plc_delta_rate", 0.6, Paper.STIMBERG)
    plc_delta_affinity: float = restated(Ip3Parameters, "plc_delta_affinity", 0.1, Paper.STIMBERG)
    kinase_calcium_affinity: float = restated(Ip3Parameters, "kinase_calcium_affinity", 0.7, Paper.STIMBERG)
    phosphatase_rate: float = restated(Ip3Parameters, "phosphatase_rate", 0.05, Paper.STIMBERG)


@dataclass(frozen=True)
class ExchangeParameters(Record):
    """Diffusion of IP3 to what surrounds the compartment, above a threshold of difference."""

    exchange_rate: float = _published(0.09, "largest flow of IP3", FLUX, "F", 0, 10, Paper.STIMBERG)
    exchange_threshold: float = _published(
        0.3, "difference of IP3 at which half of it flows", MICROMOLAR, "I_Θ", 0, 10, Paper.STIMBERG
    )
    exchange_width: float = _published(0.05, "softness of the threshold", MICROMOLAR, "ω_I", 0.001, 1, Paper.STIMBERG)
    ip3_outside: float = _published(0.0, "IP3 of the surroundings", MICROMOLAR, "I_b", 0, 10, Paper.STIMBERG)


@dataclass(frozen=True)
class ReceptorParameters(Record):
    """The astrocyte's glutamate receptors, which calcium desensitises through protein kinase C."""

    receptor_binding: float = _published(0.3, "binding of transmitter", BINDING, "O_N", 0, 100, Paper.STIMBERG)
    receptor_release: float = _published(0.5, "release of transmitter", RATE, "Ω_N", 0.001, 100, Paper.STIMBERG)
    kinase_c_affinity: float = _published(
        0.5, "calcium at which protein kinase C is half active", MICROMOLAR, "K_KC", 0.01, 10, Paper.STIMBERG
    )
    desensitisation: float = _published(
        10.0, "largest factor by which protein kinase C adds to release", "1", "ζ", 0, 100, Paper.STIMBERG
    )


@dataclass(frozen=True)
class TransmitterParameters(Record):
    """Synaptic transmitter outside the cells (figure 2 of Stimberg et al.)."""

    vesicle_volume_ratio: float = _published(
        0.001, "volume of vesicles per volume outside the cells", "1", "ρ_c", 0, 1, Paper.STIMBERG
    )
    vesicle_transmitter: float = _published(
        500_000.0, "transmitter in vesicles", MICROMOLAR, "Y_T", 1000, 1e7, Paper.STIMBERG
    )
    transmitter_clearance: float = _published(40.0, "clearance of transmitter", RATE, "Ω_c", 0.1, 1e4, Paper.STIMBERG)


@dataclass(frozen=True)
class ReleaseParameters(Record):
    """Release from a synapse with short-term plasticity after Tsodyks and Markram."""

    release_probability: float = _published(
        0.6, "share of the resources used by a spike after long silence", "1", "U_0", 0.001, 1, Paper.TSODYKS
    )
    facilitation_rate: float = _published(3.33, "decay of facilitation", RATE, "Ω_f", 0.01, 1000, Paper.TSODYKS)
    recovery_rate: float = _published(2.0, "recovery of resources", RATE, "Ω_d", 0.01, 1000, Paper.TSODYKS)


@dataclass(frozen=True)
class AstrocyteParameters(Record):
    """All of the astrocyte that synapses activate, as in figure 2 of Stimberg et al. (G-ChI)."""

    calcium: ActivatedCalciumParameters = ActivatedCalciumParameters()
    ip3: Ip3Parameters = Ip3Parameters()
    exchange: ExchangeParameters = ExchangeParameters()
    receptors: ReceptorParameters = ReceptorParameters()
    transmitter: TransmitterParameters = TransmitterParameters()
