"""Positions of synapses from files, and the errors for malformed files."""

from pathlib import Path

import numpy as np
import pytest

from astro_sim import SimulationError
from astro_sim.network.geometry import build_geometry
from astro_sim.network.morphology import points_along_dendrites
from astro_sim.parameters import NetworkParameters
from rmaat.base.records import ParameterError

# A soma, an axon, and a dendrite of 30 µm that ends in branches of 20 and 10 µm.
CELL = """\
# id type x y z radius parent
1 1 0 0 0 5 -1
2 3 5 0 0 1 1
3 3 35 0 0 1 2
4 3 35 20 0 1 3
5 4 35 0 10 1 3   # an apical branch
6 2 -99 0 0 1 1
7 2 -200 0 0 1 6
"""


def network(path: Path, layout: str, **values) -> NetworkParameters:
    return NetworkParameters(
        presynaptic_neurons=3, postsynaptic_neurons=2, layout=layout, layout_file=str(path), **values
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "places.txt"


def test_points_are_evenly_spaced_by_path_length_along_dendrites_only(file: Path):
    file.write_text(CELL)
    expected = [(10, 0, 0), (20, 0, 0), (30, 0, 0), (35, 5, 0), (35, 15, 0), (35, 0, 5)]
    np.testing.assert_allclose(points_along_dendrites(file, 6), expected, atol=1e-12)


def test_a_morphology_gives_distances_in_space_in_the_given_unit(file: Path):
    file.write_text(CELL)
    geometry = build_geometry(network(file, "swc", layout_unit=5.0))
    assert geometry.position.shape == (2, 3, 3)
    np.testing.assert_allclose(geometry.position[1, 1], [7, 3, 0])
    # Synapse 1, 2 is the last point, (35, 0, 5) µm, and synapse 0, 0 the first, (10, 0, 0) µm.
    assert geometry.distance_from((0, 0))[1, 2] == pytest.approx(np.hypot(25, 5) / 5)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_table_lists_all_positions_of_post_0_first(file: Path, ending: str):
    lines = ["x,y,z", *(f"{synapse},{2 * synapse},{synapse**2}" for synapse in range(6))]
    file.write_bytes(ending.join(lines).encode())
    geometry = build_geometry(network(file, "csv"))
    np.testing.assert_array_equal(geometry.position[1, 0], [3, 6, 9])
    assert geometry.distance_from((0, 0))[1, 0] == pytest.approx(np.sqrt(3**2 + 6**2 + 9**2))


def test_a_grid_places_the_synapse_of_post_i_and_pre_j_at_j_i():
    geometry = build_geometry(NetworkParameters(presynaptic_neurons=4, layout="grid"))
    np.testing.assert_array_equal(geometry.position[2, 3], [3, 2])
    assert geometry.distance_from((0, 0))[2, 3] == pytest.approx(np.sqrt(13))


MALFORMED = [
    ("swc", "1 1 0 0 0 5\n", "line 1 has 6 entries; an SWC line has seven: id type x y z radius parent"),
    ("swc", CELL + "8 3 x 0 0 1 3\n", "line 9 has 'x' as x; write a number"),
    ("swc", CELL + "8.5 3 0 0 0 1 3\n", "line 9 has '8.5' as id; write a whole number"),
    ("swc", CELL + "5 3 0 0 0 1 3\n", "line 9 has the id 5 again"),
    ("swc", CELL + "8 3 0 0 0 1 9\n", "line 9 has the parent 9, which no line before it defines"),
    ("swc", "1 1 0 0 0 5 -1\n2 3 9 0 0 1 1\n", "has no dendrite"),
    ("swc", "", "has no dendrite"),
    ("csv", "x,y\n0,0\n1\n", "line 3 has 1 entries under 2 columns"),
    ("csv", "x,y\n0,0\n1,inf\n", "line 3 has 'inf' as y; write a number"),
    ("csv", "x\n0\n", "line 1 has no column y; start the file with x,y"),
    ("csv", "x,y,radius\n0,0,0\n", "line 1: unknown column 'radius'; known are x, y, z"),
]


@pytest.mark.parametrize(("layout", "text", "sentence"), MALFORMED, ids=[case[2] for case in MALFORMED])
def test_a_malformed_file_is_refused_and_the_error_names_the_line(file: Path, layout: str, text: str, sentence: str):
    file.write_text(text)
    with pytest.raises(SimulationError) as caught:
        build_geometry(network(file, layout))
    assert str(caught.value).startswith(str(file))
    assert sentence in str(caught.value)


def test_a_table_for_another_number_of_synapses_is_refused(file: Path):
    file.write_text("x,y\n0,0\n1,1\n")
    with pytest.raises(ParameterError, match=r"places 2 synapses, but 3 x 2 neurons have 6; give each synapse one"):
        build_geometry(network(file, "csv"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"layout": "csv"}, "layout csv reads a file; set layout_file"),
        ({"layout": "line", "layout_file": "a.csv"}, "layout line reads no file, but layout_file is a.csv"),
    ],
)
def test_a_layout_without_its_file_or_with_a_needless_one_is_refused(values: dict, sentence: str):
    with pytest.raises(ParameterError, match=sentence):
        build_geometry(NetworkParameters(**values))
