import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks import gpu


@pytest.fixture
def two_contenders(monkeypatch):
    monkeypatch.setattr(gpu, "MODES", ("eager",))
    contenders = {name: gpu.CONTENDERS[name] for name in ("RMAAT, AMRB", "Transformer, fused softmax")}
    monkeypatch.setattr(gpu, "CONTENDERS", contenders)


@pytest.mark.slow
@pytest.mark.usefixtures("two_contenders")
def test_the_script_runs_on_a_cpu_and_gives_a_reason_for_what_it_skips(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "SMALL", replace(gpu.SMALL, lengths=(64, 2**21), tokens=64))
    monkeypatch.setattr(gpu, "LONGEST_STEP", 0.1)
    monkeypatch.setattr("sys.argv", ["gpu", "--small", "--minutes", "2", "--out", str(tmp_path / "gpu")])
    gpu.main()
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["exactness"][0] | {"precision": "float32", "same_bits": True} == result["exactness"][0]
    assert ["tokens_per_second" in line for line in result["results"]] == [True, True, False, False]
    assert "a step would take about" in result["results"][-1]["left_out"]
    assert "tokens/s" in (tmp_path / "gpu.md").read_text()


@pytest.mark.usefixtures("two_contenders")
def test_what_comes_after_the_time_limit_is_skipped_with_that_reason():
    lines = gpu.measure_all(torch.device("cpu"), gpu.SMALL, peak=1e9, end=0.0)
    assert len(lines) == 2 * len(gpu.SMALL.lengths)
    assert {line["left_out"] for line in lines} == {"no time left"}


def test_every_contender_builds_a_model():
    for contender in gpu.CONTENDERS.values():
        assert gpu._parameters(contender.architecture, 64, gpu.SMALL).architecture == contender.architecture


@pytest.mark.slow
def test_the_script_imports_without_the_small_packages_that_it_replaces():
    absent = ["jaxtyping", "lazy_loader", "platformdirs", "yaml"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import benchmarks.gpu"
    subprocess.run([sys.executable, "-c", code], check=True)
