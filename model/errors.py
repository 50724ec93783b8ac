"""What a user of `model` can cause."""

from rmaat.errors import RmaatError


class ModelError(RmaatError):
    """Input, configuration or a run folder that the model cannot take."""


class Interrupted(RmaatError):
    """The user stopped the training; its state is saved."""

    exit_status = 130
