"""Figures as files whose bytes depend on the figure alone."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from figures.style import paper_style
from rmaat.base.files import write_bytes

# What Matplotlib would write by itself and would differ between days or versions.
UNSTATED = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.svg (text kept as text), each whole or not at all; returns their paths.

    Raises
    ------
    FileError
        A file cannot be written.
    """
    paths = []
    for suffix in UNSTATED:
        # Not with_suffix, which would cut a stem that has a dot.
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_bytes(path, _render(figure, suffix))
        paths.append(path)
    return paths


@paper_style()
def _render(figure: Figure, suffix: str) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=suffix, metadata=UNSTATED[suffix])
    return content.getvalue()
