"""What a user of `model` can cause."""

from rmaat.base.errors import RmaatError


class ModelError(RmaatError):
    """Input, configuration or a run folder that the model cannot take."""


class Interrupted(RmaatError):
    """The user stopped the training; its state is saved."""

    exit_status = 130


class OutOfTime(Interrupted):
    """The time given is over; what was under way is saved."""

    exit_status = 75
    """`EX_TEMPFAIL` of sysexits.h: run the same again"""
