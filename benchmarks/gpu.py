"""Measure exactness, speed, memory and utilisation on a GPU, for RMAAT and its baselines, in at most nine minutes.

python -m benchmarks.gpu [--minutes 8.5] [--out benchmarks/results/gpu]      on a GPU
python -m benchmarks.gpu --small                                              on a CPU, in seconds, to test the script

The first table compares the gradients of AMRB and BPTT. The second shows a training step of each model at several
lengths: plain, compiled, and with CUDA graphs. The script needs torch, NumPy, SciPy and xarray only and writes OUT.json
and OUT.md. A measurement that exceeds the time or the memory has the reason in its line.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional

import benchmarks.stand_ins  # noqa: F401 (first, because the packages below import what it replaces)
from astro_sim.runs.simulate import simulate
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import MODEL_SIZE, eager_softmax, gradient, random_batch, relative_error
from benchmarks.timing import seconds_of
from distill.distillation import distil
from distill.parameters import DistillParameters
from distill.tables import Tables
from model.memory.differentiation import Amrb, Bptt, Differentiation
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.training.device import device_name
from model.training.peak import now, peak_memory
from model.training.plan import plan
from rmaat.base.files import write_text
from rmaat.base.text import table


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements."""

    lengths: tuple[int, ...] = (1024, 8192, 65_536, 1_048_576)
    tokens: int = 131_072
    """tokens of a batch, or one sequence if that is longer"""
    segment_length: int = 512
    model: dict[str, int] = field(default_factory=MODEL_SIZE.copy)
    matrix: int = 8192
    """side of the matrices whose product measures the device's peak"""


SMALL = Scale(
    lengths=(64, 256),
    tokens=512,
    segment_length=32,
    model={"width": 32, "layers": 2, "heads": 2, "feed_forward_width": 64, "memory_tokens": 4},
    matrix=256,
)


@dataclass(frozen=True)
class Contender:
    """One model with one method of differentiation."""

    architecture: str
    method: Differentiation
    kernels: Callable[[], AbstractContextManager[Any]] = nullcontext
    """context that selects the softmax attention"""


CONTENDERS = {
    "RMAAT, AMRB": Contender("rmaat", Amrb(1)),
    "RMAAT, BPTT": Contender("rmaat", Bptt()),
    "RMT as published: eager softmax, BPTT": Contender("rmt", Bptt(), kernels=eager_softmax),
    "RMT, fused softmax, BPTT": Contender("rmt", Bptt()),
    "RMT, fused softmax, our replay": Contender("rmt", Amrb(1)),
    "RLT, BPTT": Contender("rlt", Bptt()),
    "RLT, our replay": Contender("rlt", Amrb(1)),
    "Transformer, fused softmax": Contender("transformer", Bptt()),
    "Linear Transformer": Contender("linear_transformer", Bptt()),
    "AT": Contender("astromorphic_transformer", Bptt()),
    "S4D": Contender("s4d", Bptt()),
}

MODES = ("eager", "compiled", "graphs")
"""Uncompiled; with a compiled segment cell; with the cell's kernels captured once and replayed as a CUDA graph."""

LONGEST_STEP = 8.0
"""Steps with a longer estimate, in seconds at a tenth of the device's peak rate, are skipped."""

COLUMNS = (
    "model",
    "tokens",
    "mode",
    "tokens/s",
    "forward ms",
    "backward ms",
    "peak MB",
    "of matrix peak",
    "device busy",
)


def main() -> None:
    """Measure until the time is over, print two tables, and write JSON and Markdown."""
    parser = option_parser(__doc__, RESULTS / "gpu")
    parser.add_argument("--small", action="store_true", help="small sizes, to try the script on a CPU")
    parser.add_argument("--minutes", type=float, default=8.5, help="when to stop [default: 8.5]")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scale = SMALL if options.small else Scale()
    peak = matrix_peak(device, scale.matrix)
    exactness = measure_exactness(device, scale)
    text = [_exactness_table(exactness)]
    results = measure_all(device, scale, peak, end)
    text.append(_speed_table(results))
    print("\n\n".join(text))
    content = {"matrix_peak_flops": peak, "scale": asdict(scale), "exactness": exactness, "results": results}
    command = "python -m benchmarks.gpu" + (" --small" if options.small else "")
    write_report(options.out.with_suffix(".json"), command, device_name(device), ("torch", "numpy"), content)
    write_text(options.out.with_suffix(".md"), f"{device_name(device)}, `{command}`\n\n" + "\n\n".join(text) + "\n")


