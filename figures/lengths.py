"""Sequence lengths T in the figures of retention factors: which ones are drawn, and their colours."""

from matplotlib.colors import LinearSegmentedColormap, to_hex

from distill import Tables
from figures.style import LONG_TERM

# Shades of the long-term process, because a retention factor is a share of its growth.
LENGTHS = LinearSegmentedColormap.from_list("lengths", ["#E3B0CE", LONG_TERM, "#3D1230"])

SATURATED = 0.01
"""Relative difference of RF(1, T) below which the curves of two lengths would cover each other."""


def default_lengths(tables: Tables) -> list[int]:
    """Values of T to draw: 2, 4, 8, ... until RF(1, T) is that of the longest sequence, or the tables end."""
    doublings = [2**power for power in range(1, tables.longest.bit_length()) if 2**power < tables.longest]
    # RF(1, T) falls with T towards that of the longest sequence.
    final = tables.retention(tables.longest)[0]
    lengths = []
    for length in [*doublings, tables.longest]:
        lengths.append(length)
        if tables.retention(length)[0] <= (1 + SATURATED) * final:
            break
    return lengths


def length_colours(count: int) -> list[str]:
    """Colours of `count` values of T, light to dark from the shortest to the longest."""
    return [to_hex(LENGTHS(index / max(count - 1, 1))) for index in range(count)]
