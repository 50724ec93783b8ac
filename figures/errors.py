"""Errors that a user of `figures` can cause."""

from rmaat.base.errors import RmaatError


class FigureError(RmaatError):
    """A folder with nothing to draw, or a file that lacks what a figure shows."""
