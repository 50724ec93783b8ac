import numpy as np
import pytest

from distill import DistillParameters, TableError, distil
from distill.schema import VARIANTS
from figures import draw_variants


def test_every_variant_has_a_panel_with_its_factors_for_each_length(tables):
    lengths = (2, 4, 8)
    figure = draw_variants(tables, lengths)
    assert [axes.get_title() for axes in figure.axes] == list(VARIANTS)
    for axes in figure.axes:
        for line, length in zip(axes.lines, lengths, strict=True):
            assert line.get_xdata().tolist() == list(range(1, length + 1))
            np.testing.assert_array_equal(line.get_ydata(), tables.retention(length, axes.get_title()))


def test_panels_share_axes_that_hold_all_factors(tables):
    limits = {axes.get_ylim() for axes in draw_variants(tables).axes}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == 0
    assert high > 1


def test_the_legend_names_the_lengths_and_the_axes_their_units(tables):
    figure = draw_variants(tables, [8, 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$T$ = 2", "$T$ = 8"]
    assert {axes.get_xlabel() for axes in figure.axes[-3:]} == {"segment $t$"}
    assert figure.get_supylabel() == r"retention factor $\mathrm{RF}(t, T)$"


def test_tables_of_one_segment_are_drawn(traces):
    figure = draw_variants(distil(traces, DistillParameters(segments=1)))
    assert len(figure.axes) == len(VARIANTS)


def test_a_length_beyond_the_tables_is_refused(tables):
    with pytest.raises(TableError, match=r"rmaat distill .* --segments 25"):
        draw_variants(tables, [25])
