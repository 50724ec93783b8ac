"""The form of a figure's files: kinds of file, size, font and logarithmic axes. Journals differ in all of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from figures.errors import FigureError
from rmaat.base.records import Record, parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 9.0
"""Font size of the style, in points; `font_size` scales all text by its ratio to this."""


@dataclass(frozen=True)
class FigureForm(Record):
    """How figures are written; the defaults keep what each figure chooses."""

    formats: tuple[str, ...] = parameter(("png", "svg"), "kinds of file to write", choices=("png", "svg", "pdf"))
    width: float = parameter(0.0, "width; 0 keeps each figure's, or its ratio to the height", unit="in", low=0, high=50)
    height: float = parameter(
        0.0, "height; 0 keeps each figure's, or its ratio to the width", unit="in", low=0, high=50
    )
    font: str = parameter("", "font family, such as Arial; empty keeps DejaVu Sans")
    font_size: float = parameter(POINTS, "size of labels; other text keeps its ratio to it", unit="pt", low=4, high=40)
    log_axes: str = parameter(
        "own",
        "axes to make logarithmic where all numbers are above 0; own keeps those of each figure",
        choices=("own", "x", "y", "both"),
    )


def give_form(figure: "Figure", form: FigureForm) -> None:
    """Change size, font and axes of `figure` to `form`; raises `FigureError` if the font is not installed."""
    _resize(figure, form)
    _set_font(figure, form)
    for axes in figure.axes:
        if form.log_axes in ("x", "both") and _is_positive(axes, 0):
            axes.set_xscale("log")
        if form.log_axes in ("y", "both") and _is_positive(axes, 1):
            axes.set_yscale("log")


def _resize(figure: "Figure", form: FigureForm) -> None:
    width, height = figure.get_size_inches()
    if form.width or form.height:
        new_width = form.width or width * form.height / height
        figure.set_size_inches(new_width, form.height or height * form.width / width)


def _set_font(figure: "Figure", form: FigureForm) -> None:
    from matplotlib.font_manager import findfont
    from matplotlib.text import Text

    if form.font:
        try:
            findfont(form.font, fallback_to_default=False)
        except ValueError as error:
            raise FigureError(f"the font {form.font!r} is not installed; name another font, or install it") from error
    if not form.font and form.font_size == POINTS:
        return
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(float(text.get_fontsize()) * form.font_size / POINTS)
        if form.font:
            text.set_fontfamily(form.font)
    for axes in figure.axes:
        # Ticks that are drawn later take their font from here.
        axes.tick_params(labelsize=8 * form.font_size / POINTS, labelfontfamily=form.font or None)


def _is_positive(axes: "Axes", side: int) -> bool:
    """Whether all values along the axis `side` (0 for x, 1 for y) are above 0, so that a logarithm exists."""
    from matplotlib.ticker import FixedFormatter

    axis = (axes.xaxis, axes.yaxis)[side]
    is_words = isinstance(axis.get_major_formatter(), FixedFormatter)
    return bool(axes.lines) and bool(axes.dataLim.get_points()[:, side].min() > 0) and not is_words
