"""Positions of synapses from files: points in CSV, or a traced cell in SWC, the format of neuromorpho.org.

An SWC line is `id type x y z radius parent`, with lengths in µm. Type 1 is soma, 2 axon, 3 and 4 dendrites. The parent
of a root is -1. `#` starts a comment. A dendritic segment is the line from a node of type 3 or 4 to its parent.
Segments whose parent is soma are left out, because most of their length is within the soma.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_sim.errors import SimulationError
from astro_sim.text_tables import Row, read_csv
from rmaat.base.arrays import Array
from rmaat.base.files import read_text

SWC_COLUMNS = ("id", "type", "x", "y", "z", "radius", "parent")
SOMA, DENDRITES = 1, (3, 4)


@dataclass(frozen=True, eq=False)
class _Node:
    type: int
    point: Array
    parent: int


def read_points(path: Path) -> Array:
    """Read the points (synapse, space), in the file's unit, of a CSV file with columns x, y and optionally z.

    The first line below the header is the synapse of post 0 and pre 0, the second that of post 0 and pre 1.

    Raises
    ------
    SimulationError
        The file is malformed; the message names the line.
    FileError
        The file cannot be read.
    """
    rows = read_csv(path, ("x", "y"), ("z",))
    axes = [axis for axis in ("x", "y", "z") if axis in rows[0].values]
    return np.array([[row.number(axis) for axis in axes] for row in rows])


def points_along_dendrites(path: Path, count: int) -> Array:
    """Place `count` points (synapse, space), in µm, at equal steps of path length over all dendrites of an SWC file.

    The segments follow one another in the order of the file. The first point is half a step from the beginning.

    Raises
    ------
    SimulationError
        The file is malformed (the message names the line), or has no dendrites.
    FileError
        The file cannot be read.
    """
    nodes = _read_swc(path)
    segments = [
        (nodes[node.parent].point, node.point)
        for node in nodes.values()
        if node.type in DENDRITES and node.parent != -1 and nodes[node.parent].type != SOMA
    ]
    lengths = np.array([np.linalg.norm(end - start) for start, end in segments])
    if not lengths.sum() > 0:
        raise SimulationError(f"{path} has no dendrite (nodes of type 3 or 4 in a row); choose another morphology")
    stops = np.cumsum(lengths)
    places = (np.arange(count) + 0.5) * stops[-1] / count
    chosen = np.searchsorted(stops, places)
    starts, ends = (np.array(points)[chosen] for points in zip(*segments, strict=True))
    share = (places - stops[chosen] + lengths[chosen]) / lengths[chosen]
    return starts + share[:, None] * (ends - starts)


def _read_swc(path: Path) -> dict[int, _Node]:
    nodes: dict[int, _Node] = {}
    for place, line in enumerate(read_text(path).splitlines(), start=1):
        entries = line.partition("#")[0].split()
        if not entries:
            continue
        row = Row(path, place, dict(zip(SWC_COLUMNS, entries, strict=False)))
        if len(entries) != len(SWC_COLUMNS):
            raise row.error(f"has {len(entries)} entries", f"an SWC line has seven: {' '.join(SWC_COLUMNS)}")
        number, kind, parent = (_whole(row, column) for column in ("id", "type", "parent"))
        if number in nodes:
            raise row.error(f"has the id {number} again", "give each node its own id")
        if parent != -1 and parent not in nodes:
            raise row.error(f"has the parent {parent}, which no line before it defines", "put parents before children")
        nodes[number] = _Node(kind, np.array([row.number(axis) for axis in ("x", "y", "z")]), parent)
    return nodes


def _whole(row: Row, column: str) -> int:
    number = row.number(column)
    if number != int(number):
        raise row.error(f"has {row.values[column]!r:.60} as {column}", "write a whole number")
    return int(number)
