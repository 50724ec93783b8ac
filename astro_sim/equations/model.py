"""What a model is: variables with their equations, written once for all engines.

An equation is a string in Brian2's syntax, which is also Python's, so that SciPy's engine compiles the very string that
Brian2's engine hands on. A rate is dx/dt and may use parameters by name, the functions of `FUNCTIONS` and

| place | names in reach |
| --- | --- |
| presynaptic neuron | its variables; `drive` |
| postsynaptic neuron | its variables; `drive`; `synaptic_input`, the sum over its synapses |
| synapse | its variables; those of its neurons with `_pre` or `_post`; `coupled_input`, the sum over all synapses |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

FUNCTIONS: Mapping[str, Any] = {
    name: getattr(np, name)
    for name in ("abs", "clip", "cos", "cosh", "exp", "expm1", "log", "log1p", "sign", "sin", "sinh", "sqrt", "tanh")
}
"""Functions that an equation may call: those that NumPy and Brian2 call by the same name."""


class Place(StrEnum):
    """Where a variable lives."""

    PRE = "presynaptic"
    POST = "postsynaptic"
    SYNAPSE = "synapse"


@dataclass(frozen=True)
class Variable:
    """One state variable.

    Attributes
    ----------
    name : str
        Its name in equations; pre- and postsynaptic variables may share one.
    rate : str
        Its time derivative in 1/s.
    meaning, symbol : str
        In words, and the letter of the papers.
    restarts : bool
        Whether it is set to 0 where an interval of the protocol restarts the fast variables.
    """

    name: str
    place: Place
    rate: str
    meaning: str
    symbol: str
    restarts: bool = True

    @property
    def label(self) -> str:
        """Its name in traces, which no other variable has."""
        return self.name if self.place is Place.SYNAPSE else f"{self.place}_{self.name}"

    @property
    def dims(self) -> tuple[str, ...]:
        """The axes of its values at one time."""
        return {Place.PRE: ("pre",), Place.POST: ("post",), Place.SYNAPSE: ("post", "pre")}[self.place]


@dataclass(frozen=True)
class Model:
    """Variables and the two sums that join them.

    Attributes
    ----------
    synaptic_input : str
        What a synapse adds to the `synaptic_input` of its postsynaptic neuron; names as in a synapse's rate.
    coupled_signal : str
        What a synapse sends through the coupling: `coupled_input_ij = sum_kl T_ijkl coupled_signal_kl`; uses the
        synapse's own variables only.
    """

    variables: tuple[Variable, ...]
    synaptic_input: str
    coupled_signal: str

    def at(self, place: Place) -> tuple[Variable, ...]:
        """The variables that live at `place`."""
        return tuple(variable for variable in self.variables if variable.place is place)

    def element(self, label: str, index: Iterable[int]) -> str:
        """One element of a variable in words: `"short_term_process at post 1, pre 2"`."""
        dims = next(variable.dims for variable in self.variables if variable.label == label)
        return f"{label} at " + ", ".join(f"{dim} {place}" for dim, place in zip(dims, index, strict=True))
