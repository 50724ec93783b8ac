"""The stimulus protocols: one file for those that are computed, one for those that are read from files."""

from astro_sim.stimuli.patterned import StpCycles, ThetaBursts
from astro_sim.stimuli.recorded import DriveFile, SpikeFile, write_drive

__all__ = ["DriveFile", "SpikeFile", "StpCycles", "ThetaBursts", "write_drive"]
