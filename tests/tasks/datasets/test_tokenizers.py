"""Vocabularies: exact bytes, and a sentencepiece model trained on real text."""

import io
import sys

import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets.text import embedded_documents
from learned_optimization.tasks.datasets.tokenizers import (
    MODEL_VARIABLE,
    ByteTokenizer,
    SentencePieceTokenizer,
    get_sentencepiece,
    train_sentencepiece,
)


@pytest.fixture(autouse=True)
def no_model_of_the_user(monkeypatch):
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def kjv():
    return embedded_documents("kjv")[0][:300]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory, kjv):
    pytest.importorskip("sentencepiece")
    path = tmp_path_factory.mktemp("models") / "kjv.model"
    train_sentencepiece(kjv, path)
    return path


def small_model(**options):
    """A model as sentencepiece trains it, with options of its own."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c", "b c d", "a d"] * 9),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def test_bytes_by_hand():
    tokenizer = ByteTokenizer()
    got = tokenizer.encode_batch(["abc\n", "", "a\0é"])
    assert [tokens.tolist() for tokens in got] == [
        [100, 101, 102, 13],
        [],
        [100, 3, 0xC6, 0xAC],
    ]
    assert {tokens.dtype for tokens in got} == {np.dtype(np.uint8)}
    assert (tokenizer.name, tokenizer.vocab_size) == ("bytes", 259)
    assert tokenizer.decode(got[2]) == "a\0é"
    # Padding, end and unknown are no text.
    assert tokenizer.decode(np.array([100, 2, 101, 1, 0, 0])) == "ab"
    assert tokenizer.decode(got[2][:3]) == "a\0\N{REPLACEMENT CHARACTER}"


def test_every_character_is_its_bytes_and_three():
    # All but the surrogates, which are no text.
    characters = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    [tokens] = ByteTokenizer().encode_batch([characters])
    want = np.frombuffer(characters.encode(), np.uint8).astype(int) + 3
    np.testing.assert_array_equal(tokens, want)
    assert tokens.min() == 3
    assert ByteTokenizer().decode(tokens) == characters


def test_pieces_give_the_text_back(model_path, kjv):
    tokenizer = SentencePieceTokenizer(model_path)
    verses = [verse for chapter in kjv[:30] for verse in chapter.split("\n")]
    # A character no verse holds is spelled in bytes.
    verses.append("Göd said: 光")
    got = tokenizer.encode_batch(verses)
    for verse, tokens in zip(verses, got, strict=True):
        assert tokens.dtype == np.uint16
        assert 2 < tokens.min() <= tokens.max() < 32_000
        padded = np.concatenate([tokens, np.zeros(3, np.uint16)])
        assert tokenizer.decode(padded) == " ".join(verse.split())
    assert tokenizer.vocab_size == 32_100
    num_bytes = sum(len(verse) for verse in verses)
    assert sum(map(len, got)) < num_bytes / 3


def test_models_have_padding_at_0_as_t5_has(model_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model_path))
    assert [processor.id_to_piece(i) for i in range(3)] == ["<pad>", "</s>", "<unk>"]
    assert processor.get_piece_size() > 5_000


def test_training_is_deterministic_and_quiet(model_path, kjv, tmp_path, capfd):
    train_sentencepiece(iter(kjv), tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == model_path.read_bytes()
    assert capfd.readouterr() == ("", "")
    name = SentencePieceTokenizer(model_path).name
    assert SentencePieceTokenizer(tmp_path / "again.model").name == name
    assert len(name) == len("32k-01234567")


def test_only_the_beginning_of_a_corpus_is_trained_on(tmp_path, kjv):
    pytest.importorskip("sentencepiece")

    limited, whole = tmp_path / "limited", tmp_path / "whole"
    train_sentencepiece(kjv[:6], limited, max_documents=5)
    train_sentencepiece(kjv[:5], whole)
    assert limited.read_bytes() == whole.read_bytes()
    num_bytes = sum(map(len, kjv[:5]))
    train_sentencepiece(kjv, limited, max_bytes=num_bytes)
    assert limited.read_bytes() == whole.read_bytes()


def test_long_lines_are_trained_on(tmp_path, kjv):
    pytest.importorskip("sentencepiece")
    # sentencepiece alone leaves out lines of more than 4,192 bytes.
    line = " ".join(kjv[:40]).replace("\n", " ")
    train_sentencepiece([line], tmp_path / "m")
    [tokens] = SentencePieceTokenizer(tmp_path / "m").encode_batch([line])
    assert len(tokens) < len(line) / 3


def test_nothing_to_train_on(tmp_path):
    pytest.importorskip("sentencepiece")
    with pytest.raises(LoptError, match="cannot train on this corpus"):
        train_sentencepiece([], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_model_of_the_user(monkeypatch, tmp_path):
    given = tmp_path / "given.model"
    given.write_bytes(
        small_model(vocab_size=20, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    )
    monkeypatch.setenv(MODEL_VARIABLE, str(given))
    folder = tmp_path / "kept"
    tokenizer = get_sentencepiece("lm1b", iter([]), "x", folder)
    assert tokenizer.name == f"32k-{tokenizer.sha256[:8]}"
    assert (folder / f"{tokenizer.name}.model").read_bytes() == given.read_bytes()
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "missing.model"))
    with pytest.raises(
        LoptError, match=f"no such sentencepiece model: .*missing.*{MODEL_VARIABLE}"
    ):
        get_sentencepiece("lm1b", iter([]), "x", folder)


def test_default_models_take_unknown_characters_for_padding(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(small_model(vocab_size=20))
    [tokens] = SentencePieceTokenizer(path).encode_batch(["a 光"])
    assert tokens[-1] == 0


def test_models_that_cannot_be_used(tmp_path, monkeypatch):
    pytest.importorskip("sentencepiece")
    path = tmp_path / "m"
    path.write_bytes(b"no model")
    with pytest.raises(LoptError, match="no sentencepiece model"):
        SentencePieceTokenizer(path)
    path.write_bytes(small_model(vocab_size=20))
    monkeypatch.setattr(SentencePieceTokenizer, "max_pieces", 5)
    with pytest.raises(LoptError) as caught:
        SentencePieceTokenizer(path)
    message = str(caught.value)
    assert "pieces; the tasks' vocabulary has room for 5" in message
    assert "(the other 100 of its 32,100 ids are set aside)" in message
    assert "--vocab_size=5" in message


def test_missing_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(LoptError, match=r"pip install 'optimizer-baselines\[data\]'"):
        train_sentencepiece(["a"], tmp_path / "m")


def test_trained_models_are_kept_for_their_corpus(tmp_path, kjv):
    pytest.importorskip("sentencepiece")
    first = get_sentencepiece("lm1b", kjv[:5], "one", tmp_path)
    assert first.name == "32k-trained-on-lm1b"
    assert (tmp_path / "32k-trained-on-lm1b.model").read_bytes() == first.model

    def refuse():
        pytest.fail("trained again")
        yield ""

    again = get_sentencepiece("lm1b", refuse(), "one", tmp_path)
    assert again.sha256 == first.sha256
    other = get_sentencepiece("lm1b", kjv[5:10], "two", tmp_path)
    assert other.sha256 != first.sha256
