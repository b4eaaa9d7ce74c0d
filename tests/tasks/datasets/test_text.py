"""Text data sets as batches: shapes, splits, and the facts of the embedded text."""

import itertools
import json
import os
import shutil
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import (
    DataNotFoundError,
    DatasetShapeError,
    LoptError,
    UnknownNameError,
)
from learned_optimization.tasks.datasets import locations, prepared, text
from learned_optimization.tasks.datasets.text import (
    TextDatasets,
    TokenData,
    embedded_documents,
    kjv_bytes,
    lm1b_32k,
    lm1b_bytes,
    wikipedia_en_32k,
    wikipedia_en_bytes,
)
from learned_optimization.tasks.datasets.token_rows import TokenRows


def write_prepared(dataset, vocabulary, documents, num_train):
    """A prepared data set of lists of tokens."""
    dtype = "uint8" if vocabulary == "bytes" else "uint16"

    def unit(part, documents):
        arrays = {
            "length": np.array([len(d) for d in documents], np.int32),
            "token": np.array([token for d in documents for token in d], dtype),
        }
        return prepared.Unit(part, lambda: arrays)

    folder = locations.prepared_folder(dataset, vocabulary)
    prepared.write(
        folder,
        {"length": prepared.Field("int32"), "token": prepared.Field(dtype)},
        [unit("train", documents[:num_train]), unit("test", documents[num_train:])],
        fingerprint=str(documents),
        info={"vocab_size": 259 if vocabulary == "bytes" else 32_100},
    )
    return folder


def require_bible():
    """The whole Bible from Debian's command; on CI it must be there."""
    if shutil.which("bible") is None:
        message = (
            "the original King James Bible is not installed: "
            "apt-get install bible-kjv bible-kjv-text"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    done = subprocess.run(
        ["bible", "-f", "gen1:1-rev22:21"], capture_output=True, check=True, text=True
    )
    return done.stdout.splitlines()


def test_handles_tell_what_they_are_without_reading():
    handles = {
        "lm1b_bytes": lm1b_bytes,
        "lm1b_32k": lm1b_32k,
        "wikipedia_bytes": wikipedia_en_bytes,
        "wikipedia_32k": wikipedia_en_32k,
        "kjv_bytes": kjv_bytes,
    }
    for name, make in handles.items():
        data = make(4, 16)
        assert data.name == name
        assert data == make(4, 16)
        assert hash(data) == hash(make(4, 16))
        assert data != make(4, 17)
        wanted = 259 if name.endswith("bytes") else 32_100
        assert data.extra_info == {"vocab_size": wanted}
        for struct in data.abstract_batch.values():
            assert (struct.shape, struct.dtype) == ((4, 16), np.int32)
        assert data.is_available() == (name == "kjv_bytes")


@pytest.mark.parametrize("bad", [0, -3, 8.0, True])
def test_sizes_are_whole_and_positive(bad):
    with pytest.raises(LoptError, match="batch_size must be a whole number"):
        lm1b_bytes(bad, 8)
    with pytest.raises(LoptError, match="sequence_length must be a whole number"):
        lm1b_bytes(8, bad)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean 32k"):
        TextDatasets("lm1b", 8, 8, "32")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownNameError, match="did you mean lm1b"):
        TextDatasets("lm1", 8, 8, "bytes").load()


def test_what_is_missing_is_said():
    with pytest.raises(DataNotFoundError) as caught:
        next(lm1b_32k(8, 8).train)
    message = str(caught.value)
    assert "lm1b (32k) is not on this machine" in message
    assert "lopt data prepare lm1b --vocabulary 32k" in message
    assert str(locations.prepared_folder("lm1b", "32k")) in message


def test_targets_follow_observations():
    data = TokenData({}, {})
    tokens = np.array([[5, 6, 7], [8, 0, 0]], np.uint16)
    for array in (tokens, jnp.asarray(tokens), tokens[None, :, None]):
        got = data.decode({"tokens": array})
        assert got["obs"].dtype == got["target"].dtype == np.int32
        shape = (*array.shape[:-1], 2)
        np.testing.assert_array_equal(got["obs"], np.reshape([5, 6, 8, 0], shape))
        np.testing.assert_array_equal(got["target"], np.reshape([6, 7, 0, 0], shape))


