"""Errors that a user of `distill` can cause."""

from rmaat.base.errors import RmaatError


class DistillError(RmaatError):
    """Traces from which a table cannot be distilled."""


class TableError(RmaatError):
    """A tables file that is damaged or invalid, or that does not serve the request."""