def matrix_peak(device: torch.device, side: int) -> float:
    """Return the operations per second of a large matrix product in bfloat16, the best of ten."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = min(seconds_of(lambda: left @ right, partial(now, device)) for _ in range(10))
    return 2 * side**3 / seconds


def measure_exactness(device: torch.device, scale: Scale) -> list[dict[str, Any]]:
    """Compare the gradients of AMRB and BPTT with each other and with float64, in float32 and bfloat16."""
    segments = 4
    parameters = _parameters("rmaat", segments * scale.segment_length, scale)
    torch.manual_seed(0)
    model = build_model(parameters, _tables(segments)).to(device)
    exact = build_model(parameters, _tables(segments)).to(device, torch.float64)
    exact.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    batch = random_batch(torch.full((2,), segments * scale.segment_length, device=device))
    reference = gradient(exact, batch, Bptt())
    results = []
    for precision in (torch.float32, torch.bfloat16):
        bptt, amrb = (gradient(model, batch, method, precision) for method in (Bptt(), Amrb(1)))
        results.append(
            {
                "precision": str(precision).removeprefix("torch."),
                "same_bits": torch.equal(bptt, amrb),
                "amrb_from_bptt": relative_error(amrb, bptt),
                "bptt_from_float64": relative_error(bptt, reference),
                "amrb_from_float64": relative_error(amrb, reference),
            }
        )
    return results


def measure_all(device: torch.device, scale: Scale, peak: float, end: float) -> list[dict[str, Any]]:
    """Measure each contender at each length, one mode after the other; skip what comes after the time `end`."""
    results = []
    for mode in MODES if device.type == "cuda" else MODES[:2]:
        for length in scale.lengths:
            for name, contender in CONTENDERS.items():
                line: dict[str, Any] = {"model": name, "length": length, "mode": mode}
                if time.monotonic() > end:
                    line["left_out"] = "no time left"
                else:
                    line |= _attempt(contender, length, mode, device, scale, peak)
                results.append(line)
                print(line, flush=True)
    return results


def _attempt(
    contender: Contender, length: int, mode: str, device: torch.device, scale: Scale, peak: float
) -> dict[str, Any]:
    """Return the measurement, or the reason why there is none."""
    try:
        return measure(contender, length, mode, device, scale, peak)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        return {"left_out": str(error).splitlines()[0][:200]}
    finally:
        torch.compiler.reset()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def measure(
    contender: Contender, length: int, mode: str, device: torch.device, scale: Scale, peak: float
) -> dict[str, Any]:
    """Return times, tokens per second, peak memory and utilisation of one training step in bfloat16."""
    parameters = _parameters(contender.architecture, length, scale)
    batch = max(1, scale.tokens // length)
    arithmetic = plan(parameters, "bptt", length, batch).training_flops_per_token
    if (least := arithmetic * batch * length / (0.1 * peak)) > LONGEST_STEP:
        return {"left_out": f"a step would take about {least:.0f} s"}
    torch.manual_seed(0)
    model = build_model(parameters, _tables(parameters.segments)).to(device)
    if mode != "eager":
        model.compile_cell("cudagraphs" if mode == "graphs" else "inductor")
    optimiser = torch.optim.AdamW(model.parameters(), fused=device.type == "cuda")
    tokens, lengths, labels = random_batch(torch.full((batch,), length, device=device))
    times: dict[str, list[float]] = {"forward": [], "backward": [], "optimiser": []}

    def step() -> None:
        marks = [now(device)]
        with torch.autocast(device.type, torch.bfloat16):
            loss = functional.cross_entropy(model(tokens, lengths, contender.method), labels)
        marks.append(now(device))
        loss.backward()
        marks.append(now(device))
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)
        marks.append(now(device))
        for name, before, after in zip(times, marks, marks[1:], strict=False):
            times[name].append(after - before)

    with contender.kernels():
        step()
        step()
        memory = peak_memory(step, device)
        while len(times["forward"]) < 13 and sum(map(sum, times.values())) < 3.0:
            step()
    forward, backward, rest = (min(spent[2:]) for spent in times.values())
    seconds = forward + backward + rest
    return {
        "batch": batch,
        "forward_seconds": forward,
        "backward_seconds": backward,
        "tokens_per_second": batch * length / seconds,
        "peak_bytes": memory,
        # The arithmetic of BPTT for all methods: recomputed segments are a cost, not useful work.
        "share_of_matrix_peak": batch * length / seconds * arithmetic / peak,
        "share_of_time_busy": _busy(step, device),
    }


def _parameters(architecture: str, length: int, scale: Scale) -> ModelParameters:
    segments = max(1, length // scale.segment_length)
    record = ModelParameters.from_dict(
        scale.model | {"segment_length": min(length, scale.segment_length), "segments": segments}
    )
    return record.as_architecture(architecture)


@cache
def _tables(segments: int) -> Tables:
    return distil(simulate(), DistillParameters(segments=segments))


def _busy(step: Callable[[], None], device: torch.device) -> float | None:
    """Return the share of a step's time in which a GPU computes; None on a CPU."""
    if device.type != "cuda":
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        seconds = seconds_of(step, partial(now, device))
    return sum(event.device_time_total for event in profiler.key_averages()) * 1e-6 / seconds


def _exactness_table(results: list[dict[str, Any]]) -> str:
    rows = [
        (
            result["precision"],
            "yes" if result["same_bits"] else "no",
            *(f"{result[name]:.1e}" for name in ("amrb_from_bptt", "bptt_from_float64", "amrb_from_float64")),
        )
        for result in results
    ]
    return table(rows, ("gradients in", "AMRB = BPTT to the bit", "AMRB - BPTT", "BPTT - float64", "AMRB - float64"))


def _speed_table(results: list[dict[str, Any]]) -> str:
    return table([_row(result) for result in results], COLUMNS)


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    start = (result["model"], f"{result['length']:,}", result["mode"])
    if "left_out" in result:
        return (*start, result["left_out"][:60], "", "", "", "", "")
    busy = result["share_of_time_busy"]
    return (
        *start,
        f"{result['tokens_per_second']:,.0f}",
        f"{1e3 * result['forward_seconds']:.1f}",
        f"{1e3 * result['backward_seconds']:.1f}",
        f"{result['peak_bytes'] / 1e6:,.0f}",
        f"{result['share_of_matrix_peak']:.1%}",
        "" if busy is None else f"{busy:.0%}",
    )


if __name__ == "__main__":
    main()
