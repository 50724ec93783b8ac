"""The stimulus protocols: `patterned` ones are computed, `recorded` ones are read from files."""

from astro_sim.stimuli.patterned import StpCycles, ThetaBursts
from astro_sim.stimuli.recorded import DriveFile, SpikeFile, write_drive

__all__ = ["DriveFile", "SpikeFile", "StpCycles", "ThetaBursts", "write_drive"]
