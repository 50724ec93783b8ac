"""The description of a model: variables with equations, written once for all engines.

An equation is a string in Brian2's syntax, which is also valid Python. SciPy's engine compiles the same string that
Brian2's engine passes on. A rate is dx/dt. It may use parameters by name, the functions in `FUNCTIONS`, and

| place | names |
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
"""The functions that an equation may call: those with the same name in NumPy and Brian2."""


class Place(StrEnum):
    """The part of the network that a variable belongs to."""

    PRE = "presynaptic"
    POST = "postsynaptic"
    SYNAPSE = "synapse"


@dataclass(frozen=True)
class Variable:
    """One state variable.

    Attributes
    ----------
    name : str
        Its name in equations; a presynaptic and a postsynaptic variable may share a name.
    rate : str
        Its time derivative in 1/s.
    meaning, symbol : str
        Its meaning in words, and its symbol in the papers.
    restarts : bool
        Whether it is set to 0 at the start of intervals that restart the fast variables.
    """

    name: str
    place: Place
    rate: str
    meaning: str
    symbol: str
    restarts: bool = True

    @property
    def label(self) -> str:
        """Its name in traces, which is unique."""
        return self.name if self.place is Place.SYNAPSE else f"{self.place}_{self.name}"

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of its values at one time."""
        return {Place.PRE: ("pre",), Place.POST: ("post",), Place.SYNAPSE: ("post", "pre")}[self.place]


@dataclass(frozen=True)
class Model:
    """Variables, and the terms of the two sums that connect them.

    Attributes
    ----------
    synaptic_input : str
        The term that a synapse adds to the `synaptic_input` of its postsynaptic neuron. It may use the names of a
        synapse's rate.
    coupled_signal : str
        The signal that a synapse sends through the coupling: `coupled_input_ij = sum_kl T_ijkl coupled_signal_kl`. It
        may use the synapse's own variables only.
    """

    variables: tuple[Variable, ...]
    synaptic_input: str
    coupled_signal: str

    def at(self, place: Place) -> tuple[Variable, ...]:
        """The variables of `place`."""
        return tuple(variable for variable in self.variables if variable.place is place)

    def element(self, label: str, index: Iterable[int]) -> str:
        """One element of a variable in words, such as `"short_term_process at post 1, pre 2"`."""
        dims = next(variable.dims for variable in self.variables if variable.label == label)
        return f"{label} at " + ", ".join(f"{dim} {place}" for dim, place in zip(dims, index, strict=True))
