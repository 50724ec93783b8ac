"""Settings of a training."""

from dataclasses import dataclass

from rmaat.base.records import Record, Source, parameter


@dataclass(frozen=True)
class TrainingParameters(Record):
    """How a model is trained. The paper's schedule is not public; this one is ours."""

    steps: int = parameter(2400, "optimiser steps", unit="steps", low=1, high=10**9)
    batch_size: int = parameter(64, "sequences of a batch", unit="sequences", low=1, high=2**20)
    accumulation: int = parameter(1, "batches whose gradients make one step", unit="batches", low=1, high=2**16)
    learning_rate: float = parameter(2e-3, "peak of the schedule: warm-up, then cosine to zero", low=1e-9, high=10)
    warmup_steps: int = parameter(100, "steps of linear warm-up, at most half of all", unit="steps", low=0, high=10**9)
    weight_decay: float = parameter(0.01, "decoupled weight decay of AdamW", low=0, high=10)
    decayed: str = parameter(
        "all",
        "parameters that decay: all, or matrices: the weights of linear maps, not biases, norms, embeddings, positions "
        "or the initial memory",
        choices=("all", "matrices"),
    )
    gradient_clip: float = parameter(1.0, "largest norm of the gradient", low=1e-9, high=1e9)
    differentiation: str = parameter(
        "amrb",
        "amrb replays segments from memory, layerwise replays each layer too, bptt keeps every graph, truncated stops "
        "the gradient after some segments",
        choices=("amrb", "layerwise", "bptt", "truncated"),
        source=Source.PAPER,
    )
    keep_graphs: int = parameter(1, "segments whose graph amrb keeps", unit="segments", low=0, high=2**16)
    memory_budget: float = parameter(
        0.0,
        "amrb keeps as many graphs as fit into this memory; if 0, keep_graphs",
        unit="MB",
        low=0,
        high=1e9,
    )
    truncate_after: int = parameter(1, "segments that a truncated gradient reaches", unit="segments", low=1, high=2**16)
    not_finite: str = parameter(
        "stop",
        "after a loss or gradient that is not finite: stop the training, or skip and count the step",
        choices=("stop", "skip"),
    )
    precision: str = parameter(
        "auto", "auto is bfloat16 on CUDA, else float32", choices=("auto", "float32", "bfloat16")
    )
    compile: bool = parameter(
        False, "compile the segment cell: takes a minute, and pays off if a run takes longer than some minutes"
    )
    device: str = parameter("auto", "auto is CUDA if there is one, else the CPU", choices=("auto", "cpu", "cuda"))
    threads: int = parameter(
        0,
        "threads on the CPU; 0 takes one per 262,144 values of a layer's input, as many as there are cores at most",
        unit="threads",
        low=0,
        high=4096,
    )
    parallel: str = parameter(
        "replicate",
        "processes that train together each hold the whole model (DDP), or shard it (FSDP2)",
        choices=("replicate", "shard"),
    )
    validate_every: int = parameter(200, "steps between validations and checkpoints", unit="steps", low=1, high=10**9)
    most_scored: int = parameter(
        0,
        "most sequences of the validation or test split that are scored, drawn from it; 0 is all",
        unit="sequences",
        low=0,
        high=1e9,
    )
    overlong: str = parameter(
        "refuse",
        "what happens if sequences are longer than the model reads: refuse the task, or cut them, both documents of a "
        "pair alike",
        choices=("refuse", "cut"),
    )
    seed: int = parameter(0, "seed of weights, order and dropout", low=0, high=2**31 - 1)
