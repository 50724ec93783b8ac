"""A cell as it was during the forward pass: aliases of its parameters and buffers, and the modes of its modules.

A replay must not differentiate the parameters themselves:

- Hooks on a parameter would run once per segment, and change its gradient each time.
- `torch.func.functional_call` swaps parameters for the time of a call, and backward runs after the call.

An alias shares the storage and the version of its tensor, but has no history and no hooks.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from model.errors import ModelError

Result = TypeVar("Result")


def named_tensors(cell: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of `cell` under all their names; modules that share a tensor each have a name for it."""
    found: dict[str, Tensor] = {}
    # Each module once. Otherwise a module with two names would be swapped twice, and its alias stored as its original.
    for prefix, module in cell.named_modules():
        found |= module.named_parameters(prefix, recurse=False, remove_duplicate=False)
        found |= module.named_buffers(prefix, recurse=False, remove_duplicate=False)
    return found


def named_places(cell: nn.Module) -> tuple[list[Tensor], dict[str, int]]:
    """The tensors of `cell`, each once, and for each of their names the place among them."""
    names = named_tensors(cell)
    tensors = list({id(tensor): tensor for tensor in names.values()}.values())
    index = {id(tensor): place for place, tensor in enumerate(tensors)}
    return tensors, {name: index[id(tensor)] for name, tensor in names.items()}


def alias(tensor: Tensor) -> Tensor:
    """A leaf that shares the storage of `tensor`; a parameter if `tensor` is one."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), tensor.requires_grad)
    return tensor.detach().requires_grad_(tensor.requires_grad)


class CellAliases:
    """Aliases of the tensors of `cell`, and the modes of its modules."""

    def __init__(self, cell: nn.Module, places: dict[str, int], tensors: Sequence[Tensor]):
        """`tensors` stand for those of `named_places`, whose `places` these are."""
        self.cell = cell
        self.tensors = [alias(tensor) for tensor in tensors]
        self.by_name = {name: self.tensors[place] for name, place in places.items()}
        self.modes = {module: module.training for module in cell.modules()}

    def call(self, function: Callable[[], Result]) -> Result:
        """Call `function` while the cell has these tensors and modes.

        Raises
        ------
        ModelError
            The call changed a parameter or a buffer, or `torch.nn.utils.parametrize.cached` is active.
        """
        _check_not_cached(self.cell)
        found = {f"cell.{name}": tensor for name, tensor in self.by_name.items()}
        versions = {name: tensor._version for name, tensor in self.by_name.items()}
        with _modes_set(self.modes), _flat_weights_set(self.by_name, self.cell):
            # functional_call writes tensors that the cell has replaced into `found`.
            result = torch.func.functional_call(_Holder(self.cell), found, (function,), tie_weights=False)
        for name, tensor in self.by_name.items():
            if found[f"cell.{name}"] is not tensor or tensor._version != versions[name]:
                raise ModelError(
                    f"the cell changes its tensor {name} while it runs, and a replay would change it again; "
                    "use Bptt, or a cell without such state (batch norm and spectral norm: call eval(); FSDP2: wrap "
                    "the whole model)"
                )
        return result


class _Holder(nn.Module):
    """Runs a function in its forward method, because `functional_call` swaps tensors only during a call."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, function: Callable[[], Result]) -> Result:
        return function()


def _check_not_cached(cell: nn.Module) -> None:
    # torch has no public name for this state.
    if parametrize._cache_enabled and any(parametrize.is_parametrized(module) for module in cell.modules()):
        raise ModelError(
            "torch.nn.utils.parametrize.cached keeps a weight without the graph that a replay needs; "
            "leave it out, or use Bptt"
        )


@contextmanager
def _modes_set(modes: dict[nn.Module, bool]) -> Iterator[None]:
    """Training or evaluation mode as in `modes`; backward may run after a call of `eval`."""
    changed = {module: module.training for module, training in modes.items() if module.training != training}
    try:
        for module in changed:
            module.training = not changed[module]
        yield
    finally:
        for module, training in changed.items():
            module.training = training


@contextmanager
def _flat_weights_set(by_name: dict[str, Tensor], cell: nn.Module) -> Iterator[None]:
    """Swap the list of weights that nn.LSTM and nn.GRU read, which `functional_call` leaves out."""
    prefixes = {module: f"{name}." if name else "" for name, module in cell.named_modules()}
    before = {module: module._flat_weights for module in prefixes if isinstance(module, nn.RNNBase)}
    try:
        for module in before:
            module._flat_weights = [by_name[prefixes[module] + name] for name in module._flat_weights_names]
        yield
    finally:
        for module, weights in before.items():
            module._flat_weights = weights
