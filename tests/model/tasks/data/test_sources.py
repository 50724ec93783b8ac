"""Text, Image and pairs are read from their authors' files; these tests write small ones.

RMAAT_TEST_DATA may name a folder with the real aclImdb_v1.tar.gz and cifar-10-python.tar.gz. Without it, the tests that
need them are skipped.
"""

import io
import os
import pickle
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.tasks import image, pairs, text
from model.tasks.data import sources
from model.tasks.data.cifar import grey, read_batch
from model.tasks.data.dataset import TaskError
from model.tasks.data.encoding import from_bytes, split_pair, to_bytes
from model.tasks.data.imdb import Review, read_reviews, read_reviews_and_films
from model.tasks.data.sources import read_members
from model.tasks.image import ImageParameters
from model.tasks.pairs import RetrievalParameters, SameFilmParameters
from model.tasks.text import TextParameters
from model.tasks.trivial_levels import linear_probe, naive_bayes, shared_words

REAL = Path(os.environ.get("RMAAT_TEST_DATA", "absent"))
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="RMAAT_TEST_DATA names no folder")

TEXT = TextParameters(validation_size=4)


def archive(source: Path, name: str, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, arcname=name)
    return path


# Text.


@pytest.fixture
def reviews(tmp_path) -> Path:
    place = tmp_path / "aclImdb"
    for split in ("train", "test"):
        for label, word in (("neg", "dull"), ("pos", "fine")):
            (place / split / label).mkdir(parents=True)
            for number in range(6 if split == "train" else 12):
                (place / split / label / f"{number}_{1 if label == 'neg' else 9}.txt").write_bytes(
                    f"A {word} film \u00e9\t{split} {number}.".encode()
                )
        (place / split / "unsup").mkdir()
        (place / split / "unsup" / "0_0.txt").write_text("not labelled")
        for label in ("neg", "pos"):
            # Every film has reviews of both labels.
            films = [number % 6 for number in range(12)]
            lines = [f"http://www.imdb.com/title/tt{film:07d}/usercomments\n" for film in films]
            (place / split / f"urls_{label}.txt").write_text("".join(lines))
    return place


def test_reviews_are_the_same_from_folder_and_archive(reviews, tmp_path):
    found = text.read(TEXT, reviews)
    assert [len(split) for split in found.splits.values()] == [8, 4, 24]
    assert to_bytes(found.test.sequence(0)) == "A dull film é\ttest 0.".encode()
    assert found.test.labels.tolist() == [0] * 12 + [1] * 12
    assert (found.vocabulary, found.classes) == (257, 2)
    assert found.train.tokens.dtype == np.uint8
    packed = text.read(TEXT, archive(reviews, "aclImdb", tmp_path / "a.tar.gz"))
    assert packed.sha256() == found.sha256()
    assert {task.origin.split(",")[0] for task in (found, packed)} == {"official files"}


def test_reviews_are_in_the_order_of_label_and_number(reviews):
    texts = [review.text.decode().rstrip(".").rsplit(" ", 1)[1] for review in read_reviews(reviews)["test"]]
    assert texts == 2 * [str(number) for number in range(12)]


def test_the_films_of_reviews_are_read_from_their_addresses(reviews, tmp_path):
    found, films = read_reviews_and_films(archive(reviews, "aclImdb", tmp_path / "a.tar.gz"))
    assert found == read_reviews(reviews)
    assert films["train"].tolist() == 2 * list(range(6))
    assert films["test"].tolist() == 4 * list(range(6))
    small = SameFilmParameters(train_size=6, validation_size=6, test_size=4)
    task = pairs.read_same_film(small, reviews)
    assert [len(split) for split in task.splits.values()] == [6, 6, 4]


def test_reviews_without_a_film_are_named(reviews):
    path = reviews / "train" / "urls_pos.txt"
    path.write_text("http://www.imdb.com/title/tt0000001/usercomments\nno address\n")
    with pytest.raises(TaskError, match=r"train/urls_pos\.txt has no film on line 2, for review 1"):
        pairs.read_same_film(SameFilmParameters(), reviews)
    path.unlink()
    with pytest.raises(TaskError, match=r"has no urls_neg\.txt or urls_pos\.txt .*--source must be aclImdb"):
        pairs.read_same_film(SameFilmParameters(), reviews)
    with pytest.raises(TaskError, match="does not say which film a review is about"):
        pairs.read_same_film(SameFilmParameters(), Path("hf:stanfordnlp/imdb"))


def test_held_out_reviews_come_from_the_training_split_and_are_not_trained_on(reviews):
    found = text.read(TEXT, reviews)
    parts = {name: {to_bytes(split.sequence(row)) for row in range(len(split))} for name, split in found.splits.items()}
    assert len(parts["train"] | parts["validation"]) == 12
    assert all(b"train" in review for review in parts["train"] | parts["validation"])
    other = text.read(replace(TEXT, data_seed=1), reviews)
    assert other.validation.tokens.tolist() != found.validation.tokens.tolist()
    assert other.test.tokens.tolist() == found.test.tokens.tolist()


