"""RMAAT, our baselines and outside peers: time and memory of one training step of the same size, each in a process of its own.

python -m benchmarks.peers [--length 8192] [--segment-length 512] [--width 128] [--rounds 2] [--out benchmarks/results/peers.json]

Peak memory is what tensors take above parameters, gradients and moments, by the allocator's events; resident is the
process's own growth over its first steps, which holds the allocator's waste too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.outside import PEERS, VOCABULARY, Classifier, Size
from benchmarks.report import RESULTS, processor, write_report
from model.measure import peak_memory
from rmaat.text import table

STEPS = 3


@dataclass(frozen=True)
class Contender:
    """One line of the table."""

    build: Callable[[Size], nn.Module]
    """a module that maps tokens (batch, token) to a loss"""
    package: str = ""
    """outside distribution that it needs"""
    kernels: Callable[[], AbstractContextManager[Any]] = nullcontext
    """which softmax attention is used"""
    compiled: bool = False


CONTENDERS: dict[str, Contender] = {name: Contender(peer.build, peer.package) for name, peer in PEERS.items()}


def main() -> None:
    """Measure all, print one table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Size()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many processes for each [default: 2]")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), help="some of them [default: all]")
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = Size(**{name: getattr(options, name) for name in asdict(Size())})
    if options.measure:
        print(json.dumps(measure(CONTENDERS[options.measure], size)))
        return
    results = compare(options.only, size, options.rounds)
    print(_table(results))
    command = f"python -m benchmarks.peers --length {size.length}"
    content = {"size": asdict(size), "batch": 1, "results": results}
    write_report(options.out, command, f"{processor()}, 1 thread", ("torch", "numpy"), content)


def compare(names: list[str], size: Size, rounds: int) -> dict[str, dict[str, Any]]:
    """The best of `rounds` measurements for each contender; the rounds are interleaved, so that drift hits all alike."""
    results: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name in names:
            package = CONTENDERS[name].package
            try:
                installed = version(package) if package else ""
            except PackageNotFoundError:
                results[name] = {"left_out": f"{package} is not installed"}
                continue
            found = _in_process(name, size) | {"version": installed}
            known = results.get(name, found)
            results[name] = min(known, found, key=lambda result: result.get("seconds", 0.0))
    return results


def _in_process(name: str, size: Size) -> dict[str, Any]:
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(size).items()]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers", "--measure", name, *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return {"left_out": (process.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(process.stdout.splitlines()[-1])


def measure(contender: Contender, size: Size) -> dict[str, Any]:
    """Seconds, peak bytes and resident growth of a training step: forward, backward, optimiser."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = contender.build(size)
    optimiser = torch.optim.AdamW(module.parameters())
    tokens = torch.randint(1, VOCABULARY, (1, size.length))
    resident = _resident("VmRSS")
    step = partial(_step, module, optimiser, tokens)
    with contender.kernels():
        step()  # gradients and moments exist from here on
        seconds = [_seconds(step) for _ in range(STEPS)]
        grown = _resident("VmHWM") - resident
        peak = peak_memory(step, torch.device("cpu"))
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "seconds": statistics.median(seconds),
        "tokens_per_second": size.length / statistics.median(seconds),
        "peak_bytes": peak,
        "resident_bytes": grown,
    }


def _step(module: nn.Module, optimiser: torch.optim.Optimizer, tokens: Tensor) -> None:
    loss = module(tokens)
    if not getattr(module, "backpropagates", False):
        loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=False)


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))
