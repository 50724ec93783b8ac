"""A run, the folder of its export, and the hub's methods hold the same model; the card says where it is from."""

import json
import re
from pathlib import Path

import pytest
import yaml

from model import export_run, load_classifier
from model.errors import ModelError
from model.prediction.pretrained import Pretrained, find_pretrained, import_run, is_pretrained
from model.training.evaluation import evaluate
from model.training.run_folder import RunFolder
from rmaat.base.files import FileError

TEXTS = ["a film", "against it is against it"]


@pytest.fixture
def exported(scored_run, tmp_path) -> Path:
    export_run(scored_run, tmp_path / "model")
    return tmp_path / "model"


def answers(folder):
    return load_classifier(folder, "cpu")(TEXTS)


def test_an_exported_folder_predicts_as_the_run_and_becomes_a_run_again(scored_run, exported, tmp_path, reviews):
    assert is_pretrained(exported)
    assert not is_pretrained(scored_run)
    import_run(exported, tmp_path / "again")
    assert answers(scored_run) == answers(exported) == answers(tmp_path / "again")
    first, again = RunFolder(scored_run), RunFolder(tmp_path / "again")
    from model.tasks.library import load_task

    task = load_task(first.read_configuration().task_parameters, reviews, tmp_path)
    assert evaluate(again.path, task, "cpu") == first.read_evaluation()
    for target in (exported, again.path):
        with pytest.raises(FileError, match="exists already; choose another --to"):
            export_run(scored_run, target)


def test_an_exported_folder_names_no_folder_of_this_machine(exported, reviews, scored_run):
    text = "".join(path.read_text() for path in exported.iterdir() if path.suffix in (".json", ".md"))
    assert str(reviews.parent) not in text
    assert str(scored_run.parent) not in text
    assert "reviews.jsonl" in text


def test_the_card_has_data_levels_accuracy_seeds_and_tables(exported, scored_run):
    card = (exported / "README.md").read_text()
    evaluation, configuration = RunFolder(scored_run).read_evaluation(), RunFolder(scored_run).read_configuration()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["library_name"] == "rmaat-toolkit"
    metric = metadata["model-index"][0]["results"][0]["metrics"][0]
    assert metric == {"type": "accuracy", "value": round(evaluation.accuracy, 4)}
    tables = Pretrained.read(scored_run).tables
    for shown in (
        f"| this model | {evaluation.accuracy:.1%} ± {evaluation.standard_error:.1%} |",
        f"| commonest label (needs no model) | {evaluation.trivial_levels['commonest label']:.1%} |",
        "reviews.jsonl, split by seed 0",
        configuration.data_sha256,
        "Seed 4.",
        tables.dataset.attrs["content_sha256"],
        tables.dataset.attrs["traces_sha256"],
        # A bar in the name of a label would end the cell of the table.
        "| labels | against \\| it, for it |",
    ):
        assert shown in card, shown
    assert json.loads((exported / "config.json").read_text())["id2label"] == {"0": "against | it", "1": "for it"}


def test_weights_that_were_trained_further_lose_the_score_of_the_run(scored_run, tmp_path):
    classifier = load_classifier(scored_run, "cpu")
    assert not classifier.is_changed
    classifier.model.head.bias.data += 1
    (tmp_path / "new").mkdir()
    classifier.write(tmp_path / "new")
    assert not (tmp_path / "new/evaluation.json").exists()
    assert "changed after the run" in (tmp_path / "new/README.md").read_text()


def test_a_card_of_a_run_without_score_says_so(scored_run, tmp_path):
    classifier = load_classifier(scored_run, "cpu")
    classifier.evaluation = None
    classifier.write(tmp_path)
    assert "Not scored." in (tmp_path / "README.md").read_text()


def test_a_damaged_export_is_refused_in_words(exported):
    state = (exported / "state.json").read_text()
    (exported / "state.json").write_text("{")
    with pytest.raises(ModelError, match=r"state\.json is damaged"):
        load_classifier(exported)
    (exported / "state.json").write_text(state)
    next(exported.glob("*.safetensors")).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load_classifier(exported)