def test_a_review_is_cut_and_invalid_utf_8_is_replaced():
    assert to_bytes(np.frombuffer(from_bytes(b"abcdef", 4), np.uint8)) == b"abcd"
    assert to_bytes(np.frombuffer(from_bytes(b"a\xffb", 10), np.uint8)).decode() == "a\ufffdb"
    with pytest.raises(TaskError, match="empty"):
        from_bytes(b"", 4)


def test_bad_sources_of_text_are_named(reviews, tmp_path):
    with pytest.raises(TaskError, match=r"cannot read .*absent"):
        text.read(TEXT, tmp_path / "absent")
    (tmp_path / "torn.tar.gz").write_bytes(archive(reviews, "aclImdb", tmp_path / "a.tar.gz").read_bytes()[:300])
    with pytest.raises(TaskError, match="torn"):
        text.read(TEXT, tmp_path / "torn.tar.gz")
    with pytest.raises(TaskError, match="validation_size is 12, but there are 12 rows"):
        text.read(replace(TEXT, validation_size=12), reviews)
    (reviews / "test").rename(tmp_path / "moved")
    with pytest.raises(TaskError, match="has no test reviews"):
        text.read(TEXT, reviews)


def test_naive_bayes_reads_words(reviews):
    found = text.read(TEXT, reviews)
    assert naive_bayes(found.train, found.test).accuracy == 1


# Image.


def official_batches(place: Path) -> dict[str, tuple[np.ndarray, list[int]]]:
    """The six pickles of CIFAR-10's Python release, in their own protocol."""
    place.mkdir()
    random = np.random.default_rng(0)
    batches = {}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        colours = random.integers(0, 256, (4, 3072), dtype=np.uint8)
        labels = random.integers(0, 10, 4).tolist()
        content = {b"batch_label": b"some", b"labels": labels, b"data": colours, b"filenames": [b"a.png"] * 4}
        (place / name).write_bytes(pickle.dumps(content, protocol=2))
        batches[name] = (colours, labels)
    (place / "batches.meta").write_bytes(b"not read")
    return batches


def test_python_batches_load_in_grey_from_folder_and_archive(tmp_path):
    place = tmp_path / "cifar-10-batches-py"
    batches = official_batches(place)
    parameters = ImageParameters(validation_size=5)
    found = image.read(parameters, place)
    assert [len(split) for split in found.splits.values()] == [15, 5, 4]
    colours, labels = batches["test_batch"]
    wanted = grey(colours.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(found.test.tokens.reshape(4, 32, 32) - 1, wanted)
    assert found.test.labels.tolist() == labels
    assert image.read(parameters, archive(place, place.name, tmp_path / "c.tar.gz")).sha256() == found.sha256()


def test_grey_is_within_rounding_of_its_weights():
    colours = np.random.default_rng(1).integers(0, 256, (50, 3), dtype=np.uint8)
    exact = colours @ np.array([0.2989, 0.5870, 0.1140])
    assert np.abs(grey(colours).astype(float) - exact).max() <= 1
    assert grey(np.array([[0, 0, 0], [255, 255, 255]], dtype=np.uint8)).tolist() == [0, 255]


class Hostile:
    def __init__(self, witness: Path):
        self.witness = witness

    def __reduce__(self):
        return Path.touch, (self.witness,)


def test_a_pickle_that_would_run_a_program_is_refused_before_it_runs(tmp_path):
    content = pickle.dumps({b"data": Hostile(tmp_path / "was run"), b"labels": [1]}, protocol=2)
    with pytest.raises(TaskError, match="it asks for"):
        read_batch(content, "data_batch_1")
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    "values",
    [
        {b"labels": [1]},
        {b"data": np.zeros((1, 3072)), b"labels": [1]},
        {b"data": np.array([None]), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [1, 2]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [11]},
        {b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]},
        [1, 2],
    ],
    ids=["no data", "floats", "objects", "labels", "label 11", "pixels", "a list"],
)
def test_a_batch_of_another_form_is_refused(values):
    with pytest.raises(TaskError, match=r"batch has|not a batch"):
        read_batch(pickle.dumps(values, protocol=2), "batch")


# Pairs.


def test_official_pairs_are_read_and_split_again(tmp_path):
    for name in pairs.OFFICIAL_FILES.values():
        rows = [b"1.0\t7\t8\tfirst paper\tsecond paper", b"0\t7\t9\tfirst paper\t" + b"x" * 50]
        (tmp_path / name).write_bytes(b"\n".join(rows) + b"\n")
    found = pairs.read_retrieval(RetrievalParameters(longest_document=12), tmp_path)
    assert [to_bytes(part) for part in split_pair(found.test.sequence(0))] == [b"first paper", b"second paper"]
    assert [to_bytes(part) for part in split_pair(found.test.sequence(1))] == [b"first paper", b"x" * 12]
    assert found.test.labels.tolist() == [1, 0]
    assert (found.origin, found.separator, found.train.tokens.dtype) == ("official files", 255, np.uint8)


