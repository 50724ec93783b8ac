"""Pathfinder: the images are like LRA's by their figures, and say nothing of the label but by the link."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchmarks.tasks import PATHFINDER
from model.tasks.data.dataset import TaskError
from model.tasks.data.encoding import from_images
from model.tasks.library import load_task
from model.tasks.pathfinder import task as pathfinder
from model.tasks.pathfinder.task import DIFFICULTIES, PathfinderParameters, draw_images, generate, read_official
from model.tasks.trivial_levels import linear_probe
from rmaat.base.errors import UsageError

pytest.importorskip("numba")

pytestmark = pytest.mark.xdist_group("pathfinder")
SMALL = PathfinderParameters(train_size=20, validation_size=6, test_size=6)


@pytest.fixture(scope="module")
def hard() -> tuple[np.ndarray, np.ndarray]:
    return draw_images(PathfinderParameters(), 1600)


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_grey_values_are_those_of_the_original_generator(difficulty, hard):
    images = hard[0] if difficulty == "hard" else draw_images(PathfinderParameters(difficulty=difficulty), 800)[0]
    original = PATHFINDER[difficulty]
    assert images.mean() == pytest.approx(original.mean, abs=3 * original.mean_error)
    assert (images >= 64).mean() == pytest.approx(original.lit, abs=3 * original.lit_error)
    assert (images >= 200).mean() == pytest.approx(original.bright, rel=0.05)
    assert (images > 0).mean() == pytest.approx(original.any_light, rel=0.05)
    assert images.min(axis=(1, 2)).max() == 0
    assert images.max(axis=(1, 2)).min() == 255


def test_labels_are_balanced_and_give_no_other_brightness(hard):
    images, labels = hard
    count = len(labels)
    assert labels.mean() == pytest.approx(0.5, abs=4 * 0.5 / count**0.5)
    grey = images.mean(axis=(1, 2))
    error = grey.std() * (4 / count) ** 0.5
    assert grey[labels == 0].mean() == pytest.approx(grey[labels == 1].mean(), abs=4 * error)


def test_a_linear_probe_is_at_chance(hard):
    images, labels = hard
    train, test = from_images(images[:1000], labels[:1000]), from_images(images[1000:], labels[1000:])
    assert linear_probe(train, test).accuracy == pytest.approx(0.5, abs=4 * 0.5 / len(test) ** 0.5)


def test_image_i_depends_on_seed_and_settings_alone(monkeypatch):
    images, labels = draw_images(SMALL, 70)
    monkeypatch.setattr(pathfinder, "_CHUNK", 5)
    monkeypatch.setattr(pathfinder, "core_count", lambda: 3)
    again, same_labels = draw_images(replace(SMALL, train_size=1000), 40)
    np.testing.assert_array_equal(again, images[:40])
    np.testing.assert_array_equal(same_labels, labels[:40])
    assert (draw_images(replace(SMALL, data_seed=1), 5)[0] != images[:5]).any(axis=(1, 2)).all()


def test_another_number_of_training_images_leaves_the_other_splits_as_they_are():
    first, second = generate(SMALL), generate(replace(SMALL, train_size=5))
    np.testing.assert_array_equal(first.test.tokens, second.test.tokens)
    np.testing.assert_array_equal(first.validation.tokens, second.validation.tokens)
    assert first.origin == "regenerated, n = 32: resolution 32, difficulty hard, seed 0"
    assert (first.vocabulary, first.classes, first.longest) == (257, 2, 1024)


@pytest.mark.parametrize("resolution", ["64", "128"])
def test_larger_images_hold_the_two_discs(resolution):
    images, labels = draw_images(PathfinderParameters(resolution=resolution), 2)
    side = int(resolution)
    assert images.shape == (2, side, side)
    assert set(labels) <= {0, 1}
    for image in images:
        # A disc is the only thing that survives an erosion by the thickness of a paddle.
        _, found = ndimage.label(ndimage.binary_erosion(image > 128, iterations=2))
        assert 1 <= found <= 2


def test_progress_is_told_and_ends_at_one():
    told: list[float] = []
    generate(SMALL, told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_without_numba_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UsageError, match=r'drawing Pathfinder needs numba, .* pip install "rmaat-toolkit\[data\]"'):
        generate(SMALL)


# LRA's own files.


@pytest.fixture
def folder(tmp_path) -> Path:
    """40 images in the form of the release: two batches, one empty file."""
    images, labels = draw_images(SMALL, 40)
    place = tmp_path / "curv_contour_length_14"
    (place / "metadata").mkdir(parents=True)
    for batch in range(2):
        (place / "imgs" / str(batch)).mkdir(parents=True)
        lines = []
        for number in range(20):
            index = 20 * batch + number
            name = f"sample_{number}.png"
            Image.fromarray(images[index]).save(place / "imgs" / str(batch) / name)
            lines.append(f"imgs/{batch} {name} {number} {labels[index]} 1.0 14 4 2 0.5 1 1")
        (place / "metadata" / f"{batch}.npy").write_text("\n".join(lines) + "\n")
    (place / "imgs/1/sample_3.png").write_bytes(b"")
    return tmp_path


def test_official_files_load_to_the_images_that_they_were_made_of(folder):
    images, labels = draw_images(SMALL, 40)
    found = load_task(SMALL, folder, folder / "data")
    assert [len(split) for split in found.splits.values()] == [31, 3, 5]
    assert found.origin.startswith("official files, difficulty hard")
    wanted = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    seen = []
    for split in found.splits.values():
        for index in range(len(split)):
            image = (split.sequence(index) - 1).astype(np.uint8).tobytes()
            assert wanted[image] == split.labels[index]
            seen.append(image)
    assert len(set(seen)) == 39


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("metadata/1.npy", b"imgs/1 sample_0.png 0 2\n", r"1\.npy, line 1: .* is not folder, file, number, label"),
        ("metadata/0.npy", b"\x93NUMPY\x01\xff", r"cannot read .*0\.npy"),
        ("imgs/0/sample_4.png", b"no picture", r"cannot read .*sample_4\.png"),
    ],
)
def test_a_bad_official_file_is_named(folder, file, content, sentence):
    (folder / "curv_contour_length_14" / file).write_bytes(content)
    with pytest.raises(TaskError, match=sentence):
        read_official(SMALL, folder)


def test_what_is_missing_or_of_another_size_is_named(folder):
    with pytest.raises(TaskError, match="curv_baseline/metadata holds no metadata"):
        read_official(replace(SMALL, difficulty="easy"), folder)
    with pytest.raises(TaskError, match="has 32 x 32 pixels; 64 x 64 are wanted"):
        read_official(replace(SMALL, resolution="64"), folder)
    (folder / "curv_contour_length_14/imgs/0/sample_7.png").unlink()
    with pytest.raises(TaskError, match=r"cannot read .*sample_7\.png: No such file"):
        read_official(SMALL, folder)
