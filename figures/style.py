"""What the figures share: their style, what each colour means, and how an axis says its unit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import xarray as xr

STYLE = Path(__file__).with_name("rmaat.mplstyle")

# Okabe and Ito's palette, which the colour-blind tell apart.
PRESYNAPTIC = "#E69F00"
POSTSYNAPTIC = "#D55E00"
FACILITATION = "#009E73"
SHORT_TERM = "#0072B2"
LONG_TERM = "#CC79A7"
SEEN = "#56B4E9"
"""Data that a model learns from."""
HELD_OUT = "#000000"
"""Data that it does not."""
REFERENCE = "#7F7F7F"
"""What is put in or calculated, beside what is measured."""
STIMULUS = "#E4E4E4"


@contextmanager
def paper_style() -> Iterator[None]:
    """Matplotlib's defaults with `rmaat.mplstyle`, whatever the user's own settings; these return at the end."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def axis_label(words: str, symbol: str = "", units: str = "1") -> str:
    """`words symbol (units)`; "1" means dimensionless, as in the files, and `symbol` is the paper's, in mathtext."""
    return " ".join([words, *([f"${symbol}$"] if symbol else []), f"({units})"])


def units_of(array: xr.DataArray) -> str:
    """The unit that a file gives an array; none means dimensionless, by the CF conventions."""
    return str(array.attrs.get("units", "1"))
