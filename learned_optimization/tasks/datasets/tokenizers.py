"""Vocabularies: how text becomes integers.

Token 0 pads everywhere: no loss is taken on it. Tokens 1 (end) and 2 (unknown) are
set aside, as in T5's vocabularies (Raffel et al. 2020, arXiv:1910.10683); byte `b` is
token `b + 3`. Pieces are those of a sentencepiece model (Kudo and Richardson 2018,
arXiv:1808.06226), given or trained on the corpus itself; after its 32,000 pieces
are 100 extra ids that no text uses. No end is appended to a document.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import LoptError, ResultError

Vocabulary = Literal["bytes", "32k"]

FIRST_BYTE = 3
NUM_PIECES = 32_000
VOCAB_SIZES: dict[Vocabulary, int] = {
    "bytes": FIRST_BYTE + 256,
    "32k": NUM_PIECES + 100,
}
# UTF-8 has no byte above 0xF4, which is token 247: one byte holds every token that a
# text has, though not every token of the vocabulary. Two would double the memory of
# the largest data sets for tokens that never occur.
TOKEN_DTYPES: dict[Vocabulary, np.dtype] = {
    "bytes": np.dtype(np.uint8),
    "32k": np.dtype(np.uint16),
}
MODEL_VARIABLE = "LOPT_SENTENCEPIECE_MODEL"

_MAX_DOCUMENTS = 1_000_000
_MAX_BYTES = 200_000_000
# A character takes up to four bytes: always less than sentencepiece's limit of
# 4,192, beyond which it leaves lines out (and its time grows with the square).
_MAX_LINE_CHARACTERS = 1_000


class Tokenizer(Protocol):
    """Turns documents into tokens."""

    @property
    def name(self) -> str:
        """Tells this vocabulary from every other."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens are below it."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of the tokens."""
        ...

    def encode_batch(self, documents: list[str]) -> list[np.ndarray]:
        """Return each document's tokens: 1-D arrays of `dtype`, which may be empty."""
        ...

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of one document's tokens; padding is left out."""
        ...


class ByteTokenizer:
    """The bytes of a text's UTF-8: byte `b` is token `b + 3`, NUL is token 3."""

    name = "bytes"
    vocab_size = VOCAB_SIZES["bytes"]
    dtype = TOKEN_DTYPES["bytes"]

    def encode_batch(self, documents: list[str]) -> list[np.ndarray]:
        """Return the tokens of each document, uint8."""
        return [
            np.frombuffer(document.encode(), np.uint8) + np.uint8(FIRST_BYTE)
            for document in documents
        ]

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of one document's tokens.

        What cropping cut apart becomes �; padding, end and unknown are left out.
        """
        kept = np.asarray(tokens)
        kept = kept[kept >= FIRST_BYTE] - FIRST_BYTE
        return kept.astype(np.uint8).tobytes().decode(errors="replace")


class SentencePieceTokenizer:
    """The pieces of a sentencepiece model of at most 32,000 pieces.

    Tasks see a vocabulary of 32,100, whatever the model holds: 32,000 pieces and
    100 extra ids that no text uses. Token 0 pads: a model should have `<pad>` as
    piece 0. Sentencepiece's own default is `<unk>`; with such a model, unknown
    characters count as padding.

    Args:
      model_path: the `.model` file.
      name: the vocabulary's name; by default made of the file's checksum.

    Raises:
      LoptError: if the file is no model or holds too many pieces.
    """

    vocab_size = VOCAB_SIZES["32k"]
    max_pieces = NUM_PIECES
    dtype = TOKEN_DTYPES["32k"]

    def __init__(self, model_path: Path, name: str | None = None):
        self.model = _read_model(model_path)
        self.sha256 = hashlib.sha256(self.model).hexdigest()
        self.name = name or f"32k-{self.sha256[:8]}"
        self._processor = _sentencepiece().SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(self.model)
        except RuntimeError as error:
            raise LoptError(
                f"{model_path}: no sentencepiece model: {error}. Give the .model "
                "file that sentencepiece wrote."
            ) from error
        pieces = self._processor.get_piece_size()
        if pieces > self.max_pieces:
            raise LoptError(
                f"{model_path}: the model has {pieces:,} pieces; the tasks' vocabulary "
                f"has room for {self.max_pieces:,} (the other "
                f"{self.vocab_size - NUM_PIECES} of its {self.vocab_size:,} ids are "
                "set aside). Train one with "
                f"--vocab_size={self.max_pieces}, or unset {MODEL_VARIABLE} to have "
                "one trained on the corpus."
            )

    def encode_batch(self, documents: list[str]) -> list[np.ndarray]:
        """Return the pieces of each document, uint16."""
        return [
            np.asarray(pieces, self.dtype)
            for pieces in self._processor.encode(documents, out_type=int)
        ]

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of one document's pieces, as the model normalizes text."""
        kept = np.asarray(tokens)
        return self._processor.decode(kept[kept != 0].tolist())


