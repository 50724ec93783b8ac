"""Summaries that are tuples: the tensors in them, and the tuple made of other tensors again.

An autograd function returns tensors alone, so `model.memory.replay` takes summaries apart and `scan` rebuilds them.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from model.errors import ModelError

Summary = Tensor | tuple["Summary", ...] | list["Summary"]
"""A tensor, or a tuple, named tuple or list of summaries."""
Form = None | tuple["Form", ...] | list["Form"]
"""A summary with None in place of each tensor."""


def tensors_in(summary: Summary) -> list[Tensor]:
    """The tensors of a summary in order.

    Raises
    ------
    ModelError
        A part is neither a tensor nor a tuple or list.
    """
    if isinstance(summary, Tensor):
        return [summary]
    if isinstance(summary, tuple | list):
        return [tensor for part in summary for tensor in tensors_in(part)]
    raise ModelError(
        f"the cell returned a summary with a {type(summary).__name__}; return a tensor, or a tuple or list of tensors"
    )


def form_of(summary: Summary) -> Form:
    """The summary without its tensors."""
    return None if isinstance(summary, Tensor) else _like(summary, [form_of(part) for part in summary])


def count_tensors(form: Form) -> int:
    """The number of tensors in a summary of this form."""
    return 1 if form is None else sum(map(count_tensors, form))


def rebuilt(form: Form, tensors: Iterator[Tensor]) -> Summary:
    """The summary of `form` with the next `tensors`."""
    return next(tensors) if form is None else _like(form, [rebuilt(part, tensors) for part in form])


def _like(sample: Any, parts: list[Any]) -> Any:
    """`parts` in the type of `sample`: a named tuple, tuple or list."""
    return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
