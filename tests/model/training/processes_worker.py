"""What each of two processes does for `test_distributed`: python processes_worker.py RANK FOLDER."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed

from distill import default_tables
from model.tasks.data.store import read_task
from model.training.loop import train
from model.training.run_folder import RunFolder
from rmaat.base.errors import Interrupted


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    task = read_task(folder / "task")
    base = RunFolder(folder).read_configuration()
    # 19 divides 96 with a rest of 1, so that one process is left without a sequence in the last batch.
    even = replace(
        base,
        model=replace(base.model, dropout=0.0),
        training=replace(base.training, batch_size=19, steps=6, validate_every=3),
    )
    for name, changes in (
        ("replicate", {}),
        ("shard", {"parallel": "shard"}),
        ("bptt", {"differentiation": "bptt"}),
    ):
        train(replace(even, training=replace(even.training, **changes)), task, default_tables(), folder / name)

    def interrupt_first(fraction: float, note: str = "") -> None:  # noqa: ARG001
        if rank == 0 and abs(fraction - 2 / 6) < 1e-9:
            signal.raise_signal(signal.SIGINT)

    for name, configuration in (("cut", even), ("cut with dropout", replace(even, model=base.model))):
        try:
            train(configuration, task, default_tables(), folder / name, progress=interrupt_first)
        except Interrupted:
            (folder / f"{name} {rank}").touch()
    with_dropout = replace(even, model=base.model)
    train(with_dropout, task, default_tables(), folder / "cut with dropout", resume=True)
    train(with_dropout, task, default_tables(), folder / "dropout")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
