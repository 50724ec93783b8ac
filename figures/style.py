"""Shared by all figures: the style, the meaning of each colour, markers, and labels of axes with units."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import xarray as xr
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

STYLE = Path(__file__).with_name("rmaat.mplstyle")

# The palette of Okabe and Ito is safe for colour-blind readers.
PRESYNAPTIC = "#E69F00"
POSTSYNAPTIC = "#D55E00"
FACILITATION = "#009E73"
SHORT_TERM = "#0072B2"
LONG_TERM = "#CC79A7"
SEEN = "#56B4E9"
"""training data"""
HELD_OUT = "#000000"
"""data that a model does not learn from"""
REFERENCE = "#7F7F7F"
"""given or calculated values, drawn beside measured ones"""
STIMULUS = "#E4E4E4"

MODELS = (LONG_TERM, SHORT_TERM, FACILITATION, POSTSYNAPTIC, PRESYNAPTIC, SEEN, HELD_OUT)
"""Colours of several models in one panel: the whole palette, in this order."""
MARKERS = "osD^v<>Phd"
"""Markers of several curves in one panel, in this order."""
LEVEL_LINES = (":", "-.", (0, (5, 1)), (0, (1, 3)))
"""Line styles of the trivial levels, in the order of the evaluation."""


@contextmanager
def paper_style() -> Iterator[None]:
    """Apply Matplotlib's defaults and `rmaat.mplstyle`, and restore the user's settings at the end."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def axis_label(words: str, symbol: str = "", units: str = "1") -> str:
    """`words symbol (units)`; `symbol` is the paper's, in mathtext. Counts and ratios have the unit "1", not shown."""
    return " ".join([words, *([f"${symbol}$"] if symbol else []), *([f"({units})"] if units != "1" else [])])


def units_of(array: xr.DataArray) -> str:
    """The unit of an array from its attributes; no unit means dimensionless, by the CF conventions."""
    return str(array.attrs.get("units", "1"))


def label_one_two_five(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers at 1, 2 and 5 times powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda number, _: f"{number:g}")
    axis.set_minor_formatter(NullFormatter())
