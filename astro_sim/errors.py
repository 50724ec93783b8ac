"""The error of this package for failures other than an invalid parameter."""

from rmaat.base.errors import RmaatError


class SimulationError(RmaatError):
    """A simulation failed, an engine is missing, or a traces file cannot be used."""