def test_the_methods_of_the_hub_read_runs_and_exports_and_keep_an_edited_card(scored_run, exported, tmp_path):
    pytest.importorskip("huggingface_hub")
    from model import RmaatClassifier

    classifier = RmaatClassifier.from_pretrained(scored_run)
    assert classifier(TEXTS) == answers(exported)
    classifier.save_pretrained(tmp_path / "saved")
    names = {path.name for path in exported.iterdir()}
    assert {path.name for path in (tmp_path / "saved").iterdir()} == names
    for name in names:
        assert (tmp_path / "saved" / name).read_bytes() == (exported / name).read_bytes(), name
    (tmp_path / "saved/README.md").write_text("edited")
    RmaatClassifier.from_pretrained(tmp_path / "saved").save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved/README.md").read_text() == "edited"


def test_a_push_uploads_the_files_of_an_export_and_a_repository_is_read_from_its_download(
    exported, scored_run, monkeypatch
):
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import hub_mixin

    from model import RmaatClassifier, RmaatLanguageModel
    from model.prediction import hub

    uploaded = {}

    class Api:
        def __init__(self, token=None):
            pass

        def create_repo(self, repo_id, **_):
            return type("Url", (), {"repo_id": repo_id})()

        def upload_folder(self, folder_path, repo_id, **_):
            uploaded.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
            return f"https://example.org/{repo_id}"

    monkeypatch.setattr(hub_mixin, "HfApi", Api)
    assert RmaatClassifier.from_pretrained(scored_run).push_to_hub("me/reviews").endswith("me/reviews")
    assert uploaded == {path.name: path.read_bytes() for path in exported.iterdir()}

    asked = {}

    def download(name, **options):
        asked.update(name=name, **options)
        return str(exported)

    monkeypatch.setattr(hub._hub, "snapshot_download", download)
    assert RmaatClassifier.from_pretrained("me/reviews", revision="v1")(TEXTS) == answers(exported)
    assert (asked["name"], asked["revision"]) == ("me/reviews", "v1")
    assert all(any(Path(name).match(pattern) for pattern in asked["allow_patterns"]) for name in uploaded)

    def offline(name, **_):
        raise OSError(f"no network for {name}")

    monkeypatch.setattr(hub._hub, "snapshot_download", offline)
    for kind in (RmaatClassifier, RmaatLanguageModel):
        with pytest.raises(ModelError, match=r"me/reviews is no folder, and cannot be downloaded \(no network"):
            kind.from_pretrained("me/reviews")


def test_a_language_model_is_saved_and_read_by_the_methods_of_the_hub(make_language_model, tables, tmp_path):
    pytest.importorskip("huggingface_hub")
    import torch

    from model import RmaatLanguageModel

    model = make_language_model(torch.float32)
    RmaatLanguageModel(model, tables).save_pretrained(tmp_path / "language")
    again = RmaatLanguageModel.from_pretrained(tmp_path / "language")
    tokens = torch.randint(1, 16, (2, 25))
    with torch.no_grad():
        assert torch.equal(again.model(tokens)[0], model(tokens)[0])
    assert re.search(r"^# Language model: rmaat", (tmp_path / "language/README.md").read_text(), re.MULTILINE)
    (tmp_path / "language/config.json").write_text("{}")
    with pytest.raises(ModelError, match="is not that of a language model"):
        RmaatLanguageModel.from_pretrained(tmp_path / "language")


def test_the_packaged_text_model_is_small_and_tells_praise_from_complaint():
    folder = find_pretrained("text")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    praise, complaint = load_classifier("text")(["A wonderful film with a moving story.", "Dull and far too long."])
    assert (praise.label, complaint.label) == ("positive", "negative")
    assert "## Limits" in (folder / "README.md").read_text()
