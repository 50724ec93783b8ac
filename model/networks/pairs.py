"""Classifier of document pairs: both documents are encoded separately with the same weights, and a head reads both.

    first, separator, second -> encode(first), encode(second) -> dense -> ReLU -> dense -> ReLU -> dense

Source: Long Range Arena (arXiv 2011.04006), Retrieval: two encoders with shared weights and no cross attention; the
head reads the two encodings side by side. Its widths are LRA's: `feed_forward_width`, then half of it. With `pair_head`
compared it reads normalised encodings, their product and their distance by feature: which features agree is one layer
away from them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.layers.mixing import Mixing
from model.memory.differentiation import Amrb, Differentiation
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ModelParameters


def split_pairs(
    tokens: Int[Tensor, "pair token"], lengths: Int[Tensor, " pair"], separator: int
) -> tuple[Int[Tensor, "document longest"], Int[Tensor, " document"]]:
    """The documents of all pairs, padded with 0, and their lengths: all first documents, then all second ones.

    Raises
    ------
    ModelError
        A pair does not have exactly one `separator` within its length, or one of its documents is empty.
    """
    found = (tokens == separator) & (torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None])
    counts, places = found.sum(dim=1), found.int().argmax(dim=1)
    starts = torch.cat([torch.zeros_like(places), places + 1])
    document_lengths = torch.cat([places, lengths - places - 1])
    # Shapes depend on the longest document. Fetch the numbers to check with it, to wait for the device only once.
    fewest, most, shortest, longest = torch.stack(
        [counts.min(), counts.max(), document_lengths.min(), document_lengths.max()]
    ).tolist()
    if (fewest, most) != (1, 1):
        raise ModelError(
            f"a pair has {fewest if fewest != 1 else most} separators; give two documents with one token "
            f"{separator} between them"
        )
    if shortest < 1:
        raise ModelError("a document of a pair is empty; give two documents of at least one token each")
    place = torch.arange(longest, device=tokens.device)
    columns = (starts[:, None] + place).clamp(max=tokens.shape[1] - 1)
    documents = tokens.repeat(2, 1).gather(1, columns)
    return torch.where(place < document_lengths[:, None], documents, 0), document_lengths


def pair_head(parameters: ModelParameters) -> nn.Sequential:
    """Head from what `head_input` gives, (pair, `pair_features`), to logits (pair, class)."""
    hidden, half = parameters.pair_head_widths
    return nn.Sequential(
        nn.Linear(parameters.pair_features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, half),
        nn.ReLU(),
        nn.Linear(half, parameters.classes),
    )


def head_input(
    parameters: ModelParameters, first: Float[Tensor, "pair width"], second: Float[Tensor, "pair width"]
) -> Float[Tensor, "pair feature"]:
    """Both encodings side by side; if the head compares them, normalised, and with their product and distance.

    All encodings have much in common, and in a product that hides where two are alike. Their distance is free of it.
    """
    if parameters.pair_head == "joined":
        return torch.cat([first, second], dim=1)
    first, second = (functional.layer_norm(encoding, encoding.shape[1:]) for encoding in (first, second))
    return torch.cat([first, second, first * second, (first - second).abs()], dim=1)


class PairClassifier(SegmentClassifier):
    """Classify pairs of documents; a pair is one sequence with the parameter `separator` between the documents.

    The documents are encoded as separate rows of one batch. `segments` and `segment_length` apply to one document.

    Raises
    ------
    ModelError
        In `forward`: as `SegmentClassifier` for each document, and as `split_pairs`.
    """

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing], retention: nn.Module):
        super().__init__(parameters, attentions, retention)
        self.head = pair_head(parameters)

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        lengths: Int[Tensor, " batch"],
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> Float[Tensor, "batch class"]:
        """Logits of each pair; `tokens` are padded after their `lengths`."""
        self._check_batch(tokens, lengths)
        documents, document_lengths = split_pairs(tokens, lengths, self.parameters_record.separator)
        first, second = self.encode(documents, document_lengths, differentiation).chunk(2)
        return self.head(head_input(self.parameters_record, first, second))
