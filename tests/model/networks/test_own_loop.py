"""Other people's loops train the models as a plain loop does, and the names of the weights are those documented."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from model import ModelParameters, build_language_model, build_model

PAGE = Path(__file__).parents[3] / "docs/own_loop.md"
SMALL = {"width": 16, "heads": 2, "layers": 1, "feed_forward_width": 24, "segment_length": 10, "segments": 3}
RATE = 1e-2


def test_the_names_of_the_weights_are_those_of_the_documentation(tables):
    (listed,) = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names = listed.split()
    assert sorted(build_model(ModelParameters.from_dict(SMALL), tables).state_dict()) == sorted(names)
    language = build_language_model(ModelParameters.from_dict({**SMALL, "retention": "streaming"}), tables)
    renamed = {"head.weight": "cell.head.weight", "head.bias": "cell.head.bias", "retention.weight": "retention"}
    expected = {renamed.get(name, name) for name in names} - {"retention.total"}
    assert set(language.state_dict()) == expected


@pytest.fixture
def start(tables):
    def make() -> torch.nn.Module:
        torch.manual_seed(3)
        return build_model(ModelParameters.from_dict(SMALL), tables)

    return make


@pytest.fixture
def data() -> TensorDataset:
    generator = torch.Generator().manual_seed(5)
    tokens, labels = torch.randint(1, 16, (8, 30), generator=generator), torch.arange(8)
    return TensorDataset(tokens, torch.tensor([30, 30, 25, 30, 30, 11, 30, 7]), labels)


@pytest.fixture
def plain(start, data) -> dict[str, torch.Tensor]:
    """The weights after one epoch of a plain loop."""
    model = start()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for tokens, lengths, labels in DataLoader(data, batch_size=4):
        optimizer.zero_grad()
        functional.cross_entropy(model(tokens, lengths), labels).backward()
        optimizer.step()
    return model.state_dict()


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_to_the_weights_of_a_plain_loop(start, data, plain, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = start()

        def training_step(self, batch, index):  # noqa: ARG002 (Lightning passes it)
            tokens, lengths, labels = batch
            return functional.cross_entropy(self.model(tokens, lengths), labels)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=RATE)

    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, DataLoader(data, batch_size=4))
    assert_equal(module.model.state_dict(), plain)


@pytest.mark.filterwarnings("ignore")
def test_accelerate_trains_to_the_weights_of_a_plain_loop(start, data, plain):
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = start()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(data, batch_size=4))
    for tokens, lengths, labels in loader:
        optimizer.zero_grad()
        accelerator.backward(functional.cross_entropy(model(tokens, lengths), labels))
        optimizer.step()
    assert_equal(accelerator.unwrap_model(model).state_dict(), plain)
