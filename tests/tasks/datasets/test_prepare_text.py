"""From text files to prepared tokens: exact, and gone on with after a stop."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets import locations, prepared, tokenizers
from learned_optimization.tasks.datasets.catalog import get_text_dataset
from learned_optimization.tasks.datasets.prepare_text import prepare_text
from learned_optimization.tasks.datasets.sources import lm1b, text_files
from learned_optimization.tasks.datasets.sources.base import TextSource
from learned_optimization.tasks.datasets.text import embedded_documents

WIKIPEDIA = get_text_dataset("wikipedia")


@pytest.fixture(autouse=True)
def no_model_of_the_user(monkeypatch):
    monkeypatch.delenv(tokenizers.MODEL_VARIABLE, raising=False)


@pytest.fixture
def source(tmp_path):
    """Three training shards and a test shard of real text."""
    train, test = embedded_documents("kjv")
    folder = tmp_path / "original"
    folder.mkdir()
    for i in range(3):
        shard = "\n".join(d.replace("\n", " ") for d in train[10 * i : 10 * i + 10])
        (folder / f"train-{i}.txt").write_text(shard)
    (folder / "test.txt").write_text("\n".join(d.replace("\n", " ") for d in test[:2]))
    found = text_files.find(WIKIPEDIA, folder)
    assert found is not None
    return found


@dataclasses.dataclass(frozen=True)
class BrokenShard:
    """A shard that stops in the middle, as a full disk or Ctrl-C would."""

    path: Path

    def documents(self) -> Iterator[str]:
        yield "begun"
        raise KeyboardInterrupt


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_bytes_by_hand(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"abc\n\nd\0\xc3\xa9\n")
    (tmp_path / "test.jsonl").write_text('{"text": "x\\ny"}\n')
    source = text_files.find(WIKIPEDIA, tmp_path)
    assert source is not None
    calls = []
    folder = prepare_text(WIKIPEDIA, source, "bytes", lambda *args: calls.append(args))
    assert folder == locations.prepared_folder("wikipedia", "bytes")
    got = prepared.read(folder)
    # An empty line is no document.
    np.testing.assert_array_equal(got.arrays["length"], [3, 4, 3])
    want = np.frombuffer(b"abcd\0\xc3\xa9x\ny", np.uint8) + 3
    np.testing.assert_array_equal(got.arrays["token"], want)
    assert got.arrays["token"].dtype == np.uint8
    assert (got.num_train, got.num_test) == (2, 1)
    assert got.info == {
        "data set": "wikipedia",
        "licence": WIKIPEDIA.licence,
        "read from": str(tmp_path),
        "shards": "1 training, 1 test",
        "tokenizer": "bytes",
        "vocab_size": 259,
    }
    assert calls == [(0, 2), (1, 2), (2, 2)]


def test_unpacked_lm1b(tmp_path):
    for folder, name, text in (
        ("training", "news.en-00001-of-00100", "a b\nc\n"),
        ("training", "news.en-00002-of-00100", "d\n"),
        ("heldout", "news.en.heldout-00000-of-00050", "e\n"),
    ):
        path = tmp_path / f"{folder}-monolingual.tokenized.shuffled" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    row = get_text_dataset("lm1b")
    source = lm1b.find(row, tmp_path)
    assert source is not None
    got = prepared.read(prepare_text(row, source, "bytes"))
    assert bytes(got.arrays["token"] - 3) == b"a bcde"
    assert (got.num_train, got.num_test) == (3, 1)
    assert got.info["shards"] == "2 training, 1 test"


@pytest.mark.parametrize("vocabulary", ["bytes", "32k"])
def test_going_on_after_a_stop_gives_the_same_bytes(source, vocabulary, monkeypatch):
    if vocabulary == "32k":
        pytest.importorskip("sentencepiece")
    want = contents(prepare_text(WIKIPEDIA, source, vocabulary))
    folder = locations.prepared_folder("wikipedia", vocabulary)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    broken = TextSource(
        (source.train[0], BrokenShard(source.train[1].path), source.train[2]),
        source.test,
    )
    with pytest.raises(KeyboardInterrupt):
        prepare_text(WIKIPEDIA, broken, vocabulary)
    assert not prepared.is_prepared(folder)
    monkeypatch.setattr(
        tokenizers, "train_sentencepiece", lambda *args: pytest.fail("trained again")
    )
    calls = []
    prepare_text(WIKIPEDIA, source, vocabulary, lambda *args: calls.append(args))
    assert calls[0] == (1, 4)
    assert contents(folder) == want


def test_pieces(source):
    pytest.importorskip("sentencepiece")
    folder = prepare_text(WIKIPEDIA, source, "32k")
    got = prepared.read(folder)
    assert got.info["tokenizer"] == "32k-trained-on-wikipedia"
    assert got.info["vocab_size"] == 32_100
    assert got.arrays["token"].dtype == np.uint16
    model = folder.parent / "32k-trained-on-wikipedia.model"
    tokenizer = tokenizers.SentencePieceTokenizer(model)
    assert tokenizer.sha256 == got.info["sha256 of model"]
    lengths = got.arrays["length"]
    assert (got.num_train, got.num_test) == (30, 2)
    for i in (0, 15, 31):
        stop = lengths[: i + 1].sum()
        tokens = got.arrays["token"][stop - lengths[i] : stop]
        shard = (*source.train, *source.test)[i // 10]
        document = list(shard.documents())[i % 10]
        assert tokenizer.decode(tokens) == " ".join(document.split())


def test_a_model_is_given(source, monkeypatch, tmp_path):
    pytest.importorskip("sentencepiece")
    model = tmp_path / "given.model"
    tokenizers.train_sentencepiece(["in the beginning was the word"] * 9, model)
    monkeypatch.setenv(tokenizers.MODEL_VARIABLE, str(model))
    folder = prepare_text(WIKIPEDIA, source, "32k")
    name = prepared.read(folder).info["tokenizer"]
    assert name == tokenizers.SentencePieceTokenizer(model).name
    assert (folder.parent / f"{name}.model").read_bytes() == model.read_bytes()


def test_a_damaged_file_is_named(source):
    source.train[1].path.write_bytes(b"fine\n\xff\n")
    with pytest.raises(DatasetShapeError, match=r"train-1\.txt, line 2"):
        prepare_text(WIKIPEDIA, source, "bytes")
    assert not prepared.is_prepared(locations.prepared_folder("wikipedia", "bytes"))


def test_unknown_vocabulary(source):
    with pytest.raises(LoptError, match="one of bytes, 32k, got 'words'"):
        prepare_text(WIKIPEDIA, source, "words")


def test_work_begun_with_other_tokens_is_not_gone_on_with(source, monkeypatch):
    want = contents(prepare_text(WIKIPEDIA, source, "bytes"))
    broken = TextSource(
        (source.train[0], BrokenShard(source.train[1].path), source.train[2]),
        source.test,
    )
    with monkeypatch.context() as older:
        older.setattr(tokenizers.ByteTokenizer, "vocab_size", 256)
        with pytest.raises(KeyboardInterrupt):
            prepare_text(WIKIPEDIA, broken, "bytes")
    calls = []
    prepare_text(WIKIPEDIA, source, "bytes", lambda *args: calls.append(args))
    assert calls[0] == (0, 4)
    folder = locations.prepared_folder("wikipedia", "bytes")
    assert contents(folder) == want
