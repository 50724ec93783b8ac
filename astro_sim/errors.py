"""The one error of this package that is not a mistake in what the user asked for."""

from rmaat.base.errors import RmaatError


class SimulationError(RmaatError):
    """A simulation that failed, an engine that is not there, or a traces file that cannot be used."""
