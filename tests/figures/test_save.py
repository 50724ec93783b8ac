import struct
import zlib
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from figures import draw_coupling, draw_dynamics, draw_retention, draw_training, save_figure
from rmaat.base.files import FileError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=["dynamics", "retention", "coupling", "training"])
def draw(request, traces, tables, metrics, evaluation):
    return {
        "dynamics": lambda: draw_dynamics(traces),
        "retention": lambda: draw_retention(tables),
        "coupling": lambda: draw_coupling(tables),
        "training": lambda: draw_training(metrics, evaluation),
    }[request.param]


def chunks(png: bytes):
    """Names and contents of a PNG's chunks, their checksums verified."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place = 8
    while place < len(png):
        size, name = struct.unpack(">I4s", png[place : place + 8])
        content = png[place + 8 : place + 8 + size]
        assert zlib.crc32(name + content) == struct.unpack(">I", png[place + 8 + size : place + 12 + size])[0]
        yield name, content
        place += 12 + size


def test_a_figure_becomes_a_png_of_200_dots_per_inch_with_something_on_it(draw, tmp_path):
    figure = draw()
    png, _ = save_figure(figure, tmp_path / "figure")
    parts = dict(chunks(png.read_bytes()))
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    assert (width, height) == tuple(np.round(figure.get_size_inches() * 200))
    assert b"tEXt" not in parts
    pixels = imread(png)
    assert pixels.shape[:2] == (height, width)
    assert 0.02 < (pixels[..., :3].min(axis=-1) < 0.95).mean() < 0.5


def test_a_figure_becomes_an_svg_whose_text_can_be_read_and_has_no_date(draw, tmp_path):
    figure = draw()
    _, svg = save_figure(figure, tmp_path / "figure")
    root = ElementTree.parse(svg).getroot()
    assert root.tag == f"{SVG}svg"
    # Labels with a formula are split into letters.
    text = ["".join("".join(element.itertext()).split()) for element in root.iter(f"{SVG}text")]
    for axes in figure.axes:
        words = axes.get_ylabel().split("\n")[0].split(" $")[0]
        assert any("".join(words.split()) in part for part in text)
    assert "date" not in svg.read_text().lower()


@pytest.mark.slow
def test_the_same_figure_drawn_again_gives_the_same_bytes(draw, tmp_path):
    first = save_figure(draw(), tmp_path / "first")
    second = save_figure(draw(), tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.slow
def test_the_settings_of_the_user_do_not_change_a_figure_and_are_not_changed(draw, tmp_path):
    plain = save_figure(draw(), tmp_path / "plain")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "savefig.dpi": 20, "svg.hashsalt": None}):
        before = dict(matplotlib.rcParams)
        other = save_figure(draw(), tmp_path / "other")
        assert dict(matplotlib.rcParams) == before
    assert [path.read_bytes() for path in plain] == [path.read_bytes() for path in other]


def test_a_stem_with_a_dot_is_kept_whole(metrics, tmp_path):
    paths = save_figure(draw_training(metrics), tmp_path / "run.v1.5-training")
    assert [path.name for path in paths] == ["run.v1.5-training.png", "run.v1.5-training.svg"]
    assert sorted(tmp_path.iterdir()) == paths


def test_a_path_that_cannot_be_written_is_named(metrics, tmp_path):
    (tmp_path / "figure.png").mkdir()
    with pytest.raises(FileError, match=r"cannot write .*figure\.png"):
        save_figure(draw_training(metrics), tmp_path / "figure")
