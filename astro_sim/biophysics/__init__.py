"""Biophysics of tripartite synapses: calcium, IP3 and receptors of the astrocyte, and release at the synapse.

    names = constants_of(CalciumParameters()) | {"ip3": 0.5}
    found = solve(LI_RINZEL, names, {"calcium": 0.07, "availability": 0.8}, np.arange(0, 60, 0.01))

Concentrations are in umol/L and times in s. The spiking network is in `astro_sim.biophysics.spiking`, which needs
Brian2.
"""

from astro_sim.biophysics.calcium import G_CHI, LI_RINZEL
from astro_sim.biophysics.parameters import (
    AstrocyteParameters,
    CalciumParameters,
    FrequencyCalciumParameters,
    ReleaseParameters,
)
from astro_sim.biophysics.release import mean_release, release_at
from astro_sim.biophysics.solve import solve
from astro_sim.biophysics.system import System, constants_of

__all__ = [
    "G_CHI",
    "LI_RINZEL",
    "AstrocyteParameters",
    "CalciumParameters",
    "FrequencyCalciumParameters",
    "ReleaseParameters",
    "System",
    "constants_of",
    "mean_release",
    "release_at",
    "solve",
]