def get_sentencepiece(
    corpus: str, documents: Iterable[str], corpus_fingerprint: str, folder: Path
) -> SentencePieceTokenizer:
    """Return the model of `LOPT_SENTENCEPIECE_MODEL`, else one trained on the corpus.

    Either is kept in `folder`. One trained there before on the same corpus is
    used again.

    Args:
      corpus: the name of the data set.
      documents: its training part; read only where a model is trained.
      corpus_fingerprint: tells its files from others.
      folder: where models are kept, as `NAME.model`.

    Raises:
      LoptError: if the model named is missing or cannot be used, or the package
        sentencepiece is not installed.
    """
    if given := os.environ.get(MODEL_VARIABLE):
        try:
            tokenizer = SentencePieceTokenizer(Path(os.path.expanduser(given)))
        except LoptError as error:
            raise LoptError(f"{MODEL_VARIABLE} cannot be used: {error}") from error
        write_whole(folder / f"{tokenizer.name}.model", tokenizer.model)
        return tokenizer
    name = f"32k-trained-on-{corpus}"
    path, trained_on = folder / f"{name}.model", folder / f"{name}.corpus"
    known = trained_on.read_text() if trained_on.is_file() else None
    if not path.is_file() or known != corpus_fingerprint:
        # Interrupted between the two, neither may vouch for the other.
        trained_on.unlink(missing_ok=True)
        train_sentencepiece(documents, path)
        write_whole(trained_on, corpus_fingerprint.encode())
    return SentencePieceTokenizer(path, name)


def train_sentencepiece(
    documents: Iterable[str],
    model_path: Path,
    *,
    model_type: Literal["unigram", "bpe"] = "unigram",
    max_documents: int = _MAX_DOCUMENTS,
    max_bytes: int = _MAX_BYTES,
) -> None:
    """Train a model of at most 32,000 pieces; the same text gives the same model.

    Pieces 0, 1 and 2 are `<pad>`, `</s>` and `<unk>`, as in T5's vocabulary
    (Raffel et al. 2020, arXiv:1910.10683). A small corpus gives fewer pieces.
    Characters that are too rare for a piece are spelled in bytes.

    Args:
      documents: the corpus; its beginning is trained on.
      model_path: where the model goes.
      model_type: sentencepiece's algorithm.
      max_documents: documents trained on, at most.
      max_bytes: bytes of UTF-8 trained on, about.

    Raises:
      LoptError: if there is nothing to train on.
    """
    sentencepiece = _sentencepiece()
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sample(documents, max_documents, max_bytes),
            model_writer=model,
            model_type=model_type,
            vocab_size=NUM_PIECES,
            hard_vocab_limit=False,
            byte_fallback=True,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            shuffle_input_sentence=False,
            # Sums are taken thread by thread: their number decides the rounding.
            num_threads=16,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise LoptError(
            f"sentencepiece cannot train on this corpus: {error}"
        ) from error
    write_whole(model_path, model.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _sample(
    documents: Iterable[str], max_documents: int, max_bytes: int
) -> Iterator[str]:
    """Return lines of the first documents, the long ones in pieces."""
    num_bytes = 0
    for number, document in enumerate(documents):
        if number >= max_documents or num_bytes >= max_bytes:
            return
        num_bytes += len(document.encode())
        step = _MAX_LINE_CHARACTERS
        for line in document.replace("\0", "").splitlines():
            yield from (line[i : i + step] for i in range(0, len(line), step))


def _read_model(path: Path) -> bytes:
    try:
        with filesystem.open_to_read(path) as file:
            return file.read()
    except ResultError as error:
        raise LoptError(
            f"no such sentencepiece model: {path} ({error}) Set {MODEL_VARIABLE} to a "
            ".model file, or unset it to have one trained on the corpus."
        ) from error


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise LoptError(
            "a vocabulary of 32k pieces needs the package sentencepiece: "
            "pip install 'optimizer-baselines[data]'."
        ) from error
    return sentencepiece
