import numpy as np
import pytest

from distill import DistillParameters, TableError, distil
from figures import draw_retention
from figures.lengths import default_lengths


def points(axes):
    """Marked points by colour: {colour: {segment: (factor, filled)}}."""
    found = {}
    for line in axes.lines:
        if line.get_linestyle() == "None":
            filled = line.get_markerfacecolor() != "white"
            for segment, factor in zip(line.get_xdata(), line.get_ydata(), strict=True):
                found.setdefault(line.get_color(), {})[int(segment)] = (factor, filled)
    return found


def test_the_points_are_the_factors_of_the_tables_for_each_length(tables):
    lengths = (2, 4, 8, 16)
    drawn = points(draw_retention(tables, lengths).axes[0])
    assert len(drawn) == len(lengths)
    for length, row in zip(lengths, drawn.values(), strict=True):
        assert list(row) == list(range(1, length + 1))
        np.testing.assert_array_equal([factor for factor, _ in row.values()], tables.retention(length, "increment"))


def test_markers_are_filled_exactly_where_the_increment_was_simulated(tables):
    drawn = points(draw_retention(tables, [8]).axes[0])
    (row,) = drawn.values()
    assert [filled for _, filled in row.values()] == [True] * 4 + [False] * 4


def test_the_thin_lines_are_the_closed_form_of_the_fitted_rate(tables):
    axes = draw_retention(tables, [4, 8]).axes[0]
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    rate = float(tables.dataset["increment_rate"])
    assert [line.get_xdata()[[0, -1]].tolist() for line in lines] == [[1, 4], [1, 8]]
    for line, length in zip(lines, (4, 8), strict=True):
        t = line.get_xdata()
        wanted = np.exp(-rate * (t - 1)) * (1 - np.exp(-rate)) / (1 - np.exp(-rate * length))
        np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-12)


def test_axes_carry_symbol_and_unit_and_start_at_zero_retention(tables):
    axes = draw_retention(tables).axes[0]
    assert axes.get_xlabel() == "segment $t$"
    assert axes.get_ylabel() == r"retention factor $\mathrm{RF}(t, T)$"
    assert axes.get_ylim()[0] == 0


def test_the_legend_names_lengths_both_markers_and_the_rate(tables):
    texts = [text.get_text() for text in draw_retention(tables, [4, 2]).axes[0].get_legend().get_texts()]
    assert texts[:2] == ["$T$ = 2", "$T$ = 4"]
    assert texts[2:4] == ["increment simulated", "increment extrapolated"]
    assert f"{float(tables.dataset['increment_rate']):.3g} (1 / cycle)" in texts[4]


def test_the_legend_covers_no_point(tables):
    figure = draw_retention(tables)
    axes = figure.axes[0]
    figure.draw_without_rendering()
    box = axes.get_legend().get_window_extent()
    for line in axes.lines:
        inside = [box.contains(x, y) for x, y in axes.transData.transform(line.get_xydata())]
        assert not any(inside)


def test_lengths_double_until_the_curve_no_longer_changes(tables):
    assert default_lengths(tables) == [2, 4, 8, 16]


@pytest.mark.parametrize(("segments", "lengths"), [(1, [1]), (2, [2]), (3, [2, 3]), (6, [2, 4, 6])])
def test_lengths_end_with_the_tables(traces, segments, lengths):
    tables = distil(traces, DistillParameters(segments=segments))
    assert default_lengths(tables) == lengths
    assert len(points(draw_retention(tables).axes[0])) == len(lengths)


def test_a_length_beyond_the_tables_is_refused_with_the_command_that_makes_longer_ones(tables):
    with pytest.raises(TableError, match=r"rmaat distill .* --segments 25"):
        draw_retention(tables, [25])