@pytest.mark.parametrize("vocabulary", ["bytes", "32k"])
def test_prepared_documents(vocabulary):
    # The largest token that UTF-8 has, and the last piece.
    top = 0xF4 + 3 if vocabulary == "bytes" else 31_999
    documents = [[i + 1] * (i % 5 + 1) for i in range(200)] + [[top, 1, 2, 3, 4]] * 3
    write_prepared("lm1b", vocabulary, documents, num_train=200)
    handle = TextDatasets("lm1b", 2, 3, vocabulary)
    assert handle.is_available()
    data = handle.load()
    assert data.is_in_memory
    assert data.splits == {
        "train": (4, 200),
        "inner_valid": (0, 2),
        "outer_valid": (2, 4),
        "test": (200, 203),
    }
    got = data.take(np.array([1, 202]))
    np.testing.assert_array_equal(got["obs"], [[2, 2, 0], [top, 1, 2]])
    np.testing.assert_array_equal(got["target"], [[2, 0, 0], [1, 2, 3]])
    batch = next(handle.test)
    assert batch["obs"].shape == (2, 3)
    assert handle.load() is data


def test_wikipedia_is_one_part_put_in_an_order():
    documents = [[i % 200 + 3, i // 200 + 3] for i in range(1000)]
    write_prepared("wikipedia", "bytes", documents, 1000)
    data = wikipedia_en_bytes(2, 1).load()
    assert data.splits == {
        "train": (30, 1000),
        "inner_valid": (0, 10),
        "outer_valid": (10, 20),
        "test": (20, 30),
    }
    rows = data.take(np.arange(1000))
    numbers = rows["obs"][:, 0] - 3 + 200 * (rows["target"][:, 0] - 3)
    assert sorted(numbers) == list(range(1000))
    # Documents of all ages in each split: 1% at the beginning would be below 10.
    for split in ("inner_valid", "outer_valid", "test"):
        of_split = numbers[slice(*data.splits[split])]
        assert of_split.min() < 400
        assert of_split.max() > 600
    text._load_prepared.cache_clear()
    again = wikipedia_en_bytes(2, 1).load().take(np.arange(1000))
    np.testing.assert_array_equal(again["obs"], rows["obs"])


def test_large_data_stays_on_disk(monkeypatch):
    documents = [[i + 1, 2, 3] for i in range(140)]
    write_prepared("lm1b", "bytes", documents, num_train=130)
    want = lm1b_bytes(2, 4).load().arrays["tokens"]
    monkeypatch.setattr(prepared, "MAX_BYTES_IN_MEMORY", 100)
    text._load_prepared.cache_clear()
    data = lm1b_bytes(2, 4).load()
    rows = data.arrays["tokens"]
    assert isinstance(rows, TokenRows)
    assert not data.is_in_memory
    assert data.nbytes == want.nbytes
    np.testing.assert_array_equal(rows[np.array([3, 39])], want[[3, 39]])
    assert next(lm1b_bytes(2, 4).train)["obs"].dtype == np.int32


def test_preparing_anew_is_noticed():
    first = [[1, 2, 3]] * 220
    folder = write_prepared("lm1b", "bytes", first, num_train=200)
    assert lm1b_bytes(2, 2).load().take(np.array([0]))["obs"].tolist() == [[1, 2]]
    before = (folder / prepared.MANIFEST).stat().st_mtime_ns
    write_prepared("lm1b", "bytes", [[4, 5, 6]] * 220, num_train=200)
    os.utime(folder / prepared.MANIFEST, ns=(before + 1, before + 1))
    assert lm1b_bytes(2, 2).load().take(np.array([0]))["obs"].tolist() == [[4, 5]]


def test_prepared_in_another_vocabulary():
    folder = write_prepared("lm1b", "bytes", [[1, 2]] * 220, num_train=200)
    shutil.copytree(folder, locations.prepared_folder("lm1b", "32k"))
    with pytest.raises(DatasetShapeError) as caught:
        lm1b_32k(2, 2).load()
    message = str(caught.value)
    assert "its tokens are of a vocabulary of 259, expected 32100 (32k)" in message
    assert "Run `lopt data prepare lm1b --vocabulary 32k` again." in message


@pytest.mark.parametrize(("vocabulary", "before"), [("bytes", 256), ("32k", 32_000)])
def test_prepared_by_an_older_version(vocabulary, before):
    folder = write_prepared("lm1b", vocabulary, [[4, 5]] * 220, num_train=200)
    manifest = json.loads((folder / prepared.MANIFEST).read_text())
    manifest["info"]["vocab_size"] = before
    (folder / prepared.MANIFEST).write_text(json.dumps(manifest))
    handle = TextDatasets("lm1b", 2, 2, vocabulary)
    with pytest.raises(DatasetShapeError, match=f"of a vocabulary of {before}, exp"):
        handle.load()


def test_prepared_as_other_arrays():
    folder = write_prepared("lm1b", "bytes", [[4, 5]] * 220, num_train=200)
    shutil.copytree(folder, locations.prepared_folder("lm1b", "32k"))
    folder = locations.prepared_folder("lm1b", "32k")
    manifest = json.loads((folder / prepared.MANIFEST).read_text())
    manifest["info"]["vocab_size"] = 32_100
    (folder / prepared.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DatasetShapeError, match="does not hold documents of lm1b as"):
        lm1b_32k(2, 2).load()


def test_too_little_text():
    write_prepared("lm1b", "bytes", [[1, 2]] * 4, num_train=3)
    with pytest.raises(DatasetShapeError, match="3 training and 1 test examples"):
        lm1b_bytes(2, 2).load()


def test_embedded_chapters():
    train, test = embedded_documents("kjv")
    assert (len(train), len(test)) == (1071, 118)
    chapters = train + test
    assert len(set(chapters)) == 1189
    assert sum(len(chapter.split("\n")) for chapter in chapters) == 31_102
    for start, num_verses in (
        ("In the beginning God created the heaven and the earth.\n", 31),
        ("In the beginning was the Word, and the Word was with God,", 51),
        ("The LORD is my shepherd; I shall not want.\n", 6),
        ("Then Job answered and said,\n", 22),
        ("O Praise the LORD, all ye nations: praise him, all ye people.\n", 2),
    ):
        lengths = [len(c.split("\n")) for c in chapters if c.startswith(start)]
        assert num_verses in lengths


def test_embedded_text_is_debians():
    chapters: dict[str, list[str]] = {}
    for line in require_bible():
        reference, _, verse = line.partition(" ")
        chapters.setdefault(reference.split(":")[0], []).append(verse.rstrip())
    train, test = embedded_documents("kjv")
    want = {"\n".join(verses) for verses in chapters.values()}
    assert want == {*train, *test}


def test_kjv_batches():
    handle = kjv_bytes(8, 128)
    data = handle.load()
    assert data.is_in_memory
    for split in ("train", "inner_valid", "outer_valid", "test"):
        batch = next(handle.split(split))
        for field, struct in handle.abstract_batch.items():
            assert (batch[field].shape, batch[field].dtype) == (
                struct.shape,
                struct.dtype,
            )
        assert batch["target"].max() < 127 + 3
        follows = batch["obs"][:, 1:] == batch["target"][:, :-1]
        assert follows.all()
    train, test = embedded_documents("kjv")
    start, stop = data.splits["test"]
    assert stop == data.num_examples
    targets = data.take(np.arange(start, stop))["target"]
    assert (targets > 0).sum() == sum(len(chapter) - 1 for chapter in test)
    first = data.take(np.array([0]))["obs"][0]
    assert bytes(first.astype(np.uint8) - 3).decode() == train[0][:128]


def test_order_depends_on_the_seed_only():
    data = kjv_bytes(16, 8)
    first, again, other = (next(data.split("train", seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first["obs"], again["obs"])
    assert not np.array_equal(first["obs"], other["obs"])


def accuracy_of_bigrams(data):
    """Of taking the token that followed most often in the training split."""
    train, test = (data.take(np.arange(*data.splits[s])) for s in ("train", "test"))
    counts = np.zeros((100, 100), int)
    np.add.at(counts, (train["obs"], train["target"]), 1)
    is_real = test["target"] > 0
    guesses = counts[:, 1:].argmax(1)[test["obs"]] + 1
    return (guesses == test["target"])[is_real].mean()


@pytest.mark.parametrize("make", [lm1b_bytes, lm1b_32k, kjv_bytes])
def test_synthetic_data_only_when_asked(monkeypatch, make):
    handle = make(8, 16)
    assert not handle.is_synthetic
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    assert handle.is_synthetic
    assert handle.is_available()
    data = handle.load()
    assert data.splits["test"] == (2000, 2500)
    tokens = data.arrays["tokens"]
    assert tokens.shape == (2500, 17)
    assert tokens.dtype == (np.uint16 if make is lm1b_32k else np.uint8)
    is_real = tokens > 0
    # No end, no unknown.
    assert tokens[is_real].min() == 3
    assert 0.05 < (~is_real[:, -1]).mean() < 0.3
    # Padding is at the end alone, and every row has a target.
    assert (is_real[:, :-1] | ~is_real[:, 1:]).all()
    assert is_real[:, 1].all()
    assert accuracy_of_bigrams(data) > 0.8
    text._load_synthetic.cache_clear()
    np.testing.assert_array_equal(handle.load().arrays["tokens"], tokens)
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "0")
    if make is not kjv_bytes:
        with pytest.raises(DataNotFoundError):
            handle.load()


def test_one_epoch_has_every_example_once():
    documents = [[i + 1, 1] for i in range(104)]
    write_prepared("lm1b", "bytes", documents, num_train=102)
    batches = itertools.islice(lm1b_bytes(5, 2).split("train"), 20)
    first = np.concatenate([batch["obs"][:, 0] for batch in batches])
    assert sorted(first) == list(range(3, 103))
