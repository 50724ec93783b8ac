import numpy as np
import pytest
import xarray as xr
from matplotlib.patches import Rectangle

from astro_sim import SimulationParameters, simulate, write_traces
from astro_sim.runs.schema import VARIED
from astro_sim.runs.traces import open_traces, stack_trials
from figures import draw_dynamics
from figures.dynamics import MOST_SINGLE_LINES, PANELS, stimulus_spans


def lines_by_width(axes):
    """Single curves and the mean, distinguished by their width; markers are neither."""
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    thin = min(line.get_linewidth() for line in lines)
    return [line for line in lines if line.get_linewidth() == thin], [
        line for line in lines if line.get_linewidth() > thin
    ]


def test_there_is_a_panel_for_each_variable_with_words_symbol_and_unit(traces):
    axes = draw_dynamics(traces).axes
    wanted = ["$x_j$", "$x_i$", "$s_{ij}$", "$p^s_{ij}$", "$p^l_{ij}$"]
    assert len(axes) == len(wanted)
    for panel, symbol in zip(axes, wanted, strict=True):
        assert panel.get_ylabel().endswith(f"{symbol}")
    assert axes[-1].get_xlabel() == "time $t$ (s)"
    assert all(panel.get_shared_x_axes().joined(panel, axes[-1]) for panel in axes)


def test_an_axis_shows_the_unit_of_the_file(traces):
    in_millivolt = traces.copy()
    in_millivolt["postsynaptic_activity"] = traces["postsynaptic_activity"].assign_attrs(units="mV")
    assert draw_dynamics(in_millivolt).axes[1].get_ylabel().endswith("(mV)")


@pytest.mark.parametrize("name", PANELS)
def test_thin_lines_are_the_single_traces_and_the_bold_one_is_their_mean(traces, name):
    panel = draw_dynamics(traces).axes[list(PANELS).index(name)]
    single, mean = lines_by_width(panel)
    wanted = traces[name].values.reshape(traces.sizes["time"], -1)
    np.testing.assert_array_equal(np.stack([line.get_ydata() for line in single], axis=1), wanted)
    assert len(mean) == 1
    np.testing.assert_allclose(mean[0].get_ydata(), wanted.mean(axis=1), rtol=1e-12)
    for line in [*single, *mean]:
        np.testing.assert_array_equal(line.get_xdata(), traces["time"].values)


def test_markers_are_the_mean_long_term_process_at_the_end_of_each_cycle(traces):
    (markers,) = [line for line in draw_dynamics(traces).axes[-1].lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(markers.get_xdata(), [50, 100, 150, 200])
    wanted = [traces["long_term_process"].sel(time=time).values.mean() for time in (50, 100, 150, 200)]
    np.testing.assert_allclose(markers.get_ydata(), wanted, rtol=1e-12)


def test_every_panel_is_shaded_exactly_while_the_stimulus_lasts(traces):
    for panel in draw_dynamics(traces).axes:
        shades = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
        spans = [(shade.get_x(), shade.get_x() + shade.get_width()) for shade in shades]
        assert spans == [(0, 25), (50, 75), (100, 125), (150, 175)]


@pytest.mark.parametrize(
    ("drive", "spans"),
    [
        ([0, 0, 0, 0, 0], []),
        ([1, 1, 1, 1, 1], [(0, 4)]),
        ([1, 1, 0, 0, 1], [(0, 1), (3, 4)]),
        ([0, 0, 1, 0, 0], [(1, 2)]),
        ([0, -1, -1, 0, 0], [(0, 2)]),
    ],
)
def test_a_stimulus_begins_with_the_first_driven_interval(drive, spans):
    other = np.zeros(5)
    dataset = xr.Dataset({"presynaptic_drive": (("time", "pre"), np.stack([drive, other], axis=1))}, {"time": range(5)})
    assert stimulus_spans(dataset) == spans


def test_the_legend_is_outside_the_panels_and_explains_each_mark(traces):
    figure = draw_dynamics(traces)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "stimulus",
        "mean",
        "each neuron or synapse",
        "end of a cycle",
    ]
    figure.draw_without_rendering()
    for panel in figure.axes:
        assert not legend.get_window_extent().overlaps(panel.get_window_extent())


def test_of_a_large_network_some_synapses_are_drawn_and_the_legend_says_how_many():
    parameters = {
        "presynaptic_neurons": 10,
        "postsynaptic_neurons": 8,
        "run_duration": 50.0,
        "recording_interval": 5.0,
        "coupling_strength": 0.01,
    }
    large = simulate(SimulationParameters().override(parameters))
    figure = draw_dynamics(large)
    single, mean = lines_by_width(figure.axes[2])
    assert len(single) == MOST_SINGLE_LINES
    np.testing.assert_allclose(
        mean[0].get_ydata(), large["synaptic_facilitation"].mean(("post", "pre")).values, rtol=1e-12
    )
    assert "64 of 80 synapses" in figure.legends[0].get_texts()[2].get_text()


def curves_of(figure):
    return [line.get_xydata() for panel in figure.axes for line in panel.lines]


def test_a_file_read_row_by_row_gives_the_same_curves_as_memory(traces, tmp_path, monkeypatch):
    write_traces(traces, tmp_path / "sim.nc")
    monkeypatch.setattr("rmaat.base.provenance.BLOCK", 1)
    with open_traces(tmp_path / "sim.nc") as stored:
        found = curves_of(draw_dynamics(stored))
    for one, other in zip(found, curves_of(draw_dynamics(traces)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


def test_the_curves_of_all_trials_are_drawn_with_one_mean(traces):
    louder = traces.assign({name: traces[name] * 3 for name in PANELS})
    figure = draw_dynamics(stack_trials([traces, louder], VARIED, [1, 2]))
    for panel, name in zip(figure.axes, PANELS, strict=True):
        single, mean = lines_by_width(panel)
        values = traces[name].values.reshape(traces.sizes["time"], -1)
        assert len(single) == 2 * values.shape[1]
        np.testing.assert_array_equal(single[-1].get_ydata(), 3 * values[:, -1])
        np.testing.assert_allclose(mean[0].get_ydata(), 2 * values.mean(axis=1), rtol=1e-12)


def test_drawing_does_not_change_the_traces(traces):
    before = traces.copy(deep=True)
    draw_dynamics(traces)
    assert traces.identical(before)
