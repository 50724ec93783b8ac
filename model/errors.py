"""Errors that a user of `model` can cause."""

from rmaat.base.errors import RmaatError


class ModelError(RmaatError):
    """Invalid input, configuration or run folder of a model."""
