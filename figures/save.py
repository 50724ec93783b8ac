"""Write figures as files whose bytes depend on the figure alone."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from figures.form import FigureForm, give_form
from figures.style import paper_style
from rmaat.base.files import write_bytes

# Metadata that Matplotlib would add and that differ between days or versions.
OMITTED_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save_figure(figure: Figure, stem: str | Path, form: FigureForm | None = None) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.svg (with text as text), each completely or not at all; return the paths.

    `form` gives other kinds of file, another size, another font or logarithmic axes; it changes `figure`.

    Raises
    ------
    FileError
        A file cannot be written.
    FigureError
        The font of `form` is not installed.
    """
    form, stem = form or FigureForm(), Path(stem)
    give_form(figure, form)
    paths = []
    for suffix in form.formats:
        # Not with_suffix: it would cut a stem at its last dot.
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_bytes(path, render(figure, suffix))
        paths.append(path)
    return paths


@paper_style()
def render(figure: Figure, suffix: str) -> bytes:
    """The bytes of `figure` as a file of the kind `suffix`: "png", "svg" or "pdf"."""
    content = io.BytesIO()
    figure.savefig(content, format=suffix, metadata=OMITTED_METADATA[suffix])
    return content.getvalue()
