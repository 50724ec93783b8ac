"""Constants of the astrocyte's calcium, IP3 and receptors, and of transmitter release, grouped by their biology.

Concentrations are plain numbers in micromolar (umol/L) and times in seconds, so that rates are in umol/L/s, 1/s or
L/umol/s. Equations use the constants by name. The bounds include the values of the literature and exclude the same
values in mmol/L or ms.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from astro_sim.biophysics.sources import Paper
from rmaat.base.records import Record, parameter

MICROMOLAR, FLUX, RATE, BINDING = "umol/L", "umol/L/s", "1/s", "L/umol/s"

Parameters = TypeVar("Parameters", bound=Record)


def restated(source: StrEnum, /, **values: Any) -> Callable[[type[Parameters]], type[Parameters]]:
    """A class decorator that gives inherited parameters other default values, from another source.

    Meaning, unit and bounds stay those of the parent class. The decorator also makes the class a frozen dataclass.

        @restated(Paper.STIMBERG, pump_affinity=0.05)
        class ExcitableCalciumParameters(CalciumParameters): ...
    """

    def restate(record: type[Parameters]) -> type[Parameters]:
        inherited = {entry.name: entry for entry in dataclasses.fields(record)}
        for name, value in values.items():
            quantity = dataclasses.replace(inherited[name].metadata["quantity"], source=source)
            setattr(record, name, dataclasses.field(default=value, metadata={"quantity": quantity}))
        # A dataclass takes a field's default from its own class only where that class annotates the field.
        record.__annotations__ = {name: inherited[name].type for name in values} | vars(record).get(
            "__annotations__", {}
        )
        return dataclass(frozen=True)(record)

    return restate


def _from(source: StrEnum, default: float, meaning: str, unit: str, symbol: str, low: float, high: float) -> Any:
    return parameter(default, meaning, unit=unit, symbol=symbol, low=low, high=high, source=source)


_li_rinzel, _stimberg, _tsodyks = (partial(_from, paper) for paper in (Paper.LI_RINZEL, Paper.STIMBERG, Paper.TSODYKS))


@dataclass(frozen=True)
class CalciumParameters(Record):
    """Calcium exchange between cytosol and store, after Li and Rinzel.

    With these defaults IP3 modulates the amplitude (AM) of calcium oscillations.
    """

    release_rate: float = _li_rinzel(6.0, "largest rate of release through IP3 receptors", RATE, "Ω_C", 0, 100)
    leak_rate: float = _li_rinzel(0.11, "rate of leak from the store", RATE, "Ω_L", 0, 10)
    pump_rate: float = _li_rinzel(0.9, "largest uptake by the SERCA pump", FLUX, "O_P", 0, 100)
    pump_affinity: float = _li_rinzel(
        0.1, "calcium at which the pump works at half its rate", MICROMOLAR, "K_P", 0.01, 1
    )
    total_calcium: float = _li_rinzel(2.0, "free calcium of the whole cell, per cytosol", MICROMOLAR, "C_T", 0.1, 100)
    store_volume_ratio: float = _li_rinzel(0.185, "volume of the store per volume of cytosol", "1", "ρ_A", 0.01, 1)
    ip3_dissociation: float = _li_rinzel(0.13, "dissociation of IP3 from open receptors", MICROMOLAR, "d_1", 0.01, 10)
    inactivation_dissociation: float = _li_rinzel(
        1.049, "dissociation of calcium from its inactivating site", MICROMOLAR, "d_2", 0.01, 10
    )
    ip3_inactive_dissociation: float = _li_rinzel(
        0.9434, "dissociation of IP3 from inactivated receptors", MICROMOLAR, "d_3", 0.01, 10
    )
    activation_dissociation: float = _li_rinzel(
        0.08234, "dissociation of calcium from its activating site", MICROMOLAR, "d_5", 0.001, 10
    )
    inactivation_binding: float = _li_rinzel(
        0.2, "binding of calcium to its inactivating site", BINDING, "O_2", 0.001, 10
    )


@restated(Paper.DE_PITTA, pump_affinity=0.051)
class FrequencyCalciumParameters(CalciumParameters):
    """A pump of higher affinity. With it IP3 modulates the frequency (FM) of calcium oscillations."""


@restated(
    Paper.STIMBERG, leak_rate=0.1, store_volume_ratio=0.18, inactivation_dissociation=1.05, activation_dissociation=0.08
)
class ActivatedCalciumParameters(CalciumParameters):
    """The rounded values of the synaptically activated astrocyte, figure 2 of Stimberg et al."""


@dataclass(frozen=True)
class Ip3Parameters(Record):
    """Production and degradation of IP3 (figure 2 of Stimberg et al., after De Pittà et al.)."""

    plc_beta_rate: float = _stimberg(
        5.0, "largest production by PLC-beta, which receptors activate", FLUX, "O_β", 0, 100
    )
    plc_delta_rate: float = _stimberg(
        0.2, "largest production by PLC-delta, which calcium activates", FLUX, "O_δ", 0, 10
    )
    plc_delta_inhibition: float = _stimberg(1.5, "IP3 at which PLC-delta is halved", MICROMOLAR, "κ_δ", 0.01, 100)
    plc_delta_affinity: float = _stimberg(
        0.3, "calcium at which PLC-delta is half active", MICROMOLAR, "K_δ", 0.001, 10
    )
    kinase_rate: float = _stimberg(4.5, "largest degradation by IP3-3K", FLUX, "O_3K", 0, 100)
    kinase_calcium_affinity: float = _stimberg(
        0.5, "calcium at which IP3-3K is half active", MICROMOLAR, "K_D", 0.01, 10
    )
    kinase_ip3_affinity: float = _stimberg(
        1.0, "IP3 at which IP3-3K works at half its rate", MICROMOLAR, "K_3K", 0.01, 100
    )
    phosphatase_rate: float = _stimberg(0.1, "rate of degradation by IP-5P", RATE, "Ω_5P", 0, 10)


@restated(Paper.STIMBERG, pump_affinity=0.05)
class ExcitableCalciumParameters(ActivatedCalciumParameters):
    """The pump of the astrocytes in networks, figures 4 and 5 of Stimberg et al."""


@restated(
    Paper.STIMBERG,
    plc_beta_rate=3.2,
    plc_delta_rate=0.6,
    plc_delta_affinity=0.1,
    kinase_calcium_affinity=0.7,
    phosphatase_rate=0.05,
)
class ExcitableIp3Parameters(Ip3Parameters):
    """IP3 production that calcium itself sustains, figures 4 and 5 of Stimberg et al."""


@dataclass(frozen=True)
class ExchangeParameters(Record):
    """Diffusion of IP3 between the compartment and its surroundings, above a threshold difference."""

    exchange_rate: float = _stimberg(0.09, "largest flow of IP3", FLUX, "F", 0, 10)
    exchange_threshold: float = _stimberg(0.3, "difference of IP3 at which half of it flows", MICROMOLAR, "I_Θ", 0, 10)
    exchange_width: float = _stimberg(0.05, "softness of the threshold", MICROMOLAR, "ω_I", 0.001, 1)
    ip3_outside: float = _stimberg(0.0, "IP3 of the surroundings", MICROMOLAR, "I_b", 0, 10)


@dataclass(frozen=True)
class ReceptorParameters(Record):
    """The astrocyte's glutamate receptors, which calcium desensitises through protein kinase C."""

    receptor_binding: float = _stimberg(0.3, "binding of transmitter", BINDING, "O_N", 0, 100)
    receptor_release: float = _stimberg(0.5, "release of transmitter", RATE, "Ω_N", 0.001, 100)
    kinase_c_affinity: float = _stimberg(
        0.5, "calcium at which protein kinase C is half active", MICROMOLAR, "K_KC", 0.01, 10
    )
    desensitisation: float = _stimberg(
        10.0, "largest factor by which protein kinase C adds to release", "1", "ζ", 0, 100
    )


