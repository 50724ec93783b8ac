"""The form of a figure's files: kinds of file, size, font and logarithmic axes."""

import pytest
from matplotlib.figure import Figure

from figures import FigureError, FigureForm, save_figure


@pytest.fixture
def figure() -> Figure:
    drawn = Figure(figsize=(4, 3))
    axes = drawn.subplots()
    axes.plot([0, 1, 2], [1, 10, 100])
    axes.set_title("growth", fontsize=10)
    return drawn


def test_each_format_is_written_and_pdf_has_no_date(figure, tmp_path):
    paths = save_figure(figure, str(tmp_path / "growth"), FigureForm(formats=("pdf", "png")))
    assert [path.name for path in paths] == ["growth.pdf", "growth.png"]
    content = paths[0].read_bytes()
    assert content.startswith(b"%PDF")
    assert b"CreationDate" not in content


def test_one_side_gives_the_other_by_the_ratio_of_the_figure(figure, tmp_path):
    save_figure(figure, tmp_path / "growth", FigureForm(formats=("png",), width=2.0))
    assert figure.get_size_inches().tolist() == [2.0, 1.5]


def test_text_is_scaled_and_a_missing_font_is_named(figure, tmp_path):
    save_figure(figure, tmp_path / "growth", FigureForm(formats=("png",), font="DejaVu Serif", font_size=18.0))
    title = figure.axes[0].title
    assert (title.get_fontsize(), title.get_fontfamily()) == (20, ["DejaVu Serif"])
    with pytest.raises(FigureError, match="the font 'No Such Font' is not installed"):
        save_figure(figure, tmp_path / "other", FigureForm(font="No Such Font"))


def test_an_axis_is_logarithmic_only_if_its_numbers_are_positive(figure, tmp_path):
    save_figure(figure, tmp_path / "growth", FigureForm(formats=("png",), log_axes="both"))
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("linear", "log")