@pytest.mark.parametrize("row", [b"2\t7\t8\ta\tb", b"1\t7\t8\ta", b"1 7 8 a b"])
def test_a_bad_row_of_pairs_is_named(tmp_path, row):
    (tmp_path / "new_aan_pairs.train.tsv").write_bytes(b"1\t7\t8\ta\tb\n" + row + b"\n")
    with pytest.raises(TaskError, match=r"new_aan_pairs\.train\.tsv, row 2: not label"):
        pairs.read_retrieval(RetrievalParameters(), tmp_path)


def test_negatives_of_the_stand_in_match_their_pair_in_label_and_length_and_not_in_film():
    random = np.random.default_rng(3)
    films = np.repeat(np.arange(60), 10)
    reviews = [Review(b"w" * int(random.integers(50, 2000)), row % 2) for row in range(len(films))]
    film_of = {id(review): film for review, film in zip(reviews, films, strict=True)}
    drawn = list(pairs.draw_pairs(reviews, films, 2000, random))
    assert Counter(label for _, _, label in drawn) == {0: 1000, 1: 1000}
    assert all((film_of[id(a)] == film_of[id(b)]) == bool(label) for a, b, label in drawn)
    lengths, same = ({kind: [] for kind in (0, 1)} for _ in range(2))
    for first, second, label in drawn:
        lengths[label].append(abs(len(first.text) - len(second.text)))
        same[label].append(first.label == second.label)
    error = np.std(lengths[1]) / 1000**0.5
    assert np.mean(lengths[0]) == pytest.approx(np.mean(lengths[1]), abs=5 * error)
    assert np.mean(same[0]) == pytest.approx(np.mean(same[1]), abs=5 * 0.5 * (2 / 1000) ** 0.5)


# Hostile sources.


def test_a_link_that_leads_out_of_the_folder_is_not_followed(reviews, tmp_path):
    (tmp_path / "secret").write_text("private")
    place = reviews / "train" / "neg" / "99_1.txt"
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(TaskError, match=f"{place} leads out of {reviews}; replace the link"):
        text.read(TEXT, reviews)
    place.unlink()
    place.symlink_to(reviews / "train" / "neg" / "0_1.txt")
    assert len(read_reviews(reviews)["train"]) == 13


def test_links_in_an_archive_are_skipped(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("aclImdb/train/neg/0_1.txt")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    assert read_members(tmp_path / "a.tar", lambda _: True) == {}


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("wanted", [True, False])
def test_an_archive_that_claims_a_terabyte_is_refused(tmp_path, kind, wanted):
    member = tarfile.TarInfo("name")
    member.size, member.type = 10**12, kind
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(TaskError, match=r"a\.tar is not a tar archive, or incomplete \(.*1,000,000,0"):
        read_members(tmp_path / "a.tar", lambda _: wanted)


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_an_archive_of_zeros_that_unpacks_without_end_is_refused(tmp_path, compression, monkeypatch):
    monkeypatch.setattr(sources, "MOST_UNPACKED", 2**20)
    with tarfile.open(tmp_path / "a", f"w:{compression}") as tar:
        member = tarfile.TarInfo("zeros")
        member.size = 2**21
        tar.addfile(member, io.BytesIO(bytes(2**21)))
    assert (tmp_path / "a").stat().st_size < 2**16
    with pytest.raises(TaskError, match="unpacked it has 2,097,"):
        read_members(tmp_path / "a", lambda _: False)


def test_a_device_is_no_source():
    with pytest.raises(TaskError, match="cannot read /dev/zero: it is a device or a pipe"):
        text.read(TEXT, Path("/dev/zero"))


# Real data.


@needs_real_data
def test_the_real_reviews_reach_the_level_of_naive_bayes():
    found = text.read(TextParameters(), REAL / "aclImdb_v1.tar.gz")
    assert [len(split) for split in found.splits.values()] == [22_500, 2_500, 25_000]
    assert naive_bayes(found.train, found.test).accuracy == pytest.approx(0.82, abs=0.01)


@needs_real_data
def test_the_real_pictures_reach_the_level_of_a_linear_probe():
    found = image.read(ImageParameters(), REAL / "cifar-10-python.tar.gz")
    assert np.bincount(found.test.labels).tolist() == [1000] * 10
    assert linear_probe(found.train, found.test).accuracy == pytest.approx(0.275, abs=0.01)


@needs_real_data
def test_shared_words_alone_give_away_a_part_of_the_real_stand_in():
    parameters = SameFilmParameters(train_size=2000, validation_size=200, test_size=1000)
    found = pairs.read_same_film(parameters, REAL / "aclImdb_v1.tar.gz")
    assert [len(split) for split in found.splits.values()] == [2000, 200, 1000]
    assert shared_words(found.train, found.test).accuracy == pytest.approx(0.68, abs=0.05)
