"""Retention factors RF(t, T) as modules, and the rules by which a factor joins the old memory and the new one.

The factors are buffers filled from the tables and saved with the weights. `distill.retention` computes them; here they
are looked up. `model.memory.learned_retention` has those that are learned.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.schema import FORMS, SEPARABLE
from distill.tables import Tables
from model.errors import ModelError
from model.memory.learned_retention import LEARNED_RETENTIONS, LearnedFactors, LearnedRetention
from rmaat.base.arrays import Array


class SeparableRetention(nn.Module):
    """Factors of the form RF(t, T) = w(t) / W(T): two rows of numbers serve any T. All but two variants have it."""

    weight: Tensor
    total: Tensor

    def __init__(self, weight: Array, total: Array):
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(weight).float())
        self.register_buffer("total", torch.from_numpy(total).float())

    def forward(self, segments: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "segment batch"]:
        """RF(t, T) for t up to `segments` and T = `counts`; values with t > T are meaningless."""
        return self.weight[:segments, None] / self.total[counts - 1]


class TabulatedRetention(nn.Module):
    """Factors of any form, stored for all t <= T."""

    rows: Tensor

    def __init__(self, rows: Array):
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(rows).float())

    def forward(self, segments: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "segment batch"]:
        """As `SeparableRetention.forward`."""
        return self.rows[counts - 1, :segments].T


Retention = SeparableRetention | TabulatedRetention | LearnedRetention


def build_retention(tables: Tables, segments: int, variant: str) -> Retention:
    """The factors of `variant`, or a learned form that starts from the tables, for up to `segments` segments.

    Raises
    ------
    distill.tables.TableError
        The tables lack the variant or the number of segments; the message gives the command that adds them.
    """
    if variant in LEARNED_RETENTIONS:
        return LEARNED_RETENTIONS[variant](tables, segments)
    if FORMS.get(variant, SEPARABLE) == SEPARABLE:
        return SeparableRetention(*tables.retention_parts(segments, variant))
    return TabulatedRetention(tables.retention_rows(segments, variant))


def factors_without_length(retention: nn.Module, variant: str) -> Float[Tensor, " segment"]:
    """RF(t) of a variant that does not depend on T; raises `ModelError` for a variant that does."""
    if isinstance(retention, LearnedFactors):
        return retention.parts()[0]
    if isinstance(retention, SeparableRetention) and bool((retention.total == retention.total[0]).all()):
        return retention.weight / retention.total
    raise ModelError(
        f"the retention variant {variant!r} needs the number of segments, which this use does not know; "
        "build a model with retention streaming, saturation, learned_saturation or none"
    )


def next_memory(
    rule: str,
    old: Float[Tensor, "batch memory width"],
    new: Float[Tensor, "batch memory width"],
    factor: Float[Tensor, "..."],
) -> Float[Tensor, "batch memory width"]:
    """The memory after a segment, from the memory before it, its `new` rows and its retention `factor` RF.

    The paper's text says RF new (scaled). The other two are ours: old + RF new (share), because factors that sum to 1
    are shares of what each segment writes; RF old + (1 - RF) new (gated), because retention is a share of the old.
    """
    factor = factor.to(new.dtype)
    if rule == "share":
        return old + new * factor
    if rule == "gated":
        return old * factor + new * (1 - factor)
    return new * factor