@dataclass(frozen=True)
class TransmitterParameters(Record):
    """Synaptic transmitter outside the cells (figure 2 of Stimberg et al.)."""

    vesicle_volume_ratio: float = _stimberg(0.001, "volume of vesicles per volume outside the cells", "1", "ρ_c", 0, 1)
    vesicle_transmitter: float = _stimberg(500_000.0, "transmitter in vesicles", MICROMOLAR, "Y_T", 1000, 1e7)
    transmitter_clearance: float = _stimberg(40.0, "clearance of transmitter", RATE, "Ω_c", 0.1, 1e4)


@restated(Paper.STIMBERG, vesicle_volume_ratio=0.005)
class SpikingTransmitterParameters(TransmitterParameters):
    """Vesicles of synapses with gliotransmission, figure 4 and example 4 of Stimberg et al."""


@dataclass(frozen=True)
class ReleaseParameters(Record):
    """Release from a synapse with short-term plasticity, after Tsodyks and Markram."""

    release_probability: float = _tsodyks(
        0.6, "share of the resources used by a spike after long silence", "1", "U_0", 0.001, 1
    )
    facilitation_rate: float = _tsodyks(3.33, "decay of facilitation", RATE, "Ω_f", 0.01, 1000)
    recovery_rate: float = _tsodyks(2.0, "recovery of resources", RATE, "Ω_d", 0.01, 1000)


