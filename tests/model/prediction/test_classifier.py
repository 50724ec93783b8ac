"""Predictions are those of the evaluation, in the order of the texts, and texts that cannot be read are refused."""

import math

import pytest
import torch

from model import load_classifier
from model.errors import ModelError
from model.prediction import pretrained
from model.prediction.pretrained import export_run
from model.tasks.data.encoding import to_bytes
from model.tasks.image import ImageParameters
from model.tasks.library import load_task
from model.tasks.listops import SHORT
from model.tasks.text import TextParameters
from model.training.run_folder import RunFolder


@pytest.fixture
def classifier(scored_run):
    return load_classifier(scored_run, "cpu")


def test_labels_and_accuracy_are_those_of_the_evaluation(classifier, scored_run):
    configuration = classifier.configuration
    task = load_task(configuration.task_parameters, pretrained.Path(configuration.source), scored_run)
    texts = [to_bytes(task.test.sequence(index)).decode() for index in range(len(task.test))]
    found = classifier(texts, batch_size=5)
    assert {name for row in found for name in row.probabilities} == {"for it", "against | it"}
    right = [row.label == task.labels[label] for row, label in zip(found, task.test.labels, strict=True)]
    assert sum(right) / len(right) == RunFolder(scored_run).read_evaluation().accuracy


def test_the_size_of_a_batch_and_padding_do_not_change_a_prediction(classifier):
    texts = ["a", "a much longer text than that", "gr\u00fc\u00df dich", "b" * 18, "b" * 19]
    together, alone = classifier(texts), classifier(texts, batch_size=1)
    for first, second in zip(together, alone, strict=True):
        assert first.label == second.label == max(first.probabilities, key=first.probabilities.__getitem__)
        assert math.isclose(sum(first.probabilities.values()), 1, rel_tol=1e-6)
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)
    # Three segments of six bytes are read.
    assert [row.cut for row in together] == [False, True, False, False, True]
    assert together[3].probabilities == pytest.approx(together[4].probabilities, abs=1e-6)


def test_texts_are_answered_as_they_arrive(classifier):
    read = []

    def texts():
        for number in range(10):
            read.append(number)
            yield f"text {number}"

    answers = classifier.stream(texts(), batch_size=2)
    next(answers)
    assert read == [0, 1]
    assert len(list(answers)) == 9


def test_a_model_in_training_stays_so_and_records_no_graph(classifier):
    classifier.model.train()
    first, second = classifier(["the same text"] * 2, batch_size=1)
    assert first == second
    assert classifier.model.training
    assert torch.is_grad_enabled()


def test_texts_that_cannot_be_classified_are_refused_in_words(classifier, run_of_other_task):
    with pytest.raises(ModelError, match=r"text 2: the document is empty"):
        classifier(["a", ""])
    with pytest.raises(ModelError, match=r"texts is one string; give a list of texts"):
        classifier("a film")
    with pytest.raises(ModelError, match=r"batch_size is 0; it must be at least 1"):
        classifier(["a"], batch_size=0)
    image = load_classifier(run_of_other_task(ImageParameters()), "cpu")
    with pytest.raises(ModelError, match=r"a model of Image reads no texts; use one that was trained on listops, text"):
        image(["a"])


def test_a_run_on_text_has_its_labels_and_cuts_as_its_data_were_cut(run_of_other_task):
    classifier = load_classifier(run_of_other_task(TextParameters(longest_length=9)), "cpu")
    first, second = classifier(["123456789", "123456789x"])
    assert (set(first.probabilities), first.cut, second.cut) == ({"negative", "positive"}, False, True)
    assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)


def test_an_expression_of_listops_is_read_as_its_symbols_and_never_cut(run_of_other_task):
    classifier = load_classifier(run_of_other_task(SHORT), "cpu")
    assert set(classifier(["[MAX 1 2 [MIN 3 4 ] ]"])[0].probabilities) == {"0", "1"}
    with pytest.raises(ModelError, match=r"text 1: unknown symbol 'film'"):
        classifier(["film"])
    with pytest.raises(ModelError, match=r"text 1 has 22 tokens; the model reads at most 18"):
        classifier(["[SM" + " 1" * 20 + " ]"])


def test_a_packaged_model_is_found_by_name_and_a_folder_of_this_name_by_its_path(scored_run, tmp_path, monkeypatch):
    export_run(scored_run, tmp_path / "packaged")
    monkeypatch.setattr(pretrained, "packaged", lambda: {"text": tmp_path / "packaged"})
    monkeypatch.chdir(tmp_path)
    assert load_classifier("text", "cpu")(["a film"])[0].label in ("for it", "against | it")
    with pytest.raises(ModelError, match=r"\./text is neither a run folder, .* nor a model of this package \(text\)"):
        load_classifier("./text")
    (tmp_path / "text").mkdir()
    with pytest.raises(ModelError, match=r"holds no run"):
        load_classifier("./text")
