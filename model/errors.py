"""What a user of `model` can cause."""

from rmaat.base.errors import RmaatError


class ModelError(RmaatError):
    """Input, configuration or a run folder that the model cannot take."""