@dataclass(frozen=True)
class GliotransmissionParameters(Record):
    """The astrocyte's release when calcium crosses a threshold, and its effect on the synapse; as in example 4."""

    ip3_diffusion: float = parameter(
        0.05, "exchange of IP3 between processes per unit of coupling", unit=RATE, low=0, high=10, symbol="D_I"
    )
    calcium_threshold: float = parameter(
        0.3, "calcium at which the astrocyte releases", unit=MICROMOLAR, low=0.05, high=10, symbol="C_Θ"
    )
    astrocyte_release: float = parameter(
        0.6, "share of its resources that the astrocyte releases", low=0, high=1, source=Paper.STIMBERG, symbol="U_A"
    )
    astrocyte_recovery: float = parameter(
        0.6, "recovery of its resources", unit=RATE, low=0.01, high=100, source=Paper.STIMBERG, symbol="Ω_A"
    )
    astrocyte_vesicles: float = parameter(
        130.0,
        "gliotransmitter outside after a full release",
        unit=MICROMOLAR,
        low=0,
        high=1e5,
        source=Paper.STIMBERG,
        symbol="ρ_e G_T",
    )
    gliotransmitter_clearance: float = parameter(
        60.0, "clearance of gliotransmitter", unit=RATE, low=0.1, high=1e4, source=Paper.STIMBERG, symbol="Ω_e"
    )
    presynaptic_binding: float = parameter(
        1.5, "binding to presynaptic receptors", unit=BINDING, low=0, high=100, source=Paper.STIMBERG, symbol="O_G"
    )
    presynaptic_unbinding: float = parameter(
        0.1, "release from presynaptic receptors", unit=RATE, low=1e-3, high=10, symbol="Ω_G"
    )
    modulated_probability: float = parameter(
        0.6, "release probability when all presynaptic receptors are bound", low=0, high=1, symbol="α"
    )


@dataclass(frozen=True)
class AstrocyteParameters(Record):
    """All parameters of an astrocyte that a synapse activates, figure 2 of Stimberg et al. (G-ChI)."""

    calcium: ActivatedCalciumParameters = field(default_factory=ActivatedCalciumParameters)
    ip3: Ip3Parameters = field(default_factory=Ip3Parameters)
    exchange: ExchangeParameters = field(default_factory=ExchangeParameters)
    receptors: ReceptorParameters = field(default_factory=ReceptorParameters)
    transmitter: TransmitterParameters = field(default_factory=TransmitterParameters)
